"""Dice and Hausdorff distances at native resolution, with ignored pixels left out.

Conventions (Metrics Reloaded, and MONAI's and DeepMind's implementations):

- *Surface*: the pixels of a mask that an erosion by one pixel with face connectivity removes;
  pixels at the edge of the scan belong to it. A pixel stands for its centre.
- *Directed distances* A→B: from each surface pixel of A to the nearest surface pixel of B.
- *HD*: the largest of both directions' distances. *HD95*: the larger of the two directions' 95th
  percentiles, each interpolated linearly.
- Distances are in mm where the scan's spacing is known ("mm"), else in pixels ("px").
- Both empty: Dice 1, HD 0. One empty: Dice 0, and HD and HD95 are the scan's diagonal
  (shape × spacing), with the note ``missed`` (nothing predicted) or ``spurious``.
- Ignored pixels are taken out of both masks before anything is measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

IGNORE = 255
_PERCENTILE = 95


class ClassMetrics(msgspec.Struct, frozen=True, omit_defaults=True):
    """One class on one scan. ``note`` is ``missed``, ``spurious``, ``both-empty`` or empty."""

    dice: float
    hd: float
    hd95: float
    unit: str = msgspec.field(default="")
    note: str = ""


class ClassSummary(msgspec.Struct, frozen=True):
    """One class over scans: means, and how often one or both masks were empty.

    ``unit`` is ``mixed`` and the distances are None where some scans know their spacing and
    others do not: their mean would mean nothing.
    """

    dice: float
    hd: float | None
    hd95: float | None
    unit: str
    scans: int
    missed: int = 0
    spurious: int = 0
    both_empty: int = 0


class MeanMetrics(msgspec.Struct, frozen=True):
    """The mean over the classes' means; distances are None where a class has none."""

    dice: float
    hd: float | None
    hd95: float | None


def measure_scan(
    predicted: NDArray[np.uint8],
    reference: NDArray[np.uint8],
    classes: Sequence[str],
    spacing: Sequence[float] | None,
) -> dict[str, ClassMetrics]:
    """Measure every class of one scan.

    Parameters
    ----------
    predicted, reference : label maps on the scan's grid, class c of ``classes`` stored as
        1 + c; 255 in ``reference`` is ignored.
    spacing : mm per grid axis, or None.

    Raises
    ------
    ValueError : the maps' shapes differ.
    """
    if predicted.shape != reference.shape:
        raise ValueError(f"prediction {predicted.shape} and label {reference.shape} differ")
    ignored = reference == IGNORE
    found: dict[str, ClassMetrics] = {}
    for value, name in enumerate(classes, start=1):
        a = (predicted == value) & ~ignored
        b = reference == value
        found[name] = measure_masks(a, b, spacing)
    return found


def measure_masks(
    predicted: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    spacing: Sequence[float] | None,
) -> ClassMetrics:
    """Dice, HD and HD95 of two masks of one shape; see the module for the conventions."""
    unit = "px" if spacing is None else "mm"
    steps = np.ones(predicted.ndim) if spacing is None else np.asarray(spacing, dtype=float)
    size_a, size_b = int(np.count_nonzero(predicted)), int(np.count_nonzero(reference))
    if size_a == 0 and size_b == 0:
        return ClassMetrics(1.0, 0.0, 0.0, unit, "both-empty")
    if size_a == 0 or size_b == 0:
        diagonal = float(np.linalg.norm(np.array(predicted.shape) * steps))
        return ClassMetrics(0.0, diagonal, diagonal, unit, "missed" if size_b else "spurious")
    shared = int(np.count_nonzero(predicted & reference))
    hd, hd95 = hausdorff(predicted, reference, steps)
    return ClassMetrics(2 * shared / (size_a + size_b), hd, hd95, unit)


def hausdorff(
    a: NDArray[np.bool_], b: NDArray[np.bool_], spacing: NDArray[np.floating]
) -> tuple[float, float]:
    """HD and HD95 of two masks that are not empty, in the unit of ``spacing`` (per axis).

    Masks are bool of one shape; ``spacing`` is of shape (axes,).
    """
    points_a, points_b = surface(a) * spacing, surface(b) * spacing
    forth, back = _nearest(points_a, points_b), _nearest(points_b, points_a)
    hd95 = max(float(np.percentile(d, _PERCENTILE)) for d in (forth, back))
    return max(float(forth.max()), float(back.max())), hd95


def surface(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Indices of the mask's surface pixels, ``(n, ndim)``; the mask must not be empty."""
    box = tuple(
        slice(int(found[0]), int(found[-1]) + 1)
        for found in (
            np.flatnonzero(mask.any(axis=tuple(k for k in range(mask.ndim) if k != axis)))
            for axis in range(mask.ndim)
        )
    )
    crop = mask[box]
    edge = crop & ~ndimage.binary_erosion(crop)
    return np.asarray(np.argwhere(edge) + np.array([part.start for part in box]), dtype=np.int64)


def _nearest(points: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    tree = cKDTree(others, balanced_tree=False, compact_nodes=True)
    distances, _ = tree.query(points)
    return np.asarray(distances, dtype=np.float64)


def summarise(
    scans: Mapping[str, Mapping[str, ClassMetrics]], classes: Sequence[str]
) -> tuple[dict[str, ClassSummary], MeanMetrics | None]:
    """Means per class over scans, and over the classes; None where there is no scan.

    A class that no label holds is left out of the mean over classes: Dice 1 of two empty masks
    says nothing of it. Where no label holds any class, all count.
    """
    if not scans:
        return {}, None
    summary = {name: _summary([found[name] for found in scans.values()]) for name in classes}
    held = [one for one in summary.values() if one.both_empty + one.spurious < one.scans]
    every = held or list(summary.values())
    return summary, MeanMetrics(
        dice=_mean([one.dice for one in every]),
        hd=_mean_or_none([one.hd for one in every]),
        hd95=_mean_or_none([one.hd95 for one in every]),
    )


def _summary(found: Sequence[ClassMetrics]) -> ClassSummary:
    units = {one.unit for one in found}
    notes = [one.note for one in found]
    mixed = len(units) > 1
    return ClassSummary(
        dice=_mean([one.dice for one in found]),
        hd=None if mixed else _mean([one.hd for one in found]),
        hd95=None if mixed else _mean([one.hd95 for one in found]),
        unit="mixed" if mixed else units.pop(),
        scans=len(found),
        missed=notes.count("missed"),
        spurious=notes.count("spurious"),
        both_empty=notes.count("both-empty"),
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _mean_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if len(known) == len(values) else None
