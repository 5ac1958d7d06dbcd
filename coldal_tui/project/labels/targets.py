"""The scans that a mask import can match."""

from __future__ import annotations

import json
import os
from pathlib import Path

from coldal_tui.below import below
from coldal_tui.errors import ColdalError
from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.imaging.image import ScanUids
from coldal_tui.project.labels.files import split_name
from coldal_tui.project.project import Project
from coldal_tui.project.pseudonyms import Pseudonyms, all_keys
from coldal_tui.project.queue.assign import people_of
from coldal_tui.project.records import ScanRecord
from coldal_tui.project.scans.dicom_uids import read_uids


def targets(project: Project) -> list[ScanTarget]:
    """The project's scans for a mask import.

    Names of exact copies match the original; pseudonyms and UIDs of de-identified exports match the
    scans that they stand for.
    """
    images = f"{project.images}{os.sep}"
    scans = [scan for scan in project.scans() if scan.state == "present"]
    aliases: dict[str, list[str]] = {}
    for scan in scans:
        if scan.duplicate_of is not None:
            aliases.setdefault(scan.duplicate_of, []).append(scan.rel_path)
    exported = _exported_prelabels(project)
    uids = read_uids(project)
    pseudonyms = Pseudonyms(all_keys(project))
    asked = "SELECT scan_id, assignee FROM queue WHERE assignee IS NOT NULL"
    people = {scan_id: people_of(names) for scan_id, names in project.store.tuples(asked)}
    return [
        ScanTarget(
            scan_id=scan.scan_id,
            shape=scan.shape,
            names=(
                scan.rel_path,
                *aliases.get(scan.scan_id, ()),
                *pseudonyms.names(scan.scan_id),
            ),
            affine=scan.affine,
            spacing=scan.spacing,
            sha256=scan.sha256,
            files=tuple(f"{images}{name}" for name in _inside(scan, project.images)),
            prelabel=exported.get(scan.scan_id),
            uids=_all_uids(uids.get(scan.scan_id)),
            instances=uids[scan.scan_id].instances if scan.scan_id in uids else (),
            renamed=pseudonyms.renamed(_all_uids(uids.get(scan.scan_id))),
            patient=scan.patient_id,
            pseudonyms=len(pseudonyms.names(scan.scan_id)),
            people=people.get(scan.scan_id, ()),
        )
        for scan in scans
        if scan.duplicate_of is None
    ]


def _inside(scan: ScanRecord, images: Path) -> tuple[str, ...]:
    for name in scan.files:
        below(images, name, links=True)
    return scan.files


def _all_uids(uids: ScanUids | None) -> tuple[str, ...]:
    if uids is None:
        return ()
    return tuple(uid for uid in (uids.series, uids.frame_of_reference, *uids.instances) if uid)


def _exported_prelabels(project: Project) -> dict[str, Path]:
    """The pre-label that was exported with each scan, as the run made it."""
    found: dict[str, Path] = {}
    for row in project.store.rows("SELECT folder, items FROM exports ORDER BY export_id"):
        items = json.loads(row["items"])
        found |= {scan: project.file_of(one["file"]) for scan, one in items.items() if one["file"]}
        found |= {} if items else _prelabels_in(project, row["folder"])
    return found


def _prelabels_in(project: Project, folder: str) -> dict[str, Path]:
    """The pre-labels of an export that was recorded without its items."""
    try:
        prelabels = project.file_of(folder) / "prelabels"
        return {split_name(path.name)[0]: path for path in prelabels.iterdir()}
    except (OSError, ColdalError):
        return {}  # moved since, or outside the project: nothing to compare with
