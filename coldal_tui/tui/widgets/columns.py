"""Which columns of a table fit a width, and how wide each is: pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Column:
    """One column of a table; all widths in cells.

    It is drawn ``width`` wide, and where room is short down to ``least`` (0: never narrower than
    ``width``). Room that is left over goes to columns with ``most`` above their ``width``.
    Where not all columns fit, those with the highest ``priority`` leave first; those with
    priority 0 always stay, also when the table is moved sideways.

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
    """A column at its place: ``index`` in the model's columns, ``x`` from the first column."""

    index: int
    x: int
    width: int


@dataclass(frozen=True)
class Fit:
    """The columns that are drawn, left to right; ``before`` and ``after``: whether some are not."""

    placed: tuple[Placed, ...]
    before: bool
    after: bool


def fit_columns(columns: Sequence[Column], width: int, skip: int = 0) -> Fit:
    """Place ``columns`` in ``width`` cells.

    With ``skip``, the table is moved sideways: the first ``skip`` columns that may leave do, and
    the others follow in order as far as they fit. Gaps are two cells, or one where that saves a
    column.
    """
    chosen = _chosen(columns, width, skip, 1)
    gap = 2 if _chosen(columns, width, skip, 2) == chosen and _roomy(columns, chosen, width) else 1
    widths = _widths([columns[n] for n in chosen], width - gap * (len(chosen) - 1))
    placed, x = [], 0
    for index, wide in zip(chosen, widths, strict=True):
        placed.append(Placed(index, x, wide))
        x += wide + gap
    shown = set(chosen)
    movable = [n for n, column in enumerate(columns) if column.priority]
    return Fit(
        tuple(placed),
        before=any(n not in shown for n in movable[:skip]),
        after=any(n not in shown for n in movable[skip:]),
    )


def _roomy(columns: Sequence[Column], chosen: Sequence[int], width: int) -> bool:
    return sum(columns[n].width for n in chosen) + 2 * (len(chosen) - 1) <= width


def _chosen(columns: Sequence[Column], width: int, skip: int, gap: int) -> list[int]:
    movable = [n for n, column in enumerate(columns) if column.priority]
    hidden = set(movable[:skip])
    shown = [n for n in range(len(columns)) if n not in hidden]

    def room(indices: Sequence[int]) -> int:
        return sum(columns[n].narrowest for n in indices) + gap * (len(indices) - 1)

    while len(shown) > 1 and room(shown) > width:
        may_leave = [n for n in shown if columns[n].priority]
        if not may_leave:
            break
        # Moved sideways, what comes last waits its turn; otherwise the least important leaves.
        worst = may_leave[-1] if skip else max(may_leave, key=lambda n: (columns[n].priority, n))
        shown.remove(worst)
    return shown


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
