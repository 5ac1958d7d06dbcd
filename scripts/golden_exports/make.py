"""Exports of the tests' own scans, for other programs to read: make.py FOLDER."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]

if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "backends")]
    import_module("golden_scans").write_exports(Path(sys.argv[1]))
