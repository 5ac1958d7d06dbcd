"""Draws masks directly on a scan's grid: frames with known slices, contours, empty masks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import MaskLayer, MaskPixels, ScanTarget
from coldal_tui.imaging.geometry import Triple
from coldal_tui.imaging.readers.limits import MAX_VOLUME_BYTES

Window = tuple[slice, slice, slice]


def grid_shape(target: ScanTarget) -> Triple:
    """The scan's grid as ``(i, j, k)``; a 2-D scan is one slice of columns × rows."""
    if len(target.shape) == 2:
        return target.shape[1], target.shape[0], 1
    return target.shape[0], target.shape[1], target.shape[2]


class Canvas:
    """Numbered drawings on a grid ``(i, j, k)``; overlapping ones get a further layer."""

    def __init__(self, shape: tuple[int, int, int], largest: int) -> None:
        """``largest`` is the largest number to be drawn."""
        self._shape = shape
        self._dtype = np.dtype(np.uint8 if largest < 256 else np.uint16)
        # Slices are contiguous in memory, since drawing is slice by slice.
        self.layers: list[NDArray[np.unsignedinteger]] = [np.zeros(shape, self._dtype, order="F")]

    def draw(self, window: Window, drawn: NDArray[np.bool_], number: int) -> None:
        """Set ``number`` in a window's voxels where ``drawn`` (of the window's shape) is True."""
        window, left = _cropped(window, drawn)
        for layer in self.layers:
            part = layer[window]
            taken = (part != 0) & (part != number)
            np.copyto(part, number, where=left & ~taken, casting="same_kind")
            left = left & taken
            if not left.any():
                return
        np.copyto(self._add_layer()[window], number, where=left, casting="same_kind")

    def _add_layer(self) -> NDArray[np.unsignedinteger]:
        layer = np.zeros(self._shape, self._dtype, order="F")
        if (len(self.layers) + 1) * layer.nbytes > MAX_VOLUME_BYTES:
            raise ImageError(
                f"more than {len(self.layers)} segments overlap in one place",
                remedy="Export fewer segments at a time.",
                code="too-large",
            )
        self.layers.append(layer)
        return layer


def _cropped(window: Window, drawn: NDArray[np.bool_]) -> tuple[Window, NDArray[np.bool_]]:
    """The bounding box of the drawn pixels: most of a slice is empty."""
    cut = []
    for axis, place in enumerate(window):
        others = tuple(other for other in range(3) if other != axis)
        hit = np.flatnonzero(drawn.any(axis=others))
        first, last = (int(hit[0]), int(hit[-1]) + 1) if hit.size else (0, 0)
        drawn = drawn[(slice(None),) * axis + (slice(first, last),)]
        start = place.start or 0
        cut.append(slice(start + first, start + last))
    return (cut[0], cut[1], cut[2]), drawn


def pixels_on(
    target: ScanTarget,
    canvas: Canvas,
    names: Mapping[int, str] | None,
    notes: tuple[str, ...] = (),
) -> MaskPixels:
    """A canvas on the scan's grid as a mask that fits the scan voxel for voxel."""
    flat = len(target.shape) == 2
    arrays = [layer[:, :, 0].T if flat else layer for layer in canvas.layers]
    return MaskPixels(
        arrays[0],
        "rows" if flat else "ijk",
        None if flat or target.affine is None else np.asarray(target.affine),
        names=names,
        notes=notes,
        layers=tuple(MaskLayer(array, names) for array in arrays[1:]),
    )


def nothing_on(target: ScanTarget) -> MaskPixels:
    """An empty mask of the scan's size."""
    return pixels_on(target, Canvas(grid_shape(target), 1), None)
