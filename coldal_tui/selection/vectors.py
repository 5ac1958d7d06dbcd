"""Embeddings for selection: unit rows, their clusters, and blockwise products."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ColdalError
from coldal_tui.selection.clustering import (
    FEWEST_POINTS,
    LARGEST_K,
    Clustering,
    Labels,
    by_size,
    mean_silhouettes,
)
from coldal_tui.selection.determinism import seed32, single_thread
from coldal_tui.selection.pool import Floats, Floats64, Indices, Pool
from coldal_tui.selection.projection import distinct_rows, normalise

Rows = NDArray[np.float32]

STARTS = ((500, 10), (2_000, 3))
"""k-means takes the best of so many starts up to so many rows, and one above."""
DOUBLE_ROWS = 4_096
"""Rows up to which all pairs are measured in float64; above in float32, three times as fast."""
EXACT_ROWS = 5_000
"""Rows up to which the silhouette is exact; above, it is estimated on QUERY_ROWS of them."""
QUERY_ROWS = 2_000
_TIE = 1e-12
_TILE_ROWS = 1024


def unit_rows(pool: Pool, index: Indices) -> Rows:
    """The L2-normalised embeddings of some scans, (n, d); zero rows stay zero.

    Raises ColdalError when the pool has no embeddings (``missing-input``) or they are not finite.
    """
    if pool.embeddings is None:
        raise ColdalError(
            "the pool has no embeddings", remedy="embed the scans first", code="missing-input"
        )
    return normalise(pool.embeddings[index])


def population(pool: Pool) -> Indices:
    """Indices of the scans that a selection is to represent: candidates and covered ones.

    Returns shape (M,) int64.
    """
    return np.flatnonzero(pool.candidate | pool.covered).astype(np.int64)


def tolerance(rows: Floats) -> float:
    """The error bound for distances of unit rows in tiles, except for nearly equal rows.

    ``rows`` is (N, d) float.
    """
    return 1e-7 if len(rows) <= DOUBLE_ROWS else 2e-5


def product_tiles(
    rows: Floats, others: Floats, *, double: bool
) -> Iterator[tuple[slice, Floats64]]:
    """Scalar products of ``rows`` with (n, d) ``others``, tile by tile: O(n) memory each."""
    kind: type[np.floating] = np.float64 if double else np.float32
    wide = np.asarray(others, kind)
    with single_thread():
        for start in range(0, len(rows), _TILE_ROWS):
            part = slice(start, start + _TILE_ROWS)
            products: Floats = np.asarray(rows[part], kind) @ wide.T
            yield part, products.astype(np.float64)


def distance_tiles(
    rows: Floats, others: Floats, *, double: bool
) -> Iterator[tuple[slice, Floats64]]:
    """Distances of ``rows`` to (n, d) ``others``, tile by tile; see ``tolerance``."""
    norms, wide = _squares(rows), _squares(others)
    for part, products in product_tiles(rows, others, double=double):
        products *= -2.0
        products += norms[part, None]
        products += wide[None, :]
        np.maximum(products, 0.0, out=products)
        yield part, np.sqrt(products, out=products)


def _squares(rows: Floats) -> Floats64:
    squares = np.empty(len(rows))
    for start in range(0, len(rows), _TILE_ROWS):
        block = np.asarray(rows[start : start + _TILE_ROWS], np.float64)
        squares[start : start + _TILE_ROWS] = np.einsum("ij,ij->i", block, block)
    return squares


def kmeans(rows: Rows, k: int, seed: int) -> tuple[Labels, Floats64]:
    """(n,) clusters of (n, d) rows, cluster 0 the largest, and the clusters' means (k', d).

    Lloyd's algorithm from k-means++ starts on at most as many clusters as there are distinct rows.
    It uses one thread, so that the result depends only on the seed.
    """
    from sklearn.cluster import KMeans

    k = min(k, len(distinct_rows(rows)[0]))
    starts = next((count for most, count in STARTS if len(rows) <= most), 1)
    with single_thread():
        model = KMeans(k, n_init=starts, random_state=seed32(seed)).fit(rows)
    labels = by_size(np.asarray(model.labels_, dtype=np.int64))
    # Summed in the order of the rows: the nearest centre must not depend on a library's sums.
    means = np.zeros((int(labels.max()) + 1, rows.shape[1]))
    for cluster in range(len(means)):
        means[cluster] = rows[labels == cluster].mean(axis=0, dtype=np.float64)
    return labels, means


def choose_row_clusters(embeddings: Floats, max_k: int, seed: int) -> Clustering:
    """Step 3 of the cold start on (N, d) L2-normalised embeddings instead of the map.

    The rules of ``choose_clusters``: k from 2 to min(max_k, 30, distinct rows - 1) by the mean
    silhouette, ties to the smaller k. Above 5,000 rows the silhouette is estimated on 2,000.
    """
    rows = normalise(embeddings)
    if not len(rows):
        raise ColdalError("there are no scans to cluster", code="empty")
    first, inverse = distinct_rows(rows)
    one = Clustering(np.zeros(len(rows), np.int64), 1, (), False)
    if len(first) < FEWEST_POINTS:
        return one
    tried = range(2, min(max_k, LARGEST_K, len(first) - 1) + 1)
    labelings = {k: kmeans(rows, k, seed)[0][first][inverse] for k in tried}
    labelings = {k: by_size(found) for k, found in labelings.items() if len(set(found)) == k}
    if not labelings:
        return one
    queries = None
    if len(rows) > EXACT_ROWS:
        drawn = np.random.default_rng(seed).choice(len(rows), QUERY_ROWS, replace=False)
        queries = np.sort(drawn).astype(np.int64)
    scores = mean_silhouettes(rows, list(labelings.values()), queries)
    best = next(
        k for k, score in zip(labelings, scores, strict=True) if score >= max(scores) - _TIE
    )
    return Clustering(
        labelings[best], best, tuple(zip(labelings, scores, strict=True)), queries is not None
    )
