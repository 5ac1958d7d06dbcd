"""The cold start's map clusters with representative picks instead of farthest points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol

import numpy as np

from coldal_tui.selection.coldstart import allocate
from coldal_tui.selection.geometry import distances
from coldal_tui.selection.methods.herding import HerdingWalk
from coldal_tui.selection.pool import Indices, Mask, Pick, Pool, Term
from coldal_tui.selection.turns import Turns
from coldal_tui.selection.vectors import Rows, kmeans, unit_rows

Within = Literal["herding", "kmeans"]


class _Chooser(Protocol):
    """Picks from one cluster, one at a time, among its open members; as indices in the cluster."""

    def next(self, open_: Mask) -> tuple[int, dict[str, Term]]: ...


@dataclass(frozen=True)
class _Cluster:
    """A cluster with candidates: its scans to represent (``index``), and its number of labels."""

    number: int
    index: Indices
    size: int
    labels: int


def within_by_herding(pool: Pool, budget: int, seed: int) -> list[Pick]:
    """``within_clusters`` by kernel herding."""
    return within_clusters(pool, budget, seed, "herding")


def within_by_kmeans(pool: Pool, budget: int, seed: int) -> list[Pick]:
    """``within_clusters`` by k-means."""
    return within_clusters(pool, budget, seed, "kmeans")


def within_clusters(pool: Pool, budget: int, seed: int, how: Within) -> list[Pick]:
    """The quotas of the cold start with the most representative scans of each cluster.

    As in ``cold_start`` every cluster without a label gives one scan, larger clusters first; the
    rest of the budget is shared in proportion to size, and ranks spread it evenly. Unlike there, a
    cluster's scans are picked on its L2-normalised embeddings: by kernel herding that starts from
    its labels, or as the nearest to the means of as many k-means groups as it gives scans. A place
    without an open scan in its cluster goes to the largest cluster that has one.

    Terms: ``cluster_size``; of herding ``typical``, ``crowded``, ``value``; of k-means
    ``distance``, ``group``, ``group_size``, ``group_covered``.
    """
    clusters = _clusters(pool)
    budget = min(budget, int(pool.candidate.sum()))
    if budget <= 0:
        return []
    first = [int(not cluster.labels) for cluster in clusters]
    while sum(first) > budget:
        first[max(n for n, one in enumerate(first) if one)] = 0
    room = [cluster.size - one for cluster, one in zip(clusters, first, strict=True)]
    sizes = [cluster.size for cluster in clusters]
    more = allocate(budget - sum(first), sizes, room)
    make: Callable[[Pool, _Cluster, int, int], _Chooser]
    make = _Herded if how == "herding" else _ByMeans
    choosers = [
        make(pool, cluster, one + rest, seed)
        for cluster, one, rest in zip(clusters, first, more, strict=True)
    ]
    places = [place for place, one in enumerate(first) if one]
    later = sorted(
        (Fraction(2 * order - 1, 2 * count), place)
        for place, count in enumerate(more)
        for order in range(1, count + 1)
    )
    turns = Turns.of(pool)
    picks: list[Pick] = []
    for place in [*places, *(place for _, place in later)]:
        if turns.open[clusters[place].index].any():
            picks.append(_take(pool, clusters[place], choosers[place], turns))
    while len(picks) < budget:
        place = next(n for n, one in enumerate(clusters) if turns.open[one.index].any())
        picks.append(_take(pool, clusters[place], choosers[place], turns))
    return picks


def _take(pool: Pool, cluster: _Cluster, chooser: _Chooser, turns: Turns) -> Pick:
    place, terms = chooser.next(turns.open[cluster.index])
    scan = int(cluster.index[place])
    turns.take(scan)
    return Pick(scan, "medoid", cluster.number, {"cluster_size": cluster.size} | terms)


def _clusters(pool: Pool) -> list[_Cluster]:
    """Clusters that have candidates, larger first, ties by number."""
    found = []
    for number in np.unique(pool.clusters[pool.candidate]).tolist():
        inside = pool.clusters == number
        index = np.flatnonzero(inside & (pool.candidate | pool.labelled)).astype(np.int64)
        size = int((inside & pool.candidate).sum())
        found.append(_Cluster(int(number), index, size, len(index) - size))
    return sorted(found, key=lambda cluster: (-cluster.size, cluster.number))


class _Herded:
    """Kernel herding in a cluster, starting from its labels."""

    def __init__(self, pool: Pool, cluster: _Cluster, count: int, seed: int) -> None:
        self._walk = HerdingWalk(unit_rows(pool, cluster.index), seed)
        for start in np.flatnonzero(pool.labelled[cluster.index]).tolist():
            self._walk.take(start)

    def next(self, open_: Mask) -> tuple[int, dict[str, Term]]:
        best, terms = self._walk.best(open_)
        self._walk.take(best)
        return best, terms


class _ByMeans:
    """k-means groups of a cluster: the least covered first, then the largest."""

    def __init__(self, pool: Pool, cluster: _Cluster, count: int, seed: int) -> None:
        self._rows: Rows = unit_rows(pool, cluster.index)
        wanted = max(1, count + cluster.labels)
        self._labels, self._means = kmeans(self._rows, wanted, seed)
        self._sizes = np.bincount(self._labels)
        taken = self._labels[pool.labelled[cluster.index]]
        self._covered = np.bincount(taken, minlength=len(self._sizes))

    def next(self, open_: Mask) -> tuple[int, dict[str, Term]]:
        usable = np.bincount(self._labels[open_], minlength=len(self._sizes)) > 0
        order = np.lexsort((np.arange(len(self._sizes)), -self._sizes, self._covered, ~usable))
        group = int(order[0])
        among = np.flatnonzero(open_ & (self._labels == group))
        gap = distances(self._means[group : group + 1], self._rows[among])[0]
        best = int(gap.argmin())
        terms: dict[str, Term] = {
            "distance": float(gap[best]),
            "group": group + 1,
            "group_size": int(self._sizes[group]),
            "group_covered": int(self._covered[group]),
        }
        self._covered[group] += 1
        return int(among[best]), terms
