"""Writes a release completely or not at all: scans, labels, folds, drawings, card, checksums."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.exporters import ExportItem, ExportMeta, Progress
from coldal_tui.exchange.exporters.atomic_folder import Stage, staged
from coldal_tui.exchange.exporters.delivering import Check
from coldal_tui.exchange.exporters.images import source_files
from coldal_tui.exchange.exporters.packing import bytes_of
from coldal_tui.exchange.release.case import Case, Drawing, PlacedCase, ReleaseFormat
from coldal_tui.exchange.release.checksums import CHECKSUMS, checksum_text
from coldal_tui.exchange.release.data_card import Facts, card_text
from coldal_tui.files import sha256_file
from coldal_tui.imaging.labelfile import IGNORE_LABEL, label_suffix, read_label, write_label

FORMAT, VERSION = "coldal-tui release", 1
_MARGIN_BYTES = 1 << 20
_LABELS = ".labels"


@dataclass(frozen=True)
class Released:
    """A finished release; ``digest`` is the SHA-256 of its list of checksums."""

    folder: Path
    files: int
    links: int
    digest: str


def assemble(
    out: Path,
    cases: Sequence[Case],
    meta: ExportMeta,
    layout: ReleaseFormat,
    facts: Facts,
    *,
    link: bool = False,
    check: Check | None = None,
    progress: Progress | None = None,
) -> Released:
    """Write the new folder ``out``, read-only.

    ``link``: images that go in unchanged become symbolic links.
    ``check`` may refuse the finished folder.

    Raises
    ------
    UsageError : ``out`` exists, there is no case, or the format can't hold a scan.
    ColdalError : an image or a label can't be read, or the disk is full; nothing is left behind.
    """
    if out.exists() or out.is_symlink():
        raise UsageError(
            "a release is never written into a folder that exists",
            where=str(out),
            remedy="Name a new folder.",
            code="exists",
        )
    if not cases:
        raise UsageError(
            "there is no label to release",
            remedy="Import masks first: coldal-tui import-masks DIR.",
            code="nothing",
        )
    layout.check(cases, meta)
    items = [case.item for case in cases]
    linked = (
        frozenset(file for item in items for file in source_files(item)) if link else frozenset()
    )
    with staged(out, (0 if link else bytes_of(items)) + _MARGIN_BYTES, linked) as stage:
        value = layout.ignore_value(meta)
        placed = []
        for done, case in enumerate(cases, start=1):
            ready = replace(case, item=_with_value(stage, case.item, value))
            placed.append(PlacedCase(case, layout.place(stage, ready, meta)))
            _place_drawings(stage, case, value)
            if progress is not None:
                progress(done, len(cases), case.item.scan_id)
        shutil.rmtree(stage.folder / _LABELS, ignore_errors=True)
        layout.finish(stage, placed, meta, facts.licence)
        stage.write_text("folds.csv", _folds(placed))
        stage.write_text("release.json", _document(placed, meta, facts, value))
        stage.write_text("README.md", card_text(facts, layout.usage(placed), value))
        digest = stage.write_text(CHECKSUMS, checksum_text(stage.files))
        if check is not None:
            check(stage.folder)
        _close(stage.folder, folders=False)
    _close(out, folders=True)
    return Released(out, len(stage.files) - 1, stage.links, digest)


def _with_value(stage: Stage, item: ExportItem, value: int) -> ExportItem:
    """The item with a label file in which ignored pixels have the format's own value."""
    assert item.prelabel is not None  # a case has a label
    path = _translated(stage, item, item.prelabel, value)
    return item if path is item.prelabel else replace(item, prelabel=path)


def _translated(stage: Stage, item: ExportItem, file: Path, value: int) -> Path:
    label = read_label(file)
    if label.shape != item.header.shape:
        raise ColdalError(
            f"the label has {label.shape}, the scan {item.header.shape}",
            where=str(file),
            remedy="Look at it with coldal-tui labels check, and import the mask again.",
            code="grid",
        )
    if value == IGNORE_LABEL or not np.any(label == IGNORE_LABEL):
        return file
    label[label == IGNORE_LABEL] = value
    stage.make_folder(_LABELS)
    path = stage.folder / _LABELS / f"{item.scan_id}{label_suffix(item.header)}"
    path.unlink(missing_ok=True)
    write_label(path, label, item.header.affine)
    return path


def _place_drawings(stage: Stage, case: Case, value: int) -> None:
    for drawing in case.drawings:
        suffix = label_suffix(case.item.header)
        relative = _drawing_name(case, drawing, suffix)
        stage.copy(_translated(stage, case.item, drawing.label, value), relative)


def _drawing_name(case: Case, drawing: Drawing, suffix: str) -> str:
    return f"overlap/{drawing.rater}/{case.item.scan_id}{suffix}"


def _folds(placed: Sequence[PlacedCase]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["scan_id", "patient", "subset", "fold", "image", "label"])
    for one in placed:
        case = one.case
        fold = "" if case.fold is None else case.fold
        row = [case.item.scan_id, case.patient, case.subset, fold]
        writer.writerow([*row, one.placed.image, one.placed.prelabel])
    return stream.getvalue()


def _document(placed: Sequence[PlacedCase], meta: ExportMeta, facts: Facts, value: int) -> str:
    """``release.json``: the facts of the data card, and one object per scan."""
    hidden = meta.deidentifier is not None
    about: dict[str, Any] = {"format": FORMAT, "version": VERSION, **facts.as_json()}
    about["values"] = {"background": 0}
    about["values"] |= {name: number for number, name in enumerate(meta.classes, start=1)}
    if meta.ignore_value is not None:
        about["values"]["ignore"] = value
    about["cases"] = [
        {
            "scan_id": one.case.item.scan_id,
            "patient": one.case.patient,
            "subset": one.case.subset,
            "fold": one.case.fold,
            "image": one.placed.image,
            # The hash of the project's own file would link a pseudonym to its scan.
            "source_sha256": None if hidden else one.placed.sha256,
            "label": one.placed.prelabel,
            "shape": list(one.case.item.header.shape),
            "spacing": list(one.case.item.header.spacing or ()) or None,
            "modality": one.case.item.header.modality,
            "role": one.case.item.role,
            "round": one.case.item.round,
            "rater": one.case.rater,
            "drawings": [
                _drawing_name(one.case, drawing, label_suffix(one.case.item.header))
                for drawing in one.case.drawings
            ],
        }
        for one in placed
    ]
    return json.dumps(about, indent=1, ensure_ascii=False) + "\n"


def _close(folder: Path, *, folders: bool) -> None:
    """Take away the right to write from files, or from folders; links are left alone."""
    for root, _, names in os.walk(folder, topdown=False):
        paths = [Path(root)] if folders else [Path(root, name) for name in names]
        for path in paths:
            if not path.is_symlink():
                mode = stat.S_IMODE(path.stat().st_mode)
                path.chmod(mode & ~0o222)


def whole_digest(folder: Path) -> str:
    """The SHA-256 that stands for a release: that of its list of checksums."""
    return sha256_file(folder / CHECKSUMS)
