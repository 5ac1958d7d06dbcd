"""Words for people: counts with their noun, lists cut short."""

from __future__ import annotations

import pytest

from coldal_tui.visible import counted, listed


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "s0"),
        (8, "s0, s1, s2, s3, s4, s5, s6, s7"),
        (9, "s0, s1, s2, s3, s4, s5, s6 and 2 more"),
        (5000, "s0, s1, s2, s3, s4, s5, s6 and 4,993 more"),
    ],
)
def test_of_many_names_the_first_are_told(count: int, words: str) -> None:
    assert listed([f"s{n}" for n in range(count)]) == words


def test_a_count_stands_before_its_noun() -> None:
    assert [counted(n, "scan") for n in (0, 1, 2114)] == ["0 scans", "1 scan", "2,114 scans"]
    assert counted(2, "exact copy", "exact copies") == "2 exact copies"
