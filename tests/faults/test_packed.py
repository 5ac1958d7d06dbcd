"""A cache of packs that several processes share, killed and damaged; minutes in ``make soak``."""

from __future__ import annotations

from pathlib import Path

from tests.faults.packed import run


def test_no_array_is_ever_another(tmp_path: Path) -> None:
    told = run(tmp_path / "cache", seconds=8, processes=3, seed=1)
    assert told.wrong == []
    assert told.killed
    assert told.made
