"""How many scans of a round fit in the minutes that are left, and minutes in words."""

from __future__ import annotations

from collections.abc import Iterable

_ROUNDING = 1e-9


def fitting(minutes: Iterable[float], left: float) -> int:
    """How many of the first scans fit into the minutes ``left``.

    The first one that does not fit ends them, so that a round is always the beginning of its order.
    """
    count, spent = 0, 0.0
    for one in minutes:
        spent += one
        if spent > left + _ROUNDING:
            break
        count += 1
    return count


def figure(minutes: float) -> str:
    """Whole minutes; one decimal below ten, without a ``.0``."""
    return f"{minutes:,.0f}" if minutes >= 9.95 else f"{minutes:.1f}".removesuffix(".0")


def minutes_words(minutes: float) -> str:
    """``140 minutes``."""
    shown = figure(minutes)
    return f"{shown} {'minute' if shown == '1' else 'minutes'}"


def interval_words(low: float, high: float) -> str:
    """``90 % 110 to 180``."""
    return f"90 % {figure(low)} to {figure(high)}"
