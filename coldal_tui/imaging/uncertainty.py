"""The uncertainty of a prediction from its class probabilities, with numpy alone.

The same numbers as those of the project's own networks (``coldal_compute.segmentation``), which
start from logits and use torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REACH = 2
"""Pixels on each side of an outline that count as being at it."""
ELSEWHERE = 0.01
"""The weight of all other pixels, so that a scan without any outline has its plain mean."""


@dataclass(frozen=True)
class Uncertainty:
    """Mean entropies of one scan, each in [0, 1] as a share of ln C.

    ``entropy`` is over all pixels, ``foreground`` weighted by 1 - p(background), ``boundary`` along
    the outlines; ``class_entropy`` has the mean of p_c · H for each class but the background.
    ``pixels`` is the entropy of each pixel, of the grid's shape, float32.
    """

    entropy: float
    foreground: float
    boundary: float
    class_entropy: tuple[float, ...]
    pixels: NDArray[np.float32]


def uncertainty_of(probabilities: NDArray[np.float32]) -> Uncertainty:
    """All mean entropies of one prediction.

    Parameters
    ----------
    probabilities : ``(C, *grid)``, C of at least 2, class 0 the background; each pixel sums to 1.
    """
    pixels = np.zeros(probabilities.shape[1:], dtype=np.float32)
    for share in probabilities:
        # p ln p goes to 0 as p does.
        pixels -= share * np.log(np.maximum(share, np.finfo(np.float32).tiny))
    pixels /= math.log(len(probabilities))
    np.clip(pixels, 0.0, 1.0, out=pixels)
    band = outlines(probabilities.argmax(axis=0))
    return Uncertainty(
        entropy=float(pixels.mean(dtype=np.float64)),
        foreground=_weighted(pixels, 1.0 - probabilities[0].astype(np.float64)),
        boundary=_weighted(pixels, np.where(band, 1.0, ELSEWHERE)),
        class_entropy=tuple(
            float((share * pixels).mean(dtype=np.float64)) for share in probabilities[1:]
        ),
        pixels=pixels,
    )


def _weighted(pixels: NDArray[np.float32], weights: NDArray[np.float64]) -> float:
    total = float(weights.sum())
    found = float((weights * pixels).sum()) / total if total > 0 else 0.0
    return min(1.0, max(0.0, found))


def outlines(classes: NDArray[np.integer], reach: int = REACH) -> NDArray[np.bool_]:
    """Where ``classes`` (the grid) changes within ``reach`` pixels along the axes: bool, grid."""
    band = np.zeros(classes.shape, dtype=bool)
    for axis in range(classes.ndim):
        changed = np.diff(classes, axis=axis) != 0
        _lower(band, axis)[...] |= changed
        _upper(band, axis)[...] |= changed
    for _ in range(reach - 1):
        for axis in range(classes.ndim):
            before = band.copy()
            _lower(band, axis)[...] |= _upper(before, axis)
            _upper(band, axis)[...] |= _lower(before, axis)
    return band


def _lower(array: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    return _cut(array, axis, 0)


def _upper(array: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    return _cut(array, axis, 1)


def _cut(array: NDArray[np.bool_], axis: int, first: int) -> NDArray[np.bool_]:
    """A view of ``array`` without its last (``first`` 0) or first (1) plane along an axis."""
    keep = slice(first, array.shape[axis] - 1 + first)
    return array[tuple(keep if n == axis else slice(None) for n in range(array.ndim))]
