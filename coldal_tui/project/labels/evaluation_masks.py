"""Prepares evaluation cases: masks matched to scans on their grids, never made labels."""

from __future__ import annotations

import glob
import json
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.importing import Verdict
from coldal_tui.files import atomic_write, not_json, sha256_file, share_tree
from coldal_tui.imaging.image import ScanHeader
from coldal_tui.imaging.indexing import index_folder
from coldal_tui.jobs.spec import LabelledScan, ScanInput
from coldal_tui.project.labels.align import Progress, check_cases, place_masks
from coldal_tui.project.project import Project
from coldal_tui.project.queue.budget import labelled_scans
from coldal_tui.project.scans.new_ids import safe_name, unique_name
from coldal_tui.trust_store import TrustStore

_LISTING = "cases.json"


@dataclass(frozen=True)
class Cases:
    """Prepared cases: ``file`` (relative to the project) lists them, ``folder`` has the labels."""

    folder: Path
    file: str
    count: int
    unused: tuple[Verdict, ...]

    def discard(self) -> None:
        TrustStore().forget(self.folder / _LISTING)
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class _Subject:
    target: ScanTarget
    scan: ScanInput
    header: ScanHeader


def prepare_cases(
    project: Project,
    masks: Path,
    *,
    images: Path | None = None,
    match: str | None = None,
    progress: Progress | None = None,
) -> Cases:
    """Match ``masks`` to scans and write them on the scans' grids.

    Without ``images`` the scans are the project's own, of patients that have no label and that no
    run used for training or validation.

    Raises ColdalError (code ``no-cases``) when not one mask fits a scan.
    """
    subjects = _other_images(images, masks) if images is not None else _unseen(project)
    folder = project.layout.cache / f"evaluation-{secrets.token_hex(4)}"
    folder.mkdir(parents=True)
    wanted = {subject.scan.scan_id: (subject.target, subject.header) for subject in subjects}
    inputs = {subject.scan.scan_id: subject.scan for subject in subjects}
    try:
        files, unused = place_masks(project, masks, wanted, folder, match=match, progress=progress)
        cases = [
            LabelledScan(inputs[scan_id], str(files[scan_id]), sha256_file(files[scan_id]))
            for scan_id in sorted(files)
        ]
        if not cases:
            raise ColdalError(
                f"not one mask fits a scan to evaluate on ({len(subjects)} scans, "
                f"{len(unused)} masks)",
                where=str(masks),
                remedy=_first_reason(unused),
                code="no-cases",
            )
        listing = folder / _LISTING
        atomic_write(listing, lambda stream: stream.write(msgspec.json.encode(cases)))
        share_tree(folder)
        if images is not None:
            # This person named the folder; a listing that came with the project names nothing.
            TrustStore().agree(listing, sha256_file(listing))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Cases(folder, project.layout.relative(listing), len(cases), tuple(unused))


def read_evaluation(project: Project, file: str) -> tuple[LabelledScan, ...]:
    """The cases that ``Cases.file`` lists.

    Raises ColdalError: they are gone (``no-cases``), or they name files of other places that this
    person has not named (``outside``).
    """
    listing = project.file_of(file)
    try:
        cases = msgspec.json.decode(listing.read_bytes(), type=tuple[LabelledScan, ...])
        named = TrustStore().is_trusted(listing, sha256_file(listing))
    except not_json(OSError) as error:
        raise ColdalError(
            "the cases of this evaluation are gone: they are kept only while it runs",
            where=str(listing),
            remedy="start it anew: coldal-tui evaluate",
            code="no-cases",
        ) from error
    check_cases(project, listing, cases, elsewhere=named)
    return cases


def _first_reason(unused: list[Verdict]) -> str:
    told = [v for v in unused if v.status in ("quarantined", "unmatched")]
    if told:
        return f"the first: {told[0].file.name}: {told[0].explanation}"
    return "name the folder with the masks: --masks DIR, and --match '{stem}_suffix' if needed"


def _unseen(project: Project) -> list[_Subject]:
    scans = project.scans()
    labelled = labelled_scans(project) | _in_runs(project)
    seen = {scan.patient_id for scan in scans if scan.scan_id in labelled}
    return [
        _subject(scan.scan_id, scan.header(), scan.input(project.images), scan.rel_path)
        for scan in scans
        if scan.usable and scan.patient_id not in seen
    ]


def _in_runs(project: Project) -> set[str]:
    """Scans of every run's training and validation sets, also those whose label was rejected."""
    rows = project.store.rows("SELECT train_scans, validation_scans FROM runs")
    return {
        scan_id
        for row in rows
        for column in ("train_scans", "validation_scans")
        for scan_id in json.loads(row[column])
    }


def _other_images(images: Path, masks: Path) -> list[_Subject]:
    if not images.is_dir():
        raise ColdalError("no such folder", where=str(images), remedy="check --images")
    root, drawn = images.resolve(), masks.resolve()
    inside = drawn != root and drawn.is_relative_to(root)
    exclude = (glob.escape(drawn.relative_to(root).as_posix()),) if inside else ()
    subjects: list[_Subject] = []
    used: set[str] = set()
    for one in index_folder(root, exclude=exclude).scans:
        unique = unique_name(safe_name(one.name), used)
        header = one.header
        scan = ScanInput(
            scan_id=unique,
            ref=one.ref,
            shape=header.shape,
            channels=header.channels,
            spacing=header.spacing,
            modality=header.modality,
            quick_hash=one.quick_hash,
        )
        subjects.append(_subject(unique, header, scan, one.rel_path))
    return subjects


def _subject(scan_id: str, header: ScanHeader, scan: ScanInput, rel_path: str) -> _Subject:
    target = ScanTarget(
        scan_id=scan_id,
        shape=header.shape,
        names=(rel_path,),
        affine=header.affine,
        spacing=header.spacing,
        files=scan.ref.files,
    )
    return _Subject(target, scan, header)
