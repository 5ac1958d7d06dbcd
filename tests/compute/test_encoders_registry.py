"""Listing encoders is light, naming them is strict, and their identity covers what counts."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from coldal_compute.encoders import registry
from coldal_tui.encoders import catalogue
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.jobs.spec import EncoderChoice


def test_listing_does_not_import_torch() -> None:
    code = (
        "import sys, coldal_compute.encoders.registry;"
        "from coldal_tui.encoders.catalogue import list_encoders;"
        "print(len(list_encoders()), 'torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["6", "False"]


def test_the_default_encoder_comes_first_and_needs_no_file() -> None:
    first = catalogue.list_encoders()[0]
    assert (first.name, first.needs_file, first.dim) == ("efficientnet-lite0", False, 1280)


def test_an_unknown_name_is_a_wrong_call_that_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="efficientnet-lite0, radimagenet-resnet50"):
        catalogue.encoder_info("resnet5O")


def test_an_encoder_without_its_file_says_where_to_get_it() -> None:
    with pytest.raises(ColdalError, match=r"BMEII-AI/RadImageNet.*--weights FILE") as error:
        registry.load_encoder(EncoderChoice("radimagenet-resnet50"))
    assert error.value.code == "no-weights"


@pytest.mark.parametrize("field", ["layer", "preprocessing", "name"])
def test_the_hash_changes_with(field: str) -> None:
    info = catalogue.EFFICIENTNET_LITE0
    other = replace(info, **{field: "something else"})  # type: ignore[arg-type]
    assert registry.identity(other, "00") != registry.identity(info, "00")


def test_the_hash_changes_with_the_weights() -> None:
    info = catalogue.EFFICIENTNET_LITE0
    assert registry.identity(info, "00") != registry.identity(info, "01")


def test_the_hash_changes_with_the_preprocessing_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = registry.identity(catalogue.EFFICIENTNET_LITE0, "00")
    monkeypatch.setattr(registry, "PREPROCESSING_VERSION", "next")
    assert registry.identity(catalogue.EFFICIENTNET_LITE0, "00") != before
