"""One scan per k-means cluster, with as many clusters as picks: plain k-means and TypiClust."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from coldal_tui.selection.clustering import Labels
from coldal_tui.selection.determinism import single_thread
from coldal_tui.selection.geometry import distances, rough_distances
from coldal_tui.selection.pool import Floats64, Indices, Mask, Pick, Pool, Term
from coldal_tui.selection.projection import distinct_rows
from coldal_tui.selection.turns import Turns
from coldal_tui.selection.vectors import Rows, kmeans, population, unit_rows

MOST_CLUSTERS = 500
NEIGHBOURS = 20
SMALL = 5
_CLOSE = 1e-7


@dataclass(frozen=True)
class _Clusters:
    """The scans to represent (``index``, their unit ``rows``) and their clusters, largest first."""

    index: Indices
    rows: Rows
    labels: Labels
    means: Floats64


Choice = Callable[[_Clusters, int, Indices, Mask], tuple[int, dict[str, Term]]]
"""Picks from cluster ``c``: ``left`` are its candidates, of which ``open`` may be picked."""


def kmeans_picks(pool: Pool, batch: int, seed: int) -> list[Pick]:
    """k-means with as many clusters as picks; pick the scan nearest to each mean.

    The "naive clustering" baseline; ALPS (Yuan et al., EMNLP 2020, section 4, arXiv 2010.09535) as
    MedCAL-Bench runs it on image embeddings (arXiv 2508.03441).

    On L2-normalised embeddings. When scans are covered already, k = covered + batch and the
    clusters with the fewest covered scans come first, as in TypiClust; the sources only start
    without labels. Larger clusters come first; after one pick per cluster, the next nearest scans
    follow.

    Terms: ``step``, ``group`` (from 1), ``group_size``, ``group_covered`` (covered or picked scans
    in the cluster before), ``distance`` to the cluster's mean.
    """
    return _from_clusters(pool, batch, seed, len(pool), 0, _nearest_to_mean)


def typiclust(pool: Pool, batch: int, seed: int) -> list[Pick]:
    """TypiClust: the most typical scan of the least covered cluster.

    Hacohen et al. 2022, arXiv 2202.02794.

    There are min(covered + batch, 500) k-means clusters of the L2-normalised embeddings.
    From the cluster with the fewest covered or picked scans (ties: the larger) each pick is the
    candidate with the largest typicality 1 / (mean distance to its 20 nearest) among the cluster's
    candidates (section 3.2, algorithm 1), with at most half of them as neighbours, as in the
    authors' code.

    Deviations: (1) The authors' code drops clusters of at most 5 scans. In a small pool those are
    most of them, so they are dropped only where clusters have 20 scans on average, which is what
    the neighbours need. (2) The code sums squared distances, the paper distances; these are
    distances. (3) The code visits the clusters in a fixed cycle; here the least covered cluster is
    found at each pick, which differs only above 500 clusters. (4) Lloyd's k-means at every size;
    the code takes mini-batches above 50 clusters. (5) The features are those of the frozen encoder,
    not trained on the pool.

    Terms: ``step``, ``group``, ``group_size``, ``group_covered``, ``typicality``,
    ``mean_distance`` and ``neighbours``.
    """
    return _from_clusters(pool, batch, seed, MOST_CLUSTERS, SMALL, _most_typical)


def _from_clusters(
    pool: Pool, batch: int, seed: int, most: int, small: int, choose: Choice
) -> list[Pick]:
    """The common loop: the next pick comes from the least covered cluster with an open scan."""
    index = population(pool)
    turns = Turns.of(pool)
    batch = min(batch, int(pool.candidate.sum()))
    if batch <= 0:
        return []
    covered = int(pool.covered.sum())
    rows = unit_rows(pool, index)
    clusters = _Clusters(index, rows, *kmeans(rows, min(covered + batch, most), seed))
    sizes = np.bincount(clusters.labels)
    counts = np.bincount(clusters.labels[pool.covered[index]], minlength=len(sizes))
    dropped = (sizes <= small) & (len(index) >= NEIGHBOURS * len(sizes))
    picks: list[Pick] = []
    for step in range(1, batch + 1):
        open_ = turns.open[index]
        usable = np.bincount(clusters.labels[open_], minlength=len(sizes)) > 0
        if (usable & ~dropped).any():
            usable &= ~dropped
        order = np.lexsort((np.arange(len(sizes)), -sizes, counts, ~usable))
        group = int(order[0])
        left = np.flatnonzero((clusters.labels == group) & _left(pool, index, picks))
        chosen, terms = choose(clusters, group, left, open_[left])
        scan = int(index[chosen])
        known: dict[str, Term] = {
            "step": step,
            "group": group + 1,
            "group_size": int(sizes[group]),
            "group_covered": int(counts[group]),
        }
        picks.append(Pick(scan, "medoid", int(pool.clusters[scan]), known | terms))
        counts[group] += 1
        turns.take(scan)
    return picks


def _left(pool: Pool, index: Indices, picks: list[Pick]) -> Mask:
    left = pool.candidate.copy()
    left[[pick.index for pick in picks]] = False
    return left[index]


def _nearest_to_mean(
    clusters: _Clusters, group: int, left: Indices, open_: Mask
) -> tuple[int, dict[str, Term]]:
    among = left[open_]
    gap = distances(clusters.means[group : group + 1], clusters.rows[among])[0]
    best = int(gap.argmin())
    return int(among[best]), {"distance": float(gap[best])}


def _most_typical(
    clusters: _Clusters, group: int, left: Indices, open_: Mask
) -> tuple[int, dict[str, Term]]:
    spots = clusters.rows[left]
    k = min(NEIGHBOURS, max(1, len(left) // 2), len(left) - 1)
    if k < 1:
        return int(left[0]), {"typicality": 0.0, "mean_distance": 0.0, "neighbours": 0}
    places = np.flatnonzero(open_)
    rough = _mean_of_nearest(spots, places, k)
    # Rough distances can't decide ties: close values are computed again exactly.
    close = places[rough <= rough.min() + _CLOSE]
    close = close[distinct_rows(spots[close])[0]]
    exact = [float(_k_least(distances(spots[[n]], spots), np.array([n]), k)[0]) for n in close]
    least = min(exact)
    terms: dict[str, Term] = {
        "typicality": 1.0 / (least + 1e-5),
        "mean_distance": least,
        "neighbours": k,
    }
    return int(left[close[exact.index(least)]]), terms


def _mean_of_nearest(spots: Rows, places: Indices, k: int) -> Floats64:
    """Mean distance of the rows at ``places`` to their ``k`` nearest among ``spots``."""
    rows = max(1, (1 << 22) // len(spots))
    with single_thread():
        parts = [
            _k_least(rough_distances(spots[part], spots), part, k)
            for part in (places[at : at + rows] for at in range(0, len(places), rows))
        ]
    return np.concatenate(parts)


def _k_least(gaps: Floats64, own: Indices, k: int) -> Floats64:
    """Mean of the ``k`` smallest values of each row of ``gaps``, without the row's own."""
    gaps[np.arange(len(own)), own] = np.inf
    least = np.sort(np.partition(gaps, k - 1, axis=1)[:, :k], axis=1)
    means: Floats64 = least.mean(axis=1)
    return means
