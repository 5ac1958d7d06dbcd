"""Imports masks: stores accepted ones on the scan's grid and keeps every version."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from coldal_tui.errors import UsageError
from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.importers import load_registry
from coldal_tui.exchange.incoming.decide_scan import IMAGE_ITSELF
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.exchange.incoming.importing import Verdict, examine
from coldal_tui.exchange.incoming.own_files import EXPORTED_IMAGE
from coldal_tui.exchange.incoming.rater_agreement import Agreement
from coldal_tui.exchange.incoming.survey import Survey, survey_source
from coldal_tui.exchange.names import person_key
from coldal_tui.processors import usable_processors
from coldal_tui.project.hooks.running import fire
from coldal_tui.project.inbox import note_returned
from coldal_tui.project.labels.class_map import with_class_map
from coldal_tui.project.labels.exported import known_exports
from coldal_tui.project.labels.files import remove_abandoned, tidy_label_files
from coldal_tui.project.labels.quarantine import put_in_quarantine, resolve_quarantine
from coldal_tui.project.labels.raters.comparing import compare_people
from coldal_tui.project.labels.raters.returned import Returned
from coldal_tui.project.labels.source import Opened, open_source
from coldal_tui.project.labels.staging import KnownLabels, LabelWriter, Staged, Stager
from coldal_tui.project.labels.targets import targets
from coldal_tui.project.project import Project
from coldal_tui.visible import counted, listed

Progress = Callable[[int, int, str], None]

_MOST_THREADS = 8


@dataclass(frozen=True)
class ImportReport:
    """The result of one import. ``accepted`` are new labels; ``unchanged`` were there before.

    ``kept`` are valid masks stored as further versions, because another one is active.
    ``waiting`` are drawings of scans whose other people are still out; ``disputed`` those that
    differ from another person's, so that a person has to decide; ``checked`` honeypots and repeats,
    which never become labels. ``agreements`` compare the people of the scans that came.
    """

    saw: str
    accepted: tuple[Verdict, ...]
    unchanged: tuple[Verdict, ...]
    quarantined: tuple[Verdict, ...]
    unmatched: tuple[Verdict, ...]
    ignored: tuple[Verdict, ...]
    manual: tuple[str, ...]
    dry_run: bool
    kept: tuple[Verdict, ...] = ()
    waiting: tuple[Verdict, ...] = ()
    disputed: tuple[Verdict, ...] = ()
    checked: tuple[Verdict, ...] = ()
    agreements: tuple[Agreement, ...] = ()

    @property
    def agreement(self) -> tuple[Agreement, ...]:
        """Agreement of the raters of each scan of which several people's masks are known."""
        decided = (*self.accepted, *self.unchanged)
        seen = {one.scan_id for one in self.agreements}
        told = (one for verdict in decided for one in verdict.agreement)
        return (*(one for one in told if one.scan_id not in seen), *self.agreements)

    @property
    def unknown(self) -> dict[str, int]:
        """Values, class names and colours that are not mapped to a class, and their mask counts."""
        return dict(Counter(key for v in self.quarantined for key in v.unknown).most_common())


@dataclass(frozen=True)
class _Asked:
    """The arguments of an import."""

    format: str
    match: str | None
    options: ImportOptions
    only: Collection[Path] | None
    progress: Progress | None


def import_masks(
    project: Project,
    source: Path,
    *,
    format: str = "auto",
    match: str | None = None,
    options: ImportOptions | None = None,
    dry_run: bool = False,
    only: Collection[Path] | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Check every mask in ``source`` and import those that fit; a repeated file is one label.

    ``source`` is a file, a folder or an archive; ``only`` limits a folder to these files. Masks are
    first read, checked and staged beside the labels; then one short transaction stores them all.
    """
    source = source.absolute()
    options = replace(with_class_map(project, options), each_person=True)
    asked = _Asked(format, match, options, only, progress)
    scans = targets(project)
    chosen = options.conflict.kind in ("newest", "annotator")
    staging = Stager(project, scans, replaces=chosen, accept_first=options.accept_first)
    with open_source(project, source) as opened, staging as stager:
        # Archives in a watched folder are imported separately, as they arrive.
        inside = opened.open if only is None else None
        survey = survey_source(opened.path, load_registry().select(format), opened.place, inside)
        found = _examined(project, scans, opened, survey, asked, stager, dry_run=dry_run)
        returned = Returned(project, stager, options)
        if dry_run:
            outcomes = _foreseen(returned, list(found))
            return _report(opened, survey, outcomes, _expected(project), dry_run=True)
        remove_abandoned(project)
        verdicts = list(found)
        returned.prepare(verdicts)
        stager.sync()
        with project.store.action("import", source=str(source), match=match) as action:
            expected = _expected(project)
            outcomes = _take_in(project, verdicts, returned, match)
            note_returned(project, outcomes)
            report = _report(opened, survey, outcomes, expected, dry_run=False)
            action.summary = _summary(report)
            action.inputs = {v.scan_id or v.shown: v.sha256 for v in report.accepted}
    tidy_label_files(project)
    if report.accepted or report.kept or report.disputed or report.quarantined:
        fire(
            project,
            "masks_in",
            accepted=len(report.accepted),
            disputed=len(report.disputed),
            quarantined=len(report.quarantined),
            unmatched=len(report.unmatched),
        )
    seen = (*report.accepted, *report.kept, *report.disputed, *report.unchanged)
    return replace(report, agreements=compare_people(project, (v.scan_id for v in seen)))


def _summary(report: ImportReport) -> str:
    parts = [f"imported {len(report.accepted)} labels, {len(report.quarantined)} to quarantine"]
    if report.waiting:
        parts.append(f"{counted(len(report.waiting), 'drawing')} wait for others'")
    if report.disputed:
        parts.append(f"{counted(len(report.disputed), 'drawing')} in dispute")
    return ", ".join(parts)


def _foreseen(returned: Returned, verdicts: Sequence[Verdict]) -> list[Outcome]:
    """The outcomes of an import that changes nothing."""
    rulings = returned.preview(verdicts)
    words = {"wait": "waiting", "dispute": "disputed", "same": "kept"}
    found = []
    for verdict in verdicts:
        status = _status(verdict)
        ruling = rulings.get((verdict.scan_id or "", verdict.author or ""))
        if status == "accepted" and returned.check_of(verdict) is not None:
            status = "checked"
        elif status == "accepted" and ruling is not None:
            status = words.get(ruling.outcome, status)
            verdict = replace(verdict, message=ruling.why)
        found.append((status, verdict))
    return found


def _expected(project: Project) -> set[str]:
    """Scans that were queued or exported; a mask of any other scan has the role ``manual``."""
    rows = project.store.rows("SELECT scan_id FROM queue WHERE status != 'skipped'")
    return {row["scan_id"] for row in rows}


Outcome = tuple[str, Verdict]


def _examined(
    project: Project,
    scans: Sequence[ScanTarget],
    opened: Opened,
    survey: Survey,
    asked: _Asked,
    stager: Stager,
    *,
    dry_run: bool,
) -> Iterator[Verdict]:
    """Check the masks; verdicts without pixels, and in ``stored`` what was written for each."""
    classes = project.config.classes
    yield from [opened.named(verdict) for verdict in opened.left_out]

    def finish(verdict: Verdict) -> Verdict:
        named = opened.named(verdict)
        return stager.preview(named) if dry_run else stager.finish(named)

    yield from examine(
        opened.path,
        scans,
        classes.names,
        classes.ignore_value,
        match=asked.match,
        options=asked.options,
        progress=asked.progress,
        survey=survey,
        only=asked.only,
        finish=finish,
        threads=min(_MOST_THREADS, usable_processors()),
        unpacked=opened.unpacked,
        exports=known_exports(project),
    )


def _status(verdict: Verdict) -> str:
    known = isinstance(verdict.stored, Staged) and verdict.stored.known
    return "unchanged" if known else verdict.status


def _take_in(
    project: Project, verdicts: Iterable[Verdict], returned: Returned, match: str | None
) -> list[Outcome]:
    """Store what was staged (inside an action); ``match`` is the pattern of ``--match``."""
    writer = LabelWriter(project)
    meanwhile = KnownLabels(project, replaces=returned.replaces)
    labelled: dict[str, tuple[str | None, str]] = {}
    outcomes: list[Outcome] = []
    for verdict in verdicts:
        staged, status = verdict.stored or Staged(), _status(verdict)
        if status == "quarantined":
            put_in_quarantine(project, verdict, staged.kept, match)
        elif status in ("accepted", "kept") and verdict.scan_id is not None:
            if meanwhile.has_file(verdict, staged.sha256):
                status = "unchanged"
            else:
                status = returned.take(writer, verdict, staged)
                labelled[verdict.scan_id] = verdict.sha256, verdict.key
        if status:
            outcomes.append((status, verdict))
    outcomes += returned.settle(writer)
    for status, verdict in outcomes:
        # Last: masks with a known scan are decided first.
        if status == "unmatched":
            put_in_quarantine(project, verdict, (verdict.stored or Staged()).kept)
    resolve_quarantine(project, labelled, _open_to_others(outcomes))
    writer.sync()
    return outcomes


def _open_to_others(outcomes: Iterable[Outcome]) -> dict[str, set[str]]:
    """Scans without a label by these drawings alone, with the people who drew."""
    found: dict[str, set[str]] = {}
    for status, verdict in outcomes:
        if status in ("waiting", "disputed", "checked") and verdict.scan_id is not None:
            found.setdefault(verdict.scan_id, set()).add(person_key(verdict.author or ""))
    return found


def _report(
    opened: Opened,
    survey: Survey,
    outcomes: Iterable[Outcome],
    expected: set[str],
    *,
    dry_run: bool,
) -> ImportReport:
    groups: dict[str, list[Verdict]] = {}
    for status, verdict in outcomes:
        groups.setdefault(status, []).append(verdict)
    accepted = groups.get("accepted", [])
    seen_as_images = (EXPORTED_IMAGE, IMAGE_ITSELF)
    images = {one.file for one in groups.get("ignored", ()) if one.message in seen_as_images}
    return ImportReport(
        saw=opened.saw or survey.saw_without(images),
        accepted=tuple(accepted),
        unchanged=tuple(groups.get("unchanged", ())),
        quarantined=tuple(groups.get("quarantined", ())),
        unmatched=tuple(groups.get("unmatched", ())),
        ignored=tuple(groups.get("ignored", ())),
        manual=tuple(v.scan_id for v in accepted if v.scan_id and v.scan_id not in expected),
        dry_run=dry_run,
        kept=tuple(groups.get("kept", ())),
        waiting=tuple(groups.get("waiting", ())),
        disputed=tuple(groups.get("disputed", ())),
        checked=tuple(groups.get("checked", ())),
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
    """Reject labels: their scans become exported (or skipped) again, or return to the pool."""
    wanted = tuple(dict.fromkeys(scan_ids))
    with project.store.action("labels reject", scans=list(wanted), reason=reason) as action:
        for scan_id in wanted:
            _reject_one(project, scan_id, reason)
        action.summary = f"rejected the labels of {listed(wanted)}"
    tidy_label_files(project)


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
        # A mask for a skipped scan was not requested.
        unasked = label["role"] == "manual" != item["role"]
        status = "skipped" if unasked else "exported"
        store.update("queue", {"scan_id": scan_id}, status=status, reason=reason)
