"""The theme's colours by meaning, and formats of numbers, durations and dates for all panes."""

from __future__ import annotations

from datetime import datetime

from textual.content import Content

from coldal_tui.tui.drawing.glyphs import Look

MUTED = "$foreground-muted"
ACCENT = "$text-accent"
GOOD = "$text-success"
WARN = "$text-warning"
BAD = "$text-error"
BOLD = "bold"

STATUS_INKS = {
    "running": ACCENT,
    "done": GOOD,
    "failed": BAD,
    "interrupted": WARN,
    "cancelled": MUTED,
    "waiting": MUTED,
}


def arrow(look: Look) -> str:
    return "->" if look.name == "ascii" else "→"


def plus_minus(look: Look) -> str:
    return "+-" if look.name == "ascii" else "±"


def number(value: float | None, digits: int, look: Look, *, signed: bool = False) -> str:
    """``0.94``, ``1,204.5``, ``+0.003``; a dash for None; never ``-0.00``."""
    if value is None:
        return look.dash
    text = f"{value:+,.{digits}f}" if signed else f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        return f"{0:.{digits}f}"
    return text if look.name == "ascii" else text.replace("-", "−")


def share(fraction: float | None, look: Look) -> str:
    """``81 %``; 100 only for all, 0 only for none."""
    if fraction is None:
        return look.dash
    percent = round(100 * fraction)
    if 0 < fraction < 1:
        percent = max(1, min(99, percent))
    return f"{percent} %"


def duration(seconds: float) -> str:
    """Two units at most: ``8 s``, ``3 m 20 s``, ``2 h 05 m``, ``3 d 4 h``."""
    whole = max(0, round(seconds))
    minutes, s = divmod(whole, 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if days:
        return f"{days} d {h} h"
    if hours:
        return f"{hours} h {m:02d} m"
    return f"{m} m {s:02d} s" if minutes else f"{s} s"


def day(at: datetime, now: datetime) -> str:
    """``Fri 4 Dec`` in the time zone of ``now``; with the year unless the date is near."""
    local = at.astimezone(now.tzinfo)
    text = f"{local:%a} {local.day} {local:%b}"
    return text if abs((local - now).days) < 300 else f"{local.day} {local:%b} {local.year}"


def fitted(content: Content, width: int, look: Look) -> Content:
    """The text in at most ``width`` cells, with an ellipsis if it was shortened."""
    if content.cell_length <= width:
        return content
    return content.truncate(max(0, width - 1)) + Content(look.ellipsis[:width])


def lines(parts: list[Content]) -> Content:
    return Content("\n").join(parts)


def clock_time(stamp: str | None, now: datetime) -> str:
    """``14:02`` today, ``23 Nov 14:02`` before; in the time zone of ``now``."""
    if stamp is None:
        return ""
    at = datetime.fromisoformat(stamp).astimezone(now.tzinfo)
    if at.date() == now.date():
        return f"{at:%H:%M}"
    return f"{at.day} {at:%b} {at:%H:%M}" if at.year == now.year else f"{at:%Y-%m-%d}"
