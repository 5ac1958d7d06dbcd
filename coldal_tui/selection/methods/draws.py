"""Random strategies: over the whole pool, and stratified by cluster."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from coldal_tui.selection.coldstart import allocate
from coldal_tui.selection.pool import Pick, Pool, Term
from coldal_tui.selection.turns import Turns


def drawn_at_random(pool: Pool, batch: int, seed: int) -> list[Pick]:
    """``batch`` candidates at random, uniformly; open ones (``turns``) are drawn first.

    Terms: ``seed``.
    """
    lots = [int(n) for n in np.random.default_rng(seed).permutation(pool.candidates())]
    turns = Turns.of(pool)
    drawn = [_first_open(lots, turns) for _ in range(min(batch, len(lots)))]
    return [
        Pick(n, "random", int(pool.clusters[n]), {"seed": seed}) for n in drawn if n is not None
    ]


def drawn_by_cluster(pool: Pool, batch: int, seed: int) -> list[Pick]:
    """Random candidates of each cluster by its size (largest remainder), evenly ranked.

    Proportional stratified sampling (Cochran 1977, chapter 5): the i-th of a cluster's n stands at
    (i - 1/2) / n of the way, so that every prefix holds its share of each; ties to the larger
    cluster, then the lower number. With one scan per patient, a place without an open scan in its
    cluster goes to any open scan, after all others.

    Terms: ``seed``, ``cluster_size`` and ``places``, the cluster's share of the batch.
    """
    rng = np.random.default_rng(seed)
    groups, sizes = np.unique(pool.clusters[pool.candidate], return_counts=True)
    order = np.lexsort((groups, -sizes))
    counts = [int(sizes[n]) for n in order]
    places = allocate(min(batch, sum(counts)), counts, counts)
    lots: list[list[int]] = []
    facts: dict[int, tuple[int, int]] = {}
    for group, quota in zip(groups[order].tolist(), places, strict=True):
        members = np.flatnonzero(pool.candidate & (pool.clusters == group))
        lots.append([int(n) for n in rng.permutation(members)])
        facts[int(group)] = (len(members), quota)
    queue = sorted(
        (Fraction(2 * i - 1, 2 * quota), place)
        for place, quota in enumerate(places)
        for i in range(1, quota + 1)
    )
    turns = Turns.of(pool)
    drawn = [n for _, place in queue if (n := _first_open(lots[place], turns)) is not None]
    rest = [int(n) for n in rng.permutation([n for left in lots for n in left])]
    late = [_first_open(rest, turns) for _ in range(len(queue) - len(drawn))]
    picks = []
    for n in drawn + [n for n in late if n is not None]:
        cluster = int(pool.clusters[n])
        size, quota = facts[cluster]
        terms: dict[str, Term] = {"seed": seed, "cluster_size": size, "places": quota}
        picks.append(Pick(n, "random", cluster, terms))
    return picks


def _first_open(lots: list[int], turns: Turns) -> int | None:
    """Take the first open scan of ``lots``; None when none is open."""
    open_ = turns.open
    for place, n in enumerate(lots):
        if open_[n]:
            turns.take(n)
            return lots.pop(place)
    return None
