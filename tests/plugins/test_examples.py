"""The example plug-ins, installed as a package is: found, listed, conforming, used by the loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coldal_tui import plugins
from coldal_tui.cli.plugin_findings import plugin_findings
from coldal_tui.encoders.catalogue import encoder_info, encoder_plugin, list_encoders
from coldal_tui.exchange.importers import load_registry
from coldal_tui.jobs.spec import EncoderChoice
from coldal_tui.selection.strategies import strategies, strategy
from coldal_tui.testing import check_encoder, check_importer, check_strategy
from tests.support.plugin_examples import EXAMPLES

MOST_LINES = 30
pytestmark = pytest.mark.usefixtures("installed")


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_doctor_names_them() -> None:
    told = [(one.level, one.what) for one in plugin_findings()]
    assert [one for one in told if "examples" in one[1]] == [
        ("ok", "mask format pgm of coldal-tui-examples"),
        ("ok", "strategy edge-first of coldal-tui-examples"),
        ("ok", "encoder histogram of coldal-tui-examples"),
    ]


def test_the_strategy_conforms_and_is_listed() -> None:
    found = strategy("edge-first", "active")
    check_strategy(found)
    assert found.package == "coldal-tui-examples"
    assert "edge-first" in [one.name for one in strategies("cold")]


def test_the_encoder_conforms_and_is_listed() -> None:
    check_encoder(encoder_plugin("histogram"))
    assert list_encoders()[-1] == encoder_info("histogram")


def test_the_encoder_embeds_grey_values_as_shares_of_them() -> None:
    import torch

    from coldal_compute.encoders.registry import load_encoder

    encoder = load_encoder(EncoderChoice("histogram"))
    image = torch.zeros(1, 1, 64, 64)
    image[..., 32:] = 0.999
    # Half of the pixels in the darkest of 16 levels, half in the brightest.
    assert encoder.embed(image)[0].tolist() == [0.5] + [0.0] * 14 + [0.5]
    assert encoder.details["package"] == "coldal-tui-examples 1.0"


def test_another_version_of_the_package_is_another_encoder(installed: Path) -> None:
    from coldal_compute.encoders.registry import load_encoder

    first = load_encoder(EncoderChoice("histogram")).hash
    assert load_encoder(EncoderChoice("histogram")).hash == first
    (info,) = installed.glob("*.dist-info")
    text = (info / "METADATA").read_text()
    (info / "METADATA").write_text(text.replace("Version: 1.0", "Version: 1.1"))
    assert plugins.version_of(plugins.entries(plugins.ENCODER)["histogram"]) == "1.1"
    assert load_encoder(EncoderChoice("histogram")).hash != first


def test_the_importer_conforms_and_reads_what_pillow_writes(tmp_path: Path) -> None:
    mask = np.zeros((5, 7), np.uint8)
    mask[1:3, 2:6] = 1
    mask[4, 6] = 2
    Image.fromarray(mask).save(tmp_path / "a.pgm")
    importer = load_registry().select("pgm")[0]
    check_importer(importer, [tmp_path / "a.pgm"])
    (found,) = importer.candidates(tmp_path / "a.pgm")
    assert found.load().array.tolist() == mask.tolist()
