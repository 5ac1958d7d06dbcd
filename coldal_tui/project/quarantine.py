"""Masks that were not accepted: kept with their reason, looked at, fixed and tried again."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.importing import Verdict
from coldal_tui.exchange.policy import ImportOptions
from coldal_tui.files import disk_error
from coldal_tui.project.project import Project
from coldal_tui.project.store import Row

WAITING, RESOLVED, REJECTED = "waiting", "resolved", "rejected"


@dataclass(frozen=True)
class Retried:
    """What became of one quarantined mask when it was tried again."""

    quarantine_id: int
    scan_id: str | None
    accepted: bool
    code: str
    message: str


def put_in_quarantine(project: Project, verdict: Verdict) -> None:
    """Keep a copy of the file and the reason (inside an action); a known one is only refreshed."""
    store = project.store
    message = verdict.explanation
    known = store.row(
        "SELECT quarantine_id, code FROM quarantine WHERE source_sha256 = ? "
        "AND scan_id IS ? AND state = ?",
        (verdict.sha256 or "", verdict.scan_id, WAITING),
    )
    if known is not None:
        if known["code"] != verdict.code:
            store.update(
                "quarantine",
                {"quarantine_id": known["quarantine_id"]},
                code=verdict.code,
                message=message,
            )
        return
    store.insert(
        "quarantine",
        scan_id=verdict.scan_id,
        file=_keep(project, verdict),
        source=str(verdict.file),
        source_sha256=verdict.sha256 or "",
        code=verdict.code,
        message=message,
        state=WAITING,
        created_at=store.now(),
    )


def _keep(project: Project, verdict: Verdict) -> str:
    """Copy the source below ``.coldal/quarantine``; an unreadable file leaves only its reason."""
    if verdict.sha256 is None:
        return ""
    folder = project.layout.quarantine / verdict.sha256[:16]
    target = folder / verdict.file.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copyfile(verdict.file, target)
    except OSError as error:
        raise disk_error(error, target) from error
    return project.layout.relative(target)


def resolve_quarantine(project: Project, scan_id: str, sha256: str | None) -> None:
    """The very file has been accepted, or another mask of the scan has: nothing waits any more."""
    project.store.execute(
        "UPDATE quarantine SET state = ? WHERE state = ? AND (scan_id = ? OR source_sha256 = ?)",
        (RESOLVED, WAITING, scan_id, sha256 or ""),
    )


def waiting(project: Project) -> list[Row]:
    return project.store.rows(
        "SELECT quarantine_id, scan_id, file, source, code, message, created_at FROM quarantine "
        "WHERE state = ? ORDER BY quarantine_id",
        (WAITING,),
    )


def select_waiting(project: Project, words: Sequence[str]) -> list[Row]:
    """Quarantined masks by number or scan; all of them when ``words`` is empty."""
    rows = waiting(project)
    if not words:
        return rows
    chosen = []
    for word in words:
        found = [r for r in rows if str(r["quarantine_id"]) == word or r["scan_id"] == word]
        if not found:
            raise UsageError(
                "nothing in quarantine under this name",
                where=word,
                remedy="coldal-tui labels list shows the numbers",
            )
        chosen += found
    return chosen


def reject_quarantined(project: Project, rows: Sequence[Row]) -> None:
    """Leave these masks out for good; the files stay where they are."""
    with project.store.action("quarantine reject") as action:
        for row in rows:
            project.store.update(
                "quarantine", {"quarantine_id": row["quarantine_id"]}, state=REJECTED
            )
        action.summary = f"rejected {len(rows)} masks in quarantine"


def retry_quarantined(
    project: Project,
    rows: Sequence[Row],
    options: ImportOptions | None = None,
    *,
    scan_id: str | None = None,
) -> list[Retried]:
    """Decide again on quarantined masks: the original file when it has changed, else the copy."""
    from coldal_tui.exchange.importing import examine_file
    from coldal_tui.project.labels import (
        reconcile_label_files,
        stage,
        store_label,
        targets,
        with_values,
    )

    classes = project.config.classes
    by_id = {target.scan_id: target for target in targets(project)}
    results = []
    decided = []
    for row in rows:
        target = by_id.get(scan_id or row["scan_id"] or "")
        if target is None:
            results.append(_without_scan(row))
            continue
        verdict = examine_file(
            _source(project, row),
            target,
            classes.names,
            classes.ignore_value,
            with_values(project, options),
        )
        decided.append((row, target, stage(project, verdict)))
    with project.store.action("quarantine retry") as action:
        for row, target, staged in decided:
            verdict = staged.verdict
            accepted = verdict.status == "accepted"
            if accepted:
                store_label(project, staged)
            state = RESOLVED if accepted else WAITING
            project.store.update(
                "quarantine",
                {"quarantine_id": row["quarantine_id"]},
                state=state,
                code=verdict.code or row["code"],
                message=verdict.explanation or row["message"],
            )
            results.append(
                Retried(
                    row["quarantine_id"],
                    target.scan_id,
                    accepted,
                    verdict.code,
                    verdict.explanation,
                )
            )
        done = sum(result.accepted for result in results)
        action.summary = f"tried {len(rows)} quarantined masks again, {done} accepted"
    reconcile_label_files(project)
    return results


def _without_scan(row: Row) -> Retried:
    return Retried(
        row["quarantine_id"],
        None,
        False,
        "no-scan",
        "no scan is known for it; name one: labels accept NUMBER --scan SCAN",
    )


def _source(project: Project, row: Row) -> Path:
    original, kept = Path(row["source"]), project.file_of(row["file"]) if row["file"] else None
    if original.is_file():
        return original
    if kept is not None and kept.is_file():
        return kept
    raise ColdalError(
        "neither the mask nor the copy in quarantine can be found",
        where=str(original),
        remedy="import the mask again",
    )
