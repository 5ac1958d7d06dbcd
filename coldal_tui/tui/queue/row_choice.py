"""The visible rows of the queue, their order, the title, and the text for no rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from coldal_tui.project.views.queue_table import ScanTable, Scope
from coldal_tui.project.views.snapshot import Snapshot
from coldal_tui.tui.queue.columns import Rows, Sort, columns_of, order
from coldal_tui.tui.queue.filter import matching
from coldal_tui.tui.widgets.columns import Column
from coldal_tui.visible import visible

SCOPE_WORDS: dict[Scope, str] = {
    "open": "1 Queue",
    "rounds": "1 Queue of every round",
    "all": "1 All scans",
}


@dataclass(frozen=True)
class RowChoice:
    """A filter as typed, selected scans (empty: all), and a sort order."""

    filter: str = ""
    only: frozenset[str] = frozenset()
    sort: Sort = field(default_factory=Sort)

    @property
    def narrows(self) -> bool:
        """Whether it may leave scans out."""
        return bool(self.filter or self.only)

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> RowChoice:
        """The choice of an earlier session; invalid parts are ignored."""
        words, column = state.get("filter"), state.get("sort")
        descending = state.get("descending") is True
        sort = Sort(column, descending) if isinstance(column, str) else Sort()
        return cls(words if isinstance(words, str) else "", sort=sort)

    def rows(self, table: ScanTable, *, typing: bool = False) -> Rows:
        """Rows that are let through, sorted. A column that is no longer there sorts nothing.

        ``typing``: the filter's last word may not be complete. Raises ``ColdalError`` for a
        filter that can't be read.
        """
        _ = table.index  # asked for on the UI thread later: made here, where it may take its time
        shown = matching(table, self.filter, typing=typing)
        if self.only:
            picked = np.zeros(len(table), np.bool_)
            picked[[n for n in map(table.index.get, self.only) if n is not None]] = True
            shown &= picked
        known = {column.key for column in columns_of(table)} | {"rank"}
        return order(table, shown, self.sort if self.sort.column in known else Sort())


def queue_title(
    scope: Scope, choice: RowChoice, shown: int, there: int | None, columns: Sequence[Column]
) -> str:
    """The pane's title: ``shown`` of ``there`` rows (None: not read yet)."""
    if there is None:
        return SCOPE_WORDS[scope]
    count = f"{shown:,} of {there:,}" if choice.narrows else f"{there:,}"
    words = [f"{SCOPE_WORDS[scope]}  {count}"]
    if not choice.sort.is_rank:
        titles = {column.key: column.title for column in columns}
        down = "largest first" if choice.sort.descending else "smallest first"
        words.append(f"by {titles.get(choice.sort.column, choice.sort.column)}, {down}")
    if choice.only:
        words.append(f"{len(choice.only):,} picked out")
    if choice.filter:
        words.append(f"/{visible(choice.filter)}")
    return " · ".join(words)


def no_rows_text(snapshot: Snapshot | None, choice: RowChoice, problem: str) -> str:
    """The text for no rows: what to do."""
    if choice.narrows:
        return f"{problem or 'no scan is like that'}\n\nesc clears the filter"
    if snapshot is None or not snapshot.scans:
        return "no scan is indexed yet\n\nput images into the folder, then n reads it"
    words = f"nothing is queued yet\n\nn  {(snapshot.then or snapshot.next).text}"
    return f"{words}\na  shows all {snapshot.scans:,} scans"
