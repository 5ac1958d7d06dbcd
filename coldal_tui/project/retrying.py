"""Deciding again on masks in quarantine: after they, or coldal.toml, were mended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.importing import examine_file
from coldal_tui.exchange.policy import ImportOptions
from coldal_tui.project.label_files import reconcile_label_files
from coldal_tui.project.label_staging import Staged, stage, staging, store_label
from coldal_tui.project.mask_targets import targets, with_values
from coldal_tui.project.project import Project
from coldal_tui.project.quarantine import RESOLVED
from coldal_tui.project.store import Row


@dataclass(frozen=True)
class Retried:
    """What became of one quarantined mask when it was tried again."""

    quarantine_id: int
    scan_id: str | None
    accepted: bool
    code: str
    message: str


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
