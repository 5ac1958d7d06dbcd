"""``make gpu-check`` runs its path without a GPU, and says that it saw none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.places import ROOT


def _check(out: Path, *words: str) -> tuple[dict[str, Any], str]:
    script = ROOT / "benchmarks" / "gpu_check.py"
    done = subprocess.run(
        [sys.executable, str(script), "--fake", "--out", str(out), *words],
        cwd=ROOT, text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((out / "gpu_check.json").read_text()), done.stdout


def test_without_a_gpu_no_time_is_called_good_or_bad(tmp_path: Path) -> None:
    found, told = _check(tmp_path, "--only", "scoring")
    rows = found["rows"]
    assert [row["what"] for row in rows] == ["score 2 PNG", "score 2 PNG in a later round"]
    assert found["saw_a_gpu"] is False
    for row in rows:
        assert (row["check"], row["ok"], row["gpu_use"]) == ("scoring", None, None)
        assert row["ratio"] > 0
    assert told.count("No GPU was seen") == 1
    assert "| score 2 PNG |" in (tmp_path / "gpu_check.md").read_text()


def test_a_check_for_which_no_time_is_left_is_named(tmp_path: Path) -> None:
    found, _ = _check(tmp_path, "--minutes", "0")
    notes = [(row["check"], row["ok"], row["note"]) for row in found["rows"]]
    names = ["embedding", "training", "scoring", "precision", "memory", "two jobs", "tests"]
    assert notes == [(name, None, "left out: the minutes were over") for name in names]
