"""Chooses the table columns that fit a width, and their widths: pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

ESSENTIAL = 3


@dataclass(frozen=True)
class Column:
    """One column of a table; all widths in cells.

    It is drawn ``width`` wide, and where room is short down to ``least`` (0: never narrower than
    ``width``). Room that is left over goes to columns with ``most`` above their ``width``.
    Where not all columns fit, those with the highest ``priority`` leave first; those with
    priority 0 always stay, also when the table is moved sideways. A column with a priority up to
    ``ESSENTIAL`` may squeeze more important ones to their ``least``; others come only where
    those have their ``width``.

    ``short`` is the title where ``title`` does not fit. ``cut`` says where a value that is too
    long loses its middle or its end.
    """

    key: str
    title: str
    width: int
    least: int = 0
    most: int = 0
    align: Literal["left", "right"] = "left"
    priority: int = 0
    short: str = ""
    cut: Literal["end", "middle"] = "end"

    @property
    def narrowest(self) -> int:
        return min(self.least, self.width) if self.least else self.width


@dataclass(frozen=True)
class Placed:
    """A column with its position: ``index`` in the model's columns, ``x`` from the first column."""

    index: int
    x: int
    width: int


@dataclass(frozen=True)
class Fit:
    """The visible columns, left to right; ``before``, ``after``: whether some are hidden there."""

    placed: tuple[Placed, ...]
    before: bool
    after: bool


def fit_columns(columns: Sequence[Column], width: int, skip: int = 0) -> Fit:
    """Place ``columns`` in ``width`` cells.

    With ``skip``, the table is moved sideways: the first ``skip`` columns that may
    leave do, and the others follow in order as far as they fit. Gaps are two cells where that
    costs nobody anything, else one.
    """
    tight = _chosen(columns, width, skip, 1)
    roomy = sum(columns[n].width for n in tight) + 2 * (len(tight) - 1) <= width
    gap = 2 if roomy and _chosen(columns, width, skip, 2) == tight else 1
    widths = _widths([columns[n] for n in tight], width - gap * (len(tight) - 1))
    placed, x = [], 0
    for index, wide in zip(tight, widths, strict=True):
        placed.append(Placed(index, x, wide))
        x += wide + gap
    shown = set(tight)
    movable = [n for n, column in enumerate(columns) if column.priority]
    return Fit(
        tuple(placed),
        before=any(n not in shown for n in movable[:skip]),
        after=any(n not in shown for n in movable[skip:]),
    )


def _chosen(columns: Sequence[Column], width: int, skip: int, gap: int) -> list[int]:
    """Indices of the visible columns, in column order."""
    movable = [n for n, column in enumerate(columns) if column.priority]
    hidden = set(movable[:skip])
    shown = [n for n in range(len(columns)) if n not in hidden]
    # Moved sideways, columns come in their own order instead of that of their importance.
    first = {n: min(columns[n].priority, 1) if skip else columns[n].priority for n in shown}
    chosen: list[int] = []
    for n in sorted(shown, key=lambda n: (first[n], n)):
        column = columns[n]
        essential = column.priority <= ESSENTIAL
        others = (columns[m].narrowest if essential else columns[m].width for m in chosen)
        room = sum(others) + column.narrowest + gap * len(chosen)
        if column.priority and chosen and room > width:
            break
        chosen.append(n)
    return sorted(chosen)


def _widths(columns: Sequence[Column], room: int) -> list[int]:
    """Narrowest first, then up to ``width`` in order of importance, then up to ``most``."""
    widths = [column.narrowest for column in columns]
    left = room - sum(widths)
    by_importance = sorted(range(len(columns)), key=lambda n: (columns[n].priority, n))
    for limits in ([c.width for c in columns], [c.most for c in columns]):
        for n in by_importance:
            more = min(left, limits[n] - widths[n])
            if more > 0:
                widths[n] += more
                left -= more
    if left < 0:
        # Not even the columns that always stay fit: the widest gives way.
        for _ in range(-left):
            widest = max(range(len(widths)), key=widths.__getitem__)
            widths[widest] = max(1, widths[widest] - 1)
    return widths
