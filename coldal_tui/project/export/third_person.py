"""Exports disputed scans to a third person, with the drawings that differ beside the images."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.exporters import ExportItem, ExportMeta, exporter
from coldal_tui.exchange.exporters.delivering import deliver
from coldal_tui.exchange.names import person_key
from coldal_tui.project.database.store import UNSURE, current_user
from coldal_tui.project.export.exporting import default_folder
from coldal_tui.project.labels.raters.adjudication import drawing_files
from coldal_tui.project.labels.raters.drawings import OUT, THIRD, standing_of
from coldal_tui.project.own_manifests import write_own_manifest
from coldal_tui.project.project import Project
from coldal_tui.project.scans.new_ids import safe_name
from coldal_tui.visible import counted, listed

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class DisputesReport:
    """The exported scans, their folder, and how many drawings lie beside the images."""

    folder: Path
    scans: tuple[str, ...]
    drawings: int


def export_disputes(
    project: Project,
    scan_ids: Sequence[str],
    person: str,
    *,
    format: str = "folder",
    out: Path | None = None,
    progress: Progress | None = None,
) -> DisputesReport:
    """Hand disputed scans to one more person; their drawings decide with the others', or a person.

    The drawings that differ lie in ``drawings/`` as A, B, … (in the order in which they came),
    without names. Undo takes the hand-out back; the folder stays.

    Raises UsageError when there is no such dispute, or the person drew one of the scans.
    """
    person = person.strip()
    wanted = list(dict.fromkeys(scan_ids))
    if not person or "," in person:
        raise UsageError("name one person", remedy="--send carla", code="person")
    if not wanted:
        raise UsageError("no scan is in dispute", where=project.name, code="nothing")
    items: list[ExportItem] = []
    for rank, scan_id in enumerate(wanted, start=1):
        _check(project, scan_id, person)
        scan = project.scan(scan_id)
        items.append(
            ExportItem(
                scan_id=scan_id,
                rank=rank,
                ref=scan.ref(project.images),
                header=scan.header(),
                role="dispute",
                round=0,
                assignee=person,
                layers=tuple(
                    (chr(ord("A") + number), path)
                    for number, (_, path) in enumerate(drawing_files(project, scan_id))
                ),
            )
        )
    classes = project.config.classes
    meta = ExportMeta(
        project=project.name,
        created=project.store.now(),
        exported_by=current_user(),
        classes=classes.names,
        ignore_value=classes.ignore_value,
        intensity=project.intensity,
    )
    folder = project.output_place(out) if out is not None else default_folder(project)
    shares = {safe_name(person): items}
    try:
        delivery = deliver(exporter(format), folder, shares, meta, progress)
    except BaseException:
        if out is None:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
    own: tuple[Path, ...] = ()
    try:
        own = write_own_manifest(project, delivery.folder, shares)
        _record(project, format, delivery.folder, delivery.manifest_sha256, wanted, person)
    except BaseException as error:
        if not (isinstance(error, ColdalError) and error.code == UNSURE):
            shutil.rmtree(delivery.folder, ignore_errors=True)
            for path in own:
                path.unlink(missing_ok=True)
        raise
    count = sum(1 for _ in delivery.folder.glob("*/drawings/*"))
    return DisputesReport(delivery.folder, tuple(wanted), count)


def _check(project: Project, scan_id: str, person: str) -> None:
    project.scan(scan_id)
    standing = standing_of(project.store, scan_id)
    if not standing.disputed:
        raise UsageError(
            "this scan is not in dispute",
            where=scan_id,
            remedy="coldal-tui labels adjudicate lists those that are",
            code="no-dispute",
        )
    people = [one.author for one in standing.drawings]
    if person_key(person) in {person_key(name) for name in (*people, *standing.third)}:
        drawn = person_key(person) in {person_key(name) for name in people}
        raise UsageError(
            f"{person} {'drew this scan' if drawn else 'has this scan'} already",
            where=scan_id,
            remedy="send it to somebody else, or pick a drawing with --pick",
            code="person",
        )


def _record(
    project: Project, format: str, folder: Path, manifest: str, scans: list[str], person: str
) -> None:
    store = project.store
    inside = folder.is_relative_to(project.root)
    with store.action("adjudicate send", folder=str(folder), scans=scans, person=person) as action:
        # ``items`` stays empty: this is no export of the queue that another one is compared with.
        number = store.insert(
            "exports",
            folder=project.layout.relative(folder) if inside else str(folder),
            format=format,
            scans=scans,
            manifest_sha256=manifest,
            created_at=store.now(),
        )
        for scan_id in scans:
            store.insert(
                "handouts",
                export_id=number,
                scan_id=scan_id,
                person=person,
                kind=THIRD,
                state=OUT,
                created_at=store.now(),
            )
        action.summary = f"sent {counted(len(scans), 'disputed scan')} to {person}: {listed(scans)}"
