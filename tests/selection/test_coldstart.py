"""Tests for the cold start: a round worked by hand, an independent copy, what a prefix promises."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldal_tui.selection.coldstart import (
    allocate,
    cold_start,
    farthest_points,
    largest_remainder,
    replacement,
)
from coldal_tui.selection.pool import Pick, Pool
from tests.support import naive
from tests.support.scenes import plain, scene

# Ten scans: cluster 0 on the x axis, cluster 1 far right on a vertical line, cluster 2 alone.
#   index    0    1    2    3    4    5   |    6        7        8     |    9
#   point  (0,0)(1,0)(2,0)(3,0)(4,0)(6,0) | (100,0) (100,1) (100,3)    | (50,50)
POINTS = [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (6, 0), (100, 0), (100, 1), (100, 3), (50, 50)]
CLUSTERS = [0, 0, 0, 0, 0, 0, 1, 1, 1, 2]


def _pool(
    points: list[tuple[int, int]] = POINTS,
    clusters: list[int] = CLUSTERS,
    labelled: tuple[int, ...] = (),
) -> Pool:
    labels = np.isin(np.arange(len(points)), labelled)
    return Pool(np.array(points, float), np.array(clusters), ~labels, labels, labels)


def _ranks(picks: list[Pick]) -> list[int]:
    return [pick.index for pick in picks]


def test_a_round_worked_by_hand() -> None:
    # Medoids. Cluster 0, sums over x = 0 1 2 3 4 6: 16 12 10 10 12 20, tie 2 and 3 -> 2.
    #          Cluster 1, sums over y = 0 1 3: 4 3 5 -> 7.   Cluster 2 -> 9.
    # R = 6 - 3 = 3, N = 10. Quotas 3·6/10 = 1.8, 3·3/10 = 0.9, 3·1/10 = 0.3: floors 1 0 0,
    # two left by remainder: 0.9 (cluster 1), 0.8 (cluster 0). r = 2 1 0.
    # Cluster 0 from 2: gaps 2 1 . 1 2 4 -> 5 (gap 4); then 2 1 . 1 2 . -> tie 0 and 4 -> 0.
    # Cluster 1 from 7: gaps 1 . 2 -> 8.
    # Ranks: medoids by size 2 7 9; positions 5: ½/2 = ¼, 8: ½/1 = ½, 0: 1½/2 = ¾.
    assert _ranks(cold_start(_pool(), 6)) == [2, 7, 9, 5, 8, 0]


def test_the_terms_are_the_numbers_worked_by_hand() -> None:
    picks = {pick.index: pick for pick in cold_start(_pool(), 6)}
    assert picks[2].role == "medoid"
    assert picks[2].terms == {"cluster_size": 6, "summed_distance": 10.0, "mean_distance": 2.0}
    assert (picks[0].role, picks[0].cluster) == ("farthest-point", 0)
    assert picks[0].terms == {
        "cluster_size": 6,
        "distance": 2.0,
        "nearest": 2,
        "order": 2,
        "places": 2,
        "quota": 1.8,
        "position": 0.75,
    }


def test_equal_remainders_go_to_the_larger_cluster() -> None:
    # B = 8, R = 5: quotas 3.0 1.5 0.5, floors 3 1 0, one left, 0.5 and 0.5 tie -> cluster 1.
    assert Counter(CLUSTERS[n] for n in _ranks(cold_start(_pool(), 8))) == {0: 4, 1: 3, 2: 1}


def test_a_full_cluster_hands_on_what_it_cannot_take() -> None:
    # 7 over sizes 6 3 1: 4.2 2.1 0.7 -> 4 2 1. The third has no room: 1 goes on. The second is
    # full too, so the first takes it.
    assert allocate(7, [6, 3, 1], [5, 2, 0]) == [5, 2, 0]


def test_handing_on_is_repeated_until_all_is_placed() -> None:
    # 10 over 10 5 5: 5 2.5 2.5 -> 5 3 2 (tie: the earlier). Room 2 9 9: 2 3 2, 3 handed on over
    # the 5 and 5: 1.5 1.5 -> 2 1. In all 2 5 3.
    assert allocate(10, [10, 5, 5], [2, 9, 9]) == [2, 5, 3]


def test_what_has_no_room_anywhere_is_not_placed() -> None:
    assert allocate(9, [3, 2], [2, 1]) == [2, 1]


def test_equal_remainders_are_exact() -> None:
    # 1/3 of 1 three times over: no rounding may prefer one of them.
    assert largest_remainder(1, [7, 7, 7]) == [1, 0, 0]


def test_a_budget_below_the_clusters_takes_the_larger_medoids() -> None:
    assert _ranks(cold_start(_pool(), 2)) == [2, 7]


@pytest.mark.parametrize("budget", [10, 11, 500])
def test_a_budget_of_all_scans_picks_everything(budget: int) -> None:
    assert sorted(_ranks(cold_start(_pool(), budget))) == list(range(10))


@pytest.mark.parametrize("budget", [0, -3])
def test_no_budget_picks_nothing(budget: int) -> None:
    assert cold_start(_pool(), budget) == []


def test_a_cluster_with_labels_gets_no_medoid_and_starts_from_them() -> None:
    # Labelled: 0 and 5. Candidates per cluster 4 3 1, N = 8. Medoids 7 (cluster 1) and 9.
    # R = 3: quotas 1.5 1.125 0.375, floors 1 1 0, one left -> 0.5, cluster 0. r = 2 1 0.
    # Cluster 0 from x = 0 and 6: gaps of x = 1 2 3 4: 1 2 3 2 -> 3; then 1 1 . 1 -> tie -> 1.
    # Ranks: 7 9, then 3 at ¼, 8 at ½, 1 at ¾.
    picks = cold_start(_pool(labelled=(0, 5)), 5)
    assert _ranks(picks) == [7, 9, 3, 8, 1]
    assert picks[2].terms["nearest"] == 0


def test_queued_scans_are_not_labels() -> None:
    pool = _pool()
    queued = np.arange(10) == 0
    pool = Pool(pool.points, pool.clusters, ~queued, queued, pool.labelled)
    assert cold_start(pool, 3)[0].role == "medoid"


def test_occupied_points_wait_until_no_other_point_is_left() -> None:
    # Cluster 0: five scans at one point. Cluster 1: three points. By quotas alone B = 4 would
    # give cluster 0 a second scan at its only point while points of cluster 1 are free.
    pool = _pool([(0, 0)] * 5 + [(9, 0), (9, 1), (9, 2)], [0] * 5 + [1] * 3)
    assert _ranks(cold_start(pool, 4)) == [0, 6, 5, 7]
    assert sorted(_ranks(cold_start(pool, 6))) == [0, 1, 2, 5, 6, 7]


def test_a_point_under_a_label_is_occupied() -> None:
    pool = _pool([(0, 0), (0, 0), (1, 0), (5, 5), (6, 5)], [0, 0, 0, 1, 1], labelled=(0,))
    assert 1 not in _ranks(cold_start(pool, 3))


def test_farthest_points_leaves_starts_alone() -> None:
    points = np.array([[0.0, 0], [0, 0], [3, 0]])
    steps = farthest_points(points, np.array([0, 1, 2]), np.array([0]), 9)
    assert [(s.index, s.distance, s.nearest) for s in steps] == [(2, 3.0, 0), (1, 0.0, 0)]


def test_replacement_is_the_farthest_from_what_the_cluster_has() -> None:
    # Cluster 0 holds 2 and 5 (x = 2 and 6): gaps of x = 0 1 3 4: 2 1 1 2 -> tie -> 0.
    pick = replacement(_pool(labelled=(2, 5)), 0)
    assert pick is not None
    assert (pick.index, pick.role, pick.terms["distance"]) == (0, "farthest-point", 2.0)


def test_replacement_in_an_untouched_cluster_is_its_medoid() -> None:
    pick = replacement(_pool(), 1)
    assert pick is not None
    assert (pick.index, pick.role) == (7, "medoid")


def test_an_exhausted_cluster_has_no_replacement() -> None:
    assert replacement(_pool(labelled=(9,)), 2) is None


@pytest.mark.parametrize("seed", range(200))
def test_it_agrees_with_plain_loops(seed: int) -> None:
    pool = scene(seed)
    for budget in {1, 2, 5, seed % 17, len(pool) // 2, len(pool) - 1, len(pool) + 3}:
        found = [(pick.index, pick.role) for pick in cold_start(pool, budget)]
        assert found == naive.cold_start(
            plain(pool),
            pool.clusters.tolist(),
            pool.candidate.tolist(),
            pool.labelled.tolist(),
            max(budget, 0),
        )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 45))
def test_picks_are_distinct_candidates_and_as_many_as_asked(seed: int, budget: int) -> None:
    pool = scene(seed)
    picks = _ranks(cold_start(pool, budget))
    assert len(picks) == len(set(picks)) == min(budget, int(pool.candidate.sum()))
    assert pool.candidate[picks].all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 45))
def test_no_point_is_picked_twice_while_another_is_free(seed: int, budget: int) -> None:
    pool = scene(seed)
    pool = Pool(pool.points, pool.clusters, pool.candidate, pool.covered, pool.labelled & False)
    picked = {tuple(point) for point in pool.points[_ranks(cold_start(pool, budget))].tolist()}
    points = {tuple(point) for point in pool.points[pool.candidate].tolist()}
    assert len(picked) == min(budget, len(points))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 45))
def test_every_prefix_is_within_one_pick_of_its_share(seed: int, budget: int) -> None:
    # After the medoids, a prefix of m of R farthest points holds about m·r_c/R of cluster c:
    # at position t, cluster c has given round(t·r_c), so it is off by at most half a pick, and
    # m itself by at most half a pick per cluster.
    picks = [pick for pick in cold_start(scene(seed), budget) if pick.role == "farthest-point"]
    places = {pick.cluster: int(pick.terms["places"]) for pick in picks}
    for m in range(1, len(picks) + 1):
        given_ = Counter(pick.cluster for pick in picks[:m])
        for cluster, r in places.items():
            slack = 0.5 + 0.5 * len(places) * r / len(picks) + 1e-9
            assert abs(given_[cluster] - m * r / len(picks)) <= slack


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 45))
def test_gaps_never_grow_within_a_cluster(seed: int, budget: int) -> None:
    gaps: dict[int, list[float]] = {}
    for pick in cold_start(scene(seed), budget):
        if pick.role == "farthest-point":
            gaps.setdefault(pick.cluster, []).append(float(pick.terms["distance"]))
    assert all(values == sorted(values, reverse=True) for values in gaps.values())
