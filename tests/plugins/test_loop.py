"""Plug-ins of another package in the loop: real commands, real workers, from scan to label."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.usefixtures("installed"), pytest.mark.xdist_group("e2e")]


class Cli:
    """Runs ``coldal-tui`` in a folder."""

    def __init__(self, cwd: Path) -> None:
        self._cwd = cwd

    def __call__(self, *words: str, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "coldal_tui", *words],
            cwd=self._cwd,
            env=os.environ | {"OMP_NUM_THREADS": "1", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=900,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == status, f"{words}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr if status else done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A folder ``images`` with ten pictures, each of one grey value with a bright corner."""
    images = tmp_path / "images"
    images.mkdir()
    for n in range(10):
        picture = np.full((32, 40), 20 * n, np.uint8)
        picture[:8, : 4 * n + 4] = 255
        Image.fromarray(picture).save(images / f"s{n}.png")
    return Cli(tmp_path)


def test_a_scan_goes_through_the_loop_by_plug_ins_alone(cli: Cli, tmp_path: Path) -> None:
    cli("init", "lab", "--images", "images")
    cli("encoder", "lab", "use", "histogram")
    cli("select", "lab", "--budget", "4", "--strategy", "edge-first", "--validation", "0")
    rows = cli.json("queue", "lab")
    told = [row["terms"]["from_middle"] for row in rows]
    # The farthest from the middle of the map come first.
    assert len(told) == 4
    assert told == sorted(told, reverse=True)
    why = cli("why", "lab", rows[0]["scan_id"])
    assert f"at the edge of the map, {told[0]:.2f} from its middle" in why
    assert cli.json("status", "lab")["rounds"][0]["strategy"] == "edge-first"
    masks = tmp_path / "masks"
    masks.mkdir()
    mask = np.zeros((32, 40), np.uint8)
    mask[4:9, 5:11] = 1
    Image.fromarray(mask).save(masks / f"{rows[0]['scan_id']}.pgm")
    cli("import-masks", "lab", "masks")
    labelled = [row["scan_id"] for row in cli.json("queue", "lab", "--status", "labelled")]
    assert labelled == [rows[0]["scan_id"]]


def test_a_strategy_of_the_config_may_be_a_plug_in(cli: Cli, tmp_path: Path) -> None:
    cli("init", "lab", "--images", "images")
    config = tmp_path / "lab" / "coldal.toml"
    text = config.read_text().replace('# strategy = "coldstart"', 'strategy = "edge-first"')
    config.write_text(text)
    cli("encoder", "lab", "use", "histogram")
    assert len(cli.json("select", "lab", "--budget", "3", "--validation", "0")) == 3


def test_a_broken_plug_in_is_told_by_name_and_harms_nothing(
    cli: Cli, installed: Path, tmp_path: Path
) -> None:
    (installed / "coldal_examples" / "edge_first.py").write_text("import no_such_module\n")
    cli("init", "lab", "--images", "images")
    refused = cli("select", "lab", "--strategy", "edge-first", status=1)
    assert "the strategy 'edge-first' can't be loaded: ModuleNotFoundError" in refused
    assert "coldal-tui-examples" in refused
    assert "histogram" in cli("encoder", "list")
    cli("encoder", "lab", "use", "histogram")
    assert len(cli.json("select", "lab", "--budget", "3", "--validation", "0")) == 3
