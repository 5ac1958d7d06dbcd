"""Puts a DICOM segmentation on its own grid: the smallest regular one with all its frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import MaskLayer, MaskPixels
from coldal_tui.exchange.importers.shared.dicom_seg_frames import Cut, Plane, Segmentation, decoded
from coldal_tui.exchange.masks.grid_canvas import Canvas
from coldal_tui.imaging.dicom.frames import LATTICE_TOLERANCE, SAME_DIRECTION, frame_item
from coldal_tui.imaging.readers.limits import MAX_VOLUME_BYTES


def own_grid(segmentation: Segmentation) -> MaskPixels:
    """The segmentation as a volume ``(column, row, slice)`` on its own grid.

    Slices that are not stored are empty. The step between slices is the stated one, else the
    smallest gap.

    Raises
    ------
    ImageError : frames without a position, with several orientations, or not evenly spaced.
    """
    planes = _planes(segmentation)
    step, slices = _lattice(segmentation, planes)
    shape = (segmentation.columns, segmentation.rows, int(slices.max()) + 1)
    if shape[0] * shape[1] * shape[2] > MAX_VOLUME_BYTES:
        raise _no_volume(segmentation, f"it spans {shape[2]} slices")
    canvas = Canvas(shape, max(segmentation.names, default=0) or 1)
    cut = Cut(segmentation)
    whole = slice(None)
    for frame, k, values in zip(
        segmentation.frames, slices.tolist(), decoded(segmentation), strict=True
    ):
        for number, drawn in cut.segments(frame, values):
            canvas.draw((whole, whole, slice(k, k + 1)), drawn.T[:, :, None], number)
    first = planes[int(np.argmin(slices))]
    return MaskPixels(
        canvas.layers[0],
        "ijk",
        first.affine(step),
        names=segmentation.names,
        notes=cut.notes(),
        layers=tuple(MaskLayer(layer, segmentation.names) for layer in canvas.layers[1:]),
    )


def _planes(segmentation: Segmentation) -> list[Plane]:
    planes = [frame.plane for frame in segmentation.frames if frame.plane is not None]
    if len(planes) < len(segmentation.frames) or not planes:
        raise _no_volume(segmentation, "its frames state no position")
    turns = np.asarray([plane.orientation for plane in planes])
    if np.ptp(turns, axis=0).max() > SAME_DIRECTION or len({p.spacing for p in planes}) > 1:
        raise _no_volume(segmentation, "its frames have several orientations or pixel sizes")
    return planes


def _lattice(segmentation: Segmentation, planes: list[Plane]) -> tuple[float, NDArray[np.intp]]:
    """The step in mm, and the slice of every frame."""
    points = np.asarray([plane.position for plane in planes])
    normal = planes[0].normal
    heights = points @ normal
    step = _step(segmentation, heights)
    slices = np.rint((heights - heights.min()) / step).astype(np.intp)
    lowest = points[int(np.argmin(heights))]
    stray = np.linalg.norm(points - lowest - np.outer(slices * step, normal), axis=1).max()
    if stray > LATTICE_TOLERANCE * min(step, *planes[0].spacing):
        raise _no_volume(segmentation, "its frames do not lie on an even stack")
    return step, slices


def _step(segmentation: Segmentation, heights: NDArray[np.float64]) -> float:
    measures: Any = frame_item(segmentation.dataset, 0, "PixelMeasuresSequence") or {}
    gaps = np.diff(np.unique(np.round(heights, 3)))
    for value in (
        measures.get("SpacingBetweenSlices"),
        float(gaps.min()) if gaps.size else None,
        measures.get("SliceThickness"),
    ):
        if value is not None and float(value) > 0:
            return float(value)
    return 1.0


def _no_volume(segmentation: Segmentation, why: str) -> ImageError:
    return ImageError(
        f"it makes no volume: {why}",
        where=segmentation.path.name,
        remedy="Export it again on the grid of the series that it was drawn on.",
        code="geometry",
    )
