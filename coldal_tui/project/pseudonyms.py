"""De-identified exports: where their keys are stored, and what they must not contain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.deidentify.dicom import Removed
from coldal_tui.exchange.deidentify.keys import Keys, read_keys
from coldal_tui.exchange.deidentify.secrets import WORD, Secrets
from coldal_tui.exchange.names import file_stem
from coldal_tui.imaging.image import ScanUids
from coldal_tui.project.project import Project
from coldal_tui.project.records import ScanRecord
from coldal_tui.project.scans.dicom_uids import read_uids

_PERSONAL = re.compile(
    r"name|patient|subject|birth|dob|mrn|(^|_)id($|_)|accession|address|phone|mail|physician",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?<!\d)(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})(?!\d)")
_COMMON_FOLDERS = frozenset({"cr", "ct", "dicom", "dx", "mr", "nifti", "series", "study", "us"})


def key_path(project: Project, export: str) -> Path:
    """The path of an export's keys: never inside the export."""
    return project.layout.state / "keys" / f"{export}.json"


def all_keys(project: Project) -> Iterator[Keys]:
    """The keys of every de-identified export that can be read, oldest first."""
    query = "SELECT key_file FROM exports WHERE key_file IS NOT NULL ORDER BY export_id"
    for row in project.store.rows(query):
        try:
            yield read_keys(project.file_of(row["key_file"]))
        except ColdalError:
            # Without keys, masks of this export can't be matched; those of others can.
            continue


class Pseudonyms:
    """The pseudonyms of scans and UIDs in de-identified exports."""

    def __init__(self, keys: Iterable[Keys]) -> None:
        self._names: dict[str, list[str]] = {}
        self._uids: dict[str, list[str]] = {}
        for one in keys:
            for name, key in one.scans.items():
                self._names.setdefault(key.scan_id, []).append(name)
            for new, old in one.uids.items():
                self._uids.setdefault(old, []).append(new)

    def names(self, scan_id: str) -> tuple[str, ...]:
        """The pseudonyms of a scan."""
        return tuple(self._names.get(scan_id, ()))

    def renamed(self, uids: Sequence[str]) -> dict[str, str]:
        """Replacement UID → UID, for these UIDs."""
        return {new: uid for uid in uids for new in self._uids.get(uid, ())}


def secrets_of(
    project: Project, scans: Sequence[ScanRecord], people: Iterable[str], removed: Removed
) -> Secrets:
    """Texts that an export of these scans must not contain.

    ``people`` are the labelers' names, ``removed`` the values removed from the images' headers.
    """
    found = Secrets(
        names=set(removed.names),
        ids=removed.ids | {scan.patient_id for scan in scans} | set(people),
        paths={str(project.images), str(project.root)},
        dates=set(removed.dates),
        uids=set(removed.uids),
        allowed=_allowed(project),
    )
    uids = read_uids(project)
    for scan in scans:
        found.paths |= set(_path_words(scan))
        found.uids |= set(_every_uid(uids.get(scan.scan_id)))
        for key, value in scan.meta.items():
            found.dates |= {"".join(match.groups()) for match in _DATE.finditer(value)}
            if _PERSONAL.search(key):
                found.names.add(value)
    return found


def _allowed(project: Project) -> set[str]:
    """Words that are public by choice: class names and the project's name."""
    chosen = (project.name, *project.config.classes.names)
    return {*chosen, *(word for text in chosen for word in WORD.findall(text))}


def _path_words(scan: ScanRecord) -> Iterator[str]:
    """A scan's id, path and file name, and the names of folders that are not common to all."""
    yield scan.scan_id
    for name in scan.files[:1] if len(scan.files) > 1 else scan.files:
        yield name
        yield file_stem(name)
    yield scan.rel_path
    yield file_stem(scan.rel_path)
    for folder in PurePosixPath(scan.rel_path).parts[:-1]:
        if folder.casefold() not in _COMMON_FOLDERS:
            yield folder


def _every_uid(uids: ScanUids | None) -> Iterator[str]:
    if uids is not None:
        yield from (uid for uid in (uids.series, uids.frame_of_reference, *uids.instances) if uid)
