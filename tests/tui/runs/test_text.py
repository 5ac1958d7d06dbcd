"""Runs as rows, curves and headings: exact text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rich.text import Text

from coldal_tui.project.enough.estimate import Enough, Raters
from coldal_tui.project.views.run_view import (
    ClassScore,
    RunMeasures,
    ScanScore,
    SplitState,
    compare,
)
from coldal_tui.project.views.snapshot import RunState
from coldal_tui.simulation.expected_gain import Gain
from coldal_tui.textcharts import Point
from coldal_tui.tui.drawing.glyphs import ASCII, UNICODE
from coldal_tui.tui.runs.rows import PairRows, RunRows, ScanRows
from coldal_tui.tui.runs.text import (
    class_line,
    comparison_heading,
    curve_content,
    dice_points,
    enough_content,
    hd95_points,
    run_heading,
)


def run(run_id: str, labels: int, dice: float | None, **classes: tuple[float, float]) -> RunState:
    """``classes`` are (Dice, HD95)."""
    found = {name: {"dice": d, "hd95": h, "unit": "mm"} for name, (d, h) in classes.items()}
    mean = None if dice is None else {"dice": dice, "hd": 9.0, "hd95": 8.25}
    return RunState(run_id, 1, labels, 4, mean, found, 75.0, "")


def split(
    name: str = "validation", dice: float = 0.9, spread: float | None = 0.05, scans: int = 4
) -> SplitState:
    return SplitState(name, scans, dice, spread, 0.8125, 0.9375, 8.25, "mm", "")


def measures(run_id: str, coverage: float | None = None, *evaluations: SplitState) -> RunMeasures:
    return RunMeasures(run_id, split(), evaluations, coverage)


def plain(cells: Any) -> list[str]:
    return [cell.plain if isinstance(cell, Text) else cell for cell in cells]


def titles(model: Any) -> list[str]:
    return [column.title for column in model.columns]


ONE = run("run-001", 16, 0.9001, lung=(0.9001, 8.25))


def test_a_row_a_run() -> None:
    known = {"run-001": measures("run-001", 0.51, split("evaluation-3", 0.8765))}
    rows = RunRows([ONE], known, UNICODE)
    assert dict(zip(titles(rows), plain(rows.cells(0)), strict=True)) == {
        "run": "run-001",
        "round": "1",
        "labels": "16",
        "Dice": "0.900",
        "measured": "not yet",
        "± SD": "0.050",
        "HD95": "8.2 mm",
        "evaluated": "0.876",
        "covers": "51 %",
        "trained": "1 m 15 s",
    }


def test_the_newest_run_comes_first() -> None:
    rows = RunRows([ONE, run("run-002", 20, 0.92)], {}, UNICODE)
    assert [rows.key(0), rows.key(1)] == ["run-002", "run-001"]
    assert (rows.find("run-001"), rows.find("run-009")) == (1, None)


def test_several_classes_have_columns_of_their_own() -> None:
    two = run("run-001", 16, 0.8, heart=(0.75, 4.0), lung=(0.85, 2.5))
    rows = RunRows([two, run("run-002", 20, None)], {}, UNICODE)
    assert titles(rows)[-4:] == ["heart", "HD95", "lung", "HD95"]
    assert plain(rows.cells(1))[-4:] == ["0.750", "4.0 mm", "0.850", "2.5 mm"]
    assert plain(rows.cells(0))[-4:] == ["–", "–", "–", "–"]


def test_evaluations_have_a_column_once_there_are_any() -> None:
    assert "evaluated" not in titles(RunRows([ONE], {"run-001": measures("run-001")}, UNICODE))


def test_a_run_that_was_measured_on_nothing_has_dashes() -> None:
    rows = RunRows([run("run-001", 16, None)], {}, UNICODE)
    assert plain(rows.cells(0))[3:8] == ["–", "not yet", "–", "–", "–"]


def score(scan_id: str, known: bool = True, **classes: tuple[float, float, str]) -> ScanScore:
    found = {name: ClassScore(d, h, "mm", note) for name, (d, h, note) in classes.items()}
    return ScanScore(scan_id, found, known)


def test_a_row_a_scan() -> None:
    rows = ScanRows(
        [score("s1", lung=(0.5, 3.0, "")), score("s2", lung=(0.0, 80.0, "missed"))], UNICODE
    )
    assert titles(rows) == ["scan", "Dice", "HD95", ""]
    assert plain(rows.cells(0)) == ["s1", "0.500", "3.0 mm", ""]
    assert plain(rows.cells(1)) == ["s2", "0.000", "80.0 mm", "missed"]


def test_of_several_classes_the_worst_is_named() -> None:
    one = score("s1", heart=(0.5, 2.0, ""), lung=(0.0, 4.0, "spurious"))
    assert plain(ScanRows([one], UNICODE).cells(0)) == [
        "s1",
        "0.250",
        "3.0 mm",
        "0.000 lung",
        "spurious lung",
    ]


def test_scans_of_other_images_are_known_to_be_so() -> None:
    rows = ScanRows([score("s1"), score("x", known=False)], UNICODE)
    assert [rows.known("s1"), rows.known("x"), rows.known("nowhere")] == [True, False, False]


BEFORE = [score("a", lung=(0.5, 4.0, "")), score("b", lung=(0.75, 2.0, ""))]
AFTER = [score("a", lung=(0.75, 1.0, "")), score("b", lung=(0.625, 2.0, ""))]


def test_a_row_a_pair() -> None:
    found = compare(BEFORE, AFTER)
    assert found is not None
    rows = PairRows(found, UNICODE)
    assert titles(rows) == ["scan", "Δ", "Dice", "Δ", "HD95"]
    assert plain(rows.cells(0)) == ["b", "−0.125", "0.625", "0.0", "2.0 mm"]
    assert plain(rows.cells(1)) == ["a", "+0.250", "0.750", "−3.0", "1.0 mm"]


def test_better_and_worse_have_their_colours() -> None:
    found = compare(BEFORE, AFTER)
    assert found is not None
    rows = PairRows(found, UNICODE)
    inks = [[cell.style for cell in rows.cells(n) if isinstance(cell, Text)] for n in (0, 1)]
    # Less HD95 is better; what has not changed is neither.
    assert inks == [["error", "muted"], ["success", "success"]]


def text(rows: Any) -> list[str]:
    return [row.plain for row in rows]


def test_the_heading_of_a_run() -> None:
    assert text(run_heading(ONE, split(), UNICODE, 60)) == [
        "worst scans of run-001 on frozen validation (4)",
        "Dice 0.900 ± 0.050   HD95 8.2 mm   0.812 to 0.938",
    ]


def test_a_narrow_heading_takes_another_line() -> None:
    assert text(run_heading(ONE, split("evaluation-3"), ASCII, 38)) == [
        "run-001 on evaluation 3 (4)",
        "Dice 0.900 +- 0.050   HD95 8.2 mm",
        "0.812 to 0.938",
    ]


def test_one_scan_has_neither_spread_nor_range() -> None:
    assert text(run_heading(ONE, split(spread=None, scans=1), UNICODE, 60))[1] == (
        "Dice 0.900   HD95 8.2 mm"
    )


def test_a_run_without_validation_scans_says_so() -> None:
    assert text(run_heading(ONE, None, UNICODE, 60)) == [
        "run-001 is not measured yet: coldal-tui crossfit"
    ]


def test_classes_stand_side_by_side_where_they_fit() -> None:
    three = run("r", 1, 0.8, heart=(0.75, 4.0), left=(0.5, 9.0), right=(0.875, 2.5))
    assert text(class_line(three, UNICODE, 50)) == [
        "heart 0.750 / 4.0 mm   left 0.500 / 9.0 mm",
        "right 0.875 / 2.5 mm",
    ]
    assert class_line(ONE, UNICODE, 50) == []


def test_the_heading_of_a_comparison() -> None:
    found = compare(BEFORE, AFTER)
    rows = comparison_heading("run-001", "run-002", "validation", found, UNICODE, 70)
    # Changes 0.25 and -0.125: mean 0.0625, deviation 0.2652. HD95 3 to 1.5.
    assert text(rows) == [
        "run-002 against ✓ run-001, frozen validation (2)",
        "Dice +0.062 ± 0.265  1 better, 1 worse   HD95 −1.5 mm",
    ]


def test_several_classes_are_compared_one_by_one() -> None:
    before = [score("a", heart=(0.5, 4.0, ""), lung=(0.5, 1.0, ""))]
    after = [score("a", heart=(0.75, 3.0, ""), lung=(0.5, 1.0, ""))]
    rows = comparison_heading("r1", "r2", "evaluation-3", compare(before, after), UNICODE, 80)
    assert text(rows) == [
        "r2 against ✓ r1, evaluation 3 (1)",
        "Dice +0.125  1 better",
        "heart +0.250  HD95 −1.0 mm   lung 0.000  HD95 0.0 mm",
    ]


def test_without_common_scans_there_is_nothing_to_compare() -> None:
    rows = comparison_heading("r1", "r2", "validation", None, UNICODE, 80)
    assert text(rows) == ["r2 against ✓ r1", "no scan was measured under both"]


def test_the_spread_stays_within_what_was_measured() -> None:
    wide = RunMeasures("run-001", split(spread=0.3), (), None)
    assert dice_points([ONE], {"run-001": wide}) == [Point(16, 0.9001, 0.8125, 0.9375)]


def test_runs_that_were_not_measured_are_no_points() -> None:
    assert dice_points([run("r", 3, None)], {}) == []
    assert hd95_points([run("r", 3, None), ONE]) == [Point(16, 8.25, 8.25, 8.25)]


SERIES = [
    run(f"run-{n}", labels, dice, lung=(dice, 8.0))
    for n, labels, dice in ((1, 10, 0.80), (2, 20, 0.85), (3, 41, 0.90))
]
KNOWN = {one.run_id: RunMeasures(one.run_id, split(spread=None), (), None) for one in SERIES}


def test_a_small_curve() -> None:
    rows = curve_content(SERIES, KNOWN, ASCII, 36, 5, bare=True).plain.split("\n")
    assert [row.rstrip() for row in rows] == [
        "0.91                     ...o",
        "                 ........",
        "         ...o....",
        "0.79 o...",
        "     10    20              41 labels",
    ]


@pytest.mark.parametrize(("width", "height", "charts"), [(40, 8, 1), (40, 20, 2), (90, 9, 2)])
def test_distances_are_drawn_where_there_is_room(width: int, height: int, charts: int) -> None:
    drawn = curve_content(SERIES, KNOWN, UNICODE, width, height).plain
    assert ("HD95 mm" in drawn) + ("Dice" in drawn) == charts
    rows = drawn.split("\n")
    assert len(rows) <= height
    assert max(map(len, rows)) <= width


def test_a_curve_says_what_its_spread_is() -> None:
    heading = curve_content([ONE], {"run-001": measures("run-001")}, ASCII, 60, 9).plain
    assert heading.startswith("Dice  +- SD over 4 scans")


def test_on_the_home_screen_one_run_is_a_number() -> None:
    drawn = curve_content([ONE], {"run-001": measures("run-001")}, ASCII, 42, 6, bare=True).plain
    assert drawn.splitlines() == ["16 labels  Dice 0.900 (0.85 to 0.94)", "a curve from 3 runs on"]


def test_nothing_measured_is_nothing_drawn() -> None:
    assert curve_content([], {}, UNICODE, 40, 8).plain == ""


def test_a_dice_has_its_kind_and_interval() -> None:
    state = replace(split("cross-fitted"), low=0.861, high=0.939)
    assert text(run_heading(ONE, state, UNICODE, 90)) == [
        "worst scans of run-001 on cross-fitted (4)",
        "Dice 0.900 (95 %: 0.861 to 0.939)   HD95 8.2 mm",
    ]
    known = {"run-001": RunMeasures("run-001", state, (), None)}
    measured = replace(ONE, measured="cross-fitted")
    (point,) = dice_points([measured], known)
    assert (point.low, point.high) == (0.861, 0.939)
    heading = curve_content([measured], known, ASCII, 60, 9).plain
    assert heading.startswith("Dice  95 % interval; cross-fitted")
    assert plain(RunRows([measured], known, UNICODE).cells(0))[4] == "cross-fitted"


def test_whether_the_labels_are_enough() -> None:
    gain = Gain(40, 10, 0.0042, -0.0017, 0.0112, 0.9, 40, 38, 4)
    found = Enough(gain, "", 0.01, "run-004", raters=Raters(0.93, 12))
    assert enough_content(found, UNICODE).plain == (
        "Enough? next 10: +0.004 Dice (−0.002 to +0.011); two people agree to 0.930 on 12 scans"
    )
    assert enough_content(replace(found, worth=0.02, raters=None), ASCII).plain == (
        "Enough? next 10: +0.004 Dice (-0.002 to +0.011); stop: in 19 of 20 cases the next 10 gain "
        "less than 0.02 Dice ([budget] enough)"
    )
    assert enough_content(Enough(None, "two more rounds", 0.01, "r"), UNICODE).plain == (
        "Enough? can't say yet: two more rounds"
    )
