"""Two imports at once and two exports at once lose nothing, double nothing and tell the truth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.places import ROOT

ROUNDS = 3


def test_pairs_of_imports_and_exports_at_once(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.faults.pairs", str(tmp_path), str(ROUNDS)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr[-2000:]
