"""Clusters on the map: k-means with k chosen by mean silhouette, and exact medoids."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ColdalError
from coldal_tui.selection.determinism import seed32, single_thread
from coldal_tui.selection.geometry import SAME, TILE, distances, rough_distances
from coldal_tui.selection.pool import Floats, Floats64, Indices

LARGEST_K = 30
EXACT_POINTS = 20_000
"""Points up to which the silhouette is exact; above, it is estimated on QUERIES of them."""
QUERIES = 5_000
FEWEST_POINTS = 4
_TIE = 1e-12
_TILE_ROWS, _TILE_COLUMNS = 1024, 2048

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Clustering:
    """``labels`` (N,) in 0..k-1, cluster 0 the largest (ties: the one that appears first).

    ``silhouettes`` are (k, mean silhouette) of every k tried, ascending in k; ``estimated`` says
    that they were measured on a random part of the points.
    """

    labels: Labels
    k: int
    silhouettes: tuple[tuple[int, float], ...]
    estimated: bool


def choose_clusters(xy: Floats, max_k: int, seed: int) -> Clustering:
    """Cluster the (N, 2) map (step 3 of the cold start).

    k-means with 10 starts for k = 2 … min(max_k, 30, distinct points - 1); k* has the largest
    mean silhouette, ties (to 1e-12, the rounding of a mean) to the smaller k. With fewer than 4
    distinct points, or no k to try, there is one cluster. A k for which k-means leaves a cluster
    empty is no candidate. Equal points get equal labels.

    Raises ColdalError without a point (``empty``) or with one that is not finite (``not-finite``).
    """
    points = np.asarray(xy, dtype=np.float64)
    if not len(points):
        raise ColdalError("there are no scans to cluster", code="empty")
    if not bool(np.all(np.isfinite(points))):
        raise ColdalError(
            "map coordinates are not finite", remedy="rebuild the map", code="not-finite"
        )
    distinct, first, inverse = np.unique(points, axis=0, return_index=True, return_inverse=True)
    one = Clustering(np.zeros(len(points), np.int64), 1, (), False)
    if len(distinct) < FEWEST_POINTS:
        return one
    tried = range(2, min(max_k, LARGEST_K, len(distinct) - 1) + 1)
    labelings = {k: _kmeans(points, k, seed)[first][inverse.ravel()] for k in tried}
    labelings = {k: found for k, found in labelings.items() if len(np.unique(found)) == k}
    if not labelings:
        return one
    queries = _queries(len(points), seed)
    scores = mean_silhouettes(points, list(labelings.values()), queries)
    best = next(
        k for k, score in zip(labelings, scores, strict=True) if score >= max(scores) - _TIE
    )
    return Clustering(
        by_size(labelings[best]),
        best,
        tuple(zip(labelings, scores, strict=True)),
        queries is not None,
    )


def mean_silhouettes(
    xy: Floats, labelings: Sequence[Labels], queries: Indices | None = None
) -> list[float]:
    """Mean silhouette of (N, d) points under each labeling, in one pass over the distances.

    Agrees with scikit-learn's ``silhouette_score``: a singleton's is 0, and so is 0 / 0. Each
    labeling is (N,) int with values 0..k-1, every one used. With ``queries`` the mean is over
    these points only, measured against all. O(N) memory. (Rousseeuw 1987.)
    """
    points = np.asarray(xy, dtype=np.float64)
    asked = np.arange(len(points)) if queries is None else queries
    widths = [int(labels.max()) + 1 for labels in labelings]
    offsets = np.concatenate([[0], np.cumsum(widths)])
    columns = np.stack([labels + at for labels, at in zip(labelings, offsets, strict=False)], 1)
    counts = np.bincount(columns.ravel(), minlength=int(offsets[-1])).astype(np.float64)
    values: list[list[Floats64]] = [[] for _ in labelings]
    with single_thread():
        for start in range(0, len(asked), _TILE_ROWS):
            rows = asked[start : start + _TILE_ROWS]
            sums = _sums_to_clusters(points, rows, columns, int(offsets[-1]))
            for n, labels in enumerate(labelings):
                part = slice(int(offsets[n]), int(offsets[n + 1]))
                values[n].append(_silhouette(sums[:, part], labels[rows], counts[part]))
    return [fsum(np.concatenate(parts).tolist()) / len(asked) for parts in values]


def medoid(xy: Floats, members: Indices, among: Indices | None = None) -> int:
    """The member (an index into (N, d) ``xy``) with the least summed distance to the others.

    ``among``: only these members may be it; their distances are still to all.

    Exact: sums that are equal but for rounding are added up again without rounding, so a tie is
    a tie in any order of addition and goes to the lower index. O(n) memory, O(n²) time.
    """
    if not len(members):
        raise ValueError("a cluster without members has no medoid")
    members = np.sort(np.asarray(members, dtype=np.int64))
    asked = members if among is None else np.sort(np.asarray(among, dtype=np.int64))
    points, spots = (np.asarray(xy[part], dtype=np.float64) for part in (members, asked))
    rows = max(1, TILE // len(points))
    with _one_thread_for(points):
        sums = np.concatenate(
            [
                rough_distances(spots[start : start + rows], points).sum(axis=1)
                for start in range(0, len(spots), rows)
            ]
        )
    least = float(sums.min())
    # Rough distances of wide points are off by up to 3e-8 each.
    close = np.flatnonzero(sums <= least * (1 + SAME) + _slack(points))
    _, first = np.unique(spots[close], axis=0, return_index=True)
    exact = [(summed_distance(points, spots[n]), n) for n in close[np.sort(first)].tolist()]
    return int(asked[min(exact)[1]])


def _one_thread_for(points: Floats64) -> AbstractContextManager[None]:
    """One thread for the matrix products of wide points; the map has none."""
    return single_thread() if points.shape[1] != 2 else nullcontext()


def _slack(points: Floats64) -> float:
    return 0.0 if points.shape[1] == 2 else 3e-8 * len(points)


def summed_distance(points: Floats, point: Floats) -> float:
    """Sum of the distances from (d,) ``point`` to (n, d) ``points``, correctly rounded."""
    return fsum(distances(point[None, :], points)[0].tolist())


def _kmeans(points: Floats64, k: int, seed: int) -> Labels:
    from sklearn.cluster import KMeans

    with single_thread():
        model = KMeans(k, n_init=10, random_state=seed32(seed)).fit(points)
    return np.asarray(model.labels_, dtype=np.int64)


def _queries(count: int, seed: int) -> Indices | None:
    if count <= EXACT_POINTS:
        return None
    drawn = np.random.default_rng(seed).choice(count, QUERIES, replace=False)
    return np.sort(drawn).astype(np.int64)


def _sums_to_clusters(
    points: Floats64, rows: Indices, columns: NDArray[np.int64], width: int
) -> Floats64:
    """(rows, width) summed distances of some points to all points, per cluster of each labeling.

    The sum per cluster is a product with the one-hot labels, tile by tile.
    """
    sums = np.zeros((len(rows), width))
    for start in range(0, len(points), _TILE_COLUMNS):
        part = columns[start : start + _TILE_COLUMNS]
        member = np.zeros((len(part), width))
        member[np.arange(len(part))[:, None], part] = 1.0
        sums += rough_distances(points[rows], points[start : start + _TILE_COLUMNS]) @ member
    return sums


def _silhouette(sums: Floats64, own: Labels, counts: Floats64) -> Floats64:
    """(b - a) / max(a, b) of each row, from its summed distance to every cluster."""
    here = np.arange(len(own))
    inside = sums[here, own] / np.maximum(counts[own] - 1, 1)
    means = sums / counts
    means[here, own] = np.inf
    outside = means.min(axis=1)
    largest = np.maximum(inside, outside)
    usable = (counts[own] > 1) & (largest > 0)
    values: Floats64 = np.zeros(len(own))
    np.divide(outside - inside, largest, out=values, where=usable)
    return values


def by_size(labels: Labels) -> Labels:
    """(N,) labels renumbered: the largest cluster is 0; ties: the lowest first member."""
    _, first, inverse, counts = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((first, -counts))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[inverse.ravel()]
