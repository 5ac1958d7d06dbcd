"""Charts as text: exact text."""

from __future__ import annotations

from typing import Any

import pytest

from coldal_tui.textcharts import Point, bar, columns, curve, line_chart, sparkline
from tests.support.places import ROOT


def drawn(points: list[Point], width: int, height: int, **options: Any) -> str:
    rows = curve(points, width, height, **options)
    return "\n".join("".join(text for text, _ in row).rstrip() for row in rows)


def flat(x: float, y: float) -> Point:
    return Point(x, y, y, y)


def test_a_sparkline_goes_from_the_least_to_the_greatest() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([0, 3, 6], plain=True) == ".=#"


def test_bars_stand_on_zero_and_go_below_only_for_what_is_below() -> None:
    # 0.5 of 0.75 is two thirds of seven steps; 1 of -1 to 1 is all of them, 0 the middle.
    assert sparkline([0.75, 0.5], zero=True) == "█▆"
    assert sparkline([-1, 0, 1], zero=True) == "▁▅█"
    assert columns([15, 30], 1, plain=True) == ["=#"]


def test_equal_values_are_drawn_in_the_middle() -> None:
    assert sparkline([2, 2]) == "▄▄"
    assert sparkline([]) == ""


def test_more_values_than_cells_are_averaged() -> None:
    # Means 0.5, 2.5 and 6.
    assert sparkline([0, 1, 2, 3, 5, 7], 3) == "▁▄█"
    assert len(sparkline(list(range(1000)), 24)) == 24


def test_fewer_values_than_cells_are_not_stretched() -> None:
    assert len(sparkline([1, 2], 24)) == 2


def test_columns_fill_cells_from_below() -> None:
    # Sixteen steps in two cells: 0 is one of them, 15 all, 8 one more than half.
    assert columns([0, 8, 15], 2) == [" ▁█", "▁██"]
    assert columns([0, 13], 2, plain=True) == [" #", ".#"]


def test_a_curve_rises_between_its_axes() -> None:
    points = [flat(10, 0.80), flat(20, 0.90)]
    assert drawn(points, 30, 4, plain=True, x_word="labels") == (
        "0.91              ....o\n          ........\n0.79 o....\n     10              20 labels"
    )


def test_a_curve_in_braille() -> None:
    points = [flat(10, 0.80), flat(20, 0.90)]
    assert drawn(points, 24, 4, x_word="labels") == (
        "0.91         ⢀⡠⠔●\n        ⢀⣀⠤⠒⠉⠁\n0.79 ●⠔⠊⠁\n     10        20 labels"
    )


def test_the_spread_is_drawn_to_both_sides() -> None:
    points = [Point(10, 0.5, 0.25, 0.75)]
    assert drawn(points, 20, 6, plain=True) == (
        "0.79       |\n           |\n0.50       o\n           |\n0.21       |\n          10"
    )


def test_an_axis_never_leaves_what_is_possible() -> None:
    top = drawn([Point(1, 0.99, 0.97, 1.0), flat(2, 0.98)], 30, 4, limits=(0.0, 1.0))
    assert top.startswith("1.00")


def test_values_that_are_all_equal_have_room() -> None:
    assert drawn([flat(1, 0.5), flat(2, 0.5)], 20, 4, plain=True) == (
        "0.51\n     o............o\n0.49\n     1            2"
    )


def test_of_equal_x_the_line_takes_the_last() -> None:
    points = [flat(1, 0.5), flat(2, 0.5), flat(2, 0.9)]
    assert drawn(points, 25, 6, plain=True) == (
        "0.94                 ..o\n"
        "                 ....\n"
        "0.70        .....\n"
        "        ....\n"
        "0.46 o..               o\n"
        "     1                 2"
    )


def test_labels_that_would_touch_are_left_out_but_the_last() -> None:
    points = [flat(x, x / 1000) for x in (100, 101, 102, 200)]
    assert drawn(points, 30, 4).split("\n")[-1].split() == ["100", "200"]


@pytest.mark.parametrize(("width", "height"), [(3, 5), (30, 2), (0, 0)])
def test_where_nothing_fits_nothing_is_drawn(width: int, height: int) -> None:
    assert drawn([flat(1, 0.5)], width, height).strip() == ""


@pytest.mark.parametrize("plain", [False, True])
def test_no_line_is_wider_than_asked(plain: bool) -> None:
    points = [Point(x, 0.9, 0.1, 1.0) for x in range(0, 3000, 250)]
    for width in range(12, 90, 7):
        rows = curve(points, width, 6, plain=plain, x_word="labels")
        assert max(sum(len(text) for text, _ in row) for row in rows) <= width


def test_plain_terminals_get_plain_characters() -> None:
    points = [Point(1, 0.5, 0.4, 0.6), Point(2, 0.9, 0.8, 1.0)]
    text = drawn(points, 30, 8, plain=True) + sparkline([1, 2, 3], plain=True)
    assert text.isascii()


def test_each_part_of_a_curve_says_what_it_shows() -> None:
    rows = curve([Point(1, 0.5, 0.3, 0.5), flat(2, 0.5)], 20, 5, plain=True)
    assert rows[0] == [("0.52 ", "axis"), ("o............o", "line")]
    assert rows[1] == [("     ", "axis"), ("|", "spread"), (" " * 13, "none")]
    assert rows[4] == [("     1            2", "axis")]


def test_where_the_line_meets_the_spread_a_cell_shows_both_as_line() -> None:
    # The spread of the second point is the column of dots from 0 to 1 in the last cell.
    rows = curve([flat(1, 0.0), Point(2, 1.0, 0.0, 1.0)], 11, 9)
    assert [row[1:] for row in rows[1:3]] == [
        [("  ", "none"), ("⢰⡇", "line")],
        [("  ", "none"), ("⡸", "line"), ("⡇", "spread")],
    ]


def test_a_bar_is_filled_by_eighths_of_a_cell() -> None:
    # 0.3 of 4 cells are 9.6 eighths: a cell and two eighths.
    assert bar(0.3, 4) == "█▎  "
    assert bar(0.5, 4, "=") == "==  "
    assert (bar(-1, 2), bar(2, 2)) == ("  ", "██")


def test_a_line_chart_has_a_frame_and_a_mark_for_each_series() -> None:
    rows = line_chart([1, 2, 3], [[0, 1, 2], [2, 2, 2]], 20, 8, plain=True)
    assert [row.rstrip() for row in rows] == [
        "   +---------------+",
        "2.0+x......x......x|",
        "1.5+         ....  |",
        "1.0+      .o.      |",
        "0.5+  ....         |",
        "0.0+o.             |",
        "   ++------+------++",
        "    1      2      3",
    ]
    assert [row.rstrip() for row in line_chart([1, 2], [[0, 1]], 16, 8)] == [
        "    ┌──────────┐",
        "1.00┤        ⡠●│",
        "0.75┤      ⡠⠊  │",
        "0.50┤    ⡠⠊    │",
        "0.25┤  ⡠⠊      │",
        "0.00┤●⠊        │",
        "    └┬────────┬┘",
        "     1        2",
    ]


def test_a_chart_is_as_large_as_asked_on_any_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "5")
    rows = line_chart([1, 2], [[0, 1]], 60, 12)
    assert (len(rows), len(rows[0])) == (12, 60)


def test_charts_drawn_one_after_another_leave_nothing_behind() -> None:
    first = line_chart([1, 2], [[0, 1]], 30, 8)
    drawn([Point(1, 0.5, 0.4, 0.6), flat(9, 0.7)], 40, 9)
    assert line_chart([1, 2], [[0, 1]], 30, 8) == first


def test_no_other_module_draws_with_plotext() -> None:
    users = [
        p.name
        for p in (ROOT / "coldal_tui").rglob("*.py")
        if "import plotext" in p.read_text("utf-8")
    ]
    assert users == ["textcharts.py"]
