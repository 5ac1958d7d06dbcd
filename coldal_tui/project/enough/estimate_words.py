"""The answer to "Enough?" in words, for the command line and the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coldal_tui.visible import counted

if TYPE_CHECKING:
    from coldal_tui.project.enough.estimate import Enough

_DIGITS = 3


def signed(value: float) -> str:
    """``+0.004``, ``−0.002``; ``0.000`` has no sign."""
    text = f"{value:+.{_DIGITS}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def gain_words(found: Enough) -> str:
    """``next 10: +0.004 Dice (−0.002 to +0.011), 95 min``, or what is missing."""
    gain = found.gain
    if gain is None:
        return f"can't say yet: {found.missing}"
    words = (
        f"next {gain.more:,}: {signed(gain.expected)} Dice "
        f"({signed(gain.low)} to {signed(gain.high)})"
    )
    if found.minutes is not None:
        words += f", {found.minutes.minutes:,.0f} min"
    return words


def stop_words(found: Enough) -> str:
    """The stop line; empty where the interval does not say so."""
    if not found.stop or found.gain is None:
        return ""
    return (
        f"in 19 of 20 cases the next {found.gain.more:,} gain less than {found.worth:g} Dice "
        "([budget] enough)"
    )


def raters_words(found: Enough) -> str:
    """The agreement of people, the ceiling of any model; empty where it is not known."""
    if found.raters is None:
        return ""
    return f"two people agree to {found.raters.dice:.3f} on {counted(found.raters.scans, 'scan')}"


def since_words(found: Enough) -> str:
    """Labels that came since the run; empty where none did, or nothing is estimated."""
    if not found.since or found.gain is None:
        return ""
    return f"{counted(found.since, 'label')} came since {found.run_id}: train to count them"


def enough_words(found: Enough) -> str:
    """All of it in one line."""
    parts = (gain_words(found), stop_words(found), raters_words(found), since_words(found))
    return "; ".join(part for part in parts if part)
