"""Assembles every export: scans by rank, manifest, label values and README."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from coldal_tui.errors import UsageError
from coldal_tui.exchange.exporters import ExportItem, ExportMeta, ExportResult, Progress
from coldal_tui.exchange.exporters.atomic_folder import Stage, staged
from coldal_tui.exchange.exporters.images import source_files
from coldal_tui.exchange.exporters.readme import Page, labeler_readme
from coldal_tui.exchange.manifest import CSV_NAME, JSON_NAME, to_csv, to_json
from coldal_tui.imaging.labelfile import IGNORE_LABEL
from coldal_tui.imaging.picture import SliceView

_MARGIN_BYTES = 1 << 20
"""For the manifest and the page beside the images."""


@dataclass(frozen=True)
class ShownSlice:
    """One slice of a volume as a picture: its path in the export and its index."""

    image: str
    index: int


@dataclass(frozen=True)
class Slices:
    """How a volume was cut into pictures; needed to put their masks back into the volume.

    ``window`` gives the intensities shown as black and as white, per channel, in stored units.
    """

    view: SliceView
    window: tuple[tuple[float, float], ...]
    every: int
    shown: tuple[ShownSlice, ...]

    def as_json(self) -> dict[str, Any]:
        view = self.view
        return {
            "axis": view.axis,
            "row_axis": view.row_axis,
            "column_axis": view.column_axis,
            "flip_rows": view.flip_rows,
            "flip_columns": view.flip_columns,
            "window": [list(pair) for pair in self.window],
            "every": self.every,
            "files": [{"image": one.image, "index": one.index} for one in self.shown],
        }


@dataclass(frozen=True)
class Placed:
    """One scan in an export.

    ``image`` is its path there; ``sha256`` is the hash of the scan's own image, ``image_sha256``
    the hash of the exported file when that differs. ``prelabel`` is the path of its own file, or of
    a file for many scans that ``Layout.finish`` writes.
    """

    item: ExportItem
    image: str
    sha256: str
    image_sha256: str | None = None
    prelabel: str | None = None
    prelabel_sha256: str | None = None
    slices: Slices | None = None
    notes: tuple[str, ...] = ()


class Layout(Protocol):
    """The format-specific part of an export: paths of scans, index files, README."""

    @property
    def empty(self) -> Sequence[str]:
        """Make the empty folders that labelers save into."""

    def check(self, items: Sequence[ExportItem], meta: ExportMeta) -> None:
        """Refuse scans that the format can't hold, before anything is written.

        Raises
        ------
        UsageError : which scans, why, and what to use instead.
        """

    def place(self, stage: Stage, item: ExportItem, meta: ExportMeta) -> Placed:
        """Write one scan and its pre-label. Raises ColdalError."""

    def finish(self, stage: Stage, placed: Sequence[Placed], meta: ExportMeta) -> Mapping[str, str]:
        """Write the format's own files; returns those that hold pre-labels, with their SHA-256."""

    def page(self, placed: Sequence[Placed], meta: ExportMeta) -> Page:
        """The labeler's instructions, step by step."""


def pack(
    layout: Layout,
    out: Path,
    items: Sequence[ExportItem],
    meta: ExportMeta,
    progress: Progress | None = None,
) -> ExportResult:
    """Write an export in one layout to the new folder ``out``, completely or not at all.

    Raises
    ------
    UsageError : ``out`` exists and is not empty, nothing is to be exported, or the format can't
        hold a scan.
    ColdalError : an image can't be read, or the disk is full; nothing is left behind.
    """
    ordered = in_rank_order(items)
    layout.check(ordered, meta)
    with staged(out, bytes_of(ordered) + _MARGIN_BYTES) as stage:
        placed = []
        drawings: dict[str, str] = {}
        for done, item in enumerate(ordered, start=1):
            placed.append(layout.place(stage, item, meta))
            drawings |= _copy_layers(stage, item)
            if progress is not None:
                progress(done, len(ordered), item.scan_id)
        for folder in layout.empty:
            stage.make_folder(folder)
        annotations = {**layout.finish(stage, placed, meta), **drawings}
        write_about(stage, placed, meta, layout.page(placed, meta), annotations)
    return ExportResult(
        out,
        stage.files,
        {one.item.scan_id: one.sha256 for one in placed},
        frozenset(one.item.scan_id for one in placed if one.prelabel),
    )


def _copy_layers(stage: Stage, item: ExportItem) -> dict[str, str]:
    """Copy a scan's further label files; like pre-labels they are no masks when they come back."""
    found = {}
    for name, path in item.layers:
        ending = ".nii.gz" if path.name.endswith(".nii.gz") else path.suffix
        relative = f"drawings/{item.scan_id}.{name}{ending}"
        found[relative] = stage.write_bytes(relative, path.read_bytes())
    return found


def in_rank_order(items: Sequence[ExportItem]) -> list[ExportItem]:
    """Sort the items by rank. Raises UsageError if there are none, or one is listed twice."""
    if not items:
        raise UsageError(
            "there are no scans to export",
            remedy="Select scans first: coldal-tui select.",
            code="nothing",
        )
    if len({item.scan_id for item in items}) != len(items):
        raise UsageError("a scan is listed twice", code="twice")
    return sorted(items, key=lambda item: (item.rank, item.scan_id))


def refuse(items: Sequence[ExportItem], why: str, remedy: str) -> None:
    """Raise UsageError if ``items`` names scans that a format can't hold."""
    if not items:
        return
    shown = ", ".join(item.scan_id for item in items[:4])
    more = f" and {len(items) - 4} more" if len(items) > 4 else ""
    raise UsageError(f"{why}: {shown}{more}", remedy=remedy, code="wrong-format")


def bytes_of(items: Sequence[ExportItem]) -> int:
    """The size of all images and pre-labels, in bytes; missing files count nothing."""
    files = [file for item in items for file in source_files(item)]
    files += [item.prelabel for item in items if item.prelabel is not None]
    # A missing file is reported when it is copied, with its name.
    return sum(file.stat().st_size for file in files if file.exists())


def write_about(
    stage: Stage,
    placed: Sequence[Placed],
    meta: ExportMeta,
    page: Page,
    annotations: Mapping[str, str],
) -> None:
    """Write the manifest, the label values and the README, which all formats share."""
    rows = [_row(one, meta, annotations) for one in placed]
    about: dict[str, Any] = {"project": meta.project}
    about |= {"created": meta.created} if meta.created else {}
    about |= {"exported_by": meta.exported_by} if meta.exported_by else {}
    about |= {"person": meta.person} if meta.person else {}
    about |= {"deidentified": True} if meta.deidentifier else {}
    about |= {"classes": list(meta.classes), "ignore_value": meta.ignore_value}
    if annotations:
        about["annotations"] = dict(annotations)
    prelabels = [one.prelabel for one in placed if one.prelabel is not None]
    stage.write_text(JSON_NAME, to_json(rows, about))
    stage.write_text(CSV_NAME, to_csv(rows))
    stage.write_text("labels.json", labels_json(meta, with_prelabels=bool(prelabels)))
    notes = list(_notes(placed, meta))
    stage.write_text("README.md", labeler_readme(len(placed), prelabels, meta, page, notes))


def _row(placed: Placed, meta: ExportMeta, annotations: Mapping[str, str]) -> dict[str, Any]:
    """A scan's row in the labeler's manifest, without the reason for its selection (blinding)."""
    item, header = placed.item, placed.item.header
    shared = annotations.get(placed.prelabel or "")
    row = {
        "rank": item.rank,
        "scan_id": item.scan_id,
        "image": placed.image,
        # The hash of the project's own file would link a pseudonym to its scan.
        "sha256": None if meta.deidentifier else placed.sha256,
        "modality": header.modality,
        "shape": list(header.shape),
        "spacing": None if header.spacing is None else list(header.spacing),
        "run": item.run,
        "prelabel": placed.prelabel,
        "assignee": item.assignee,
        "prelabel_sha256": placed.prelabel_sha256 or shared,
    }
    if placed.image_sha256 is not None:
        row["image_sha256"] = placed.image_sha256
    if placed.slices is not None:
        row["slices"] = placed.slices.as_json()
    return row


def labels_json(meta: ExportMeta, *, with_prelabels: bool) -> str:
    """The label values as JSON text; ``with_prelabels`` adds the value that these ignore."""
    classes = [{"name": name, "value": value} for value, name in enumerate(meta.classes, start=1)]
    document: dict[str, Any] = {
        "background": 0,
        "classes": classes,
        "ignore": meta.ignore_value,
    }
    if with_prelabels:
        document["prelabel_ignore"] = IGNORE_LABEL
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _notes(placed: Sequence[Placed], meta: ExportMeta) -> Iterator[str]:
    """Notes on single scans and on the whole export."""
    if meta.deidentifier is not None:
        yield meta.deidentifier.statement
    told: dict[str, list[str]] = {}
    for one in placed:
        for note in one.notes:
            told.setdefault(note, []).append(one.item.scan_id)
    for note, scans in told.items():
        shown = ", ".join(f"`{scan}`" for scan in scans[:8])
        more = f" and {len(scans) - 8} more" if len(scans) > 8 else ""
        yield f"{note}: {shown}{more}."
