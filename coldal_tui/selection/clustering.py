"""Clusters on the map: k-means with k chosen by mean silhouette, and exact medoids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ColdalError
from coldal_tui.selection.determinism import seed32, single_thread
from coldal_tui.selection.geometry import SAME, TILE, distances, rough_distances
from coldal_tui.selection.pool import Floats, Floats64, Indices
from coldal_tui.selection.shortcuts.rough_clusters import rough_silhouettes

LARGEST_K = 30
EXACT_POINTS = 20_000
"""Points up to which the silhouette is exact; above, it is estimated on QUERIES of them."""
QUERIES = 5_000
FEWEST_POINTS = 4
ALL_K = 1_000
"""Points up to which every k is tried; above, those that are not far from the best on a grid."""
BAND = 0.04
"""How far below the best one's a k's silhouette on the grid may be for the k to be tried.

On 60 planted sets of 1,100 to 5,000 points the best k was at most 0.017 below.
"""
ALL_START = 5_000
"""Points up to which every start of k-means runs on all of them."""
_DRAWN, _STARTS = 4_000, 10
_TIE = 1e-12
_MANY = 1_000
"""Members from which the medoid is looked for by bounds."""
_MOST_PLANES, _FEW_LEFT = 400, 4
_TILE_ROWS, _WIDE_TILE_ROWS, _TILE_COLUMNS = 128, 1024, 2048

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Clustering:
    """``labels`` (N,) in 0..k-1, cluster 0 the largest (ties: the one that appears first).

    ``silhouettes`` are (k, mean silhouette) of every k tried, ascending in k; ``estimated``: some
    of them are estimates (of a k far from the best, or of many points).
    """

    labels: Labels
    k: int
    silhouettes: tuple[tuple[int, float], ...]
    estimated: bool


def choose_clusters(xy: Floats, max_k: int, seed: int) -> Clustering:
    """Cluster the (N, 2) map (step 3 of the cold start).

    k-means with 10 starts for k = 2 … min(max_k, 30, distinct points - 1); above 5,000 points the
    starts run on a random sample of 4,000, and the best one is refined on all points (Bradley and
    Fayyad 1998). Above 1,000 points only a k is tried whose silhouette on a grid
    (``rough_silhouettes``) is within 0.04 of the best one's there. k* has the largest mean
    silhouette, ties (to 1e-12, the rounding of a mean) to the smaller k. With fewer than 4 distinct
    points, or no k to try, there is one cluster. A k for which k-means leaves a cluster empty is
    not considered. Equal points get equal labels.

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
    rough = rough_silhouettes(points, tried) if len(points) > ALL_K else {}
    close = [k for k in tried if rough.get(k, np.inf) >= max(rough.values(), default=0.0) - BAND]

    def clustered(k: int) -> Labels:
        return _kmeans(points, k, seed)[first][inverse.ravel()]

    labelings = _full(clustered, close)
    if not labelings:
        rough, labelings = {}, _full(clustered, tried)
    if not labelings:
        return one
    queries = _queries(len(points), seed)
    scores = mean_silhouettes(points, list(labelings.values()), queries)
    best = next(
        k for k, score in zip(labelings, scores, strict=True) if score >= max(scores) - _TIE
    )
    far = {k: score for k, score in rough.items() if k not in close}
    return Clustering(
        by_size(labelings[best]),
        best,
        tuple(sorted((far | dict(zip(labelings, scores, strict=True))).items())),
        bool(far) or queries is not None,
    )


def _full(clustered: Callable[[int], Labels], tried: Iterable[int]) -> dict[int, Labels]:
    """The clusters of each k; none for a k that leaves a cluster empty."""
    found = {k: clustered(k) for k in tried}
    return {k: labels for k, labels in found.items() if len(np.unique(labels)) == k}


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
    parts = _Parts(points, columns, int(offsets[-1]))
    values: list[list[Floats64]] = [[] for _ in labelings]
    step = _TILE_ROWS if points.shape[1] == 2 else _WIDE_TILE_ROWS
    with single_thread():
        for start in range(0, len(asked), step):
            rows = asked[start : start + step]
            sums = parts.sums(points[rows])
            for n, labels in enumerate(labelings):
                part = slice(int(offsets[n]), int(offsets[n + 1]))
                values[n].append(_silhouette(sums[:, part], labels[rows], counts[part]))
    return [fsum(np.concatenate(found).tolist()) / len(asked) for found in values]


def medoid(xy: Floats, members: Indices, among: Indices | None = None) -> int:
    """The member (an index into (N, d) ``xy``) with the least summed distance to the others.

    ``among``: only these members may be it; their distances are still to all.

    Exact: sums that are equal up to rounding are added again without rounding, so ties do not
    depend on the order of addition and go to the lower index. O(n) memory. O(n²) time, but on a map
    with many members only possible medoids are summed (``_contenders``).
    """
    if not len(members):
        raise ValueError("a cluster without members has no medoid")
    members = np.sort(np.asarray(members, dtype=np.int64))
    asked = members if among is None else np.sort(np.asarray(among, dtype=np.int64))
    points, spots = (np.asarray(xy[part], dtype=np.float64) for part in (members, asked))
    if points.shape[1] == 2 and len(points) >= _MANY:
        left = _contenders(points, spots)
        asked, spots = asked[left], spots[left]
    if points.shape[1] == 2:
        _, first = np.unique(spots, axis=0, return_index=True)
        asked, spots = asked[np.sort(first)], spots[np.sort(first)]
    rows = max(1, TILE // len(points))
    with _one_thread_for(points):
        sums = np.concatenate(
            [
                rough_distances(spots[start : start + rows], points).sum(axis=1)
                for start in range(0, len(spots), rows)
            ]
        )
    least = float(sums.min())
    # Rough distances of wide points have errors up to 3e-8 each.
    close = np.flatnonzero(sums <= least * (1 + SAME) + _slack(points))
    _, first = np.unique(spots[close], axis=0, return_index=True)
    exact = [(summed_distance(points, spots[n]), n) for n in close[np.sort(first)].tolist()]
    return int(asked[min(exact)[1]])


def _contenders(points: Floats64, spots: Floats64) -> Indices:
    """The (m, 2) ``spots`` that may have the least summed distance to (n, 2) ``points``.

    The sum of distances is a convex function of the place, so it is everywhere above each of its
    tangent planes. Tangent planes are added at the spot with the lowest bound, until the bounds of
    all but a few spots exceed a known sum (Kelley 1960, on a finite set). Spots that could win up
    to rounding are kept.
    """
    left = np.arange(len(spots))
    bound = np.zeros(len(spots))
    least = np.inf
    known = np.zeros(len(spots), np.bool_)
    spread = float(np.hypot(*(points.max(axis=0) - points.min(axis=0))))
    rounding = 1e-14 * len(points) * spread
    at = int(np.square(spots - np.median(points, axis=0)).sum(axis=1).argmin())
    for _ in range(_MOST_PLANES):
        total, slope = _tangent(points, spots[at])
        least = min(least, total)
        keep = np.maximum(bound, total + (spots[left] - spots[at]) @ slope)
        known[left[(spots[left] == spots[at]).all(axis=1)]] = True
        alive = keep <= least * (1 + SAME) + rounding
        left, bound = left[alive], keep[alive]
        waiting = np.flatnonzero(~known[left])
        if len(waiting) <= _FEW_LEFT:
            break
        at = int(left[waiting[bound[waiting].argmin()]])
    return left


def _tangent(points: Floats64, place: Floats64) -> tuple[float, Floats64]:
    """The summed distance from (2,) ``place`` to (n, 2) ``points``, and a slope (2,) of it there.

    A point at the place itself adds no slope: 0 is a subgradient of its distance there.
    """
    dx, dy = place[0] - points[:, 0], place[1] - points[:, 1]
    length = np.sqrt(dx * dx + dy * dy)
    total = float(length.sum())
    length[length == 0.0] = np.inf
    return total, np.array([(dx / length).sum(), (dy / length).sum()])


def _one_thread_for(points: Floats64) -> AbstractContextManager[None]:
    """One thread for the matrix products of wide points; 2-D points need no products."""
    return single_thread() if points.shape[1] != 2 else nullcontext()


def _slack(points: Floats64) -> float:
    return 0.0 if points.shape[1] == 2 else 3e-8 * len(points)


def summed_distance(points: Floats, point: Floats) -> float:
    """Sum of the distances from (d,) ``point`` to (n, d) ``points``, correctly rounded."""
    return fsum(distances(point[None, :], points)[0].tolist())


def _kmeans(points: Floats64, k: int, seed: int) -> Labels:
    """(N,) clusters by Lloyd's algorithm from k-means++ starts; see ``choose_clusters``."""
    from sklearn.cluster import KMeans

    with single_thread():
        model = KMeans(k, n_init=_STARTS, random_state=seed32(seed))
        drawn = _drawn(points, seed)
        if drawn is not None and len(np.unique(drawn, axis=0)) > k:
            centres = model.fit(drawn).cluster_centers_
            model = KMeans(k, init=centres, n_init=1, random_state=seed32(seed))
        model.fit(points)
    return np.asarray(model.labels_, dtype=np.int64)


def _drawn(points: Floats64, seed: int) -> Floats64 | None:
    """The sample on which k-means tries its starts; None for all points."""
    if len(points) <= ALL_START:
        return None
    chosen = np.random.default_rng(seed).choice(len(points), _DRAWN, replace=False)
    return points[np.sort(chosen)]


def _queries(count: int, seed: int) -> Indices | None:
    if count <= EXACT_POINTS:
        return None
    drawn = np.random.default_rng(seed).choice(count, QUERIES, replace=False)
    return np.sort(drawn).astype(np.int64)


class _Parts:
    """(N, d) points grouped so that every cluster of every labeling is a union of groups.

    Labelings of one map have similar borders, so there are far fewer groups than points. Distances
    are summed once per group, not once per labeling; the sums per cluster are a product with the
    groups' memberships.
    """

    def __init__(self, points: Floats64, columns: NDArray[np.int64], width: int) -> None:
        """``columns`` (N, labelings) number a point's clusters, from 0 to ``width`` - 1 in all."""
        group, first = _equal_rows(columns)
        order = np.argsort(group, kind="stable")
        self._points, self._group = points[order], group[order]
        self._member = np.zeros((len(first), width))
        self._member[np.arange(len(first))[:, None], columns[first]] = 1.0

    def sums(self, spots: Floats64) -> Floats64:
        """(m, width) summed distances of (m, d) spots to the points of each cluster."""
        sums = np.zeros((len(spots), len(self._member)))
        for start in range(0, len(self._points), _TILE_COLUMNS):
            group = self._group[start : start + _TILE_COLUMNS]
            begins = np.flatnonzero(np.diff(group, prepend=-1))
            gaps = rough_distances(spots, self._points[start : start + _TILE_COLUMNS])
            sums[:, group[0] : group[-1] + 1] += np.add.reduceat(gaps, begins, axis=1)
        return sums @ self._member


def _equal_rows(columns: NDArray[np.int64]) -> tuple[Indices, Indices]:
    """(N,) the group of each row, equal rows in one, and the first row of each group."""
    # Rows are compared by a random weighted sum, which takes one sort instead of many.
    factors = np.random.default_rng(0).integers(1, 2**62, columns.shape[1]) | 1
    with np.errstate(over="ignore"):
        mixed = columns @ factors
    _, first, group = np.unique(mixed, return_index=True, return_inverse=True)
    if not np.array_equal(columns[first[group]], columns):  # two different rows with one sum
        _, first, group = np.unique(columns, axis=0, return_index=True, return_inverse=True)
    return group.ravel(), first


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
