"""Learning curves, and the headings above a run's scans. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content

from coldal_tui.project.enough.estimate_words import (
    gain_words,
    raters_words,
    since_words,
    stop_words,
)
from coldal_tui.project.measuring import kind_name
from coldal_tui.project.views.run_view import ClassChange, Comparison, RunMeasures, SplitState
from coldal_tui.project.views.snapshot import RunState
from coldal_tui.textcharts import Point
from coldal_tui.tui.drawing.charts import curve
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.drawing.styles import BAD, BOLD, GOOD, MUTED, lines, number, plus_minus
from coldal_tui.tui.runs.rows import DICE, HD95, distance
from coldal_tui.visible import counted, visible

if TYPE_CHECKING:
    from coldal_tui.project.enough.estimate import Enough

LEAST_HEIGHT, MOST_HEIGHT = 4, 20
BESIDE_WIDTH = 76
CURVE_FROM = 3
"""The least number of runs for a curve; fewer are shown as numbers."""


def dice_points(runs: Sequence[RunState], measures: Mapping[str, RunMeasures]) -> list[Point]:
    """Mean Dice by labels with its interval over patients; see ``project.measuring``.

    A run without an interval (one patient) has one standard deviation to both sides, within what
    was measured: no scan has a Dice above 1.
    """
    points = []
    for run in runs:
        known = measures.get(run.run_id)
        watched = known.measured if known else None
        if run.mean is None:
            continue
        dice = run.mean["dice"]
        low = high = dice
        if watched is not None and watched.low is not None and watched.high is not None:
            low, high = watched.low, watched.high
        elif watched is not None and watched.spread is not None:
            low = max(watched.lowest, dice - watched.spread)
            high = min(watched.highest, dice + watched.spread)
        points.append(Point(run.labels, dice, low, high))
    return points


def hd95_points(runs: Sequence[RunState]) -> list[Point]:
    """Mean HD95 by labels; runs with mixed units are left out."""
    known = [(run, run.mean.get("hd95")) for run in runs if run.mean]
    return [Point(run.labels, hd95, hd95, hd95) for run, hd95 in known if hd95 is not None]


def unit_of(run: RunState) -> str:
    return next((found["unit"] for found in run.classes.values()), "")


def curve_content(
    runs: Sequence[RunState],
    measures: Mapping[str, RunMeasures],
    look: Look,
    width: int,
    height: int,
    *,
    bare: bool = False,
) -> Content:
    """Dice over labels, and HD95 beside or below where there is room for both.

    ``bare``: Dice alone has no heading, since what is around it says what it is; and fewer than
    three runs are numbers.
    """
    points = dice_points(runs, measures)
    if bare and 0 < len(points) < CURVE_FROM:
        return lines(_few_runs(runs, points, look)[: max(1, height)])
    charts = _charts(runs, measures, look)
    beside = width >= BESIDE_WIDTH and len(charts) == 2
    stacked = not beside and len(charts) == 2 and height >= 2 * (LEAST_HEIGHT + 2)
    if not beside and not stacked:
        charts = charts[:1]
    each_width = (width - 3) // 2 if beside else width
    each_height = min(MOST_HEIGHT, height // 2 if stacked else height)
    heading = not bare or len(charts) > 1
    drawn = [chart.lines(each_width, each_height, look, heading=heading) for chart in charts]
    if not beside:
        return lines([row for block in drawn for row in block])
    left, right = drawn
    rows = [one.pad_right(each_width + 3 - one.cell_length) for one in left]
    return lines([row + other for row, other in zip(rows, right, strict=True)])


def _few_runs(runs: Sequence[RunState], points: Sequence[Point], look: Look) -> list[Content]:
    """``8 labels  Dice 0.893 (0.86 to 0.91)``, a line for each measured run."""
    rows = []
    measured = [run for run in runs if run.mean is not None]
    for run, point in zip(measured, points, strict=True):
        spread = f" ({number(point.low, 2, look)} to {number(point.high, 2, look)})"
        kind = f"  {run.measured}" if run.measured else ""
        rows.append(
            Content.assemble(
                f"{counted(run.labels, 'label')}  Dice ",
                (number(point.y, DICE, look), BOLD),
                (spread if point.high > point.low else "", MUTED),
                (kind, MUTED),
            )
        )
    return [*rows, Content.styled(f"a curve from {CURVE_FROM} runs on", MUTED)]


@dataclass(frozen=True)
class _Chart:
    points: list[Point]
    digits: int
    limits: tuple[float, float]
    name: str
    note: str

    def lines(self, width: int, height: int, look: Look, *, heading: bool) -> list[Content]:
        word = "labels" if width >= 30 else ""
        rows = height - 1 if heading else height
        block = curve(
            self.points, width, rows, look, digits=self.digits, limits=self.limits, x_word=word
        )
        if not heading:
            return block
        # Half a word tells nothing: what does not fit is left out.
        notes = (self.note, self.note.partition("; ")[0])
        note = next((one for one in notes if len(self.name) + 2 + len(one) <= width), "")
        return [Content.assemble((self.name, BOLD), (f"  {note}", MUTED)), *block]


def _charts(
    runs: Sequence[RunState], measures: Mapping[str, RunMeasures], look: Look
) -> list[_Chart]:
    dice, hd95 = dice_points(runs, measures), hd95_points(runs)
    if not dice:
        return []
    known = [m.measured for m in measures.values() if m.measured]
    scans = max((state.scans for state in known), default=0)
    spread = f"{plus_minus(look)} SD over {counted(scans, 'scan')}" if scans > 1 else ""
    if any(state.low is not None for state in known):
        spread = "95 % interval"
    kinds = dict.fromkeys(run.measured for run in runs if run.measured)
    note = "; ".join(words for words in (spread, ", ".join(kinds)) if words)
    charts = [_Chart(dice, 2, (0.0, 1.0), "Dice", note)]
    if hd95:
        charts.append(_Chart(hd95, HD95, (0.0, math.inf), f"HD95 {unit_of(runs[-1])}", ""))
    return charts


def enough_content(found: Enough, look: Look) -> Content:
    """``Enough? next 10: +0.004 Dice (−0.002 to +0.011), 95 min``; and ``stop``, if it is so."""
    parts = (raters_words(found), since_words(found))
    more = "".join(f"; {part}" for part in parts if part)
    stop = stop_words(found)
    said = gain_words(found)
    if look.name == "ascii":
        said = said.replace("−", "-")
    return Content.assemble(
        ("Enough? ", BOLD),
        (said, "" if found.gain is not None else MUTED),
        (more, MUTED),
        ("; stop: " if stop else "", GOOD),
        (stop, ""),
    )


def run_heading(run: RunState, state: SplitState | None, look: Look, width: int) -> list[Content]:
    """The run and split of the scans below, and their means: two or three lines."""
    name = (visible(run.run_id), BOLD)
    short = (
        [Content.styled(f"{counted(run.left_out, 'labelled scan')} left out: unreadable", BAD)]
        if run.left_out
        else []
    )
    if state is None:
        what = Content.assemble(name, (" is not measured yet: coldal-tui crossfit", MUTED))
        return [what, *short]
    where = f" on {state.name} ({state.scans:,})"
    head = Content.assemble(("worst scans of ", MUTED), name, (where, MUTED))
    if head.cell_length > width:
        head = Content.assemble(name, (where, MUTED))
    spread = f" {plus_minus(look)} {number(state.spread, DICE, look)}" if state.spread else ""
    if state.low is not None and state.high is not None:
        ends = [number(value, DICE, look) for value in (state.low, state.high)]
        spread = f" (95 %: {ends[0]} to {ends[1]})"
    parts = [
        Content.assemble("Dice ", (number(state.dice, DICE, look), BOLD), spread),
        Content.assemble("HD95 ", (distance(state.hd95, state.unit, look), BOLD)),
    ]
    if state.scans > 1 and state.low is None:
        lowest, highest = (number(v, DICE, look) for v in (state.lowest, state.highest))
        parts.append(Content.styled(f"{lowest} to {highest}", MUTED))
    return [head, *_flowed([*short, *parts], width)]


def comparison_heading(
    before: str, after: str, split: str, found: Comparison | None, look: Look, width: int
) -> list[Content]:
    """Two runs on the same scans: mean change, wins and losses, and the classes if several."""
    head = Content.assemble(
        (visible(after), BOLD), (" against ", MUTED), (f"{look.mark} {visible(before)}", BOLD)
    )
    if found is None:
        return [head, Content.styled("no scan was measured under both", MUTED)]
    where = f", {kind_name(split)} ({len(found.pairs):,})"
    heads = [head.append(Content.styled(where, MUTED))]
    if heads[0].cell_length > width:
        heads = [head, Content.styled(where.removeprefix(", "), MUTED)]
    spread = f" {plus_minus(look)} {number(found.spread, DICE, look)}" if found.spread else ""
    change = Content.assemble(
        "Dice ", change_of(found.mean, DICE, look), (spread, MUTED), "  ", *_tally(found)
    )
    classes = [_class_change(one, look) for one in found.classes]
    if len(classes) == 1:
        return [*heads, *_flowed([change, *classes], width)]
    several = [
        Content.assemble(visible(one.name), " ", change_of(one.dice_change, DICE, look), "  ", row)
        for one, row in zip(found.classes, classes, strict=True)
    ]
    return [*heads, change, *_flowed(several, width)]


def _class_change(one: ClassChange, look: Look) -> Content:
    change = change_of(one.hd95_change, HD95, look, less_is_better=True)
    return Content.assemble("HD95 ", change, f" {one.unit}" if one.hd95_change is not None else "")


def _tally(found: Comparison) -> list[Content]:
    words = (("better", found.better, GOOD), ("worse", found.worse, BAD), ("same", found.same, ""))
    parts = [Content.assemble((f"{count:,} {word}", ink)) for word, count, ink in words if count]
    return [Content(", ").join(parts)]


def change_of(
    value: float | None, digits: int, look: Look, *, less_is_better: bool = False
) -> Content:
    text = number(value, digits, look, signed=True)
    if value is None or round(value, digits) == 0:
        return Content.styled(text, MUTED)
    return Content.styled(text, GOOD if (value > 0) != less_is_better else BAD)


def class_line(run: RunState, look: Look, width: int) -> list[Content]:
    """``lung 0.94 / 53.1 px``: one class after the other, in as many lines as needed."""
    parts = [
        Content.assemble(
            (visible(name), MUTED),
            f" {number(found['dice'], DICE, look)} / "
            f"{distance(found.get('hd95'), found['unit'], look)}",
        )
        for name, found in run.classes.items()
    ]
    return _flowed(parts, width) if len(parts) > 1 else []


def _flowed(parts: Sequence[Content], width: int) -> list[Content]:
    """Parts side by side, as many per line as fit."""
    rows: list[Content] = []
    for part in parts:
        if rows and rows[-1].cell_length + 3 + part.cell_length <= width:
            rows[-1] = rows[-1] + "   " + part
        else:
            rows.append(part)
    return rows
