"""Converts stored pixels for display: transparency over black, EXIF orientation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def composited(array: NDArray[Any]) -> NDArray[np.generic]:
    """Composite alpha, the last channel, over black; the stored type is kept.

    ``array`` is (rows, columns, channels); the result has one channel less.

    Black is the background of medical pictures; opaque pixels don't change.
    """
    colour, alpha = array[..., :-1], array[..., -1:]
    top = np.iinfo(array.dtype).max if array.dtype.kind in "ui" else 1
    if bool((alpha == top).all()):
        return np.ascontiguousarray(colour)
    blended = colour.astype(np.float64) * (alpha.astype(np.float64) / top)
    return (np.rint(blended) if array.dtype.kind in "ui" else blended).astype(array.dtype)


def oriented(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Rotate and flip for an EXIF/TIFF orientation 1–8 (EXIF 2.3, tag 274)."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array
