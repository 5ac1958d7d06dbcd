"""Distances on the map and between embeddings, computed so that ties are exact.

Every distance is the root of summed squares of direct differences in float64: it is symmetric,
exactly zero for equal points, and does not depend on the other points in the block (the expansion
a² + b² - 2ab has none of these properties). No BLAS, so no threads. Only ``rough_distances`` uses
the expansion, for all pairs of long vectors.
"""

from __future__ import annotations

import numpy as np

from coldal_tui.selection.pool import Cell, Floats, Floats64, Indices

TILE = 1 << 18
"""Distances computed at once: 2 MB of float64, which stays in a core's cache."""

SAME = 1e-9
"""Rough sums of distances that differ relatively by less may be equal."""


def squared_distances(a: Floats, b: Floats) -> Floats64:
    """(m, n) squared distances between the (m, d) points ``a`` and the (n, d) points ``b``."""
    if a.shape[1] != 2:
        return _wide_squared(a, b)
    a64, b64 = np.asarray(a, np.float64), np.asarray(b, np.float64)
    dx: Floats64 = a64[:, 0, None] - b64[None, :, 0]
    dy: Floats64 = a64[:, 1, None] - b64[None, :, 1]
    np.multiply(dx, dx, out=dx)
    np.multiply(dy, dy, out=dy)
    np.add(dx, dy, out=dx)
    return dx


def distances(a: Floats, b: Floats) -> Floats64:
    """(m, n) distances between the (m, d) points ``a`` and the (n, d) points ``b``."""
    squared = squared_distances(a, b)
    return np.sqrt(squared, out=squared)


def rough_distances(a: Floats, b: Floats) -> Floats64:
    """(m, n) distances; between points wider than 2 by a matrix product, a hundred times as fast.

    These have errors of about 1e-8 of the vectors' length and are not exact for equal points: check
    ties with ``distances``. BLAS: call it within ``single_thread``.
    """
    if a.shape[1] == 2:
        return distances(a, b)
    a64, b64 = np.asarray(a, np.float64), np.asarray(b, np.float64)
    squared: Floats64 = a64 @ b64.T
    squared *= -2.0
    squared += np.einsum("ij,ij->i", a64, a64)[:, None]
    squared += np.einsum("ij,ij->i", b64, b64)[None, :]
    np.maximum(squared, 0.0, out=squared)
    return np.sqrt(squared, out=squared)


def _wide_squared(a: Floats, b: Floats) -> Floats64:
    """Squared distances in any width, one of the fewer points at a time."""
    if len(a) > len(b):
        return _wide_squared(b, a).T
    squared = np.empty((len(a), len(b)))
    rows = max(1, TILE // max(1, b.shape[1]))
    for start in range(0, len(b), rows):
        block = np.asarray(b[start : start + rows], np.float64)
        for n, point in enumerate(a):
            gap = block - point.astype(np.float64)
            squared[n, start : start + rows] = np.einsum("ij,ij->i", gap, gap)
    return squared


def nearest(points: Floats, targets: Floats) -> tuple[Floats64, Indices]:
    """Distance of each of (m, d) ``points`` to the nearest of (n, d) ``targets``, and its index.

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
    """Each of (m, d) points as a hashable tuple; equal coordinates give equal tuples."""
    return [tuple(point) for point in np.asarray(points, np.float64).tolist()]
