"""Which patient a scan belongs to: by a CSV, a pattern on the path, or the file's own header."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from coldal_tui.errors import ColdalError
from coldal_tui.project.config import ImagesSection, check_pattern


@dataclass(frozen=True)
class PatientTable:
    """Rows of a patients CSV by file name: patient and further columns."""

    rows: dict[str, tuple[str, dict[str, str]]]
    folded: dict[str, str]

    def lookup(self, rel_path: str) -> tuple[str, dict[str, str]] | None:
        """The row for a path below the images folder: whole path first, then the bare name."""
        for key in (rel_path, PurePosixPath(rel_path).name, PurePosixPath(rel_path).stem):
            if key in self.rows:
                return self.rows[key]
            if key.lower() in self.folded:
                return self.rows[self.folded[key.lower()]]
        return None


class PatientRule:
    """Answers ``patient of this scan?`` by the one rule that the configuration names."""

    def __init__(self, section: ImagesSection, root: Path) -> None:
        self._table = (
            read_patients_csv(Path(root, section.patients_csv)) if section.patients_csv else None
        )
        self._pattern = (
            check_pattern(section.patients_pattern, "images.patients_pattern")
            if section.patients_pattern
            else None
        )
        self.unmatched: list[str] = []

    def patient(
        self, rel_path: str, scan_id: str, header_patient: str | None
    ) -> tuple[str, dict[str, str]]:
        """``(patient_id, metadata)``; a scan that no rule knows is its own patient."""
        own = f"scan:{scan_id}"
        if self._table is not None:
            found = self._table.lookup(rel_path)
            if found is not None:
                return found
            self.unmatched.append(rel_path)
            return own, {}
        if self._pattern is not None:
            match = self._pattern.search(rel_path)
            if match is not None:
                groups = match.groupdict()
                value = groups.get("patient") or next((g for g in match.groups() if g), None)
                if value:
                    return value, {}
            self.unmatched.append(rel_path)
            return own, {}
        return (header_patient or own), {}


def read_patients_csv(path: Path) -> PatientTable:
    """Read ``filename, patient_id, …``; comma, semicolon or tab; UTF-8 with or without BOM.

    Raises ColdalError with the line for a missing column, an empty patient or a doubled file.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise ColdalError(
            f"the patients file can't be read: {error.strerror}",
            where=str(path),
            remedy="check images.patients_csv in coldal.toml",
        ) from error
    except UnicodeDecodeError as error:
        raise ColdalError(
            "the patients file is not UTF-8", where=str(path), remedy="save it as UTF-8"
        ) from error
    first = text.splitlines()[0] if text.strip() else ""
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter)
    columns = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = columns
    missing = [name for name in ("filename", "patient_id") if name not in columns]
    if missing:
        raise ColdalError(
            f"no column called {' or '.join(missing)}; it has: {', '.join(columns) or 'nothing'}",
            where=str(path),
            remedy="name the columns filename and patient_id",
            code="bad-patients",
        )
    rows: dict[str, tuple[str, dict[str, str]]] = {}
    for record in reader:
        name = (record["filename"] or "").strip().replace("\\", "/")
        patient = (record["patient_id"] or "").strip()
        if not name:
            continue
        if not patient:
            raise ColdalError(
                f"{name} has no patient_id",
                where=f"{path}, line {reader.line_num}",
                remedy="give every file a patient, or delete the line",
                code="bad-patients",
            )
        if name in rows and rows[name][0] != patient:
            raise ColdalError(
                f"{name} is listed for two patients ({rows[name][0]} and {patient})",
                where=f"{path}, line {reader.line_num}",
                remedy="keep the right line",
                code="bad-patients",
            )
        extra = {
            key: value.strip()
            for key, value in record.items()
            if key not in ("filename", "patient_id") and isinstance(value, str) and value.strip()
        }
        rows[name] = (patient, extra)
    counts: dict[str, int] = {}
    for name in rows:
        counts[name.lower()] = counts.get(name.lower(), 0) + 1
    folded = {name.lower(): name for name in rows if counts[name.lower()] == 1}
    return PatientTable(rows, folded)
