"""The manifest of an export: written beside what labelers get, read when their masks return."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coldal_tui.exchange.names import file_stem, same_name

FORMAT = "coldal-tui queue"
VERSION = 1
JSON_NAME = "manifest.json"
CSV_NAME = "manifest.csv"
COLUMNS = (
    "rank",
    "scan_id",
    "image",
    "sha256",
    "modality",
    "shape",
    "spacing",
    "role",
    "cluster",
    "score",
    "round",
    "strategy",
    "run",
    "prelabel",
    "assignee",
)
_LEVELS_ABOVE = 2
"""How far above the imported folder a manifest is looked for: ``export/masks/anna``."""


@dataclass(frozen=True)
class ManifestEntry:
    """One exported scan: its image and pre-label relative to the manifest, and their hashes."""

    scan_id: str
    image: str
    sha256: str | None = None
    prelabel: str | None = None
    prelabel_sha256: str | None = None


@dataclass(frozen=True)
class Manifest:
    """A manifest that was found, and where."""

    path: Path
    entries: tuple[ManifestEntry, ...]
    _by_stem: dict[str, ManifestEntry] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for entry in self.entries:
            self._by_stem[same_name(file_stem(entry.image))] = entry
        for entry in self.entries:
            self._by_stem[same_name(entry.scan_id)] = entry

    def entry_for(self, stem: str) -> ManifestEntry | None:
        """The exported scan whose id or image name is ``stem``."""
        return self._by_stem.get(same_name(stem))

    def images(self) -> Iterable[Path]:
        """Where the exported images lie: those are never masks."""
        return (self.path.parent / entry.image for entry in self.entries)

    def prelabels(self) -> Iterable[tuple[Path, str | None]]:
        """Where the exported pre-labels lie, and what they were."""
        for entry in self.entries:
            if entry.prelabel:
                yield self.path.parent / entry.prelabel, entry.prelabel_sha256


class ManifestFinder:
    """Finds the manifest that covers a mask: beside it or above it, near the imported folder."""

    def __init__(self, source: Path) -> None:
        folder = source if source.is_dir() else source.parent
        self._highest = len(folder.resolve().parts) - _LEVELS_ABOVE
        self._known: dict[Path, Manifest | None] = {}
        self._asked: dict[Path, Manifest | None] = {}

    def covering(self, folder: Path) -> Manifest | None:
        """The nearest manifest at or above ``folder``, or None."""
        if folder not in self._asked:
            self._asked[folder] = self._covering(folder.resolve())
        return self._asked[folder]

    def found(self) -> tuple[Manifest, ...]:
        """Every manifest met so far."""
        unique = {m.path: m for m in self._known.values() if m is not None}
        return tuple(unique.values())

    def _covering(self, folder: Path) -> Manifest | None:
        if folder not in self._known:
            manifest = read_manifest(folder)
            if manifest is None and len(folder.parts) > max(self._highest, 1):
                manifest = self._covering(folder.parent)
            self._known[folder] = manifest
        return self._known[folder]


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in ``folder``: its JSON, else its CSV; None where neither is ours."""
    for name, read in ((JSON_NAME, _read_json), (CSV_NAME, _read_csv)):
        path = folder / name
        try:
            rows = read(path)
        except (OSError, ValueError, csv.Error):
            continue
        if rows is not None:
            return Manifest(path, tuple(entry for row in rows if (entry := _entry(row))))
    return None


def to_json(rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> str:
    """The manifest as JSON text: ``about`` (project, time, classes) and one object per scan."""
    document = {"format": FORMAT, "version": VERSION, **about, "items": list(rows)}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The manifest as CSV text with ``COLUMNS``; sizes as ``512x381``, absent values empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(row.get(column)) for column in COLUMNS] for row in rows)
    return stream.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return "x".join(str(part) for part in value)
    return str(value)


def _read_json(path: Path) -> list[dict[str, Any]] | None:
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        return None
    return [row for row in document.get("items", []) if isinstance(row, dict)]


def _read_csv(path: Path) -> list[dict[str, Any]] | None:
    # Spreadsheets put a byte order mark first when they save.
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        if not {"scan_id", "image"} <= set(reader.fieldnames or ()):
            return None
        return [dict(row) for row in reader]


def _entry(row: Mapping[str, Any]) -> ManifestEntry | None:
    scan_id, image = row.get("scan_id"), row.get("image")
    if not isinstance(scan_id, str) or not isinstance(image, str) or not scan_id or not image:
        return None
    return ManifestEntry(
        scan_id,
        image,
        row.get("sha256") or None,
        row.get("prelabel") or None,
        row.get("prelabel_sha256") or None,
    )
