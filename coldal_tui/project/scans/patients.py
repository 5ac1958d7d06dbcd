"""Finds the patient of a scan: by a CSV, a pattern on the path, or the file's header."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.names import file_stem, same_name
from coldal_tui.project.scans.pattern_search import search_in_time
from coldal_tui.project.settings.config import ImagesSection, check_pattern

Entry = tuple[str, dict[str, str]]
"""A patient and the further columns of the row."""


@dataclass(frozen=True)
class _Names:
    """Rows by file path and by every ending of it; None when several rows share one."""

    whole: Mapping[str, Entry | None]
    ends: Mapping[str, Entry | None]

    @staticmethod
    def of(rows: Mapping[str, Entry], form: Callable[[str], str]) -> _Names:
        whole: dict[str, Entry | None] = {}
        ends: dict[str, Entry | None] = {}
        for name, entry in rows.items():
            key = form(name)
            whole[key] = None if key in whole else entry
            for end in _ends(key):
                ends[end] = None if end in ends else entry
        return _Names(whole, ends)

    def find(self, path: str) -> Entry | None:
        for end in _ends(path):
            found = self.whole.get(end)
            if found is not None:
                return found
        return self.ends.get(path)


class PatientTable:
    """Rows of a patients CSV by file name: patient and further columns."""

    def __init__(self, rows: Mapping[str, Entry]) -> None:
        self._exact = _Names.of(rows, str)
        self._folded = _Names.of(rows, str.lower)

    def lookup(self, rel_path: str) -> Entry | None:
        """The row for a path below the images folder.

        Either may be the longer path (``a.png``, ``p1/a.png``, ``/data/p1/a.png``); the row may
        leave out the file's ending; case matters only when it distinguishes two rows.
        """
        path = same_name(rel_path)
        folder, slash, name = path.rpartition("/")
        for form in (path, f"{folder}{slash}{file_stem(name)}"):
            found = self._exact.find(form) or self._folded.find(form.lower())
            if found is not None:
                return found
        return None


def _ends(path: str) -> Iterator[str]:
    """``a/b/c``, ``b/c``, ``c``."""
    yield path
    while "/" in path:
        path = path.partition("/")[2]
        yield path


class PatientRule:
    """Finds the patient of a scan by the rule in the configuration."""

    def __init__(self, section: ImagesSection, root: Path) -> None:
        self._table = (
            read_patients_csv(Path(root, section.patients_csv)) if section.patients_csv else None
        )
        self._pattern = (
            check_pattern(section.patients_pattern, "images.patients_pattern")
            if section.patients_pattern
            else None
        )
        self._found: dict[str, str | None] = {}
        self.unmatched: list[str] = []

    def prepare(self, rel_paths: Sequence[str]) -> None:
        """Match the pattern on all paths at once, in a separate process with a time limit.

        Raises ColdalError (code ``slow-pattern``).
        """
        if self._pattern is not None:
            self._found |= search_in_time(self._pattern.pattern, rel_paths)

    def patient(
        self, rel_path: str, scan_id: str, header_patient: str | None
    ) -> tuple[str, dict[str, str]]:
        """``(patient_id, metadata)``.

        A scan without a match gets the patient in its header, else becomes its own patient (and
        ``unmatched`` lists it).
        """
        found = self._by_rule(rel_path)
        if found is not None:
            return found
        if header_patient:
            return header_patient, {}
        if self._table is not None or self._pattern is not None:
            self.unmatched.append(rel_path)
        return f"scan:{scan_id}", {}

    def _by_rule(self, rel_path: str) -> Entry | None:
        if self._table is not None:
            return self._table.lookup(rel_path)
        if self._pattern is None:
            return None
        if rel_path not in self._found:
            self.prepare([rel_path])
        value = self._found.get(rel_path)
        return (value, {}) if value else None


def read_patients_csv(path: Path) -> PatientTable:
    """Read ``filename, patient_id, …``; comma, semicolon or tab; UTF-8 with or without BOM;
    Excel's first line ``sep=;`` is skipped.

    Raises ColdalError with the line for a missing column, an empty patient or a doubled file.
    """
    text = _read(path)
    first, newline, rest = text.partition("\n")
    marked = bool(newline) and first.strip().lower().startswith("sep=")
    text, above = (rest, 1) if marked else (text, 0)
    first = text.splitlines()[0] if text.strip() else ""
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=None), delimiter=delimiter)
    columns = [_column(name) for name in reader.fieldnames or []]
    reader.fieldnames = columns
    missing = [name for name in ("filename", "patient_id") if name not in columns]
    if missing:
        raise ColdalError(
            f"no column called {' or '.join(missing)}; it has: {', '.join(columns) or 'nothing'}",
            where=f"{path}, line {1 + above}",
            remedy="name the columns filename and patient_id",
            code="bad-patients",
        )
    rows: dict[str, Entry] = {}
    try:
        for record in reader:
            _add(rows, record, f"{path}, line {reader.line_num + above}")
    except csv.Error as error:
        raise ColdalError(
            f"not a CSV file: {error}",
            where=f"{path}, line {reader.line_num + above}",
            remedy="mend that line",
            code="bad-patients",
        ) from error
    return PatientTable(rows)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ColdalError(
            f"the patients file can't be read: {error.strerror}",
            where=str(path),
            remedy="check images.patients_csv in coldal.toml",
            code="bad-patients",
        ) from error
    except UnicodeDecodeError as error:
        raise ColdalError(
            "the patients file is not UTF-8",
            where=str(path),
            remedy="save it as UTF-8",
            code="bad-patients",
        ) from error


def _column(name: str) -> str:
    plain = name.strip()
    return plain.lower() if plain.lower() in ("filename", "patient_id") else plain


def _add(rows: dict[str, Entry], record: Mapping[str, str | None], where: str) -> None:
    name = same_name((record["filename"] or "").strip().replace("\\", "/")).removeprefix("./")
    patient = (record["patient_id"] or "").strip()
    if not name:
        return
    if not patient:
        raise ColdalError(
            f"{name} has no patient_id",
            where=where,
            remedy="give every file a patient, or delete the line",
            code="bad-patients",
        )
    if name in rows and rows[name][0] != patient:
        raise ColdalError(
            f"{name} is listed for two patients ({rows[name][0]} and {patient})",
            where=where,
            remedy="keep the right line",
            code="bad-patients",
        )
    extra = {
        key: value.strip()
        for key, value in record.items()
        if key not in ("filename", "patient_id") and isinstance(value, str) and value.strip()
    }
    rows[name] = (patient, extra)
