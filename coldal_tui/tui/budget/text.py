"""The budget as text: a gauge, its legend and the pace. Pure functions."""

from __future__ import annotations

from datetime import datetime

from textual.content import Content

from coldal_tui.minutes_words import figure
from coldal_tui.project.queue.budget import Budget
from coldal_tui.project.queue.minute_budget import MinuteBudget
from coldal_tui.project.views.pace import Pace
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.drawing.styles import ACCENT, BOLD, MUTED, arrow, day, lines
from coldal_tui.visible import counted

PARTS = (("labelled", "labelled"), ("exported", "out"), ("queued", "queued"), ("left", "left"))
"""Parts of a budget in the order of the gauge's glyphs, and their words."""
GAP = 3


def budget_cells(budget: Budget, width: int) -> list[int]:
    """Cells of the gauge for labelled, out, queued and left; they add up to ``width``.

    Ends are rounded, not lengths, so that no sum of roundings overflows; what is there at all
    gets a cell as long as there is one to give.
    """
    total = max(budget.total, budget.spent)
    cells, end, seen = [], 0, 0
    for name, _ in PARTS[:-1]:
        count = getattr(budget, name)
        seen += count
        reach = round(width * seen / total)
        cells.append(min(max(reach - end, 1 if count else 0), width - end))
        end += cells[-1]
    return [*cells, width - end]


def budget_bar(budget: Budget, width: int, look: Look) -> str:
    cells = budget_cells(budget, width)
    return "".join(glyph * count for glyph, count in zip(look.gauge, cells, strict=True))


def gauge(budget: Budget, width: int, look: Look) -> Content:
    """The bar; the part that is left is muted."""
    bar = budget_bar(budget, width, look)
    filled = width - budget_cells(budget, width)[-1]
    return Content.assemble((bar[:filled], ACCENT), (bar[filled:], MUTED))


def budget_content(
    budget: Budget,
    pace: Pace | None,
    now: datetime,
    width: int,
    height: int,
    look: Look,
    minutes: MinuteBudget | None = None,
) -> Content:
    """The gauge with the total behind it, the legend in one line or two, minutes, pace, oddities.

    What does not fit in ``height`` is left out from the end.
    """
    total = f" {budget.total:,}"
    bar = gauge(budget, max(4, width - len(total)), look).append(Content(total))
    rows = [bar, *_legend(budget, width, look)]
    told = (
        minutes_line(minutes, look),
        _pace(budget, pace, now, look, minutes),
        _oddities(budget, look),
    )
    rows += [row for row in told if row]
    return lines(rows[: max(1, height)])


def _legend(budget: Budget, width: int, look: Look) -> list[Content]:
    """``█ 41 labelled   ▓ 12 out …``: one line where it fits, else two columns."""
    # A full block would grow together with the bar above it.
    glyphs = look.gauge.replace("█", "■")
    counts = [f"{getattr(budget, name):,}" for name, _ in PARTS]
    words = [word for _, word in PARTS]
    plain = [f"{g} {n} {word}" for g, n, word in zip(glyphs, counts, words, strict=True)]
    if sum(map(len, plain)) + GAP * (len(plain) - 1) <= width:
        entries = [_entry(*row) for row in zip(glyphs, counts, words, strict=True)]
        return [Content(" " * GAP).join(entries)]
    rows = []
    for first, second in ((0, 2), (1, 3)):
        left = max(len(counts[0]), len(counts[1]))
        right = max(len(counts[2]), len(counts[3]))
        entries = [
            _entry(glyphs[first], counts[first].rjust(left), words[first].ljust(8)),
            _entry(glyphs[second], counts[second].rjust(right), words[second]),
        ]
        rows.append(Content(" " * GAP).join(entries))
    return rows


def _entry(glyph: str, count: str, word: str) -> Content:
    return Content.assemble((glyph, MUTED if word == "left" else ACCENT), f" {count} ", word)


def minutes_line(minutes: MinuteBudget | None, look: Look) -> Content | None:
    """``212 of 600 minutes · 95 to come · 293 left``; without such a budget only what is known."""
    if minutes is None or (minutes.total is None and not minutes.learned):
        return None
    if minutes.total is None:
        told = [f"{figure(minutes.spent)} minutes drawn"]
    else:
        told = [f"{figure(minutes.spent)} of {minutes.total:,} minutes"]
    if minutes.open_drawings:
        told.append(f"{figure(minutes.open)} to come")
    if minutes.left is not None:
        told.append(f"{figure(minutes.left)} left")
    return Content(f" {look.dot} ".join(told))


def _pace(
    budget: Budget,
    pace: Pace | None,
    now: datetime,
    look: Look,
    minutes: MinuteBudget | None = None,
) -> Content | None:
    """``11 a day (95 minutes) → spent on Fri 4 Dec``."""
    if not budget.total or budget.labelled >= budget.total:
        return Content.styled("the budget is spent", BOLD)
    if minutes is not None and minutes.total is not None and minutes.spent >= minutes.total:
        return Content.styled("the budget of minutes is spent", BOLD)
    if pace is None:
        return None
    if pace.spent_at is None:
        return Content.styled("no label in the last 7 days", MUTED)
    rate = f"{pace.per_day:,.0f}" if pace.per_day >= 9.5 else f"{pace.per_day:.1f}"
    when = day(pace.spent_at, now)
    took = pace.minutes_per_day
    beside = "" if took is None else f" ({figure(took)} min)"
    return Content.assemble(
        (f"{rate} a day", BOLD), f"{beside} {arrow(look)} spent on ", (when, BOLD)
    )


def _oddities(budget: Budget, look: Look) -> Content | None:
    """What the legend leaves out: labels of scans never queued, and skipped scans."""
    told = []
    if budget.manual:
        told.append(counted(budget.manual, "manual label"))
    if budget.skipped:
        told.append(f"{budget.skipped:,} skipped")
    return Content.styled(f" {look.dot} ".join(told), MUTED) if told else None
