"""What is said after a step of the loop."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from coldal_tui.tui.loop.loop_steps import export_words

ROOT = Path("/data/lungs")


def report(folder: str, people: dict[str, int], prelabels: int = 0) -> Any:
    scans = tuple(f"s{n}" for n in range(5))
    makers = {"run-001": prelabels} if prelabels else {}
    return SimpleNamespace(
        folder=Path(folder),
        scans=scans,
        assignees=people,
        prelabels=prelabels,
        makers=makers,
        checks=(),
    )


def test_an_export_says_how_many_went_to_whom_and_where() -> None:
    inside = report("/data/lungs/exports/x-lungs", {"ana": 3, "ben": 2})
    assert export_words(inside, ROOT) == "5 out (ana 3, ben 2) in exports/x-lungs"
    outside = report("/mnt/out", {}, prelabels=1)
    assert export_words(outside, ROOT) == ("5 out in /mnt/out\nwith 1 pre-label by run-001")
