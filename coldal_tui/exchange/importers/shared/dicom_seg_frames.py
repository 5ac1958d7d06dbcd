"""Reads the frames of a DICOM segmentation: segment, position and pixels.

PS3.3 C.8.20 (Segmentation Image) and C.7.6.16 (Multi-frame Functional Groups).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.importers.shared.dicom_header import items, read_without_pixels
from coldal_tui.imaging.affines import LPS_TO_RAS
from coldal_tui.imaging.dicom.attributes import frames_of, transfer_syntax
from coldal_tui.imaging.dicom.frames import frame_item
from coldal_tui.imaging.dicom.stored_frames import BIG_ENDIAN, LITTLE_ENDIAN, stored_frames
from coldal_tui.imaging.readers.limits import check_bytes, check_picture, decoding, truncated


@dataclass(frozen=True)
class Plane:
    """Position of a frame in LPS mm (PS3.3 C.7.6.2); ``spacing`` is (row, column)."""

    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]

    @property
    def normal(self) -> NDArray[np.float64]:
        return np.cross(self.orientation[:3], self.orientation[3:])

    def affine(self, step: float = 1.0) -> NDArray[np.float64]:
        """(column, row, slice, 1) to RAS mm, with ``step`` mm between slices."""
        matrix = np.eye(4)
        matrix[:3, 0] = np.asarray(self.orientation[:3]) * self.spacing[1]
        matrix[:3, 1] = np.asarray(self.orientation[3:]) * self.spacing[0]
        matrix[:3, 2] = self.normal * step
        matrix[:3, 3] = self.position
        return np.asarray(LPS_TO_RAS @ matrix)


@dataclass(frozen=True)
class Frame:
    """One frame.

    ``segment`` is 0 in a label map; ``sources`` are its source instances,
    ``source_frame`` the number of their single frame (from 1) if stated. ``aligned`` is False if
    its pixels are not those of its source.
    """

    segment: int
    sources: tuple[str, ...]
    source_frame: int | None
    aligned: bool
    plane: Plane | None


@dataclass(frozen=True)
class Segmentation:
    """A segmentation without its pixels."""

    path: Path
    dataset: Any
    rows: int
    columns: int
    kind: str
    names: dict[int, str]
    frames: tuple[Frame, ...]


def read_frames(path: Path) -> Segmentation:
    """Read a segmentation without its pixels.

    Raises
    ------
    ImageError : damaged, truncated, of a whole-slide image, or larger than its file allows.
    """
    dataset, available = read_without_pixels(path)
    with decoding(path):
        rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
        check_picture(path, (rows, columns))
        if dataset.get("TotalPixelMatrixRows") or _on_slide(dataset):
            raise ImageError(
                "it segments a microscopy slide; those are not supported",
                where=path.name,
                remedy="Export the region as a picture, and its mask as PNG.",
                code="whole-slide",
            )
        count = frames_of(dataset)
        _check_size(path, dataset, (count, rows, columns), available)
        groups = len(dataset.get("PerFrameFunctionalGroupsSequence") or ())
        if groups < count:
            raise truncated(path, f"it has {count} frames and says of {groups} where they lie")
        kind = str(dataset.get("SegmentationType") or "BINARY")
        frames = tuple(_frame(dataset, number, kind) for number in range(count))
        return Segmentation(path, dataset, rows, columns, kind, segment_names(dataset), frames)


def segment_names(dataset: Any) -> dict[int, str]:
    """Segment number to label (or to its property type if the label is empty)."""
    names: dict[int, str] = {}
    for segment in items(dataset, "SegmentSequence"):
        coded: Any = next(items(segment, "SegmentedPropertyTypeCodeSequence"), {})
        label = segment.get("SegmentLabel") or coded.get("CodeMeaning") or ""
        names[int(segment.get("SegmentNumber") or 0)] = str(label).strip()
    return names


def decoded(segmentation: Segmentation) -> Iterator[NDArray[Any]]:
    """Yield the frames' stored values ``(rows, columns)`` in order. Raises ImageError."""
    shape = (segmentation.rows, segmentation.columns)
    return stored_frames(segmentation.path, len(segmentation.frames), shape)


class Cut:
    """Splits the values of frames into segments; counts fractional values cut at one half."""

    def __init__(self, segmentation: Segmentation) -> None:
        dataset = segmentation.dataset
        self._kind = segmentation.kind
        self._half = int(dataset.get("MaximumFractionalValue") or 255) / 2
        self._background = int(dataset.get("PixelPaddingValue") or 0)
        self._partial = 0

    def segments(
        self, frame: Frame, values: NDArray[Any]
    ) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """Yield (number, drawn) of every segment in a frame, ``drawn`` as (rows, columns)."""
        if self._kind == "LABELMAP":
            for number in np.unique(values):
                if number != self._background:
                    yield int(number), values == number
        elif self._kind == "FRACTIONAL":
            self._partial += int(np.count_nonzero((values > 0) & (values < 2 * self._half)))
            yield frame.segment, values >= self._half
        else:
            yield frame.segment, values != 0

    def notes(self) -> tuple[str, ...]:
        if not self._partial:
            return ()
        return (f"{self._partial} fractional values were cut at a half",)


def _check_size(path: Path, dataset: Any, shape: tuple[int, int, int], available: int) -> None:
    """Refuse a header that states more data than its file can hold.

    Missing compressed frames are noticed when they are decoded.
    """
    if str(transfer_syntax(dataset)) in (*LITTLE_ENDIAN, BIG_ENDIAN):
        bits = int(dataset.get("BitsAllocated") or 1)
        promised = -(-shape[0] * shape[1] * shape[2] * bits // 8)
        check_bytes(path, (promised,), 1, available, compressed=False)


def _on_slide(dataset: Any) -> bool:
    first = next(items(dataset, "PerFrameFunctionalGroupsSequence"), ())
    return "PlanePositionSlideSequence" in first


def _frame(dataset: Any, number: int, kind: str) -> Frame:
    named = frame_item(dataset, number, "SegmentIdentificationSequence")
    segment = 0 if kind == "LABELMAP" or named is None else int(named.ReferencedSegmentNumber)
    derived = frame_item(dataset, number, "DerivationImageSequence")
    sources = list(items(derived, "SourceImageSequence")) if derived is not None else []
    uids = tuple(dict.fromkeys(str(s.get("ReferencedSOPInstanceUID") or "") for s in sources))
    return Frame(
        segment,
        tuple(uid for uid in uids if uid),
        _source_frame(sources),
        all(str(s.get("SpatialLocationsPreserved") or "YES") == "YES" for s in sources),
        _plane(dataset, number),
    )


def _source_frame(sources: list[Any]) -> int | None:
    if len(sources) != 1:
        return None
    stated = sources[0].get("ReferencedFrameNumber")
    numbers = stated if isinstance(stated, (list, tuple)) or hasattr(stated, "append") else [stated]
    return int(numbers[0]) if len(numbers) == 1 and numbers[0] is not None else None


def _plane(dataset: Any, number: int) -> Plane | None:
    found = [
        _numbers(frame_item(dataset, number, sequence), keyword, count)
        for sequence, keyword, count in (
            ("PlanePositionSequence", "ImagePositionPatient", 3),
            ("PlaneOrientationSequence", "ImageOrientationPatient", 6),
            ("PixelMeasuresSequence", "PixelSpacing", 2),
        )
    ]
    position, orientation, spacing = found
    if position is None or orientation is None or spacing is None or min(spacing) <= 0:
        return None
    return Plane(position, orientation, spacing)


def _numbers(item: Any, keyword: str, count: int) -> tuple[float, ...] | None:
    value = None if item is None else item.get(keyword)
    if value is None or len(value) != count:
        return None
    numbers = tuple(float(v) for v in value)
    return numbers if np.isfinite(numbers).all() else None
