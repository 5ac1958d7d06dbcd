"""Queue actions: skip, pin, assign, reopen, exclude; each is undoable and audited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.project.database.store import Row
from coldal_tui.project.project import Project
from coldal_tui.project.queue.budget import OUT_STATUSES, read_budget
from coldal_tui.visible import listed


@dataclass(frozen=True)
class Change:
    """The change of one scan; ``replaced_by`` is the pick that took its place."""

    scan_id: str
    status: str
    replaced_by: str | None = None


def skip(
    project: Project, scan_ids: Sequence[str], reason: str | None, *, replace: bool = True
) -> list[Change]:
    """Take scans out of the queue for good and pick the next of their cluster or strategy."""
    wanted = _once(scan_ids)
    changes = []
    with project.store.action("queue skip", scans=wanted, reason=reason) as action:
        # Skip all first: none of them may become a substitute for another.
        items = [_item(project, scan_id) for scan_id in wanted]
        for item in items:
            _mark_skipped(project, item, reason)
        for item in items:
            substitute = _substitute(project, item) if replace else None
            changes.append(Change(item["scan_id"], "skipped", substitute))
        action.summary = f"skipped {listed(wanted)}" + (f" ({reason})" if reason else "")
    return changes


def _once(scan_ids: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(scan_ids))


def _mark_skipped(project: Project, item: Row, reason: str | None) -> None:
    project.store.update("queue", {"scan_id": item["scan_id"]}, status="skipped", reason=reason)


def _substitute(project: Project, item: Row) -> str | None:
    """Queue a substitute for a skipped item; None when no budget or no candidate is left."""
    from coldal_tui.project.queue.substitute import replacement_row

    store = project.store
    row = replacement_row(project, item) if read_budget(project).left else None
    if row is None:
        return None
    store.insert("queue", **row)
    store.update("queue", {"scan_id": item["scan_id"]}, replaced_by=row["scan_id"])
    if item["role"] == "validation":
        store.execute("DELETE FROM validation WHERE scan_id = ?", (item["scan_id"],))
        _freeze(project, row["scan_id"], item["round"])
    return str(row["scan_id"])


def _freeze(project: Project, scan_id: str, round_: int) -> None:
    patient = project.scan(scan_id).patient_id
    project.store.insert("validation", patient_id=patient, scan_id=scan_id, round=round_)


def pin(project: Project, scan_ids: Sequence[str], *, pinned: bool = True) -> list[Change]:
    """Pin scans to the top of their round, or unpin them."""
    name, did = ("queue pin", "pinned") if pinned else ("queue unpin", "unpinned")
    return _set(project, name, scan_ids, did, pinned=int(pinned))


def assign(project: Project, scan_ids: Sequence[str], person: str | None) -> list[Change]:
    """Assign scans to a person; None or an empty name removes the assignee."""
    person = (person or "").strip() or None
    did = f"assigned to {person or 'nobody'}:"
    return _set(project, "queue assign", scan_ids, did, assignee=person)


def _set(
    project: Project, name: str, scan_ids: Sequence[str], did: str, **values: Any
) -> list[Change]:
    """Set columns of open queue items."""
    wanted = _once(scan_ids)
    with project.store.action(name, scans=wanted, **values) as action:
        items = [_item(project, scan_id) for scan_id in wanted]
        for item in items:
            project.store.update("queue", {"scan_id": item["scan_id"]}, **values)
        action.summary = f"{did} {listed(wanted)}"
    return [Change(item["scan_id"], item["status"]) for item in items]


def reopen(project: Project, scan_ids: Sequence[str]) -> list[Change]:
    """Reopen skipped, exported or excluded scans; remove a substitute that is still queued.

    A skipped validation scan whose substitute can't be removed returns as a training scan (role
    ``manual``), unless its patient is frozen.
    """
    wanted = _once(scan_ids)
    with project.store.action("queue reopen", scans=wanted) as action:
        changes = [_reopen_one(project, scan_id) for scan_id in wanted]
        action.summary = f"reopened {listed(wanted)}"
    return changes


def _reopen_one(project: Project, scan_id: str) -> Change:
    store = project.store
    scan = project.scan(scan_id)
    item = store.row("SELECT * FROM queue WHERE scan_id = ?", (scan_id,))
    if scan.excluded is not None:
        store.update("scans", {"scan_id": scan_id}, excluded=None)
    if item is None:
        if scan.excluded is None:
            raise _not_queued(scan_id)
        return Change(scan_id, "candidate")
    if item["status"] == "labelled":
        raise _has_label(scan_id)
    role = item["role"]
    if item["status"] == "skipped":
        role = _take_back_place(project, item)
        if not read_budget(project).left:
            raise ColdalError(
                "the budget is spent",
                where=scan_id,
                remedy="skip another scan, or raise total under [budget] in coldal.toml",
                code="budget-spent",
            )
    store.update(
        "queue",
        {"scan_id": scan_id},
        status="queued",
        role=role,
        reason=None,
        replaced_by=None,
        export_id=None,
    )
    return Change(scan_id, "queued")


def _take_back_place(project: Project, item: Row) -> str:
    """Remove a skipped item's substitute if still queued; return the role of the reopened item."""
    substitute = _last_substitute(project, item)
    still = substitute is not None and substitute["status"] == "queued"
    if item["role"] != "validation":
        if still and substitute is not None:
            _withdraw(project, substitute)
        return str(item["role"])
    patient = project.scan(item["scan_id"]).patient_id
    if still and substitute is not None and not _trains(project, patient, substitute["scan_id"]):
        _withdraw(project, substitute)
        store = project.store
        store.execute("DELETE FROM validation WHERE scan_id = ?", (substitute["scan_id"],))
        _freeze(project, item["scan_id"], item["round"])
        return "validation"
    own = project.store.value(
        "SELECT v.scan_id FROM validation v JOIN scans s ON s.scan_id = v.scan_id "
        "WHERE v.patient_id = ? OR s.patient_id = ?",
        (patient, patient),
    )
    if own == item["scan_id"]:
        return "validation"  # it was skipped without a substitute
    if own is not None:
        raise UsageError(
            f"its patient is frozen for validation by {own}: its label would serve for nothing",
            where=item["scan_id"],
            remedy=f"skip {own} instead",
            code="frozen",
        )
    return "manual"


def _last_substitute(project: Project, item: Row) -> Row | None:
    """The item's current substitute: earlier substitutes may have been skipped, too."""
    found, seen = item, {item["scan_id"]}
    while found["replaced_by"] is not None and found["replaced_by"] not in seen:
        seen.add(found["replaced_by"])
        row = project.store.row("SELECT * FROM queue WHERE scan_id = ?", (found["replaced_by"],))
        if row is None:
            break
        found = row
    return None if found is item else found


def _withdraw(project: Project, substitute: Row) -> None:
    store, scan_id = project.store, substitute["scan_id"]
    store.execute("DELETE FROM queue WHERE scan_id = ?", (scan_id,))
    store.update("queue", {"replaced_by": scan_id}, replaced_by=None)


def _trains(project: Project, patient: str, but: str) -> bool:
    """Whether a scan of this patient is in the training queue or has a label."""
    return bool(
        project.store.value(
            "SELECT count(*) FROM scans s LEFT JOIN queue q ON q.scan_id = s.scan_id WHERE "
            "s.patient_id = ? AND s.scan_id != ? AND (q.status IN ('queued', 'exported') OR "
            "s.scan_id IN (SELECT scan_id FROM labels WHERE state = 'active'))",
            (patient, but),
        )
    )


def exclude(project: Project, scan_ids: Sequence[str], reason: str | None) -> list[Change]:
    """Exclude scans from the project's pool; queued ones are skipped and replaced."""
    wanted, why = _once(scan_ids), reason or "excluded by hand"
    with project.store.action("queue exclude", scans=wanted, reason=reason) as action:
        out = {scan_id: _exclude_one(project, scan_id, why) for scan_id in wanted}
        changes = [
            Change(scan_id, "excluded", _substitute(project, item) if item else None)
            for scan_id, item in out.items()
        ]
        action.summary = f"excluded {listed(wanted)}" + (f" ({reason})" if reason else "")
    return changes


def _exclude_one(project: Project, scan_id: str, reason: str) -> Row | None:
    """Exclude one scan; return its queue item if this removed one."""
    store = project.store
    project.scan(scan_id)
    if store.value("SELECT 1 FROM labels WHERE scan_id = ? AND state = 'active'", (scan_id,)):
        raise _has_label(scan_id)
    store.update("scans", {"scan_id": scan_id}, excluded=reason)
    item = store.row("SELECT * FROM queue WHERE scan_id = ?", (scan_id,))
    if item is None or item["status"] not in OUT_STATUSES:
        return None
    _mark_skipped(project, item, reason)
    return item


def _item(project: Project, scan_id: str) -> Row:
    """The open queue item of a scan (queued or exported)."""
    project.scan(scan_id)
    item = project.store.row("SELECT * FROM queue WHERE scan_id = ?", (scan_id,))
    if item is None:
        raise _not_queued(scan_id)
    if item["status"] == "labelled":
        raise _has_label(scan_id)
    if item["status"] not in OUT_STATUSES:
        raise UsageError(
            f"this scan is {item['status']}",
            where=scan_id,
            remedy=f"bring it back first: coldal-tui queue reopen {scan_id}",
            code="status",
        )
    return item


def _not_queued(scan_id: str) -> UsageError:
    return UsageError(
        "this scan is not in the queue",
        where=scan_id,
        remedy="coldal-tui queue lists those that are",
        code="not-queued",
    )


def _has_label(scan_id: str) -> UsageError:
    return UsageError(
        "this scan has a label",
        where=scan_id,
        remedy=f"take the label back first: coldal-tui labels reject {scan_id}",
        code="status",
    )
