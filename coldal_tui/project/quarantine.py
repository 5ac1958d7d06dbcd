"""Masks that were not accepted: kept with their reason, looked at, fixed and tried again."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.exporters.companions import companion_files
from coldal_tui.exchange.importing import Verdict
from coldal_tui.exchange.policy import ImportOptions
from coldal_tui.files import atomic_write, disk_error
from coldal_tui.project.project import Project
from coldal_tui.project.store import Row

if TYPE_CHECKING:
    from coldal_tui.project.label_staging import Staged

WAITING, RESOLVED, REJECTED = "waiting", "resolved", "rejected"


@dataclass(frozen=True)
class Retried:
    """What became of one quarantined mask when it was tried again."""

    quarantine_id: int
    scan_id: str | None
    accepted: bool
    code: str
    message: str


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


def retry_quarantined(
    project: Project,
    rows: Sequence[Row],
    options: ImportOptions | None = None,
    *,
    scan_id: str | None = None,
) -> list[Retried]:
    """Decide again on quarantined masks: on the original file, which may be mended, else the copy.

    One that can't be decided on stays, with the reason, and does not stop the others.

    Raises UsageError when ``scan_id`` is no scan that can have a label.
    """
    from coldal_tui.project.label_files import reconcile_label_files
    from coldal_tui.project.label_staging import staging

    chosen = None if scan_id is None else _target_id(project, scan_id)
    with staging() as staged:
        decided = list(_decide_all(project, rows, options, chosen, staged))
        with project.store.action("quarantine retry") as action:
            results = [_settle(project, row, one) for row, one in decided]
            done = sum(result.accepted for result in results)
            action.summary = f"tried {len(rows)} quarantined masks again, {done} accepted"
    reconcile_label_files(project)
    return results


def _target_id(project: Project, scan_id: str) -> str:
    """The scan that a person named; of an exact copy, the first."""
    scan = project.scan(scan_id)
    if scan.state != "present":
        raise UsageError(
            "this scan's file is missing",
            where=scan_id,
            remedy="bring it back, then coldal-tui index",
        )
    return scan.duplicate_of or scan_id


def _decide_all(
    project: Project,
    rows: Sequence[Row],
    options: ImportOptions | None,
    chosen: str | None,
    staged: list[Staged],
) -> Iterator[tuple[Row, Staged | Retried]]:
    from coldal_tui.exchange.importing import examine_file
    from coldal_tui.project.label_staging import stage
    from coldal_tui.project.labels import targets, with_values

    classes = project.config.classes
    rules = classes.names, classes.ignore_value, with_values(project, options)
    by_id = {target.scan_id: target for target in targets(project)}
    claims = Counter(chosen or row["scan_id"] for row in rows)
    for row in rows:
        target = by_id.get(chosen or row["scan_id"] or "")
        if target is None:
            yield row, _without_scan(row)
            continue
        if claims[target.scan_id] > 1:
            yield row, _one_of_several(row, target.scan_id)
            continue
        try:
            staged.append(stage(project, examine_file(_source(project, row), target, *rules)))
        except ColdalError as error:
            what = f"{error.what}; {error.remedy}" if error.remedy else error.what
            yield row, Retried(row["quarantine_id"], target.scan_id, False, error.code, what)
        else:
            yield row, staged[-1]


def _settle(project: Project, row: Row, decided: Staged | Retried) -> Retried:
    """Note what became of one mask (inside an action)."""
    from coldal_tui.project.label_staging import store_label

    if isinstance(decided, Retried):
        return decided
    verdict, store = decided.verdict, project.store
    here = {"quarantine_id": row["quarantine_id"]}
    accepted = verdict.status == "accepted"
    if accepted:
        store_label(project, decided)
        store.update("quarantine", here, state=RESOLVED)
    elif (verdict.code, verdict.explanation) != (row["code"], row["message"]):
        store.update("quarantine", here, code=verdict.code, message=verdict.explanation)
    if not accepted and decided.kept and decided.kept != row["file"]:
        # The original has changed: what is kept is what the reason speaks of.
        store.update("quarantine", here, file=decided.kept, source_sha256=verdict.sha256)
    scan_id = verdict.scan_id or row["scan_id"]
    return Retried(row["quarantine_id"], scan_id, accepted, verdict.code, verdict.explanation)


def _without_scan(row: Row) -> Retried:
    return Retried(
        row["quarantine_id"],
        None,
        False,
        "no-scan",
        "no scan is known for it; name one: labels accept NUMBER --scan SCAN",
    )


def _one_of_several(row: Row, scan_id: str) -> Retried:
    return Retried(
        row["quarantine_id"],
        scan_id,
        False,
        "conflict",
        f"several masks claim scan {scan_id!r}; name the one that counts by its number",
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
        code="missing",
    )
