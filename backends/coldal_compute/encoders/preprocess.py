"""Converts a scan's pixels to the input of an encoder's network.

Any change here that moves a single input value raises ``rules.PREPROCESSING_VERSION``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from coldal_compute.encoders.rules import VOLUME_SLICES
from coldal_tui.encoders.catalogue import EncoderInfo
from coldal_tui.errors import ImageError
from coldal_tui.imaging.image import Affine, ScanImage
from coldal_tui.imaging.intensity import limits_of, scaled
from coldal_tui.imaging.intensity_choice import BY_FILE, IntensityChoice

Array = NDArray[np.generic]
Pixels = NDArray[np.float32]

_FOREGROUND = 0.1
_FOREGROUND_SHARE = 0.01
_SAME_SPACING = 0.99
# Where the foreground lies is looked up on at most this many pixels per axis of a plane.
_LOOK = 64


@dataclass(frozen=True)
class Prepared:
    """One scan as a network sees it.

    ``slices`` is ``(S, C, input_size, input_size) float32``: S is 1 for a 2-D scan and up to
    ``VOLUME_SLICES`` for a volume, C is 3, or 1 for encoders of one channel. ``foreground`` is
    (S,), the share of each slice's pixels that are foreground.
    """

    slices: Tensor
    foreground: NDArray[np.float64]


def to_encoder_input(image: ScanImage, info: EncoderInfo, how: IntensityChoice = BY_FILE) -> Tensor:
    """The slices of ``prepare``.

    Returns (slices, channels, size, size) float32.
    """
    return prepare(image, info, how).slices


def prepare(image: ScanImage, info: EncoderInfo, how: IntensityChoice = BY_FILE) -> Prepared:
    """The network's input for one scan.

    The rules are those of ``registry``: intensities to [0, 1], channels, slices, squashing; then
    ``info``'s scaling. ``how`` is the project's rule for intensities.

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
    planes = _planes(image, how)
    foreground = _share(planes)
    if planes.shape[-1] != 3 or info.channels == "L":
        planes = _grey(planes)[..., np.newaxis]
    pixels = torch.from_numpy(np.ascontiguousarray(np.moveaxis(planes, -1, 1)))
    size = (info.input_size, info.input_size)
    pixels = functional.interpolate(pixels, size, mode="bilinear", antialias=True)
    channels = 1 if info.channels == "L" else 3
    pixels = pixels.expand(-1, channels, -1, -1)
    if info.channels == "BGR":
        pixels = pixels.flip(1)
    mean = torch.tensor(info.mean[:channels]).view(channels, 1, 1)
    std = torch.tensor(info.std[:channels]).view(channels, 1, 1)
    return Prepared((pixels - mean) / std, foreground)


def _planes(image: ScanImage, how: IntensityChoice) -> Pixels:
    """The planes to embed in [0, 1], ``(S, rows, columns, channels)``.

    Only they are converted: a whole volume in float32 for every thread would be gigabytes.
    """
    array, header = image.array, image.header
    if len(header.shape) == 2:
        # With an affine the grid is (column, row): see ScanHeader.
        upright = array if header.affine is None else array.swapaxes(0, 1)
        return scaled(upright, limits_of(upright, header.modality, how))[None]
    spacing = header.spacing
    if header.affine is not None:
        array, spacing = _to_lpi(array, header.affine, spacing)
    bounds = limits_of(array, header.modality, how)
    along = np.moveaxis(array, _through_axis(array.shape[:3], spacing), 0)
    thin = along[:, :: -(-along.shape[1] // _LOOK), :: -(-along.shape[2] // _LOOK)]
    chosen = along[_slices(scaled(thin, bounds))]
    # Of the two axes that are left, the first runs along a row and the second down a column.
    return scaled(chosen.swapaxes(1, 2), bounds)


def _to_lpi(
    array: Array, affine: Affine, spacing: tuple[float, ...] | None
) -> tuple[Array, tuple[float, ...] | None]:
    """Reorient axes to left, posterior and inferior, as near as flips and swaps allow.

    A file's axis order is an accident of its writer: the same head stored in another order must
    give the same vector.
    """
    steps = np.asarray(affine, dtype=float)[:3, :3]
    cosines = steps / np.linalg.norm(steps, axis=0)
    order = max(
        permutations(range(3)),
        key=lambda axes: round(
            sum(abs(cosines[world, axis]) for world, axis in enumerate(axes)), 6
        ),
    )
    # RAS affine: a positive component runs to the right, the front or the head.
    flipped = tuple(world for world, axis in enumerate(order) if cosines[world, axis] > 0)
    turned = np.flip(array.transpose(*order, 3), flipped)
    return turned, None if spacing is None else tuple(spacing[axis] for axis in order)


def _through_axis(shape: tuple[int, ...], spacing: tuple[float, ...] | None) -> int:
    """The axis that the slices are stacked along."""
    if 1 in shape:
        return max(axis for axis, size in enumerate(shape) if size == 1)
    if spacing is None:
        return len(shape) - 1
    coarse = max(spacing) * _SAME_SPACING
    return max(axis for axis, step in enumerate(spacing) if step >= coarse)


def _slices(along: Pixels) -> NDArray[np.intp]:
    """Indices of the planes (axis 0 of values in [0, 1]) at the centres of equal parts of the
    foreground.

    Foreground: from the first to the last plane with 1 % of its pixels above 0.1 (all planes if
    there is none). Fewer planes than ``VOLUME_SLICES``: all of them.
    """
    bright = _share(along)
    planes = np.flatnonzero(bright >= _FOREGROUND_SHARE)
    first, last = (planes[0], planes[-1]) if planes.size else (0, len(along) - 1)
    count = int(last - first + 1)
    parts = min(VOLUME_SLICES, count)
    return first + np.floor((np.arange(parts) + 0.5) * count / parts).astype(np.intp)


def _share(planes: Pixels) -> NDArray[np.float64]:
    """(S,) share of each plane's pixels, averaged over channels, that are above 0.1."""
    bright = _grey(planes) > _FOREGROUND
    return np.array([np.count_nonzero(plane) / plane.size for plane in bright])


def _grey(planes: Pixels) -> Pixels:
    """(S, rows, columns), the mean of the channels, added up in their order."""
    grey = planes[..., 0]
    for channel in range(1, planes.shape[-1]):
        grey = grey + planes[..., channel]
    return grey / np.float32(planes.shape[-1]) if planes.shape[-1] > 1 else grey
