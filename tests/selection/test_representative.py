"""The cold start's clusters with representative picks inside: by hand, by loops, its invariants."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from coldal_tui.selection.pool import Pool
from coldal_tui.selection.projection import normalise
from coldal_tui.selection.strategies import strategy
from tests.support import naive_vectors
from tests.support.naive_vectors import Field
from tests.support.scenes import vector_scene

NAMES = ("coldstart-herding", "coldstart-kmeans")


def _pool(clusters: list[int], angles: list[float], labelled: tuple[int, ...] = ()) -> Pool:
    turn = np.deg2rad(angles)
    taken = np.isin(np.arange(len(angles)), labelled)
    rows = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    points = np.zeros((len(angles), 2))
    return Pool(points, np.array(clusters), ~taken, taken, taken, embeddings=rows)


@pytest.mark.parametrize("name", NAMES)
def test_quotas_and_ranks_are_those_of_the_cold_start(name: str) -> None:
    """Six and three scans: one each, then of three more 3 · 6/9 = 2 and 1, at 1/4, 1/2 and 3/4."""
    pool = _pool([0] * 6 + [1] * 3, [0, 2, 4, 6, 8, 10, 80, 85, 90])
    picks = strategy(name)(pool, 5)
    assert [pick.cluster for pick in picks] == [0, 1, 0, 1, 0]
    assert len({pick.index for pick in picks}) == 5
    if name == "coldstart-herding":
        # The first of each cluster stands for all of it; k-means' first for a third or a half.
        assert picks[0].index in (2, 3)
        assert picks[1].index == 7


def test_within_one_cluster_it_is_herding() -> None:
    for seed in range(20):
        pool = vector_scene(seed)
        alone = Pool(
            pool.points,
            np.zeros(len(pool), int),
            pool.candidate,
            pool.labelled,
            pool.labelled,
            embeddings=pool.embeddings,
        )
        rows = [[float(x) for x in row] for row in normalise(pool.embeddings)]
        everyone = np.flatnonzero(alone.candidate | alone.labelled).tolist()
        field = Field(alone.candidate.tolist(), alone.labelled.tolist())
        expected = naive_vectors.herding(rows, field, everyone, 5)
        assert [one.index for one in strategy("coldstart-herding")(alone, 5)] == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(40))
def test_every_pool_gives_candidates_once_and_all_that_is_asked(name: str, seed: int) -> None:
    pool = vector_scene(seed, patients=seed % 2 == 0)
    for budget in (1, 4, len(pool)):
        picks = strategy(name)(pool, budget, seed=seed)
        indices = [pick.index for pick in picks]
        assert len(set(indices)) == len(indices) == min(budget, int(pool.candidate.sum()))
        assert all(pool.candidate[n] for n in indices)
        assert indices == [pick.index for pick in strategy(name)(pool, budget, seed=seed)]
    if pool.patients is not None and len(pool) and indices:
        # With patients in turns, nobody comes twice before everybody has come once.
        first = strategy(name)(pool, len(set(pool.patients[pool.candidate])), seed=seed)
        fresh = set(pool.patients[pool.candidate]) - set(pool.patients[pool.covered])
        counts = Counter(int(pool.patients[pick.index]) for pick in first[: len(fresh)])
        assert not fresh or max(counts.values(), default=1) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_cluster_with_a_label_gives_what_its_label_does_not_show(name: str) -> None:
    """Cluster 0 has two clumps; the label lies in the larger one, so the other comes first."""
    pool = _pool([0] * 7, [0, 1, 2, 3, 60, 61, 62], labelled=(1,))
    assert strategy(name)(pool, 1)[0].index in (4, 5, 6)
