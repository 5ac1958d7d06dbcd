"""Random pools for the tests of selection: grids (many ties), duplicates, warm starts, skew."""

from __future__ import annotations

from dataclasses import replace

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


def vector_scene(seed: int, *, largest: int = 30, patients: bool = False) -> Pool:
    """A ``scene`` with embeddings: clumps, exact copies, zero rows; some in turns by patient."""
    pool = scene(seed, largest=largest)
    rng = np.random.default_rng([seed, 1])
    n, d = len(pool), int(rng.integers(2, 7))
    centres = 3 * rng.normal(size=(int(rng.integers(1, 5)), d))
    rows = centres[rng.integers(0, len(centres), n)] + rng.normal(size=(n, d))
    if seed % 3 == 0:
        rows = rows[rng.integers(0, n, n)]
    rows[rng.random(n) < rng.choice([0.0, 0.0, 0.1])] = 0.0
    whose = rng.integers(0, max(1, n // 3), n) if patients else None
    bald = rng.random(n) * (rng.random(n) > 0.2)
    bald[rng.random(n) < 0.1] = np.nan
    classes = rng.random((n, int(rng.integers(1, 4))))
    return replace(
        pool,
        embeddings=rows,
        patients=whose,
        bald=bald,
        class_entropy=classes,
        foreground_entropy=rng.integers(0, 6, n) / 5,
        boundary_entropy=rng.random(n),
        features=rng.normal(size=(n, 5)),
        round=seed % 4,
    )
