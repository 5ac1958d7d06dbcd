"""Prints a simulation's results: tables, a chart per group, and answers in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coldal_tui.cli import common
from coldal_tui.cli.common import number
from coldal_tui.simulation.words import (
    caveats,
    difference_words,
    headlines,
    kind_words,
    needed_words,
    with_interval,
)
from coldal_tui.textcharts import line_chart, marks

if TYPE_CHECKING:
    from rich.console import Console

_CHART = (72, 18)


def show(out: Console, results: dict[str, Any], files: Sequence[Path]) -> None:
    """Print each group's tables and charts, the answers, their limits, and the report's place."""
    from coldal_tui.simulation.page import TITLES

    for group, found in results["groups"].items():
        _show_points(out, TITLES[group], found)
        _show_areas(out, found)
        _show_chart(out, found)
    if results["full"] is not None:
        out.print(f"all labels of the pool: Dice {with_interval(results['full']['dice'])}")
    for text in headlines(results):
        out.print(f"\n{text}")
    for one in results["answers"]:
        out.print(f"\n{one['text']}")
    for text in kind_words(results):
        out.print(f"\n{text}")
    out.print()
    for one in caveats(results):
        out.print(f"· {one}")
    out.print(f"\nreport: {files[0]}")


def _show_points(out: Console, title: str, found: dict[str, Any]) -> None:
    """Print two tables, each narrow enough for a usual terminal."""
    unit = found["unit"] or ""
    dice = common.table("arm", "labels>", "Dice [95 %]", "minus random [95 %]")
    beside = common.table(
        *("arm", "labels>", f"HD95 {unit}".strip() + ">", "SD>", "random needs"),
        *("foregr.>", "s/cell>"),
    )
    for arm in found["arms"]:
        for point in arm["points"]:
            name, labels = arm["arm"], str(point["labels"])
            difference = difference_words(point.get("minus_random"))
            dice.add_row(name, labels, with_interval(point["dice"]), difference)
            beside.add_row(
                *(name, labels, number((point.get("hd95") or {}).get("mean"), 1)),
                number(point["spread"], 3),
                needed_words(point.get("random_needs")),
                f"{100 * point['foreground']:.0f} %",
                number(point["seconds"], 0),
            )
    common.print_table(out, title, dice)
    common.print_table(out, "Beside the Dice", beside)


def _show_areas(out: Console, found: dict[str, Any]) -> None:
    if len(found["labels"]) < 2:
        return
    areas = common.table("arm", "AUBC [95 %]", "minus random [95 %]")
    beside = common.table("arm", "final Dice>", "FG-Eff>", "beats")
    names, matrix = found["penalties"]["arms"], found["penalties"]["matrix"]
    for a, arm in enumerate(found["arms"]):
        beaten = [name for name, share in zip(names, matrix[a], strict=True) if share]
        difference = difference_words(arm["aubc"].get("minus_random"))
        areas.add_row(arm["arm"], with_interval(arm["aubc"]), difference)
        beside.add_row(
            arm["arm"],
            number(arm["final"]["mean"], 3),
            number(arm["efficiency"], 1),
            ", ".join(beaten) or "–",
        )
    common.print_table(out, "Over all label counts", areas)
    common.print_table(out, "At the end, and whom it beats significantly", beside)


def _show_chart(out: Console, found: dict[str, Any]) -> None:
    """Chart Dice over labels; nothing for a single label count."""
    if len(found["labels"]) < 2:
        return
    plain = "utf" not in (out.encoding or "").lower()
    arms = found["arms"]
    told = zip(marks(len(arms), plain=plain), arms, strict=True)
    out.print("Dice by labels:  " + "   ".join(f"{mark} {arm['arm']}" for mark, arm in told))
    dice = [[point["dice"]["mean"] for point in arm["points"]] for arm in arms]
    width, height = min(_CHART[0], out.width), _CHART[1]
    out.print("\n".join(line_chart(found["labels"], dice, width, height, plain=plain)))
