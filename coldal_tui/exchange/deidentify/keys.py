"""The key map of a de-identified export: random pseudonyms and what they replace."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from coldal_tui.errors import ColdalError
from coldal_tui.files import disk_error, fsync_folder, not_json

Dates = Literal["remove", "shift"]
"""Remove dates, or shift all dates of a patient by the same number of days."""

FORMAT, VERSION = "coldal-tui keys", 1
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""No l, i, 1, o or 0: pseudonyms are read aloud and typed."""
_LENGTH = 10
_FURTHEST_SHIFT = 3650


class ScanKey(msgspec.Struct, frozen=True):
    """The scan that a pseudonym stands for, and its patient (a pseudonym)."""

    scan_id: str
    patient: str


class _File(msgspec.Struct, frozen=True):
    """A key file as it is stored."""

    format: str
    version: int
    dates: Dates
    scans: dict[str, ScanKey]
    patients: dict[str, str]
    people: dict[str, str]
    uids: dict[str, str]
    shifts: dict[str, int]


PSEUDONYM_OF_PERSON = r"labeler-\d+"


@dataclass
class Keys:
    """Pseudonyms of one export; each is made when it is first asked for.

    ``scans``, ``patients``, ``people`` and ``uids`` map pseudonyms to the originals. ``shifts`` are
    days per patient (by pseudonym).
    """

    dates: Dates = "remove"
    scans: dict[str, ScanKey] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)
    shifts: dict[str, int] = field(default_factory=dict)
    random: Callable[[str], str] = field(default=secrets.choice, repr=False, compare=False)
    _patients: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    _uids: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def scan(self, scan_id: str, patient_id: str) -> str:
        """A new pseudonym for a scan of a patient."""
        name = self._new(self.scans)
        self.scans[name] = ScanKey(scan_id, self.patient(patient_id))
        return name

    def patient(self, patient_id: str) -> str:
        """The pseudonym of a patient, the same for all scans of the export."""
        if patient_id not in self._patients:
            name = self._new(self.patients)
            self.patients[name] = patient_id
            self._patients[patient_id] = name
            if self.dates == "shift":
                # Always into the past, by at least one day.
                self.shifts[name] = -1 - secrets.randbelow(_FURTHEST_SHIFT)
        return self._patients[patient_id]

    def person(self, name: str) -> str:
        """The pseudonym of a labeler: ``labeler-1``, ``labeler-2``, … in order of request."""
        for pseudonym, known in self.people.items():
            if known == name:
                return pseudonym
        pseudonym = f"labeler-{len(self.people) + 1}"
        self.people[pseudonym] = name
        return pseudonym

    def uid(self, uid: str) -> str:
        """The random UID that replaces a UID everywhere in the export (PS3.5 B.2)."""
        if uid not in self._uids:
            new = f"2.25.{secrets.randbits(128)}"
            self._uids[uid] = new
            self.uids[new] = uid
        return self._uids[uid]

    def shift_of(self, scan: str) -> int | None:
        """The number of days a scan's dates are shifted; None when dates are removed."""
        return self.shifts.get(self.scans[scan].patient)

    def _new(self, taken: dict[str, Any]) -> str:
        while True:
            name = "s" + "".join(self.random(_LETTERS) for _ in range(_LENGTH - 1))
            if name not in taken:
                return name


def write_keys(path: Path, keys: Keys) -> None:
    """Write a key file that only its owner may read (mode 0600), completely or not at all.

    Raises
    ------
    ColdalError : code ``disk``: the folder can't be made or written.
    """
    document = {
        "format": FORMAT,
        "version": VERSION,
        "dates": keys.dates,
        "scans": {name: msgspec.to_builtins(key) for name, key in keys.scans.items()},
        "patients": keys.patients,
        "people": keys.people,
        "uids": keys.uids,
        "shifts": keys.shifts,
    }
    data = json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_folder(path.parent)
    except OSError as error:
        raise disk_error(error, path) from error


def read_keys(path: Path) -> Keys:
    """Read a key file.

    Raises
    ------
    ColdalError : it is missing, or no key file.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise ColdalError(
            f"the key file can't be read: {error.strerror}",
            where=str(path),
            remedy="Put it back: without it nobody knows whose scans the export holds.",
            code="missing",
        ) from error
    except not_json() as error:
        raise ColdalError(
            f"not a key file: {error}", where=str(path), remedy="Put back a copy.", code="damaged"
        ) from error
    if found.format != FORMAT or found.version > VERSION:
        raise ColdalError(
            f"not a key file of this version ({found.format} {found.version})",
            where=str(path),
            remedy="Update coldal-tui.",
            code="damaged",
        )
    return Keys(
        found.dates,
        dict(found.scans),
        dict(found.patients),
        dict(found.people),
        dict(found.uids),
        dict(found.shifts),
    )
