"""Looks into a folder of images before there is a project: what an index would find in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from coldal_tui.errors import ColdalError
from coldal_tui.imaging.indexing import FileProblem, FoundScan, index_folder
from coldal_tui.project.scans.creating import patients_setting
from coldal_tui.project.scans.not_scans import MASK, Cases, find_cases, find_not_scans, pattern_of
from coldal_tui.project.scans.patients import PatientRule, read_patients_csv
from coldal_tui.project.scans.same_person import find_same_person
from coldal_tui.project.settings.config_images import ImagesSection

Progress = Callable[[int, int, str], None]
FEW_PATIENTS = 10
"""With fewer, hardly one can be kept back for validation."""
_MASKS_READ = 5
FOLDER_RULE = r"^([^/]+)/"
NAME_RULES = (r"(?:^|/)([^/_]+)_[^/]*$", r"(?:^|/)([^/-]+)-[^/]*$")
"""The first folder of the path; the file's name up to the first ``_`` or ``-``."""


@dataclass(frozen=True)
class FolderPreview:
    """The scans of a folder, what else lies there, and how its files seem to group.

    ``masks``: files that look like masks of the scans; ``mask_values``: the values above 0 in a
    few of them. ``refused``: images that can't be read or are refused.
    """

    images: Path
    scans: tuple[FoundScan, ...]
    masks: tuple[FileProblem, ...] = ()
    mask_values: tuple[int, ...] = ()
    refused: tuple[FileProblem, ...] = ()
    others: int = 0
    cases: Cases | None = None
    tables: tuple[Path, ...] = ()

    @property
    def dimensions(self) -> dict[int, int]:
        """The number of 2-D and of 3-D scans."""
        return dict(Counter(len(scan.header.shape) for scan in self.scans))

    @property
    def mask_patterns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(pattern_of(one.rel_path) for one in self.masks))


@dataclass(frozen=True)
class PatientChoice:
    """A rule for patients: ``words`` as ``init --patients`` takes them ("": the files' headers).

    ``example``: a file and its patient.
    """

    words: str
    name: str
    patients: int
    unmatched: int
    example: tuple[str, str]


def preview_folder(images: Path, *, progress: Progress | None = None) -> FolderPreview:
    """Read the headers below ``images``, by the same rules as an index; writes nothing.

    Raises ColdalError when it is not a folder that can be read.
    """
    if not images.is_dir():
        what = "not a folder" if images.exists() else "no such folder"
        raise ColdalError(what, where=str(images), remedy="name the folder that holds the scans")
    found = index_folder(images, progress=progress)
    beside = find_not_scans(found.scans)
    scans = tuple(scan for scan in found.scans if scan.rel_path not in beside)
    masks = tuple(one for one in beside.values() if one.code == MASK)
    refused = tuple(one for one in found.problems if one.kind != "not-an-image")
    by_path = {scan.rel_path: scan for scan in found.scans}
    return FolderPreview(
        images=images.absolute(),
        scans=scans,
        masks=masks,
        mask_values=_values([by_path[one.rel_path] for one in masks[:_MASKS_READ]]),
        refused=refused,
        others=len(beside) - len(masks) + len(found.problems) - len(refused),
        cases=find_cases(scans),
        tables=tuple(_patient_tables(images)),
    )


def _values(masks: Sequence[FoundScan]) -> tuple[int, ...]:
    """The whole numbers above 0 in some masks; () where there are other or many values."""
    import numpy as np

    from coldal_tui.imaging.reading import read_scan

    values: set[int] = set()
    for mask in masks:
        try:
            array = read_scan(mask.ref).array
        except Exception:
            return ()
        found = np.unique(array)
        if len(found) > 64 or not np.array_equal(found, np.round(found)):
            return ()
        values |= {int(value) for value in found if value > 0}
    return tuple(sorted(values))


def _patient_tables(images: Path) -> list[Path]:
    """Tables with the columns ``filename`` and ``patient_id``, in the folder or the one above."""
    found = []
    for folder in (images, images.absolute().parent):
        for path in sorted(folder.glob("*.[ct]sv"))[:20]:
            try:
                read_patients_csv(path)
            except ColdalError:
                continue
            found.append(path)
    return found


def patient_choices(found: FolderPreview) -> list[PatientChoice]:
    """The rules that make sense for the folder, the surest first; never none.

    A table; what the files' headers say, else each file; a case of several files, or names that
    differ in side, view or visit; the first folder; the beginning of the name. Rules that group
    nothing are left out.
    """
    headers = patients_by(found, "")
    choices = [
        patients_by(found, str(table), f"the table {table.name} says") for table in found.tables
    ]
    choices.append(headers)
    if found.cases is not None:
        choices.append(patients_by(found, found.cases.pattern, "the files of a case together"))
    else:
        unnamed = [scan.rel_path for scan in found.scans if scan.header.patient_id is None]
        same = find_same_person(sorted(unnamed))
        if same is not None:
            name = "files whose names differ in side, view or visit together"
            choices.append(patients_by(found, same.pattern, name))
    if any("/" in scan.rel_path for scan in found.scans):
        choices.append(patients_by(found, FOLDER_RULE, "the folder that the file lies in"))
    for rule in NAME_RULES:
        mark = "_" if "_" in rule else "-"
        if any(re.search(rule, scan.rel_path) for scan in found.scans):
            name = f'the beginning of the file\'s name, up to "{mark}"'
            choices.append(patients_by(found, rule, name))
    return [
        one
        for one in choices
        if one.words in ("", *map(str, found.tables))
        or (1 < one.patients < len(found.scans) and one.unmatched < len(found.scans))
    ]


def patients_by(found: FolderPreview, words: str, name: str = "") -> PatientChoice:
    """Apply a rule, as ``init --patients`` takes it, to the scans; UsageError for a wrong one."""
    settings: Mapping[tuple[str, str], Any] = patients_setting(words, Path.cwd()) if words else {}
    section = {key: value for (_, key), value in settings.items()}
    rule = PatientRule(
        msgspec.convert({"dir": str(found.images), **section}, ImagesSection), Path.cwd()
    )
    rule.prepare([scan.rel_path for scan in found.scans])
    patients = [
        rule.patient(scan.rel_path, scan.rel_path, scan.header.patient_id)[0]
        for scan in found.scans
    ]
    stated = sum(scan.header.patient_id is not None for scan in found.scans)
    if not name:
        name = "as the files' headers say" if stated else "each file is a patient of its own"
        name = words or name
    example = ("", "")
    if found.scans:
        shared = Counter(patients)
        most = max(range(len(patients)), key=lambda n: (shared[patients[n]], -n))
        example = (found.scans[most].rel_path, patients[most].removeprefix("scan:"))
    unmatched = len(rule.unmatched) if words else len(found.scans) - stated if stated else 0
    return PatientChoice(words, name, len(set(patients)), unmatched, example)
