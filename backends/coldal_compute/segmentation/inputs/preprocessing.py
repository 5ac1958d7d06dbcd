"""Brings a scan to the working grid of a plan: intensities, channels, size, deviation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coldal_compute.segmentation.grids import resize_image
from coldal_compute.segmentation.plan import Plan
from coldal_tui.errors import ImageError
from coldal_tui.imaging.image import ScanImage

PREPROCESSING_RULE = 3
"""Counts changes to what ``preprocess`` does, so that inputs made by older ones are not read."""
_FLAT = 1e-4
"""A deviation (of intensities in [0, 1]) that is rounding after resizing, not contrast."""


def preprocess(image: ScanImage, plan: Plan) -> NDArray[np.float16]:
    """Bring a scan to the working grid: intensities to [0, 1], resized, z-scored per channel.

    Returns ``(plan.in_channels, *working grid)`` float16; a constant channel becomes zeros.

    Raises
    ------
    ImageError : the scan has another number of dimensions than the plan.
    """
    from coldal_tui.imaging.intensity import limits_of, scaled

    header = image.header
    if len(header.shape) != plan.ndim:
        raise ImageError(
            f"a {len(header.shape)}-D scan, but the run was trained on {plan.ndim}-D scans",
            remedy="exclude the scan, or keep images and volumes in projects of their own",
            code="dimensions",
        )
    unit = scaled(image.array, limits_of(image.array, header.modality, plan.intensity))
    array = np.moveaxis(fit_channels(unit, plan.in_channels), -1, 0)
    if not np.isfinite(array).all():  # limits too far apart for float32
        array = np.nan_to_num(array, nan=0.0, posinf=1.0, neginf=0.0)
    array = resize_image(array, plan.working_shape(header.shape, header.spacing))
    return z_score(array).astype(np.float16)


def fit_channels(array: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """Bring channels-last pixels to ``channels``: grey is repeated for colour, colour becomes luma.

    ``array`` is (*grid, channels), and so is the result.

    Raises
    ------
    ImageError : another number of channels (code ``channels``): none is ever dropped.
    """
    own = array.shape[-1]
    if own == channels:
        return array
    if (own, channels) == (3, 1):
        # Luma of ITU-R BT.601, as Pillow's convert("L").
        grey = array @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
        return np.asarray(grey[..., np.newaxis], dtype=np.float32)
    if (own, channels) == (1, 3):
        return np.repeat(array, 3, axis=-1)
    raise ImageError(
        f"a scan of {own} channel{'' if own == 1 else 's'}, and the network takes {channels}",
        remedy="exclude it, keep scans of other channels in a project of their own, or train again",
        code="channels",
    )


def z_score(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(channels, *grid)`` with mean 0 and deviation 1 per channel; a flat channel is zeros."""
    axes = tuple(range(1, array.ndim))
    mean = array.mean(axis=axes, keepdims=True, dtype=np.float64)
    deviation = array.std(axis=axes, keepdims=True, dtype=np.float64)
    scaled = (array - mean) / np.maximum(deviation, _FLAT)
    return np.asarray(np.where(deviation > _FLAT, scaled, 0.0), dtype=np.float32)
