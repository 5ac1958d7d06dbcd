"""Four processes at once on one project; eight for minutes in ``make soak``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.faults.crowd import lines, prepare
from tests.support.places import ROOT


def test_processes_at_once_lose_nothing_and_break_nothing(tmp_path: Path) -> None:
    root, out = prepare(tmp_path), tmp_path / "calls.jsonl"
    words = [sys.executable, "-m", "tests.faults.crowd", str(root), "--out", str(out)]
    words += ["--processes", "4", "--calls", "8", "--seconds", "600"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    called = lines(out)
    assert len(called) == 32
    assert {name for name, status, _, _ in called if status == 0} >= {"import-masks", "status"}
