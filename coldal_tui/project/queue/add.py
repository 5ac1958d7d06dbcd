"""Adds scans picked by hand to the end of the newest round's queue."""

from __future__ import annotations

from collections.abc import Sequence

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.maps import load_clusters
from coldal_tui.project.database.store import Row, current_user
from coldal_tui.project.project import Project
from coldal_tui.project.queue import candidates
from coldal_tui.project.queue.actions import Change
from coldal_tui.project.queue.budget import read_budget
from coldal_tui.visible import listed

ROLE = "manual"


def queue_by_hand(project: Project, scan_ids: Sequence[str]) -> list[Change]:
    """Queue candidates in the newest round, in the given order, after the existing items.

    All or none, as one action that can be undone. Their role is ``manual``, their terms name who
    picked them; they count in the budget and are trained on like any other scan.

    Raises UsageError for a scan that may not be picked (codes ``status``, ``frozen``,
    ``not-a-candidate``) and ColdalError before the first round (``no-round``) and when the budget
    has no room for all of them (``budget-spent``).
    """
    wanted = list(dict.fromkeys(scan_ids))
    if not wanted:
        raise UsageError("which scans? none was named", remedy="coldal-tui queue add SCAN...")
    with project.store.action("queue add", scans=wanted) as action:
        chosen = project.store.row("SELECT * FROM rounds ORDER BY round DESC LIMIT 1")
        if chosen is None:
            raise ColdalError(
                "there is no queue yet to add scans to",
                where=project.name,
                remedy="pick the first queue: coldal-tui select",
                code="no-round",
            )
        _check_candidates(project, wanted)
        _check_budget(project, wanted)
        _insert(project, chosen, wanted)
        action.summary = f"queued by hand: {listed(wanted)}"
    return [Change(scan_id, "queued") for scan_id in wanted]


def _check_budget(project: Project, wanted: Sequence[str]) -> None:
    left = read_budget(project).left
    if len(wanted) > left:
        room = f"room for {left:,} more" if left else "no room left"
        raise ColdalError(
            f"the budget has {room}, not for {len(wanted):,}",
            where=wanted[left],
            remedy="queue fewer, or raise total under [budget] in coldal.toml",
            code="budget-spent",
        )


def _check_candidates(project: Project, wanted: Sequence[str]) -> None:
    """Check all of them before anything is written."""
    for scan_id in wanted:
        scan = project.scan(scan_id)
        status = candidates.scan_status(project, scan_id)
        if status == candidates.CANDIDATE:
            continue
        if status == "skipped":
            raise UsageError(
                "this scan was skipped",
                where=scan_id,
                remedy=f"bring it back: coldal-tui queue reopen {scan_id}",
                code="status",
            )
        if status == candidates.HELD_OUT:
            raise UsageError(
                "its patient is frozen for validation: its label would serve for nothing",
                where=scan_id,
                remedy="pick a scan of another patient",
                code="frozen",
            )
        reasons = {
            "missing": "its file is no longer there",
            "excluded": "it is excluded",
            "duplicate": f"it is an exact copy of {scan.duplicate_of}",
        }
        if status in reasons:
            raise UsageError(
                f"this scan is no candidate: {reasons[status]}",
                where=scan_id,
                remedy=f"see why: coldal-tui why {scan_id}",
                code="not-a-candidate",
            )
        raise UsageError(
            f"this scan is {status} already", where=scan_id, remedy="leave it out", code="status"
        )


def _insert(project: Project, chosen: Row, wanted: Sequence[str]) -> None:
    store = project.store
    of = load_clusters(project.file_of(chosen["clusters"])).of if chosen["clusters"] else {}
    last = store.value("SELECT max(rank) FROM queue WHERE round = ?", (chosen["round"],)) or 0
    for rank, scan_id in enumerate(wanted, start=last + 1):
        store.insert(
            "queue",
            scan_id=scan_id,
            round=chosen["round"],
            rank=rank,
            role=ROLE,
            cluster=of.get(scan_id),
            terms={"by": current_user()},
        )
