"""Lines of the legend of many classes."""

from __future__ import annotations

import pytest
from textual.content import Content

from coldal_tui.tui.scan.overlay_legend import filled

NAMES = [f"bone number {n} of the wrist" for n in range(1, 31)]


@pytest.mark.parametrize("width", [12, 40, 47, 118])
def test_a_name_stays_on_the_line_of_its_mark(width: int) -> None:
    groups = [
        [Content("mask"), *(Content(f"▞ {n} {name}") for n, name in enumerate(NAMES, 1))],
        [Content("entropy 0 ▁▅█ 1")],
    ]
    lines = [line.plain for line in filled(groups, width)]
    assert all(len(line) <= max(width, 35) for line in lines)
    for n, name in enumerate(NAMES, 1):
        assert sum(f"▞ {n} {name}" in line for line in lines) == 1
    assert " ".join(lines).split() == " ".join(c.plain for g in groups for c in g).split()
    assert lines[-1] == "entropy 0 ▁▅█ 1"
