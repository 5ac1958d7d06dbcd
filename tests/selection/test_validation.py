"""Tests for drawing validation patients and weaving them into the ranks."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldal_tui.errors import UsageError
from coldal_tui.selection.validation import (
    draw_validation,
    interleave,
    most_validation,
)


@pytest.mark.parametrize(
    ("pickable", "most"),
    [(1, 0), (2, 1), (3, 1), (5, 1), (6, 2), (10, 2), (12, 3), (15, 3), (51, 11)],
)
def test_a_fifth_of_the_patients_that_can_be_picked_is_the_most(pickable: int, most: int) -> None:
    patients = [f"p{n}" for n in range(pickable)]
    assert most_validation(patients, np.ones(pickable, bool)) == most


def test_patients_that_train_leave_fewer_to_keep_for_validation() -> None:
    # Twelve patients, a fifth is 3, but all but two of them train already.
    patients = [f"p{n // 2}" for n in range(24)]
    candidate = np.arange(24) % 2 == 0
    training = ~candidate & (np.arange(24) >= 4)
    assert most_validation(patients, candidate, training) == 2


def test_quotas_follow_the_patients_per_cluster() -> None:
    # Patients per cluster 6 3 1, V = 4: 2.4 1.2 0.4, floors 2 1 0, one left: 0.4 ties -> larger.
    clusters = np.array([0] * 6 + [1] * 3 + [2])
    drawn = draw_validation([f"p{n}" for n in range(10)], clusters, np.ones(10, bool), 4, seed=0)
    assert Counter(clusters[drawn].tolist()) == {0: 3, 1: 1}


def test_patients_are_counted_not_scans() -> None:
    # Cluster 0: one patient with 20 scans. Cluster 1: three patients with one. V = 2: 0.5 1.5.
    # Remainders tie: the cluster with more patients, so both come from cluster 1.
    patients = ["a"] * 20 + ["b", "c", "d"]
    clusters = np.array([0] * 20 + [1] * 3)
    drawn = draw_validation(patients, clusters, np.ones(23, bool), 2, seed=3)
    assert all(clusters[n] == 1 for n in drawn)


def test_a_patient_belongs_to_the_cluster_of_its_first_candidate() -> None:
    # Patient a: scan 0 is no candidate, its first candidate lies in cluster 1. So cluster 1 has
    # two patients, cluster 0 one; V = 1 goes to cluster 1: patient a or c.
    patients, clusters = ["a", "a", "b", "c"], np.array([0, 1, 0, 1])
    candidate = np.array([False, True, True, True])
    drawn = {draw_validation(patients, clusters, candidate, 1, seed)[0] for seed in range(30)}
    assert drawn == {1, 3}


def test_the_scan_is_drawn_among_the_patients_candidates() -> None:
    patients = ["a"] * 4 + ["b"]
    candidate = np.array([True, False, True, True, True])
    clusters = np.zeros(5, int)
    drawn = {draw_validation(patients, clusters, candidate, 1, seed)[0] for seed in range(60)}
    assert drawn == {0, 2, 3, 4}


def test_patients_that_train_are_not_drawn() -> None:
    patients, training = ["a", "a", "b", "c"], np.array([True, False, False, False])
    for seed in range(20):
        drawn = draw_validation(patients, np.zeros(4, int), ~training, 3, seed, training=training)
        assert sorted(drawn) == [2, 3]


def test_one_patient_is_left_to_train_on() -> None:
    drawn = draw_validation(["a", "b", "c"], np.zeros(3, int), np.ones(3, bool), 9, seed=0)
    assert len(drawn) == 2


@pytest.mark.parametrize("count", [0, 1])
def test_one_patient_alone_is_never_drawn(count: int) -> None:
    assert draw_validation(["a", "a"], np.zeros(2, int), np.ones(2, bool), count, seed=0) == []


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(UsageError):
        draw_validation(["a", "b"], np.zeros(2, int), np.ones(2, bool), -1, seed=0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 12))
def test_draws_are_one_candidate_per_patient_and_repeatable(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30))
    patients = [f"p{p}" for p in rng.integers(0, 10, n)]
    clusters, candidate = rng.integers(0, 4, n), rng.random(n) < 0.7
    drawn = draw_validation(patients, clusters, candidate, count, seed)
    with_candidates = {patients[i] for i in np.flatnonzero(candidate)}
    assert len({patients[i] for i in drawn}) == len(drawn)
    assert len(drawn) == max(0, min(count, len(with_candidates) - 1))
    assert candidate[drawn].all()
    assert drawn == draw_validation(patients, clusters, candidate, count, seed)


def test_every_patient_of_a_cluster_can_be_drawn_about_as_often() -> None:
    counts = Counter(
        draw_validation(list("abcd"), np.zeros(4, int), np.ones(4, bool), 1, seed)[0]
        for seed in range(400)
    )
    assert all(70 <= counts[n] <= 130 for n in range(4))  # 100 expected, σ = 8.7


def test_interleaving_worked_by_hand() -> None:
    # Eight at 1/16 3/16 … 15/16; two at 1/4 and 3/4: after the second and after the sixth.
    assert interleave(list("abcdefgh"), list("XY")) == list("abXcdefYgh")


def test_interleaving_puts_picks_first_at_the_same_place() -> None:
    assert interleave(["a"], ["X"]) == ["a", "X"]


@pytest.mark.parametrize(("picks", "validation"), [([], [1, 2]), ([1, 2], []), ([], [])])
def test_interleaving_with_nothing_keeps_the_list(picks: list[int], validation: list[int]) -> None:
    assert interleave(picks, validation) == picks + validation


@given(st.integers(0, 40), st.integers(0, 15))
def test_interleaving_is_even(n: int, v: int) -> None:
    ranks = interleave([False] * n, [True] * v)
    for m in range(n + v + 1):
        assert abs(sum(ranks[:m]) - m * v / max(n + v, 1)) <= 1
