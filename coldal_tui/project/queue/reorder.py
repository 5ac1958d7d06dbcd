"""Changes ranks by hand, among items of a round that have no label yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from coldal_tui.errors import UsageError
from coldal_tui.project.database.store import Row
from coldal_tui.project.project import Project
from coldal_tui.project.queue.actions import Change
from coldal_tui.project.queue.budget import OUT_STATUSES
from coldal_tui.visible import listed

Order = list[Row]


def move(project: Project, scan_ids: Sequence[str], rank: int) -> list[Change]:
    """Move open items of one round to ``rank`` and below; the others are shifted.

    Labelled and skipped items and other rounds keep their ranks. Pinned items stay before the
    others: they move among themselves only.

    Raises
    ------
    UsageError : not an open item of the queue; items of several rounds, or pinned and unpinned
        ones together; a rank below 1; all at this rank already (code ``unmoved``).
    """
    if rank < 1:
        raise UsageError("ranks begin at 1", where=str(rank), code="rank")
    wanted = list(dict.fromkeys(scan_ids))

    def arranged(order: Order) -> Order:
        place = {scan_id: n for n, scan_id in enumerate(wanted)}
        moved = [row for row in order if row["scan_id"] in place]
        moved.sort(key=lambda row: place[row["scan_id"]])
        others = [row for row in order if row["scan_id"] not in place]
        at = sum(row["rank"] < rank for row in order)
        return [*others[:at], *moved, *others[at:]]

    return _rearrange(project, wanted, f"to rank {rank}", arranged, {"rank": rank}, one=True)


def shift(project: Project, scan_ids: Sequence[str], by: int) -> list[Change]:
    """Move open items up (-1) or down (1) by one place within their rounds, as a block.

    Raises UsageError like ``move`` (code ``unmoved`` at the end of the round).
    """
    wanted = list(dict.fromkeys(scan_ids))

    def arranged(order: Order) -> Order:
        found = list(order if by < 0 else reversed(order))
        for n in range(1, len(found)):
            here, before = found[n], found[n - 1]
            if here["scan_id"] in wanted and before["scan_id"] not in wanted:
                found[n - 1], found[n] = here, before
        return found if by < 0 else found[::-1]

    words = "up" if by < 0 else "down"
    return _rearrange(project, wanted, words, arranged, {"by": by}, one=False)


def _rearrange(
    project: Project,
    wanted: Sequence[str],
    words: str,
    arranged: Callable[[Order], Order],
    params: dict[str, Any],
    *,
    one: bool,
) -> list[Change]:
    """Give the ranks of each affected group to its items in a new order."""
    with project.store.action("queue move", scans=list(wanted), **params) as action:
        items = [_open_item(project, scan_id) for scan_id in wanted]
        moved: set[str] = set()
        groups = sorted({(item["round"], item["pinned"]) for item in items})
        if one and len(groups) > 1:
            raise _several(items)
        for round_, pinned in groups:
            order = project.store.rows(
                "SELECT scan_id, rank FROM queue WHERE round = ? AND pinned = ? AND "
                "status IN ('queued', 'exported') ORDER BY rank, scan_id",
                (round_, pinned),
            )
            for rank, row in zip([row["rank"] for row in order], arranged(order), strict=True):
                if row["rank"] != rank:
                    project.store.update("queue", {"scan_id": row["scan_id"]}, rank=rank)
                    moved.add(row["scan_id"])
        if not moved:
            raise UsageError("nothing to move: it is there already", code="unmoved")
        action.summary = f"moved {listed(wanted)} {words}"
    return [Change(item["scan_id"], item["status"]) for item in items]


def _open_item(project: Project, scan_id: str) -> Row:
    project.scan(scan_id)
    item = project.store.row("SELECT * FROM queue WHERE scan_id = ?", (scan_id,))
    if item is None or item["status"] not in OUT_STATUSES:
        state = "not in the queue" if item is None else str(item["status"])
        raise UsageError(
            f"this scan is {state}, so it has no place to change",
            where=scan_id,
            remedy="only scans that are queued or exported can be moved",
            code="status",
        )
    return item


def _several(items: Sequence[Row]) -> UsageError:
    rounds = sorted({item["round"] for item in items})
    if len(rounds) > 1:
        what = f"these scans are of rounds {', '.join(map(str, rounds))}"
    else:
        what = "some of these scans are pinned and some are not"
    return UsageError(
        what, remedy="move those that stand together, one group at a time", code="several-groups"
    )
