"""Figures of people in words, for the command line and the app."""

from __future__ import annotations

from coldal_tui.project.labels.raters.rater_figures import Alike, Bias, Person
from coldal_tui.visible import counted

NONE = "–"
_SMALL = 0.05
"""A median volume ratio this near to 1 is no habit."""


def figure(alike: Alike | None) -> tuple[str, str]:
    """The mean Dice over classes, and the mean HD95 with its unit."""
    if alike is None:
        return NONE, NONE
    hd95 = sum(value for _, value in alike.classes.values()) / len(alike.classes)
    return f"{alike.dice:.3f}", f"{hd95:.1f} {alike.unit}"


def minute_words(person: Person) -> tuple[str, str]:
    """All minutes, and those of a scan; with a ~ where some are estimated."""
    if person.minutes is None or person.minutes_each is None:
        return NONE, NONE
    mark = "~" if person.estimated else ""
    return f"{mark}{person.minutes:.0f}", f"{mark}{person.minutes_each:.1f}"


def bias_words(bias: Bias) -> str:
    """A person's habit on one class; empty where there is none to tell."""
    parts = []
    if bias.ratio is not None and abs(bias.ratio - 1) >= _SMALL:
        more = "more" if bias.ratio > 1 else "less"
        parts.append(
            f"draws {abs(bias.ratio - 1):.0%} {more} (median of {counted(bias.scans, 'scan')}; "
            f"over on {bias.over}, under on {bias.under})"
        )
    if bias.missed:
        parts.append(f"left out on {counted(bias.missed, 'scan')} where others drew it")
    if bias.gaps:
        parts.append(
            f"left {counted(bias.gaps, 'slice')} empty that others drew, on "
            f"{counted(bias.gap_scans, 'scan')}"
        )
    parts += [
        f"on {counted(scans, 'scan')}, what is drawn as this class is {other} to others"
        for other, scans in bias.swaps.items()
    ]
    if bias.alone:
        parts.append(f"alone in drawing it on {counted(bias.alone, 'scan')}")
    return "; ".join(parts)
