"""Distances on the map, with numerics that make ties exact.

Every distance is sqrt((ax - bx)² + (ay - by)²) from direct differences in float64: it is the same
from a to b and from b to a, zero exactly for equal points, and does not depend on what else is in
the block (the expansion a² + b² - 2ab has none of these properties). No BLAS, so no threads.
"""

from __future__ import annotations

import numpy as np

from coldal_tui.selection.pool import Cell, Floats, Floats64, Indices

TILE = 1 << 18
"""Distances computed at once: 2 MB of float64, which stays in a core's cache."""


def squared_distances(a: Floats, b: Floats) -> Floats64:
    """(m, n) squared distances between the (m, 2) points ``a`` and the (n, 2) points ``b``."""
    a64, b64 = np.asarray(a, np.float64), np.asarray(b, np.float64)
    dx: Floats64 = a64[:, 0, None] - b64[None, :, 0]
    dy: Floats64 = a64[:, 1, None] - b64[None, :, 1]
    np.multiply(dx, dx, out=dx)
    np.multiply(dy, dy, out=dy)
    np.add(dx, dy, out=dx)
    return dx


def distances(a: Floats, b: Floats) -> Floats64:
    """(m, n) distances between the (m, 2) points ``a`` and the (n, 2) points ``b``."""
    squared = squared_distances(a, b)
    return np.sqrt(squared, out=squared)


def nearest(points: Floats, targets: Floats) -> tuple[Floats64, Indices]:
    """Distance of each of (m, 2) ``points`` to the nearest of (n, 2) ``targets``, and which it is.

    Ties go to the first target. Memory O(m + n). Without targets: infinity and -1.
    """
    distance = np.full(len(points), np.inf)
    which = np.full(len(points), -1, dtype=np.int64)
    if not len(targets):
        return distance, which
    rows = max(1, TILE // len(targets))
    for start in range(0, len(points), rows):
        squared = squared_distances(points[start : start + rows], targets)
        first = squared.argmin(axis=1)
        which[start : start + rows] = first
        distance[start : start + rows] = np.sqrt(squared[np.arange(len(first)), first])
    return distance, which


def cells(points: Floats) -> list[Cell]:
    """Each of (m, 2) points as a hashable pair; equal coordinates give equal pairs."""
    return [(float(x), float(y)) for x, y in np.asarray(points, np.float64).tolist()]
