"""Measures the agreement of two raters' labels of a scan: Dice and HD95 per class.

Conventions as for the metrics of a run: the surface of a mask is the pixels that an erosion with
face connectivity removes; HD95 is the larger of both directions' 95th percentiles, interpolated
linearly; pixels that either rater ignores are excluded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coldal_tui.imaging.labelfile import IGNORE_LABEL

_PERCENTILE = 95


@dataclass(frozen=True)
class Agreement:
    """Agreement of two raters on one class; ``unit`` of ``hd95`` is mm, or px without spacing.

    If neither drew the class: Dice 1, HD95 0. If only one did: Dice 0, HD95 the scan's diagonal.
    """

    scan_id: str
    first: str
    second: str
    name: str
    dice: float
    hd95: float
    unit: str

    def __str__(self) -> str:
        return (
            f"{self.first} and {self.second}, {self.name}: "
            f"Dice {self.dice:.3f}, HD95 {self.hd95:.1f} {self.unit}"
        )


def compare_labels(
    scan_id: str,
    labels: Sequence[tuple[str, NDArray[np.uint8]]],
    classes: Sequence[str],
    spacing: Sequence[float] | None,
) -> tuple[Agreement, ...]:
    """Compare every pair of raters on every class.

    Parameters
    ----------
    labels : labels of one shape by rater's name: 0 background, 1..C classes, 255 ignore.
    spacing : mm per grid axis, or None.
    """
    found: list[Agreement] = []
    unit = "px" if spacing is None else "mm"
    for index, (first, a) in enumerate(labels):
        for second, b in labels[index + 1 :]:
            counted = (a != IGNORE_LABEL) & (b != IGNORE_LABEL)
            for value, name in enumerate(classes, start=1):
                left, right = (a == value) & counted, (b == value) & counted
                dice, hd95 = dice_of(left, right), hd95_of(left, right, spacing)
                found.append(Agreement(scan_id, first, second, name, dice, hd95, unit))
    return tuple(found)


def dice_of(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Dice: 2|A∩B| / (|A| + |B|); 1 if both are empty.

    Both are bool arrays of one shape.
    """
    both = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 2 * int(np.count_nonzero(a & b)) / both if both else 1.0


def hd95_of(a: NDArray[np.bool_], b: NDArray[np.bool_], spacing: Sequence[float] | None) -> float:
    """The 95th percentile of the Hausdorff distance, in mm or pixels.

    Both are bool arrays of one shape; ``spacing`` is mm per axis.
    """
    return distances_of(a, b, spacing, (_PERCENTILE,))[0]


def distances_of(
    a: NDArray[np.bool_],
    b: NDArray[np.bool_],
    spacing: Sequence[float] | None,
    percentiles: Sequence[float],
) -> tuple[float, ...]:
    """Percentiles of the surface distance (100: the Hausdorff distance), as :func:`hd95_of`."""
    steps = np.ones(a.ndim) if spacing is None else np.asarray(spacing, dtype=float)
    drawn = bool(a.any()), bool(b.any())
    if not any(drawn):
        return (0.0,) * len(percentiles)
    if not all(drawn):
        return (float(np.linalg.norm(np.array(a.shape) * steps)),) * len(percentiles)
    return _percentiles(_surface(a) * steps, _surface(b) * steps, percentiles)


def _surface(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Indices of the surface pixels, ``(n, ndim)``, including those at the scan's edge."""
    from scipy import ndimage

    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    crop = mask[box]
    edge = crop & ~ndimage.binary_erosion(crop)
    return np.asarray(np.argwhere(edge) + [part.start for part in box], dtype=np.int64)


def _percentiles(
    points: NDArray[np.floating], others: NDArray[np.floating], percentiles: Sequence[float]
) -> tuple[float, ...]:
    from scipy.spatial import cKDTree

    forth, _ = cKDTree(others).query(points)
    back, _ = cKDTree(points).query(others)
    return tuple(
        max(float(np.percentile(distances, one)) for distances in (forth, back))
        for one in percentiles
    )
