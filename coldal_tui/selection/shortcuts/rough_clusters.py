"""Rough mean silhouettes of every k on a map, from a grid, to leave out those far from the best."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from coldal_tui.selection.determinism import single_thread
from coldal_tui.selection.pool import Floats64

MOST_CELLS = 1_000
_FIRST_SIDE, _FINER, _LARGEST_SIDE = 8, 1.4, 1e6
_CANDIDATES = 300
_STEPS = 20

Singles = NDArray[np.float32]


def rough_silhouettes(points: Floats64, tried: Iterable[int]) -> dict[int, float]:
    """``k → mean silhouette`` of (N, 2) distinct or equal points for the ``tried`` k ≥ 2.

    The points of a grid cell are taken together: at most 1,000 cells, so that the time hardly
    depends on N, and no point is left out. Clusters of cells grow by one at a time, where one more
    centre lowers the summed squares most, followed by Lloyd's steps (fast global k-means: Likas,
    Vlassis and Verbeek 2003). A k above the number of cells has no value. No random number is
    used; one thread.
    """
    spots, weight, spread = _cells(points - points.mean(axis=0))
    wanted = [k for k in sorted(set(tried)) if k <= len(spots)]
    if not wanted:
        return {}
    with single_thread():
        labelings = _nested(spots, weight, wanted)
        scores = _silhouettes(spots, weight, spread, labelings)
    return dict(zip(wanted, scores, strict=True))


def _cells(points: Floats64) -> tuple[Floats64, Floats64, Floats64]:
    """(C, 2) means, (C,) counts and (C,) mean squared distances to the mean of the cells.

    The finest grid with at most ``MOST_CELLS`` cells that hold a point: one far point alone does
    not make the others fall together.
    """
    low = points.min(axis=0)
    width = float((points - low).max())
    best: NDArray[np.int64] = np.zeros(len(points), np.int64)
    side = float(_FIRST_SIDE)
    while side <= _LARGEST_SIDE and width > 0:
        place = np.floor((points - low) * (side / width)).astype(np.int64)
        found, cell = np.unique(place[:, 0] * (int(side) + 2) + place[:, 1], return_inverse=True)
        if len(found) > MOST_CELLS:
            break
        best = cell.ravel()
        side *= _FINER
    weight = np.bincount(best).astype(np.float64)
    spots = np.stack([np.bincount(best, points[:, n]) / weight for n in (0, 1)], axis=1)
    gaps = np.square(points - spots[best]).sum(axis=1)
    return spots, weight, np.bincount(best, gaps) / weight


def _nested(spots: Floats64, weight: Floats64, wanted: list[int]) -> list[NDArray[np.int64]]:
    """(C,) clusters of the cells for each of the ``wanted`` k, ascending."""
    few = spots[:: max(1, len(spots) // _CANDIDATES)]
    apart = _squares(few, spots).astype(np.float32)
    mass = weight.astype(np.float32)
    centres = np.average(spots, axis=0, weights=weight)[None, :]
    labelings = []
    for k in range(2, wanted[-1] + 1):
        nearest = _squares(spots, centres).min(axis=1)
        # A cell far from all centres may not be among the few.
        far = spots[[int(nearest.argmax())]]
        gaps = np.concatenate([apart, _squares(far, spots).astype(np.float32)])
        saved = np.maximum(nearest.astype(np.float32) - gaps, 0) @ mass
        candidates = np.concatenate([few, far])
        centres = np.concatenate([centres, candidates[[int(saved.argmax())]]])
        labels, centres = _lloyd(spots, weight, centres)
        if k in wanted:
            labelings.append(labels)
    return labelings


def _lloyd(
    spots: Floats64, weight: Floats64, centres: Floats64
) -> tuple[NDArray[np.int64], Floats64]:
    labels = np.full(len(spots), -1, np.int64)
    moments = spots * weight[:, None]
    for _ in range(_STEPS):
        now = _squares(spots, centres).argmin(axis=1)
        if np.array_equal(now, labels):
            break
        labels = now
        mass = np.bincount(labels, weight, len(centres))
        sums = [np.bincount(labels, moments[:, n], len(centres)) for n in (0, 1)]
        held = mass > 0
        centres = np.where(
            held[:, None], np.stack(sums, 1) / np.where(held, mass, 1)[:, None], centres
        )
    return labels, centres


def _squares(a: Floats64, b: Floats64) -> Floats64:
    squared: Floats64 = a @ (-2.0 * b.T)
    squared += np.square(a).sum(axis=1)[:, None]
    squared += np.square(b).sum(axis=1)[None, :]
    return squared


def _silhouettes(
    spots: Floats64, weight: Floats64, spread: Floats64, labelings: list[NDArray[np.int64]]
) -> list[float]:
    """Mean silhouettes of the points in the cells under each labeling.

    Two points' distance is taken as that of their cells' means, a little larger for the points'
    spread across the line between them.
    """
    apart = np.maximum(_squares(spots, spots), 0.0)
    np.fill_diagonal(apart, 0.0)
    apart += (spread[:, None] + spread[None, :]) / 2
    gaps = np.sqrt(apart, out=apart).astype(np.float32)
    widths = [int(labels.max()) + 1 for labels in labelings]
    ends = np.cumsum(widths)
    member = np.zeros((len(spots), int(ends[-1])), np.float32)
    here = np.arange(len(spots))
    for labels, end, width in zip(labelings, ends, widths, strict=True):
        member[here, end - width + labels] = weight
    sums = (gaps @ member).astype(np.float64)
    counts = member.sum(axis=0, dtype=np.float64)
    own_gap = np.sqrt(spread)
    scores = []
    for labels, end, width in zip(labelings, ends, widths, strict=True):
        part = sums[:, end - width : end]
        count = counts[end - width : end]
        # A point has no distance to itself.
        inside = (part[here, labels] - own_gap) / np.maximum(count[labels] - 1, 1)
        means = part / np.maximum(count, 1)
        means[here, labels] = np.inf
        means[:, count == 0] = np.inf
        outside = means.min(axis=1)
        largest = np.maximum(np.maximum(inside, outside), 1e-300)
        value = np.where(count[labels] > 1, (outside - inside) / largest, 0.0)
        scores.append(float(np.average(value, weights=weight)))
    return scores
