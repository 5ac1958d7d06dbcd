"""The plain folder: images as they are, pre-labels, a manifest, and a page for the labeler."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coldal_tui.errors import UsageError
from coldal_tui.exchange.exporters import ExportItem, ExportMeta, ExportResult, Progress
from coldal_tui.exchange.exporters.companions import companion_files
from coldal_tui.exchange.exporters.readme import labeler_readme
from coldal_tui.exchange.exporters.staging import Stage, staged
from coldal_tui.exchange.manifest import CSV_NAME, JSON_NAME, to_csv, to_json
from coldal_tui.exchange.names import image_ending
from coldal_tui.imaging.labelfile import IGNORE_LABEL

_MARGIN_BYTES = 1 << 20
"""For the manifest and the page beside the images."""


def export_folder(
    out: Path,
    items: Sequence[ExportItem],
    meta: ExportMeta,
    progress: Progress | None = None,
) -> ExportResult:
    """Write ``items`` to the new folder ``out``: all of it, or nothing.

    ``images/<scan_id>.<ending>`` is the scan's file byte for byte; a DICOM series becomes
    ``images/<scan_id>/0001.dcm``, ... in the series' order, and an image with a detached header
    keeps its file names in ``images/<scan_id>/``. ``prelabels/``, ``manifest.csv``,
    ``manifest.json``, ``labels.json``, ``README.md`` and an empty ``masks/`` lie beside it.

    Raises
    ------
    UsageError : ``out`` exists and is not empty, or nothing is to be exported.
    ColdalError : an image can't be read, or the disk is full; nothing is left behind.
    """
    if not items:
        raise UsageError(
            "there are no scans to export",
            remedy="Select scans first: coldal-tui select.",
            code="nothing",
        )
    ordered = sorted(items, key=lambda item: (item.rank, item.scan_id))
    sources = {item.scan_id: _sources(item) for item in ordered}
    if len(sources) != len(ordered):
        raise UsageError("a scan is listed twice", code="twice")
    images: dict[str, str] = {}
    with staged(out, _bytes_of(ordered, sources) + _MARGIN_BYTES) as stage:
        rows = []
        for done, item in enumerate(ordered, start=1):
            image, images[item.scan_id] = _copy_image(stage, item, sources[item.scan_id])
            rows.append(_row(item, image, images[item.scan_id], _copy_prelabel(stage, item)))
            if progress is not None:
                progress(done, len(ordered), item.scan_id)
        _write_about(stage, ordered, rows, meta)
    return ExportResult(out, stage.files, images)


def _sources(item: ExportItem) -> tuple[Path, ...]:
    files = tuple(Path(file) for file in item.ref.files)
    return files if len(files) > 1 else files + companion_files(files[0])


def _bytes_of(items: Sequence[ExportItem], sources: dict[str, tuple[Path, ...]]) -> int:
    files = [file for group in sources.values() for file in group]
    files += [item.prelabel for item in items if item.prelabel is not None]
    # A missing file is reported when it is copied, with its name.
    return sum(file.stat().st_size for file in files if file.exists())


def _copy_image(stage: Stage, item: ExportItem, files: Sequence[Path]) -> tuple[str, str]:
    """Copy a scan's files; its path in the export and its SHA-256."""
    folder = f"images/{item.scan_id}"
    if len(files) == 1:
        relative = folder + image_ending(files[0].name, item.ref.kind)
        return relative, stage.copy(files[0], relative)
    if item.ref.kind == "dicom":
        digests = [
            stage.copy(file, f"{folder}/{number:04d}.dcm")
            for number, file in enumerate(files, start=1)
        ]
        return folder, series_sha256(digests)
    digests = [stage.copy(file, f"{folder}/{file.name}") for file in files]
    return f"{folder}/{files[0].name}", digests[0]


def series_sha256(digests: Sequence[str]) -> str:
    """One hash for a scan of several files: SHA-256 of their hashes, one per line."""
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()


def _copy_prelabel(stage: Stage, item: ExportItem) -> tuple[str, str] | None:
    if item.prelabel is None:
        return None
    relative = f"prelabels/{item.scan_id}{image_ending(item.prelabel.name, item.ref.kind)}"
    return relative, stage.copy(item.prelabel, relative)


def _row(
    item: ExportItem, image: str, sha256: str, prelabel: tuple[str, str] | None
) -> dict[str, Any]:
    header = item.header
    return {
        "rank": item.rank,
        "scan_id": item.scan_id,
        "image": image,
        "sha256": sha256,
        "modality": header.modality,
        "shape": list(header.shape),
        "spacing": None if header.spacing is None else list(header.spacing),
        "role": item.role,
        "cluster": item.cluster,
        "score": item.score,
        "round": item.round,
        "strategy": item.strategy,
        "run": item.run,
        "prelabel": prelabel[0] if prelabel else None,
        "assignee": item.assignee,
        "prelabel_sha256": prelabel[1] if prelabel else None,
    }


def _write_about(
    stage: Stage, items: Sequence[ExportItem], rows: Sequence[dict[str, Any]], meta: ExportMeta
) -> None:
    about = {
        "project": meta.project,
        "created": meta.created,
        "exported_by": meta.exported_by,
        "classes": list(meta.classes),
        "ignore_value": meta.ignore_value,
    }
    prelabels = sum(row["prelabel"] is not None for row in rows)
    stage.make_folder("masks")
    stage.write_text(JSON_NAME, to_json(rows, about))
    stage.write_text(CSV_NAME, to_csv(rows))
    stage.write_text("labels.json", _labels_json(meta, prelabels > 0))
    stage.write_text("README.md", labeler_readme(items, meta, prelabels))


def _labels_json(meta: ExportMeta, with_prelabels: bool) -> str:
    classes = [{"name": name, "value": value} for value, name in enumerate(meta.classes, start=1)]
    document: dict[str, Any] = {
        "background": 0,
        "classes": classes,
        "ignore": meta.ignore_value,
    }
    if with_prelabels:
        document["prelabel_ignore"] = IGNORE_LABEL
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
