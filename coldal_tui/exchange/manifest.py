"""Writes the manifest of an export, and reads it when masks come back.

``manifest.json`` is one object:

- ``format`` (``coldal-tui queue``), ``version`` (1), ``project``, ``classes``, ``ignore_value``;
- ``created``, ``exported_by``: left out where the export is de-identified;
- ``person``: the labeler this folder is for, if there are several;
- ``deidentified``: true where every ``scan_id`` is a pseudonym of the project's key map;
- ``annotations``: files that hold pre-labels of many scans, with their SHA-256 as exported;
- ``items``: one object per scan, with these fields (``manifest.csv`` has the first ones).

Labelers are blinded: only the project's own copy of the manifest, beside the export's folder,
states why a scan was selected; it lists the scans of all labelers.

======================  ===========================================================================
``rank``                place in the queue, 1 first
``scan_id``             the scan's id, or its pseudonym
``image``               path of the image (a folder: of a DICOM series; else of its first slice)
``sha256``              of the scan's own image in the project; null where de-identified
``modality``            such as CT; null where unknown
``shape``               the scan's grid: ``[rows, columns]`` or ``[i, j, k]``
``spacing``             mm per grid axis, or null
``role``, ``cluster``,  why the scan is in the queue: in the project's own copy alone
``score``, ``round``,
``strategy``
``run``                 which model made the pre-label
``prelabel``            path of the pre-label, or of the file with those of many scans; or null
``assignee``            who is to draw it: the author of the mask that comes back
``prelabel_sha256``     of that file as exported: one that nobody edited is no mask
``image_sha256``        of ``image``, where it is not the scan's own file
``slices``              of a volume that was cut into pictures: ``axis`` (the grid axis cut),
                        ``row_axis``, ``column_axis`` (that run down and across),
                        ``flip_rows``, ``flip_columns`` (``imaging.picture.SliceView``), ``window``
                        (black, white per channel), ``every``, ``files`` of ``image`` and ``index``
                        (and ``sha256`` of each file: in the project's own copy alone)
======================  ===========================================================================
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from coldal_tui.exchange.names import file_stem, same_name
from coldal_tui.exchange.slices import SliceStack, stack_from_row

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
    "run",
    "prelabel",
    "assignee",
)
OWN_COLUMNS = (*COLUMNS, "role", "cluster", "score", "round", "strategy")
"""Columns of the project's own copy."""

OWN_JSON, OWN_CSV = ".manifest.json", ".manifest.csv"
"""Endings of the project's own copy: ``exports/NAME.manifest.json`` beside ``exports/NAME/``."""

_LEVELS_ABOVE = 2
"""How many folders above the imported one a manifest is searched for: ``export/masks/anna``."""


@dataclass(frozen=True)
class ManifestEntry:
    """One exported scan: its image and pre-label relative to the manifest, and their hashes.

    ``slices`` describes how a volume was cut into pictures, ``assignee`` is its labeler,
    ``minutes`` how long that person drew, where a column ``minutes`` was filled in.
    ``image_sha256`` is that of the exported image, ``slice_sha256`` those of ``slice_images``;
    None where they are not known.
    """

    scan_id: str
    image: str
    sha256: str | None = None
    prelabel: str | None = None
    prelabel_sha256: str | None = None
    assignee: str | None = None
    slices: SliceStack | None = None
    slice_images: tuple[str, ...] = ()
    minutes: float | None = None
    image_sha256: str | None = None
    slice_sha256: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """A manifest and its folder.

    ``annotations`` are files with pre-labels of many scans, and their SHA-256 as exported.
    ``deidentified``: its scan ids are pseudonyms. ``person`` is the labeler the folder was for.
    ``classes`` are the names of the values 1, 2, … given to its labelers.
    """

    path: Path
    entries: tuple[ManifestEntry, ...]
    annotations: tuple[tuple[str, str], ...] = ()
    deidentified: bool = False
    person: str | None = None
    classes: tuple[str, ...] = ()
    _by_stem: dict[str, ManifestEntry] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for entry in self.entries:
            if entry.slices is None:
                self._by_stem[same_name(file_stem(entry.image))] = entry
            else:
                self._by_stem.update(dict.fromkeys(entry.slices.indices, entry))
        for entry in self.entries:
            self._by_stem[same_name(entry.scan_id)] = entry

    def entry_for(self, stem: str) -> ManifestEntry | None:
        """The exported scan whose id, image name or slice name is ``stem``."""
        return self._by_stem.get(same_name(stem))

    def slice_for(self, stem: str) -> SliceStack | None:
        """The slice stack that picture ``stem`` belongs to; None for other names."""
        entry = self.entry_for(stem)
        stack = entry.slices if entry else None
        return stack if stack is not None and same_name(stem) in stack.indices else None

    def with_people(self, names: Mapping[str, str]) -> Manifest:
        """A copy of the manifest with people's names replaced."""
        entries = tuple(
            replace(entry, assignee=names.get(entry.assignee or "", entry.assignee))
            for entry in self.entries
        )
        person = names.get(self.person or "", self.person)
        return replace(self, entries=entries, person=person, _by_stem={})

    def images(self) -> Iterable[tuple[Path, str | None]]:
        """Paths of the exported images, and their SHA-256 where it is known.

        A file with these bytes is never a mask. A DICOM series is a folder, with one hash for all
        its files.
        """
        for entry in self.entries:
            if entry.slices is None:
                yield self.path.parent / entry.image, entry.image_sha256
            for image, digest in zip(entry.slice_images, entry.slice_sha256, strict=True):
                yield self.path.parent / image, digest

    def prelabels(self) -> Iterable[tuple[Path, str | None]]:
        """Paths of the exported pre-labels, and their SHA-256."""
        for name, digest in self.annotations:
            yield self.path.parent / name, digest
        for entry in self.entries:
            if entry.prelabel:
                yield self.path.parent / entry.prelabel, entry.prelabel_sha256


class ManifestFinder:
    """Finds the manifest for a mask: in its folder or above, near the imported folder."""

    def __init__(self, source: Path, above: int = _LEVELS_ABOVE) -> None:
        """``above``: how many folders above the source are searched."""
        folder = source if source.is_dir() else source.parent
        self._highest = len(folder.resolve().parts) - above
        self._known: dict[Path, Manifest | None] = {}

    def covering(self, folder: Path) -> Manifest | None:
        """The nearest manifest at or above ``folder``, or None."""
        return self._covering(folder.resolve())

    def _covering(self, folder: Path) -> Manifest | None:
        if folder not in self._known:
            manifest = read_manifest(folder)
            if manifest is None and len(folder.parts) > max(self._highest, 1):
                manifest = self._covering(folder.parent)
            self._known[folder] = manifest
        return self._known[folder]


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest in ``folder``: its JSON, else its CSV; None when neither is valid."""
    for name, read in ((JSON_NAME, _read_json), (CSV_NAME, _read_csv)):
        path = folder / name
        try:
            document = read(path)
        except (OSError, ValueError, csv.Error):
            continue
        if document is not None:
            return _with_minutes(_manifest(path, document), folder / CSV_NAME)
    return None


def _with_minutes(manifest: Manifest, table: Path) -> Manifest:
    """The manifest with the minutes that a labeler wrote into the table beside it."""
    try:
        document = _read_csv(table)
    except (OSError, ValueError, csv.Error):
        return manifest
    told = {row.get("scan_id"): _minutes(row) for row in (document or {}).get("items", ())}
    entries = tuple(
        entry if (minutes := told.get(entry.scan_id)) is None else replace(entry, minutes=minutes)
        for entry in manifest.entries
    )
    return replace(manifest, entries=entries, _by_stem={})


def _minutes(row: Mapping[str, Any]) -> float | None:
    """The number in a column ``minutes``, also with a decimal comma; None for anything else."""
    try:
        found = float(str(row.get("minutes") or "").strip().replace(",", "."))
    except ValueError:
        return None
    return found if 0 <= found < math.inf else None


def read_own_manifest(path: Path) -> Manifest | None:
    """Read the project's own copy of a manifest; None when the file is not a manifest."""
    try:
        document = _read_json(path)
    except (OSError, ValueError):
        return None
    return _manifest(path, document) if document is not None else None


def _manifest(path: Path, document: Mapping[str, Any]) -> Manifest:
    items = document.get("items")
    rows = [row for row in items if isinstance(row, dict)] if isinstance(items, list) else []
    files = document.get("annotations")
    return Manifest(
        path,
        tuple(entry for row in rows if (entry := _entry(row))),
        tuple(
            (name, digest)
            for name, digest in (files.items() if isinstance(files, dict) else ())
            if isinstance(digest, str)
        ),
        document.get("deidentified") is True,
        _text(document, "person"),
        _names(document.get("classes")),
    )


def to_json(rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> str:
    """The manifest as JSON text: ``about`` (project, time, classes) and one object per scan."""
    document = {"format": FORMAT, "version": VERSION, **about, "items": list(rows)}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def to_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = COLUMNS) -> str:
    """The manifest as CSV text with ``columns``; sizes as ``512x381``, absent values empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return stream.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return "x".join(str(part) for part in value)
    return str(value)


def _read_json(path: Path) -> dict[str, Any] | None:
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        return None
    return document


def _read_csv(path: Path) -> dict[str, Any] | None:
    # Spreadsheets put a byte order mark first when they save.
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        if not {"scan_id", "image"} <= set(reader.fieldnames or ()):
            return None
        return {"items": [dict(row) for row in reader]}


def _entry(row: Mapping[str, Any]) -> ManifestEntry | None:
    scan_id, image = row.get("scan_id"), row.get("image")
    if not isinstance(scan_id, str) or not isinstance(image, str) or not scan_id or not image:
        return None
    slices = stack_from_row(row)
    files = row["slices"]["files"] if slices else ()
    # Only the JSON says by ``image_sha256`` whether the image is the scan's own file.
    own = _text(row, "image_sha256") or (_text(row, "sha256") if "prelabel_sha256" in row else None)
    return ManifestEntry(
        scan_id,
        image,
        _text(row, "sha256"),
        _text(row, "prelabel"),
        _text(row, "prelabel_sha256"),
        _text(row, "assignee"),
        slices,
        tuple(one["image"] for one in files),
        _minutes(row),
        None if row.get("slices") else own,
        tuple(_text(one, "sha256") for one in files),
    )


def _names(value: Any) -> tuple[str, ...]:
    """A list of names; empty if any entry is not a name, since their positions count."""
    names = value if isinstance(value, list) else []
    return tuple(names) if all(isinstance(name, str) and name for name in names) else ()


def _text(row: Mapping[str, Any], key: str) -> str | None:
    value = row.get(key)
    return value if isinstance(value, str) and value else None
