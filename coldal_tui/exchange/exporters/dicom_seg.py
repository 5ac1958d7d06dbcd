"""DICOM for viewers such as OHIF: the scans' files, and pre-labels as DICOM segmentations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.exchange.exporters import ExportItem, ExportMeta, ExportResult, Progress
from coldal_tui.exchange.exporters.atomic_folder import Stage
from coldal_tui.exchange.exporters.images import place_dicom, prelabel_of
from coldal_tui.exchange.exporters.packing import Placed, pack, refuse
from coldal_tui.exchange.exporters.readme import (
    EMPTY_CASE,
    KEEP_GEOMETRY,
    KEEP_MANIFEST,
    Page,
    steps,
)
from coldal_tui.exchange.exporters.seg_object import SegSource, SourceFrame, segmentation_bytes
from coldal_tui.imaging.dicom.attributes import frames_of
from coldal_tui.imaging.dicom.frames import frame_stack
from coldal_tui.imaging.dicom.object import read_dataset
from coldal_tui.imaging.image import ScanHeader
from coldal_tui.imaging.readers.limits import decoding

_NO_PRELABEL = "The model proposes nothing at all for, so there is no segmentation to open"


def export_dicom_seg(
    out: Path,
    items: Sequence[ExportItem],
    meta: ExportMeta,
    progress: Progress | None = None,
) -> ExportResult:
    """Write ``images/<scan_id>/0001.dcm``, … and ``prelabels/<scan_id>.seg.dcm``.

    Raises
    ------
    UsageError : a scan is not DICOM.
    """
    return pack(_DicomSeg(), out, items, meta, progress)


class _DicomSeg:
    empty = ("masks",)

    def check(self, items: Sequence[ExportItem], meta: ExportMeta) -> None:
        """Refuse scans that are not DICOM: a DICOM segmentation must refer to DICOM images."""
        refuse(
            [item for item in items if item.ref.kind != "dicom"],
            "a DICOM segmentation needs DICOM images, and these scans are none",
            "Use --to slicer or --to nifti for them.",
        )

    def place(self, stage: Stage, item: ExportItem, meta: ExportMeta) -> Placed:
        image = place_dicom(stage, item, meta)
        placed = Placed(item, image.path, image.sha256, image.image_sha256)
        label = prelabel_of(item)
        if label is None:
            return placed
        source = seg_source(_placed_files(stage.folder / image.path), item.header)
        made = segmentation_bytes(
            in_frames(label), source, meta.classes, meta.created, f"coldal-tui {item.run or ''}"
        )
        if made is None:
            return Placed(item, image.path, image.sha256, image.image_sha256, notes=(_NO_PRELABEL,))
        relative = f"prelabels/{item.scan_id}.seg.dcm"
        digest = stage.write_bytes(relative, made)
        return Placed(item, image.path, image.sha256, image.image_sha256, relative, digest)

    def finish(self, stage: Stage, placed: Sequence[Placed], meta: ExportMeta) -> Mapping[str, str]:
        return {}

    def page(self, placed: Sequence[Placed], meta: ExportMeta) -> Page:
        first = placed[0].item.scan_id
        return Page(
            opening=[
                "With OHIF or another viewer on a DICOM server: send `images/` and `prelabels/` "
                "to the server (`storescu -aec SERVER +sd +r HOST PORT images prelabels`), open "
                "the study in segmentation mode, and double-click the series Pre-label.",
                "With 3D Slicer (extension Quantitative Reporting):",
                steps(
                    "Add DICOM Data > Import DICOM files: this folder.",
                    "Double-click the patient, then the series; load the segmentation Pre-label "
                    "with it.",
                    "Correct it in the Segment Editor.",
                ),
            ],
            saving=[
                "Save a DICOM segmentation (SEG) or structure set (RTSTRUCT) per scan into "
                f"`masks/`, under any name (such as `masks/{first}.dcm`): its UIDs tell which "
                "scan it belongs to.",
                "Segments and structures are named as the classes.",
                KEEP_GEOMETRY,
            ],
            prelabels="They lie in `prelabels/` and belong to the same studies.",
            returning=f"Return the `masks/` folder. {KEEP_MANIFEST} {EMPTY_CASE}",
        )


def _placed_files(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else [path]


def in_frames(label: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert a label ``(i, j, k)`` or ``(rows, columns)`` to ``(frames, rows, columns)``."""
    return label[np.newaxis] if label.ndim == 2 else label.transpose(2, 1, 0)


def seg_source(files: Sequence[Path], header: ScanHeader) -> SegSource:
    """The references to a scan's files for its segmentation, in slice order. Raises ImageError."""
    datasets = []
    for file in files:
        with decoding(file):
            datasets.append(read_dataset(file)[0])
    if len(files) > 1:
        frames = [_single(dataset) for dataset in datasets]
    else:
        frames = _frames(files[0], datasets[0])
    spacing, thickness = _measures(header)
    return SegSource(datasets[0], frames, spacing, thickness)


def _single(dataset: Any) -> SourceFrame:
    position, orientation = (
        dataset.get(keyword) for keyword in ("ImagePositionPatient", "ImageOrientationPatient")
    )
    placed = bool(position and orientation)
    return SourceFrame(
        str(dataset.SOPClassUID),
        str(dataset.SOPInstanceUID),
        None,
        tuple(float(v) for v in position) if placed else None,
        tuple(float(v) for v in orientation) if placed else None,
    )


def _frames(file: Path, dataset: Any) -> list[SourceFrame]:
    """The slices of one DICOM object: its only frame, or its frames in volume order."""
    count = frames_of(dataset)
    if count == 1 and "PerFrameFunctionalGroupsSequence" not in dataset:
        return [_single(dataset)]
    kind, uid = str(dataset.SOPClassUID), str(dataset.SOPInstanceUID)
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        return [SourceFrame(kind, uid, number + 1) for number in range(count)]
    stack = frame_stack(file, dataset, count)
    found = []
    for number in (int(n) for n in stack.order[:, 0]):
        position = _own_position(dataset, number) if stack.affine is not None else None
        found.append(SourceFrame(kind, uid, number + 1, position, stack.orientation))
    return found


def _own_position(dataset: Any, frame: int) -> tuple[float, ...]:
    from coldal_tui.imaging.dicom.frames import frame_item

    item = frame_item(dataset, frame, "PlanePositionSequence")
    return tuple(float(v) for v in item.ImagePositionPatient)


def _measures(header: ScanHeader) -> tuple[tuple[float, float] | None, float | None]:
    """(row, column) spacing of a frame, and the distance between frames, in mm."""
    spacing = header.spacing
    if spacing is None:
        return None, None
    if len(header.shape) == 2:
        depth = None
        if header.affine is not None:
            depth = float(np.linalg.norm(np.asarray(header.affine)[:3, 2]))
        return (spacing[0], spacing[1]), depth
    return (spacing[1], spacing[0]), spacing[2]
