"""Masks that were not accepted: kept with their reason until someone decides on them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.exporters.companions import companion_files
from coldal_tui.exchange.importing import Verdict
from coldal_tui.files import atomic_write, disk_error
from coldal_tui.project.project import Project
from coldal_tui.project.store import Row

WAITING, RESOLVED, REJECTED = "waiting", "resolved", "rejected"


def put_in_quarantine(project: Project, verdict: Verdict, kept: str) -> None:
    """Note the reason and where the copy lies (inside an action); a known mask is refreshed.

    Known is the same content for the same scan; where no scan is known, or the file can't be
    read, the same file.
    """
    store = project.store
    sha256, source = verdict.sha256 or "", str(verdict.file)
    known = store.row(
        "SELECT quarantine_id, code, message, file FROM quarantine WHERE state = ? "
        "AND scan_id IS ? AND source_sha256 = ? AND (source = ? OR (scan_id IS NOT NULL "
        "AND source_sha256 != ''))",
        (WAITING, verdict.scan_id, sha256, source),
    )
    reason = {"code": verdict.code, "message": verdict.explanation, "file": kept}
    if known is None:
        store.insert(
            "quarantine",
            scan_id=verdict.scan_id,
            source=source,
            source_sha256=sha256,
            state=WAITING,
            created_at=store.now(),
            **reason,
        )
    elif any(known[key] != value for key, value in reason.items()):
        store.update("quarantine", {"quarantine_id": known["quarantine_id"]}, **reason)


def keep_copy(project: Project, verdict: Verdict) -> str:
    """Copy the source below ``.coldal/quarantine``; the path relative to the project.

    Empty for a file that can't be read: of that only the reason is left.
    """
    if verdict.sha256 is None:
        return ""
    folder = project.layout.quarantine / verdict.sha256[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from error
    try:
        parts = companion_files(verdict.file)
    except ColdalError:
        parts = ()
    copied = [_copy(file, folder / file.name) for file in (verdict.file, *parts)]
    return project.layout.relative(folder / verdict.file.name) if copied[0] else ""


def _copy(source: Path, target: Path) -> bool:
    if target.exists():
        return True
    try:
        stream = source.open("rb")
    except OSError:
        return False
    with stream:
        atomic_write(target, lambda copy: shutil.copyfileobj(stream, copy))
    return True


def resolve_quarantine(project: Project, scan_id: str, sha256: str | None) -> None:
    """A mask of the scan has been accepted: nothing of it waits any more.

    Nor does this file, where it waited for want of a scan. What the same file holds for other
    scans goes on waiting.
    """
    project.store.execute(
        "UPDATE quarantine SET state = ? WHERE state = ? AND (scan_id = ? OR (scan_id IS NULL "
        "AND source_sha256 = ?))",
        (RESOLVED, WAITING, scan_id, sha256),
    )


def waiting(project: Project) -> list[Row]:
    return project.store.rows(
        "SELECT quarantine_id, scan_id, file, source, code, message, created_at FROM quarantine "
        "WHERE state = ? ORDER BY quarantine_id",
        (WAITING,),
    )


def select_waiting(project: Project, words: Sequence[str]) -> list[Row]:
    """Quarantined masks by number, else by scan; all of them when ``words`` is empty."""
    rows = waiting(project)
    if not words:
        return rows
    chosen: dict[int, Row] = {}
    for word in words:
        found = [row for row in rows if str(row["quarantine_id"]) == word] or [
            row for row in rows if row["scan_id"] == word
        ]
        if not found:
            raise UsageError(
                "nothing in quarantine under this name",
                where=word,
                remedy="coldal-tui labels list shows the numbers",
            )
        chosen |= {row["quarantine_id"]: row for row in found}
    return list(chosen.values())


def reject_quarantined(project: Project, rows: Sequence[Row]) -> None:
    """Leave these masks out for good; the files stay where they are."""
    with project.store.action("quarantine reject") as action:
        for row in rows:
            project.store.update(
                "quarantine", {"quarantine_id": row["quarantine_id"]}, state=REJECTED
            )
        action.summary = f"rejected {len(rows)} masks in quarantine"
