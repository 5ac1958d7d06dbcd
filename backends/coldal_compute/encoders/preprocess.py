"""From a scan's pixels to what an encoder's network sees.

Any change here that moves a single input value raises ``registry.PREPROCESSING_VERSION``.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from coldal_compute.encoders.registry import VOLUME_SLICES, EncoderInfo
from coldal_tui.errors import ImageError
from coldal_tui.imaging.image import Affine, ScanHeader, ScanImage
from coldal_tui.imaging.intensity import to_unit

Pixels = NDArray[np.float32]

_FOREGROUND = 0.1
_FOREGROUND_SHARE = 0.01
_SAME_SPACING = 0.99


def to_encoder_input(image: ScanImage, info: EncoderInfo) -> Tensor:
    """The network's input for one scan, ``(S, 3, input_size, input_size) float32``.

    S is 1 for a 2-D scan, up to ``VOLUME_SLICES`` for a volume. The rules are those of
    ``registry``: intensities to [0, 1], channels, slices, squashing; then ``info``'s scaling.

    Raises
    ------
    ImageError : the scan is neither 2-D nor 3-D, or has no pixels.
    """
    if len(image.header.shape) not in (2, 3) or 0 in image.array.shape:
        raise ImageError(
            f"a scan of shape {image.header.shape} can't be embedded",
            remedy="exclude it, or split it into 2-D images or volumes",
            code="shape",
        )
    unit = np.asarray(to_unit(image.array, image.header.modality), dtype=np.float32)
    planes = _planes(unit, image.header)
    if planes.shape[-1] != 3:
        planes = planes.mean(axis=-1, keepdims=True)
    pixels = torch.from_numpy(np.ascontiguousarray(np.moveaxis(planes, -1, 1)))
    size = (info.input_size, info.input_size)
    pixels = F.interpolate(pixels, size, mode="bilinear", antialias=True).expand(-1, 3, -1, -1)
    if info.channels == "BGR":
        pixels = pixels.flip(1)
    mean = torch.tensor(info.mean).view(3, 1, 1)
    std = torch.tensor(info.std).view(3, 1, 1)
    return (pixels - mean) / std


def _planes(unit: Pixels, header: ScanHeader) -> Pixels:
    """The planes to embed, ``(S, rows, columns, channels)``."""
    if len(header.shape) == 2:
        # With an affine the grid is (column, row): see ScanHeader.
        return (unit if header.affine is None else unit.swapaxes(0, 1))[None]
    spacing = header.spacing
    if header.affine is not None:
        unit, spacing = _to_lpi(unit, header.affine, spacing)
    axis = _through_axis(unit.shape[:3], spacing)
    along = np.moveaxis(unit, axis, 0)
    # Of the two axes that are left, the first runs along a row and the second down a column.
    return along[_slices(along)].swapaxes(1, 2)


def _to_lpi(
    unit: Pixels, affine: Affine, spacing: tuple[float, ...] | None
) -> tuple[Pixels, tuple[float, ...] | None]:
    """Axes toward left, posterior and inferior, as near as flips and swaps come.

    A file's axis order is an accident of its writer: the same head stored in another order must
    give the same vector. A matrix that leaves an axis without direction changes nothing.
    """
    from nibabel.orientations import (
        apply_orientation,
        axcodes2ornt,
        io_orientation,
        ornt_transform,
    )

    stored = io_orientation(np.asarray(affine, dtype=float))
    if not np.isfinite(stored).all():
        return unit, spacing
    change = ornt_transform(stored, axcodes2ornt(("L", "P", "I")))
    if spacing is not None:
        spacing = tuple(spacing[int(axis)] for axis in np.argsort(change[:, 0]))
    return apply_orientation(unit, change), spacing


def _through_axis(shape: tuple[int, ...], spacing: tuple[float, ...] | None) -> int:
    """The axis that the slices are stacked along."""
    if 1 in shape:
        return max(axis for axis, size in enumerate(shape) if size == 1)
    if spacing is None:
        return len(shape) - 1
    coarse = max(spacing) * _SAME_SPACING
    return max(axis for axis, step in enumerate(spacing) if step >= coarse)


def _slices(along: Pixels) -> NDArray[np.intp]:
    """Indices of the planes, axis 0, at the centres of equal parts of the foreground.

    Foreground: from the first to the last plane with 1 % of its pixels above 0.1 (all planes if
    there is none). Fewer planes than ``VOLUME_SLICES``: all of them.
    """
    bright = (along.mean(axis=-1) > _FOREGROUND).mean(axis=(1, 2))
    planes = np.flatnonzero(bright >= _FOREGROUND_SHARE)
    first, last = (planes[0], planes[-1]) if planes.size else (0, len(along) - 1)
    count = int(last - first + 1)
    parts = min(VOLUME_SLICES, count)
    return first + np.floor((np.arange(parts) + 0.5) * count / parts).astype(np.intp)
