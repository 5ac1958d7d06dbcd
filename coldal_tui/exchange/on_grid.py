"""Masks drawn straight onto a scan's grid: frames that name their slice, contours, nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import MaskLayer, MaskPixels, ScanTarget
from coldal_tui.exchange.policy import grid_shape
from coldal_tui.imaging.guards import MAX_VOLUME_BYTES

Window = tuple[slice, slice, slice]


class Canvas:
    """Numbered drawings on a grid ``(i, j, k)``; what overlaps goes onto a further layer."""

    def __init__(self, shape: tuple[int, int, int], largest: int) -> None:
        """``largest`` is the largest number that is drawn."""
        self._shape = shape
        self._dtype = np.dtype(np.uint8 if largest < 256 else np.uint16)
        self.layers: list[NDArray[np.unsignedinteger]] = [np.zeros(shape, self._dtype)]

    def draw(self, window: Window, drawn: NDArray[np.bool_], number: int) -> None:
        """Give ``number`` to the voxels of a window where ``drawn`` (of the window's shape)."""
        left = drawn
        for layer in self.layers:
            part = layer[window]
            free = left & (part == 0)
            part[free] = number
            left = left & (part != number)
            if not left.any():
                return
        self._add_layer()[window][left] = number

    def _add_layer(self) -> NDArray[np.unsignedinteger]:
        layer = np.zeros(self._shape, self._dtype)
        if (len(self.layers) + 1) * layer.nbytes > MAX_VOLUME_BYTES:
            raise ImageError(
                f"more than {len(self.layers)} segments overlap in one place",
                remedy="Export fewer segments at a time.",
                code="too-large",
            )
        self.layers.append(layer)
        return layer


def pixels_on(
    target: ScanTarget,
    canvas: Canvas,
    names: Mapping[int, str] | None,
    notes: tuple[str, ...] = (),
) -> MaskPixels:
    """A canvas of the scan's grid as a mask that lies voxel for voxel on the scan."""
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
