"""Previews a round under another α: rows that would leave, come or stay. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from coldal_tui.project.queue.rerank import Bench, Reranked
from coldal_tui.project.views.queue_table import ScanTable, Words

SHOWN_LEAVING = 3
"""How many leaving scans are named; the others are only counted."""


@dataclass(frozen=True)
class _Row:
    """A scan of the round: its table row (-1: none), and its values under the new α."""

    source: int
    rank: int
    pinned: bool
    pick: dict[str, Any] | None


def preview(table: ScanTable, bench: Bench, found: Reranked) -> ScanTable:
    """The open items of the round in the order of ``found``."""
    free = {place.scan_id for place in bench.free}
    mine = np.flatnonzero((table.round == bench.round) & table.is_open)
    rows = [
        _Row(int(n), int(table.rank[n]), bool(table.pinned[n]), None)
        for n in mine
        if table.scan_id[int(n)] not in free
    ]
    rows += [
        _Row(table.index.get(pick["scan_id"], -1), pick["rank"], False, pick) for pick in found.rows
    ]
    rows.sort(key=lambda row: (not row.pinned, row.rank))
    return _built(table, bench, rows)


def _built(table: ScanTable, bench: Bench, rows: list[_Row]) -> ScanTable:
    def number(key: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        column = getattr(table, key)
        return np.array(
            [column[row.source] if row.pick is None else row.pick[key] for row in rows], np.float64
        )

    def words(column: Words, new: str = "") -> Words:
        return Words.of(column[row.source] if row.source >= 0 else new for row in rows)

    def text(column: Any, key: str) -> list[str]:
        return [column[row.source] if row.pick is None else row.pick.get(key, "") for row in rows]

    return ScanTable(
        scope=table.scope,
        version=table.version,
        scan_id=text(table.scan_id, "scan_id"),
        path=text(table.path, "path"),
        round=np.full(len(rows), bench.round, np.int32),
        rank=np.array([row.rank for row in rows], np.int32),
        cluster=number("cluster").astype(np.int32),
        pinned=np.array([row.pinned for row in rows], np.bool_),
        role=Words.of(table.role[r.source] if r.pick is None else "acquired" for r in rows),
        status=Words.of(table.status[r.source] if r.pick is None else "queued" for r in rows),
        assignee=words(table.assignee),
        reason=Words.of("" for _ in rows),
        patient=words(table.patient),
        entropy=number("entropy"),
        diversity=number("diversity"),
        score=number("score"),
    )


def told(bench: Bench, found: Reranked) -> str:
    """What this α would change, in a few words."""
    if not found.came and [r["scan_id"] for r in found.rows] == [p.scan_id for p in bench.free]:
        return "as it is"
    if not found.came:
        return "same scans, other order"
    return f"{len(found.came)} in, {len(found.left)} out"


def leaving(found: Reranked) -> str:
    """The scans that would leave the round; only a few by name."""
    if not found.left:
        return ""
    named = ", ".join(found.left[:SHOWN_LEAVING])
    more = len(found.left) - SHOWN_LEAVING
    return f"leaving: {named}" + (f" and {more} more" if more > 0 else "")
