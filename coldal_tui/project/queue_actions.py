"""What people do to the queue: skip, pin, assign, reopen, exclude; each undoable and audited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.project import pool as pools
from coldal_tui.project.project import Project
from coldal_tui.project.store import Row


@dataclass(frozen=True)
class Change:
    """What happened to one scan; ``replaced_by`` is the pick that took its place."""

    scan_id: str
    status: str
    replaced_by: str | None = None


def skip(
    project: Project, scan_ids: Sequence[str], reason: str | None, *, replace: bool = True
) -> list[Change]:
    """Take scans out of the queue for good and pick the next of their cluster or strategy."""
    items = [_item(project, scan_id, ("queued", "exported")) for scan_id in scan_ids]
    changes = []
    with project.store.action("queue skip", scans=list(scan_ids), reason=reason) as action:
        for item in items:
            substitute = _skip_one(project, item, reason, replace)
            changes.append(Change(item["scan_id"], "skipped", substitute))
        action.summary = f"skipped {', '.join(scan_ids)}" + (f" ({reason})" if reason else "")
    return changes


def _skip_one(project: Project, item: Row, reason: str | None, replace: bool) -> str | None:
    store = project.store
    store.update("queue", {"scan_id": item["scan_id"]}, status="skipped", reason=reason)
    if not replace or pools.budget(project).left < 1:
        return None
    from coldal_tui.project.replacing import replacement_row

    substitute = replacement_row(project, item)
    if substitute is None:
        return None
    store.insert("queue", **substitute)
    store.update("queue", {"scan_id": item["scan_id"]}, replaced_by=substitute["scan_id"])
    if item["role"] == "validation":
        store.execute("DELETE FROM validation WHERE scan_id = ?", (item["scan_id"],))
        patient = project.scan(substitute["scan_id"]).patient_id
        store.insert(
            "validation",
            patient_id=patient,
            scan_id=substitute["scan_id"],
            round=item["round"],
        )
    return str(substitute["scan_id"])


def pin(project: Project, scan_ids: Sequence[str], *, pinned: bool = True) -> list[Change]:
    """Put scans at the head of their round, or back to their rank."""
    items = [_item(project, scan_id, ("queued", "exported")) for scan_id in scan_ids]
    name = "queue pin" if pinned else "queue unpin"
    with project.store.action(name, scans=list(scan_ids)) as action:
        for item in items:
            project.store.update("queue", {"scan_id": item["scan_id"]}, pinned=int(pinned))
        action.summary = f"{'pinned' if pinned else 'unpinned'} {', '.join(scan_ids)}"
    return [Change(item["scan_id"], item["status"]) for item in items]


def assign(project: Project, scan_ids: Sequence[str], person: str | None) -> list[Change]:
    """Name who labels these scans; None takes the name off."""
    items = [_item(project, scan_id, ("queued", "exported")) for scan_id in scan_ids]
    with project.store.action("queue assign", scans=list(scan_ids), to=person) as action:
        for item in items:
            project.store.update("queue", {"scan_id": item["scan_id"]}, assignee=person)
        action.summary = f"assigned {', '.join(scan_ids)} to {person or 'nobody'}"
    return [Change(item["scan_id"], item["status"]) for item in items]


def reopen(project: Project, scan_ids: Sequence[str]) -> list[Change]:
    """Bring back skipped, exported or excluded scans; a still queued substitute leaves again."""
    changes = []
    with project.store.action("queue reopen", scans=list(scan_ids)) as action:
        for scan_id in scan_ids:
            changes.append(_reopen_one(project, scan_id))
        action.summary = f"reopened {', '.join(scan_ids)}"
    return changes


def _reopen_one(project: Project, scan_id: str) -> Change:
    store = project.store
    scan = project.scan(scan_id)
    item = store.row("SELECT * FROM queue WHERE scan_id = ?", (scan_id,))
    if scan.excluded is not None:
        store.update("scans", {"scan_id": scan_id}, excluded=None)
    if item is None:
        if scan.excluded is None:
            raise UsageError("this scan is not in the queue", where=scan_id)
        return Change(scan_id, "candidate")
    if item["status"] == "labelled":
        raise UsageError(
            "this scan has a label",
            where=scan_id,
            remedy="take the label back first: coldal-tui labels reject",
        )
    if item["status"] == "skipped":
        _withdraw_substitute(project, item)
        if pools.budget(project).left < 1:
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
        reason=None,
        replaced_by=None,
        export_id=None,
    )
    return Change(scan_id, "queued")


def _withdraw_substitute(project: Project, item: Row) -> None:
    store = project.store
    substitute = item["replaced_by"]
    if substitute is None:
        return
    withdrawn = store.row(
        "SELECT status FROM queue WHERE scan_id = ? AND status = 'queued'", (substitute,)
    )
    if withdrawn is None:
        return
    store.execute("DELETE FROM queue WHERE scan_id = ?", (substitute,))
    if item["role"] == "validation":
        store.execute("DELETE FROM validation WHERE scan_id = ?", (substitute,))
        store.insert(
            "validation",
            patient_id=project.scan(item["scan_id"]).patient_id,
            scan_id=item["scan_id"],
            round=item["round"],
        )


def exclude(project: Project, scan_ids: Sequence[str], reason: str | None) -> list[Change]:
    """Leave scans out of the project's pool; queued ones are skipped and replaced."""
    changes = []
    with project.store.action("queue exclude", scans=list(scan_ids), reason=reason) as action:
        for scan_id in scan_ids:
            scan = project.scan(scan_id)
            item = project.store.row("SELECT * FROM queue WHERE scan_id = ?", (scan_id,))
            if item is not None and item["status"] == "labelled":
                raise UsageError(
                    "this scan has a label",
                    where=scan_id,
                    remedy="take the label back first: coldal-tui labels reject",
                )
            project.store.update(
                "scans", {"scan_id": scan.scan_id}, excluded=reason or "excluded by hand"
            )
            substitute = None
            if item is not None and item["status"] in pools.OUT_STATUSES:
                substitute = _skip_one(project, item, reason or "excluded", replace=True)
            changes.append(Change(scan_id, "excluded", substitute))
        action.summary = f"excluded {', '.join(scan_ids)}" + (f" ({reason})" if reason else "")
    return changes


def _item(project: Project, scan_id: str, statuses: Sequence[str]) -> Row:
    scan = project.scan(scan_id)
    item = project.store.row("SELECT * FROM queue WHERE scan_id = ?", (scan.scan_id,))
    if item is None:
        raise UsageError(
            "this scan is not in the queue", where=scan_id, remedy="see coldal-tui queue"
        )
    if item["status"] not in statuses:
        raise UsageError(
            f"this scan is {item['status']}",
            where=scan_id,
            remedy=f"only {' or '.join(statuses)} scans can be changed this way",
        )
    return item


def explain(project: Project, scan_id: str) -> dict[str, Any]:
    """Everything known about why a scan is, or is not, in the queue."""
    import json

    scan = project.scan(scan_id)
    item = project.store.row("SELECT * FROM queue WHERE scan_id = ?", (scan_id,))
    found: dict[str, Any] = {
        "scan_id": scan_id,
        "path": str(project.images / scan.rel_path),
        "patient_id": scan.patient_id,
        "shape": list(scan.shape),
        "spacing": scan.spacing,
        "modality": scan.modality,
        "duplicate_of": scan.duplicate_of,
        "excluded": scan.excluded,
        "state": scan.state,
    }
    if item is not None:
        found |= {
            key: item[key]
            for key in (
                "round",
                "rank",
                "role",
                "cluster",
                "status",
                "score",
                "entropy",
                "diversity",
                "assignee",
                "reason",
                "replaced_by",
            )
        }
        found["terms"] = json.loads(item["terms"])
        chosen = project.store.row(
            "SELECT strategy, alpha, seed, run_id, map_id, k FROM rounds WHERE round = ?",
            (item["round"],),
        )
        found["selection"] = chosen
    else:
        found["status"] = _why_not(project, scan_id, scan.patient_id)
    label = project.store.row(
        "SELECT version, role, source, created_at FROM labels WHERE scan_id = ? "
        "AND state = 'active'",
        (scan_id,),
    )
    found["label"] = label
    entropies = project.store.rows(
        "SELECT run_id, entropy FROM scores WHERE scan_id = ? ORDER BY run_id", (scan_id,)
    )
    found["entropies"] = entropies
    return found


def _why_not(project: Project, scan_id: str, patient_id: str) -> str:
    scan = project.scan(scan_id)
    if scan.state != "present":
        return "missing: the file is no longer there"
    if scan.duplicate_of is not None:
        return f"not a candidate: an exact copy of {scan.duplicate_of}"
    if scan.excluded is not None:
        return f"not a candidate: excluded ({scan.excluded})"
    if scan_id in pools.labelled_scans(project):
        return "labelled without having been queued"
    if patient_id in pools.validation_patients(project):
        return "not a candidate: its patient is in the frozen validation set"
    return "candidate: not picked yet"
