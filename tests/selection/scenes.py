"""Random pools for the tests of selection: grids (many ties), duplicates, warm starts, skew."""

from __future__ import annotations

import numpy as np

from coldal_tui.selection.pool import Pool


def scene(seed: int, *, largest: int = 40) -> Pool:
    """A random pool; scans at the same point share a cluster, as ``choose_clusters`` gives."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, largest + 1))
    if seed % 2:
        points = rng.integers(0, int(rng.integers(1, 8)), size=(n, 2)).astype(np.float64)
    else:
        points = rng.normal(size=(n, 2))
        if seed % 4 == 0:
            points = points[rng.integers(0, n, size=n)]
    k = int(rng.integers(1, 7))
    _, inverse = np.unique(points, axis=0, return_inverse=True)
    weights = rng.dirichlet(np.full(k, 0.5))
    clusters = rng.choice(k, size=inverse.max() + 1, p=weights)[inverse.ravel()]
    labelled = rng.random(n) < rng.choice([0.0, 0.0, 0.1, 0.4])
    covered = labelled | (rng.random(n) < rng.choice([0.0, 0.1, 0.3]))
    candidate = ~covered & (rng.random(n) < rng.choice([1.0, 1.0, 0.8]))
    entropy = rng.integers(0, 6, size=n) / 5 if seed % 3 else rng.random(n)
    entropy[rng.random(n) < rng.choice([0.0, 0.0, 0.2])] = np.nan
    return Pool(points, clusters, candidate, covered, labelled, entropy)


def plain(pool: Pool) -> list[tuple[float, float]]:
    """The pool's points as plain tuples."""
    return [(float(x), float(y)) for x, y in pool.points.tolist()]
