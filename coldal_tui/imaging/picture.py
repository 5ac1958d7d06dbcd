"""Makes an 8-bit picture of a scan or slice for display, and restores the grid order."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.imaging.image import Affine, ScanHeader, ScanImage
from coldal_tui.imaging.intensity import SOFT_TISSUE, limits, scaled


@dataclass(frozen=True)
class SliceView:
    """The display orientation of a slice of a volume.

    ``axis`` is the grid axis that is cut. ``row_axis`` and ``column_axis`` are the grid axes that
    run down and across; ``flip_rows`` and ``flip_columns`` whether they are reversed.
    """

    axis: int
    row_axis: int
    column_axis: int
    flip_rows: bool = False
    flip_columns: bool = False

    def displayed(self, volume: NDArray[Any], index: int) -> NDArray[Any]:
        """Slice ``index`` of ``(i, j, k, …)`` as ``(rows, columns, …)``."""
        plane = np.take(volume, index, axis=self.axis)
        if self.row_axis > self.column_axis:
            plane = plane.swapaxes(0, 1)
        return self._flipped(plane)

    def restored(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Convert a displayed ``(rows, columns, …)`` to the order of the two grid axes left."""
        plane = self._flipped(picture)
        return plane.swapaxes(0, 1) if self.row_axis > self.column_axis else plane

    def _flipped(self, plane: NDArray[Any]) -> NDArray[Any]:
        if self.flip_rows:
            plane = plane[::-1]
        return plane[:, ::-1] if self.flip_columns else plane


def slice_view(header: ScanHeader, axis: int = 2) -> SliceView:
    """The radiological view across ``axis`` of a volume.

    With an affine: right of the patient on the left of the picture, anterior up in axial and to
    the left in sagittal slices, head up in coronal and sagittal ones. Without: j (or k) runs
    down and i (or j) across, as stored.
    """
    others = [a for a in range(3) if a != axis]
    if header.affine is None:
        return SliceView(axis, row_axis=others[1], column_axis=others[0])
    matrix = np.asarray(header.affine)[:3, :3]
    worlds = world_axes(header.affine)
    # Order of preference across: left-right, front-back, head-foot.
    across, down = sorted(others, key=lambda a: worlds[a])
    return SliceView(
        axis,
        row_axis=down,
        column_axis=across,
        flip_rows=bool(matrix[worlds[down], down] > 0),
        flip_columns=bool(matrix[worlds[across], across] > 0),
    )


def picture(
    image: ScanImage,
    slice_index: int | None = None,
    axis: int = 2,
    *,
    window: tuple[float, float] = SOFT_TISSUE,
) -> NDArray[np.uint8]:
    """``(H, W)`` or ``(H, W, 3)`` uint8: the whole 2-D scan, or a slice (default: the middle).

    Intensities follow ``intensity.rule_for`` over the whole scan, so slices of one volume look
    alike. Pixels are not resampled. Of 2 or more than 3 channels the first is shown.
    """
    array, header = image.array, image.header
    bounds = limits(array, header.modality, window=window)
    if len(header.shape) == 3:
        index = header.shape[axis] // 2 if slice_index is None else slice_index
        array = slice_view(header, axis).displayed(array, index)
    if array.shape[-1] != 3:
        array, bounds = array[..., :1], bounds[:1]
    unit = scaled(array, bounds)
    eight = np.rint(unit * 255).astype(np.uint8)
    return eight[..., 0] if eight.shape[-1] == 1 else np.ascontiguousarray(eight)


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """``(H, W)`` or ``(H, W, 3)`` uint8 as the bytes of a PNG file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, format="PNG", optimize=False)
    return stream.getvalue()


def world_axes(affine: Affine) -> tuple[int, ...]:
    """World axis (0 left-right, 1 front-back, 2 head-foot) of each grid axis, each once."""
    matrix = np.asarray(affine)[:3, :3]
    left = np.abs(matrix) / np.linalg.norm(matrix, axis=0)
    chosen = [0, 0, 0]
    for _ in range(3):
        world, grid = np.unravel_index(int(np.argmax(left)), left.shape)
        chosen[int(grid)] = int(world)
        left[world, :] = -1
        left[:, grid] = -1
    return tuple(chosen)
