"""Tests for the registry of strategies and the pool they are given."""

from __future__ import annotations

import numpy as np
import pytest

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.selection.coldstart import cold_start
from coldal_tui.selection.needs import NEEDS
from coldal_tui.selection.pool import Pool
from coldal_tui.selection.strategies import register, strategies, strategy
from tests.support.scenes import scene


def _pool() -> Pool:
    n = 12
    points = np.stack([np.arange(n, dtype=float), np.zeros(n)], axis=1)
    covered = np.arange(n) < 2
    return Pool(points, np.arange(n) // 6, ~covered, covered, covered, np.arange(n) / n)


def test_strategies_are_listed_by_round() -> None:
    both = [
        "facility-location",
        "herding",
        "k-center",
        "kmeans",
        "maxherding",
        "probcover",
        "random",
        "random-stratified",
    ]
    cold = [
        "coldstart",
        "coldstart-embeddings",
        "coldstart-herding",
        "coldstart-kmeans",
        "typiclust",
    ]
    active = [
        "bald",
        "clasp-pe",
        "entropy",
        "entropy-boundary",
        "entropy-diversity",
        "entropy-foreground",
        "k-center-model",
        "power-bald",
        "power-entropy",
        "typiclust",
        "uherding",
    ]
    assert [known.name for known in strategies("cold")] == sorted(both + cold)
    assert [known.name for known in strategies("active")] == sorted(both + active)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        UsageError, match="bald, clasp-pe, coldstart, coldstart-embeddings, coldstart-herding"
    ) as caught:
        strategy("cleverest")
    assert caught.value.code == "unknown-strategy"


def test_a_strategy_of_another_round_is_refused() -> None:
    with pytest.raises(
        UsageError, match="coldstart, coldstart-embeddings, coldstart-herding"
    ) as caught:
        strategy("entropy-diversity", "cold")
    assert caught.value.code == "wrong-round"


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="random is registered already"):
        register("random", rounds=("cold",), description="again")(strategy("random").select)


def test_coldstart_is_the_cold_start() -> None:
    pool = scene(8)
    assert strategy("coldstart")(pool, 5, seed=1) == cold_start(pool, 5)


def test_entropy_diversity_passes_alpha_and_keeps_the_pick_order() -> None:
    # Pure diversity from 0 and 1 on a line of 12: 11, then 6 (gap 5 to both ends).
    picks = strategy("entropy-diversity")(_pool(), 2, alpha=0.0)
    assert [(pick.index, pick.role, pick.cluster) for pick in picks] == [
        (11, "acquired", 1),
        (6, "acquired", 1),
    ]
    assert picks[0].terms["distance"] == 10.0


def test_entropy_ignores_alpha() -> None:
    picks = strategy("entropy")(_pool(), 3, alpha=0.0)
    assert [pick.index for pick in picks] == [11, 10, 9]


def test_random_is_repeatable_and_depends_on_the_seed() -> None:
    drawn = [
        tuple(pick.index for pick in strategy("random")(_pool(), 5, seed=seed))
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert set(drawn[0]) <= set(range(2, 12))
    assert len(set(drawn[0])) == 5


def test_random_by_cluster_gives_each_its_share() -> None:
    # 4 candidates in cluster 0 and 6 in cluster 1: quotas 2 and 3 of 5.
    picks = strategy("random-stratified")(_pool(), 5, seed=3)
    assert [pick.cluster for pick in picks] == [1, 0, 1, 0, 1]
    assert picks[0].terms == {"seed": 3, "cluster_size": 6, "places": 3}


def test_random_reaches_every_candidate() -> None:
    picks = strategy("random")(_pool(), 99, seed=0)
    assert sorted(pick.index for pick in picks) == list(range(2, 12))


def test_what_a_strategy_needs_is_asked_for() -> None:
    pool = _pool()
    bare = Pool(pool.points, pool.clusters, pool.candidate, pool.covered, pool.labelled)
    with pytest.raises(ColdalError, match="needs entropy") as caught:
        strategy("entropy")(bare, 3)
    assert caught.value.code == "missing-input"


def test_a_negative_batch_picks_nothing() -> None:
    assert strategy("random")(_pool(), -1) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"points": np.zeros((12, 3))}, "not \\(N, 2\\)"),
        ({"points": np.zeros((11, 2))}, "11 points"),
        ({"points": np.full((12, 2), np.nan)}, "not finite at 0, 1, 2, 3, 4"),
        ({"clusters": np.zeros(3, int)}, "clusters has 3 rows"),
        ({"candidate": np.ones(12, bool)}, "labelled, queued or exported already"),
        ({"candidate": np.zeros(12, int)}, "boolean"),
        ({"labelled": np.ones(12, bool)}, "not marked as covered"),
    ],
)
def test_a_pool_that_contradicts_itself_is_refused(change: dict[str, object], said: str) -> None:
    pool = _pool()
    fields = {
        name: getattr(pool, name)
        for name in ("points", "clusters", "candidate", "covered", "labelled")
    }
    with pytest.raises(ColdalError, match=said) as caught:
        Pool(**(fields | change))
    assert caught.value.code == "pool"


def test_what_strategies_need_is_listed_for_each() -> None:
    assert set(NEEDS) == {one.name for one in strategies()}
