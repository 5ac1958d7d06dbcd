"""Checks a picture's size against a scan's: pictures carry no other geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import MaskPixels, ScanTarget


def check_picture_size(target: ScanTarget, rows: int, columns: int) -> None:
    """Refuse a picture whose size differs from the scan's.

    Raises
    ------
    ImageError : ``wrong-dimensions``, ``transposed``, ``wrong-size``.
    """
    if len(target.shape) != 2:
        size = "×".join(str(axis) for axis in target.shape)
        raise ImageError(
            f"a 2-D picture can't be the mask of a volume of {size} voxels",
            remedy="Save the mask as NIfTI or NRRD with the scan's geometry.",
            code="wrong-dimensions",
        )
    if (rows, columns) == target.shape:
        return
    sizes = f"the mask is {columns}×{rows} pixels (width×height), {width_height(target.shape)}"
    if (columns, rows) == target.shape:
        raise ImageError(
            f"{sizes}: it looks transposed or rotated",
            remedy="Rotate it back, or export it from a tool that honours the image's EXIF "
            "rotation; the direction can't be told from the file.",
            code="transposed",
        )
    raise ImageError(
        sizes,
        remedy="Draw or export the mask at the image's own size, without padding or scaling.",
        code="wrong-size",
    )


def turned_back(pixels: MaskPixels, target: ScanTarget) -> MaskPixels:
    """Rotate a picture back if its tool showed it rotated and it fits the scan only that way."""
    shape = pixels.array.shape
    if pixels.turned % 180 != 90 or shape == target.shape or shape[::-1] != target.shape:
        return pixels
    steps = pixels.turned % 360 // 90
    return replace(
        pixels,
        array=np.rot90(pixels.array, steps),
        layers=tuple(replace(one, array=np.rot90(one.array, steps)) for one in pixels.layers),
        notes=(*pixels.notes, f"turned back by {pixels.turned % 360}°, as its file says"),
    )


def width_height(shape: Sequence[int]) -> str:
    return f"the image {shape[1]}×{shape[0]}"
