"""Accepted masks: stored on the scan's own grid, every version kept, files in step with rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from coldal_tui.errors import UsageError
from coldal_tui.exchange.importing import Verdict, examine
from coldal_tui.exchange.policy import ImportOptions
from coldal_tui.project.label_files import reconcile_label_files, remove_abandoned
from coldal_tui.project.label_staging import (
    Staged,
    is_known,
    stage,
    staging,
    store_label,
    taken_in_meanwhile,
)
from coldal_tui.project.mask_targets import targets, with_values
from coldal_tui.project.project import Project
from coldal_tui.project.quarantine import put_in_quarantine

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class ImportReport:
    """What one import did. ``accepted`` are new labels; ``unchanged`` were there before."""

    saw: str
    accepted: tuple[Verdict, ...]
    unchanged: tuple[Verdict, ...]
    quarantined: tuple[Verdict, ...]
    unmatched: tuple[Verdict, ...]
    ignored: tuple[Verdict, ...]
    manual: tuple[str, ...]
    dry_run: bool


def import_masks(
    project: Project,
    source: Path,
    *,
    format: str = "auto",
    match: str | None = None,
    options: ImportOptions | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Decide on every mask in ``source`` and take in what fits; the same file twice is one label.

    Masks are read, checked and written beside the labels first; the database is touched once, in
    one short transaction at the end.
    """
    from coldal_tui.exchange.importers import load_registry
    from coldal_tui.exchange.survey import survey_source

    classes = project.config.classes
    source = source.absolute()
    options = with_values(project, options)
    survey = survey_source(source, load_registry().select(format))
    verdicts = examine(
        source,
        targets(project),
        classes.names,
        classes.ignore_value,
        match=match,
        options=options,
        progress=progress,
        survey=survey,
    )
    expected = _expected(project)
    if dry_run:
        return _report(survey.saw, _preview(project, verdicts), expected, dry_run=True)
    remove_abandoned(project)
    with staging() as staged:
        for verdict in verdicts:
            staged.append(_stage(project, verdict))
        with project.store.action("import", source=str(source), match=match) as action:
            outcomes = [_take_in(project, one) for one in staged]
            report = _report(survey.saw, outcomes, expected, dry_run=False)
            action.summary = (
                f"imported {len(report.accepted)} labels, {len(report.quarantined)} to quarantine"
            )
            action.inputs = {v.scan_id or v.file.name: v.sha256 for v in report.accepted}
    reconcile_label_files(project)
    return report


def _expected(project: Project) -> set[str]:
    """Scans whose mask was asked for; that of any other scan has the role ``manual``."""
    rows = project.store.rows("SELECT scan_id FROM queue WHERE status != 'skipped'")
    return {row["scan_id"] for row in rows}


Outcome = tuple[str, Verdict]


def _preview(project: Project, verdicts: Iterable[Verdict]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for verdict in verdicts:
        status = "unchanged" if is_known(project, verdict) else verdict.status
        outcomes.append((status, replace(verdict, label=None)))
    return outcomes


def _stage(project: Project, verdict: Verdict) -> Staged:
    if is_known(project, verdict):
        return Staged(replace(verdict, label=None))
    return stage(project, verdict)


def _take_in(project: Project, staged: Staged) -> Outcome:
    verdict = staged.verdict
    if verdict.status == "accepted":
        if staged.file is None or taken_in_meanwhile(project, staged):
            return "unchanged", verdict
        store_label(project, staged)
    elif verdict.status == "quarantined":
        put_in_quarantine(project, verdict, staged.kept)
    return verdict.status, verdict


def _report(
    saw: str, outcomes: Iterable[Outcome], expected: set[str], *, dry_run: bool
) -> ImportReport:
    groups: dict[str, list[Verdict]] = {}
    for status, verdict in outcomes:
        groups.setdefault(status, []).append(verdict)
    accepted = groups.get("accepted", [])
    return ImportReport(
        saw=saw,
        accepted=tuple(accepted),
        unchanged=tuple(groups.get("unchanged", ())),
        quarantined=tuple(groups.get("quarantined", ())),
        unmatched=tuple(groups.get("unmatched", ())),
        ignored=tuple(groups.get("ignored", ())),
        manual=tuple(v.scan_id for v in accepted if v.scan_id and v.scan_id not in expected),
        dry_run=dry_run,
    )


def list_labels(project: Project) -> list[dict[str, Any]]:
    """Active labels in ``scan_id`` order, with pixel counts per class."""
    rows = project.store.rows(
        "SELECT scan_id, version, role, file, source, geometry, notes, voxels, created_at "
        "FROM labels WHERE state = 'active' ORDER BY scan_id"
    )
    return [
        row | {"notes": json.loads(row["notes"]), "voxels": json.loads(row["voxels"])}
        for row in rows
    ]


def reject_labels(project: Project, scan_ids: Sequence[str], reason: str | None) -> None:
    """Take labels back: the scans return to the queue as exported (or skipped), or to the pool."""
    wanted = tuple(dict.fromkeys(scan_ids))
    with project.store.action("labels reject", scans=list(wanted), reason=reason) as action:
        for scan_id in wanted:
            _reject_one(project, scan_id, reason)
        action.summary = f"rejected the labels of {', '.join(wanted)}"
    reconcile_label_files(project)


def _reject_one(project: Project, scan_id: str, reason: str | None) -> None:
    store = project.store
    project.scan(scan_id)
    found = {"scan_id": scan_id, "state": "active"}
    label = store.row("SELECT role FROM labels WHERE scan_id = ? AND state = 'active'", (scan_id,))
    if label is None:
        raise UsageError("this scan has no label", where=scan_id, remedy="coldal-tui labels list")
    store.update("labels", found, state="rejected")
    item = store.row("SELECT role FROM queue WHERE scan_id = ?", (scan_id,))
    if item is not None:
        # A mask that came for a skipped scan nobody had asked for.
        unasked = label["role"] == "manual" != item["role"]
        status = "skipped" if unasked else "exported"
        store.update("queue", {"scan_id": scan_id}, status=status, reason=reason)
