"""The table model of the queue: its columns, its cells and its order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from coldal_tui.minutes_words import figure
from coldal_tui.project.views.queue_table import ScanTable, Words
from coldal_tui.project.views.why.why_words import term
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.widgets.table import Cell, Column

Rows = NDArray[np.int64]

STATUS_STYLES = {"queued": "", "exported": "warning", "labelled": "success"}
GONE = ("skipped", "excluded", "missing", "duplicate", "held out")
"""States of scans that are not to be labelled; their rows are muted."""
WIDEST_SCAN, WIDEST_META = 48, 16


@dataclass(frozen=True)
class Sort:
    """The column to sort by; "rank" keeps the order of the queue."""

    column: str = "rank"
    descending: bool = False

    @property
    def is_rank(self) -> bool:
        return self.column == "rank" and not self.descending


def order(table: ScanTable, shown: NDArray[np.bool_], sort: Sort) -> Rows:
    """The visible rows, sorted. Ties keep their order; rows without a value come last.

    ``shown`` is of shape (N,); returns shape (M,) row numbers.
    """
    rows = np.flatnonzero(shown).astype(np.int64)
    if sort.is_rank:
        return rows
    if sort.column == "rank":
        return rows[::-1]
    values = sort_values(table, sort.column)[rows]
    known = ~np.isnan(values)
    keys = -values[known] if sort.descending else values[known]
    there = rows[known][np.argsort(keys, kind="stable")]
    return np.concatenate([there, rows[~known]])


def sort_values(table: ScanTable, column: str) -> NDArray[np.float64]:
    """The sort values of a column, (N,); NaN for an empty cell."""
    if column == "minutes":
        return np.full(len(table), np.nan) if table.minutes is None else table.minutes
    if column in ("entropy", "diversity", "score"):
        values: NDArray[np.float64] = getattr(table, column)
        return values
    if column in ("cluster", "round"):
        whole: NDArray[np.int32] = getattr(table, column)
        return np.where(whole < 0, np.nan, whole.astype(np.float64))
    if column in ("scan", "path"):
        texts = table.scan_id if column == "scan" else table.path
        place = np.empty(len(texts))
        place[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts))
        return place
    words: Words = table.meta[column[5:]] if column.startswith("meta:") else getattr(table, column)
    empty = np.array([not name for name in words.names] or [True])[words.codes]
    values = words.numbers if words.are_numbers else words.order.astype(np.float64)
    return np.where(empty, np.nan, values)


def columns_of(table: ScanTable, *, was: bool = False) -> tuple[Column, ...]:
    """The columns with data in these rows; the least important have a high priority.

    ``was``: the order is tried out; a column tells the ranks that the queue has now.
    """
    ranks = table.rank.max(initial=0)
    longest = table.longest_id
    scan = max(4, min(longest, 24))
    found = [
        Column("rank", "#", max(2, len(f"{ranks:,}") + int(table.pinned.any())), align="right"),
        Column(
            "scan", "scan", scan, least=min(scan, 12), most=min(longest, WIDEST_SCAN), cut="middle"
        ),
    ]
    rounds = table.round[table.round >= 0]
    if len(rounds) and rounds.min() != rounds.max():
        found.append(Column("round", "round", 5, least=2, align="right", priority=6, short="rd"))
    if (table.cluster >= 0).any():
        wide = 4 + (len(str(table.cluster.max() + 1)) - 1)
        found.append(Column("cluster", "cluster", wide, most=7, priority=3, short="cl"))
    roles = _longest(table.role, 14)
    if roles:
        found.append(Column("role", "role", roles, least=min(roles, 8), priority=5))
    for key, title in (("entropy", "H"), ("diversity", "D"), ("score", "S")):
        if np.isfinite(getattr(table, key)).any():
            found.append(Column(key, title, 4, align="right", priority=2))
    states = max((len(name) for name in table.status.names), default=6) + 2
    found.append(Column("status", "status", max(6, states), priority=1))
    if was:
        found.append(Column("was", "was", 4, align="right", priority=1))
    people = _longest(table.assignee, 12)
    if people:
        found.append(Column("assignee", "to", max(2, people), least=4, priority=4))
    if len(table.back.codes):
        wide = _longest(table.back, 14)
        found.append(Column("back", "several", max(7, wide), least=7, priority=3))
    if len(table.server.codes):
        wide = _longest(table.server, 24)
        found.append(Column("server", "server", max(6, wide), least=6, priority=4))
    if table.minutes is not None and np.isfinite(table.minutes).any():
        found.append(Column("minutes", "min", 5, align="right", priority=5))
    found += _more_columns(table)
    return tuple(found)


def _more_columns(table: ScanTable) -> list[Column]:
    """Further columns: reasons, patients, metadata, paths."""
    found = []
    for key, words in (("reason", table.reason), ("patient", table.patient)):
        wide = _longest(words, 20)
        if wide:
            found.append(Column(key, key, max(len(key), wide), least=8, priority=7))
    for n, (key, words) in enumerate(table.meta.items()):
        wide = min(WIDEST_META, max(len(key), _longest(words, WIDEST_META)))
        align: Literal["left", "right"] = "right" if words.are_numbers else "left"
        found.append(Column(f"meta:{key}", key, wide, align=align, priority=8 + n))
    if table.scope == "all":
        found.append(Column("path", "path", 20, least=12, most=80, priority=99, cut="middle"))
    return found


def _longest(words: Words, most: int) -> int:
    return min(most, words.longest)


@dataclass(frozen=True, eq=False)
class QueueModel:
    """Rows of ``table`` in the order ``rows``, as a table draws them.

    ``was``, when an order is tried out: rank that each scan has now; scans not in it are new.
    """

    table: ScanTable
    rows: Rows
    look: Look
    columns: Sequence[Column]
    was: Mapping[str, int] | None = None
    _kept: dict[tuple[str, int], Text] = field(default_factory=dict)

    @property
    def row_count(self) -> int:
        return len(self.rows)

    @cached_property
    def _places(self) -> Rows:
        """The position of each row of ``table``; -1 if it is not shown."""
        places = np.full(len(self.table), -1, np.int64)
        places[self.rows] = np.arange(len(self.rows))
        return places

    def key(self, row: int) -> str:
        return self.table.scan_id[int(self.rows[row])]

    def find(self, key: str) -> int | None:
        n = self.table.index.get(key)
        place = -1 if n is None else int(self._places[n])
        return place if place >= 0 else None

    def cells(self, row: int) -> Sequence[Cell]:
        n = int(self.rows[row])
        quiet = self.table.status[n] in GONE
        cells = [self._makers[column.key](n) for column in self.columns]
        if not quiet:
            return cells
        return [Text(cell, "muted") if isinstance(cell, str) else cell for cell in cells]

    @cached_property
    def _makers(self) -> dict[str, Callable[[int], Cell]]:
        table, dash = self.table, self.look.dash
        makers: dict[str, Callable[[int], Cell]] = {
            "rank": self._rank,
            "scan": table.scan_id.__getitem__,
            "path": table.path.__getitem__,
            "round": lambda n: str(table.round[n]) if table.round[n] >= 0 else dash,
            "cluster": self._cluster,
            "status": self._status,
            "was": self._was,
        }
        for key in ("role", "assignee", "back", "server", "reason", "patient"):
            makers[key] = self._word(getattr(table, key))
        for key, words in table.meta.items():
            makers[f"meta:{key}"] = self._word(words)
        for key in ("entropy", "diversity", "score"):
            makers[key] = self._number(getattr(table, key))
        if table.minutes is not None:
            makers["minutes"] = self._minutes(table.minutes)
        return makers

    def _word(self, words: Words) -> Callable[[int], Cell]:
        dash = Text(self.look.dash, "muted")
        return lambda n: words[n] or dash

    def _number(self, values: NDArray[np.float64]) -> Callable[[int], Cell]:
        dash = Text(self.look.dash, "muted")
        return lambda n: dash if np.isnan(values[n]) else term(float(values[n]))

    def _minutes(self, values: NDArray[np.float64]) -> Callable[[int], Cell]:
        dash = Text(self.look.dash, "muted")
        return lambda n: dash if np.isnan(values[n]) else figure(float(values[n]))

    def _rank(self, n: int) -> Cell:
        rank = int(self.table.rank[n])
        if rank < 0:
            return Text(self.look.dash, "muted")
        text = f"{rank:,}"
        if self.was is not None and self.table.scan_id[n] not in self.was:
            return Text(f"+{text}", "success")
        return self.look.pin + text if self.table.pinned[n] else text

    def _was(self, n: int) -> Cell:
        rank = (self.was or {}).get(self.table.scan_id[n])
        if rank is None:
            return Text("new", "success")
        return Text(f"{rank:,}", "muted") if rank == self.table.rank[n] else f"{rank:,}"

    def _cluster(self, n: int) -> Cell:
        number = int(self.table.cluster[n])
        if number < 0:
            return Text(self.look.dash, "muted")
        made = self._kept.get(("cluster", number))
        if made is None:
            made = Text(f"C{number + 1} ")
            made.append(self.look.cluster_glyph(number), self.look.cluster_colour(number))
            self._kept["cluster", number] = made
        return made

    def _status(self, n: int) -> Cell:
        code = int(self.table.status.codes[n])
        made = self._kept.get(("status", code))
        if made is None:
            name = self.table.status.names[code]
            style = STATUS_STYLES.get(name, "muted")
            made = self._kept["status", code] = Text(f"{self.look.state(name)} {name}", style)
        return made
