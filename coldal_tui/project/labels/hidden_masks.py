"""The masks of a simulation: copied beside its results, so that later labels don't change them.

They come from the project's labels, or from a folder that is matched as in an import; none becomes
a label.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from coldal_tui.errors import ColdalError
from coldal_tui.files import atomic_write, make_folder, not_json, sha256_file, share_tree
from coldal_tui.imaging.image import label_suffix
from coldal_tui.jobs.spec import SimulatedScan
from coldal_tui.project.labels.align import Progress, check_cases, place_masks
from coldal_tui.project.labels.files import checked_labels, label_name, tidy_label_files
from coldal_tui.project.project import Project
from coldal_tui.project.records import ScanRecord

if TYPE_CHECKING:
    # Planning a job reads the prepared list only, and needs no mask reader.
    from coldal_tui.exchange.incoming.importing import Verdict


CASES_FILE = "cases.json"


@dataclass(frozen=True)
class HiddenMasks:
    """Masks prepared for a simulation. ``file`` (relative to the project) lists them."""

    file: str
    scans: tuple[SimulatedScan, ...]
    unused: tuple[Verdict, ...] = ()

    @property
    def patients(self) -> dict[str, str]:
        """Scan → patient, in the order of scan ids."""
        return {one.scan.scan_id: one.patient_id for one in self.scans}


def simulations_folder(project: Project) -> Path:
    return project.layout.state / "simulations"


def hide_labels(project: Project) -> HiddenMasks:
    """Prepare the project's labels; scans that are missing, excluded or duplicates are left out.

    Raises ColdalError (code ``no-cases``) when there is none.
    """
    tidy_label_files(project)
    rows = project.store.rows(
        "SELECT scan_id, version, file, sha256, state FROM labels WHERE state = 'active'"
    )
    named = {row["scan_id"]: row for row in rows}
    scans = [scan for scan in project.scans_named(named) if scan.usable]
    files = checked_labels(project, [named[scan.scan_id] for scan in scans])
    with _staged(project) as folder:
        for scan in scans:
            shutil.copyfile(files[scan.scan_id], folder / _name(scan))
        return _keep(project, folder, scans, ())


def hide_masks(
    project: Project, masks: Path, *, match: str | None = None, progress: Progress | None = None
) -> HiddenMasks:
    """Prepare the masks in a folder, matched to the project's scans and put on their grids.

    Raises ColdalError (code ``no-cases``) when not one fits a scan.
    """
    from coldal_tui.project.labels.targets import targets

    usable = {scan.scan_id: scan for scan in project.scans() if scan.usable}
    wanted = {
        target.scan_id: (target, usable[target.scan_id].header())
        for target in targets(project)
        if target.scan_id in usable
    }
    with _staged(project) as folder:
        files, unused = place_masks(project, masks, wanted, folder, match=match, progress=progress)
        return _keep(project, folder, [usable[scan_id] for scan_id in files], tuple(unused))


def read_cases(project: Project, file: str) -> tuple[SimulatedScan, ...]:
    """The masks that ``HiddenMasks.file`` lists; ColdalError (``no-cases``) when they are gone."""
    path = project.file_of(file)
    try:
        cases = msgspec.json.decode(path.read_bytes(), type=tuple[SimulatedScan, ...])
    except not_json(OSError) as error:
        raise ColdalError(
            "the masks of this simulation are gone",
            where=str(path),
            remedy="start it anew: coldal-tui simulate; cells that are finished stay finished",
            code="no-cases",
        ) from error
    check_cases(project, path, cases)
    return cases


def _name(scan: ScanRecord) -> str:
    return label_name(scan.scan_id, label_suffix(scan.header()))


@contextmanager
def _staged(project: Project) -> Iterator[Path]:
    folder = simulations_folder(project) / f".masks-{secrets.token_hex(4)}"
    make_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _keep(
    project: Project, staged: Path, scans: list[ScanRecord], unused: tuple[Verdict, ...]
) -> HiddenMasks:
    """Move staged masks to a folder named by their contents: equal masks share one folder."""
    if not scans:
        told = [verdict for verdict in unused if verdict.status in ("quarantined", "unmatched")]
        reason = f"; the first: {told[0].file.name}: {told[0].explanation}" if told else ""
        raise ColdalError(
            f"there is no mask to hide{reason}",
            where=project.name,
            remedy="import masks first, or name a folder with masks: --masks DIR (and --match "
            "'{stem}_suffix' if needed)",
            code="no-cases",
        )
    scans = sorted(scans, key=lambda scan: scan.scan_id)
    hashes = {scan.scan_id: sha256_file(staged / _name(scan)) for scan in scans}
    listing = msgspec.json.encode([(s.scan_id, s.patient_id, hashes[s.scan_id]) for s in scans])
    folder = simulations_folder(project) / f"masks-{hashlib.sha256(listing).hexdigest()[:12]}"
    found = tuple(
        SimulatedScan(
            scan=scan.input(project.images),
            patient_id=scan.patient_id,
            label=str(folder / _name(scan)),
            sha256=hashes[scan.scan_id],
        )
        for scan in scans
    )
    if not (folder / CASES_FILE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        share_tree(staged)
        staged.replace(folder)
    cases = msgspec.json.encode(found)
    atomic_write(folder / CASES_FILE, lambda stream: stream.write(cases))
    return HiddenMasks(project.layout.relative(folder / CASES_FILE), found, unused)


def patients_in(project: Project, table: Path, scans: tuple[SimulatedScan, ...]) -> tuple[str, ...]:
    """The patients listed in a CSV with a column ``patient_id``, ``scan_id`` or ``filename``.

    A listed scan stands for its whole patient: no split separates a patient's scans. Raises
    UsageError when the table has no such column or no patient with a mask.
    """
    import csv

    from coldal_tui.errors import UsageError
    from coldal_tui.project.scans.patients import PatientTable

    try:
        rows = list(csv.DictReader(table.read_text("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"can't read the list: {error}", where=str(table)) from error
    columns = set(rows[0]) if rows else set()
    by_scan = {one.scan.scan_id: one.patient_id for one in scans}
    if "patient_id" in columns:
        named = {row["patient_id"] for row in rows}
    elif "scan_id" in columns:
        named = {by_scan[row["scan_id"]] for row in rows if row["scan_id"] in by_scan}
    elif "filename" in columns:
        listed = PatientTable({row["filename"]: ("", {}) for row in rows})
        paths = {scan.scan_id: scan.rel_path for scan in project.scans_named(by_scan)}
        named = {by_scan[name] for name in by_scan if listed.lookup(paths[name]) is not None}
    else:
        raise UsageError(
            "no column patient_id, scan_id or filename",
            where=str(table),
            remedy="its first line has to name the columns",
        )
    found = tuple(sorted(named & set(by_scan.values())))
    if not found:
        raise UsageError(
            "it names no patient with a mask",
            where=str(table),
            remedy="coldal-tui status --json and the labels show what the project calls them",
        )
    return found
