"""DICOM segmentations (OHIF, 3D Slicer, MD.ai, dcmqi, highdicom): PS3.3 A.51 and A.93.

Empty frames are not stored, so a frame's number is no slice index: each frame is placed by the
instance it refers to, else by its position.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels, ScanTarget
from coldal_tui.exchange.importers.shared.dicom_header import (
    drawn_on,
    items,
    moment,
    person,
    read_without_pixels,
    sop_class,
    tool,
    uids_of,
)
from coldal_tui.exchange.importers.shared.dicom_seg_frames import (
    Cut,
    Frame,
    Plane,
    Segmentation,
    decoded,
    read_frames,
)
from coldal_tui.exchange.importers.shared.dicom_seg_grid import own_grid
from coldal_tui.exchange.masks.grid_canvas import Canvas, Window, grid_shape, pixels_on
from coldal_tui.imaging import geometry
from coldal_tui.imaging.geometry import GridMatch, Triple
from coldal_tui.visible import counted

_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentation and Label Map Segmentation Storage (PS3.4 table B.5-1)."""

_PLACED = ("match", "drift", "flip", "crop")
_TITLE = "DICOM-SEG"


class DicomSegImporter:
    """Reads DICOM segmentations by their SOP class."""

    name = "dicom-seg"
    priority = 0
    endings: Mapping[str, str] = {}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """Recognise DICOM segmentations: binary, fractional and label maps."""
        return _TITLE if sop_class(head) in _CLASSES else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """No other files belong to a segmentation."""
        return frozenset()

    def candidates(self, path: Path) -> Iterator[Candidate]:
        """One candidate, with the UIDs of its source images."""
        dataset, _ = read_without_pixels(path)
        yield Candidate(
            path,
            path.as_posix(),
            _TITLE,
            lambda: own_grid(read_frames(path)),
            uids=_source_uids(dataset),
            author=person(dataset, "ContentCreatorName", "OperatorsName"),
            tool=tool(dataset),
            updated=moment(dataset, "ContentDate", "ContentTime"),
            load_onto=lambda target: read_onto(path, target),
        )


IMPORTER = DicomSegImporter()


def read_onto(path: Path, target: ScanTarget) -> MaskPixels:
    """Decode a segmentation on a scan's grid, or on its own grid if that differs.

    Raises
    ------
    ImageError : damaged, truncated, of a whole-slide image, or with a missing or contradictory
        position.
    """
    segmentation = read_frames(path)
    placing = _Placing(segmentation, target)
    if placing.foreign:
        return own_grid(segmentation)
    windows = [placing.place(number) for number in range(len(segmentation.frames))]
    canvas = Canvas(grid_shape(target), max(segmentation.names, default=0) or 1)
    cut = Cut(segmentation)
    for frame, match, values in zip(
        segmentation.frames, windows, decoded(segmentation), strict=True
    ):
        for number, drawn in cut.segments(frame, values):
            kept, window = _clip(drawn, match, grid_shape(target))
            canvas.draw(window, kept, number)
    return pixels_on(target, canvas, segmentation.names, (*placing.notes(), *cut.notes()))


class _Placing:
    """Places the frames of a segmentation on a scan."""

    def __init__(self, segmentation: Segmentation, target: ScanTarget) -> None:
        self._segmentation = segmentation
        self._target = target
        self._shape = grid_shape(target)
        slices = {uid: k for k, uid in enumerate(target.instances) if uid}
        given = {new: slices[own] for new, own in target.renamed.items() if own in slices}
        self._slices = slices | given
        self._by_position = lru_cache(maxsize=None)(self._compare)
        self._worst = 0.0
        self._torn = 0

    @property
    def foreign(self) -> bool:
        """Whether frames lie on another grid than the scan's voxels."""
        planes = [frame.plane for frame in self._segmentation.frames]
        if self._target.affine is None or any(plane is None for plane in planes):
            return False
        return any(self._by_position(plane).kind not in _PLACED for plane in set(planes) if plane)

    def place(self, number: int) -> GridMatch:
        """The placement of a frame, as a grid of (columns, rows, 1), on the scan's grid."""
        frame = self._segmentation.frames[number]
        k = self._named_slice(frame)
        if frame.plane is None or self._target.affine is None:
            return self._by_name(frame, k, number)
        match = self._by_position(frame.plane)
        if match.kind not in _PLACED:
            raise self._misplaced(number, match.reason or "its pixels are not the scan's")
        self._worst = max(self._worst, match.error)
        thick = geometry.reoriented_shape(self._mask_shape, match)[2]
        if k is None or thick != 1 or match.offset[2] == k:
            return match
        self._torn += 1
        if self._target.frames_by == "position":
            return match
        if self._target.frames_by == "source":
            return replace(match, start=(match.start[0], match.start[1], float(k)))
        raise self._contradiction(number, k, match.offset[2])

    def _contradiction(self, number: int, source: int, position: int) -> ImageError:
        """Describe a frame whose reference names one slice while its position is on another."""
        pairs = []
        for frame in self._segmentation.frames:
            k = self._named_slice(frame)
            if k is not None and frame.plane is not None:
                pairs.append((k, self._by_position(frame.plane).offset[2]))
        reverse = len(set(pairs)) > 1 and len({a + b for a, b in pairs}) == 1
        what = "its frames name the scan's slices in reverse of where they lie: " if reverse else ""
        return ImageError(
            f"{what}frame {number + 1} names slice {source + 1} as its source and lies on slice "
            f"{position + 1}",
            where=self._segmentation.path.name,
            remedy="Look which of the two shows what was drawn, and import or accept it with "
            "--seg-frames position or --seg-frames source.",
            code="frames-disagree",
        )

    def notes(self) -> tuple[str, ...]:
        frames = len(self._segmentation.frames)
        found = [f"{counted(frames, 'frame')} placed on the scan's slices"]
        if self._torn:
            by = "positions" if self._target.frames_by == "position" else "sources"
            found.append(f"{counted(self._torn, 'frame')} placed by their {by}, as asked")
        if self._worst > geometry.MATCH_TOLERANCE:
            found.append(f"frames lie up to {self._worst:.3f} voxels beside the scan's grid")
        return tuple(found)

    @property
    def _mask_shape(self) -> Triple:
        return self._segmentation.columns, self._segmentation.rows, 1

    def _compare(self, plane: Plane) -> GridMatch:
        affine = np.asarray(self._target.affine)
        return geometry.compare(self._shape, affine, self._mask_shape, plane.affine())

    def _named_slice(self, frame: Frame) -> int | None:
        """The slice of the single instance that a frame refers to; None when unknown."""
        found = {self._slices[uid] for uid in frame.sources if uid in self._slices}
        if len(found) != 1 or len(frame.sources) != 1:
            return None
        k = found.pop()
        if len(self._target.instances) == self._shape[2]:
            return k
        # A multi-frame instance with positions is sorted by them, so frame numbers are no slices.
        stated = frame.source_frame
        return stated - 1 if stated is not None and self._target.affine is None else None

    def _by_name(self, frame: Frame, k: int | None, number: int) -> GridMatch:
        """The placement of a frame by its reference: the frame or the scan has no position."""
        if k is None or not 0 <= k < self._shape[2]:
            raise self._misplaced(number, "it names none of the scan's slices, nor a position")
        if not frame.aligned:
            raise self._misplaced(number, "its pixels do not lie on those of its source")
        if self._mask_shape[:2] != self._shape[:2]:
            sizes = [f"{shape[0]}×{shape[1]}" for shape in (self._mask_shape, self._shape)]
            raise self._misplaced(number, f"it is {sizes[0]} pixels, the scan's slice {sizes[1]}")
        return GridMatch("crop", 0.0, start=(0.0, 0.0, float(k)))

    def _misplaced(self, number: int, why: str) -> ImageError:
        return ImageError(
            f"frame {number + 1} of {len(self._segmentation.frames)} has no place on the scan: "
            f"{why}",
            where=self._segmentation.path.name,
            remedy="Check that it was drawn on this scan, and export it again with its geometry.",
            code="geometry",
        )


def _clip(
    drawn: NDArray[np.bool_], match: GridMatch, shape: Triple
) -> tuple[NDArray[np.bool_], Window]:
    return geometry.clip(drawn.T[:, :, None], match, shape)


def _source_uids(dataset: Any) -> tuple[str, ...]:
    """UIDs of the series and instances it refers to: by its frames, else by its own list."""
    series = uids_of(items(dataset, "ReferencedSeriesSequence"), "SeriesInstanceUID")
    source = ("DerivationImageSequence", "SourceImageSequence")
    keyword = "ReferencedSOPInstanceUID"
    groups = (
        ("PerFrameFunctionalGroupsSequence", *source),
        ("SharedFunctionalGroupsSequence", *source),
        ("ReferencedSeriesSequence", "ReferencedInstanceSequence"),
        ("SourceImageSequence",),
    )
    instances = next(
        (found for path in groups if (found := uids_of(items(dataset, *path), keyword))), []
    )
    return drawn_on(dataset, series, instances)
