"""Geometry of the frames of an enhanced multi-frame DICOM object (PS3.3 C.7.6.16)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.imaging.affines import lps_affine, plausible_spacing, spacing_of
from coldal_tui.imaging.image import Affine

MAX_CHANNELS = 16
SAME_DIRECTION = 1e-3
"""Direction cosines that differ by less are equal."""

LATTICE_TOLERANCE = 0.1
"""Largest deviation of a slice from even spacing, in slice steps."""


@dataclass(frozen=True)
class FrameStack:
    """Frames as a volume: ``order[k, c]`` is the frame at slice k of channel c."""

    order: NDArray[np.intp]
    affine: Affine | None = None
    spacing: tuple[float, ...] | None = None
    pixel_spacing: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None
    position: tuple[float, ...] | None = None

    @property
    def depth(self) -> int:
        return int(self.order.shape[0])

    @property
    def channels(self) -> int:
        return int(self.order.shape[1])


def frame_stack(path: str | Path, dataset: Any, frames: int) -> FrameStack:
    """The order of the frames along the normal, and the volume's geometry.

    Frames without positions keep their order and have no affine. Several frames at every
    position (echoes, b-values) are channels, at most 16. Raises ImageError
    (``mixed-orientations``, ``missing-slice``, ``time-series``).
    """
    groups = [_merged(dataset, n) for n in range(frames)]
    places = [_values(g, "PlanePositionSequence", "ImagePositionPatient", 3) for g in groups]
    turns = [_values(g, "PlaneOrientationSequence", "ImageOrientationPatient", 6) for g in groups]
    pixel = _values(groups[0], "PixelMeasuresSequence", "PixelSpacing", 2)
    pixel_spacing = plausible_spacing(pixel) if pixel else None
    plain = FrameStack(np.arange(frames)[:, None], pixel_spacing=pixel_spacing)
    known_places = [p for p in places if p is not None]
    known_turns = [t for t in turns if t is not None]
    if len(known_places) < frames or len(known_turns) < frames or pixel_spacing is None:
        return plain
    if np.ptp(np.asarray(known_turns), axis=0).max() > SAME_DIRECTION:
        raise ImageError(
            "its frames have several orientations, so they are not one volume",
            where=Path(path).name,
            remedy="export each orientation as its own object",
            code="mixed-orientations",
        )
    return _positioned(path, plain, known_places, known_turns[0])


def _positioned(
    path: str | Path,
    plain: FrameStack,
    places: list[tuple[float, ...]],
    turn: tuple[float, ...],
) -> FrameStack:
    points = np.asarray(places)
    along, down = np.asarray(turn[:3]), np.asarray(turn[3:])
    heights = points @ np.cross(along, down)
    order = np.argsort(heights, kind="stable")
    starts = np.flatnonzero(np.diff(heights[order], prepend=-np.inf) > 1e-3)
    counts = np.diff(np.append(starts, len(order)))
    row, column = plain.pixel_spacing or (1.0, 1.0)
    if len(starts) == 1:
        if len(order) > 1:  # a time series at one position
            return plain
        affine = lps_affine([along * column, down * row], points[0])
        return FrameStack(
            plain.order, affine, None, plain.pixel_spacing, turn, tuple(points[0].tolist())
        )
    if counts.min() != counts.max():
        raise ImageError(
            f"some positions have {counts.min()} frames and some {counts.max()}",
            where=Path(path).name,
            remedy="export the object again, complete",
            code="missing-slice",
        )
    if counts[0] > MAX_CHANNELS:
        raise ImageError(
            f"a series of {counts[0]} volumes, not one scan (at most {MAX_CHANNELS} are channels)",
            where=Path(path).name,
            remedy="split it into one object per time point",
            code="time-series",
        )
    stacked = order.reshape(-1, counts[0])
    step, problem = even_step(points[stacked[:, 0]], heights[stacked[:, 0]])
    if problem:
        raise ImageError(
            problem,
            where=Path(path).name,
            remedy="export the object again, complete",
            code="missing-slice",
        )
    affine = lps_affine([along * column, down * row, step], points[stacked[0, 0]])
    spacing = spacing_of(affine, 3) if affine else None
    first = tuple(points[stacked[0, 0]].tolist())
    return FrameStack(stacked, affine, spacing, plain.pixel_spacing, turn, first)


def even_step(points: NDArray[Any], heights: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """The step between slices in mm, and what is wrong with their positions ("" if nothing).

    ``points`` are the slices' positions in order ``(N ≥ 2, 3)``, ``heights`` their coordinate
    along the normal. Every slice must be within 0.1 step of evenly spaced positions.
    """
    count = len(points)
    step = (points[-1] - points[0]) / (count - 1)
    rise = (heights[-1] - heights[0]) / (count - 1)
    lattice = heights[0] + rise * np.arange(count)
    if np.abs(heights - lattice).max() > LATTICE_TOLERANCE * abs(rise):
        gaps = np.diff(heights)
        usual = float(np.median(gaps))
        worst = int(np.argmax(gaps))
        times = float(gaps[worst]) / usual
        change = _one_change(gaps)
        if change is not None:
            first, then = float(np.median(gaps[:change])), float(np.median(gaps[change:]))
            return step, (
                f"the step between slices changes from {first:.2f} to {then:.2f} mm at "
                f"{heights[change]:.2f} mm along the normal, so they are not one even volume"
            )
        where = f"between {heights[worst]:.2f} and {heights[worst + 1]:.2f} mm along the normal"
        if times > 1.5 and abs(times - round(times)) < 0.15:
            missing = round(times) - 1
            noun = "slice is" if missing == 1 else "slices are"
            return step, f"{missing} {noun} missing {where} (the usual step is {usual:.2f} mm)"
        return step, f"uneven steps: {gaps[worst]:.2f} mm {where}, {usual:.2f} mm elsewhere"
    line = points[0] + step * np.arange(count)[:, None]
    stray = float(np.linalg.norm(points - line, axis=1).max())
    if stray > max(LATTICE_TOLERANCE * float(np.linalg.norm(step)), 0.5):
        return step, f"the slices do not lie on one line (up to {stray:.2f} mm beside it)"
    return step, ""


def _one_change(gaps: NDArray[Any]) -> int | None:
    """The index where even steps change to another even step (two or more of each), if any."""
    for change in range(2, len(gaps) - 1):
        first, then = gaps[:change], gaps[change:]
        if all(np.ptp(part) < LATTICE_TOLERANCE * part.min() for part in (first, then)):
            return change
    return None


def frame_item(dataset: Any, frame: int, sequence: str) -> Any:
    """The first item of a frame's functional group (its own, else the shared one), or None."""
    group = _merged(dataset, frame).get(sequence)
    return group[0] if group else None


def _merged(dataset: Any, frame: int) -> dict[str, Any]:
    """Functional groups of one frame: its own override the shared ones."""
    own = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    merged: dict[str, Any] = {}
    for item in [*shared[:1], *own[frame : frame + 1]]:
        for element in item:
            if element.VR == "SQ" and element.keyword:
                merged[element.keyword] = element.value
    return merged


def _values(
    groups: dict[str, Any], sequence: str, keyword: str, count: int
) -> tuple[float, ...] | None:
    items = groups.get(sequence)
    value = items[0].get(keyword) if items else None
    if value is None or len(value) != count:
        return None
    return tuple(float(v) for v in value)
