"""The picks with bounds are those of plain loops over all points: ties, copies, patients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coldal_tui.selection import acquisition, clustering, coldstart
from coldal_tui.selection.acquisition import Acquired, entropy_diversity
from coldal_tui.selection.clustering import medoid
from coldal_tui.selection.coldstart import FarthestPoint, Walk, farthest_points
from coldal_tui.selection.shortcuts.buckets import Buckets
from coldal_tui.selection.turns import Turns
from tests.support import naive

NEVER = 10**9
keeps_patch = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def _points(rng: np.random.Generator, count: int, wide: int) -> np.ndarray:
    """Points on a grid of ``wide`` x ``wide`` places (many ties and copies), or anywhere."""
    if wide:
        return rng.integers(0, wide, (count, 2)).astype(float)
    return rng.normal(size=(count, 2)) * 10


def _plainly(points: np.ndarray) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in points]


seeds, counts, grids = st.integers(0, 10**6), st.integers(2, 90), st.sampled_from([0, 3, 7])


@keeps_patch
@given(seeds, counts, grids)
def test_farthest_points_are_those_of_plain_loops(
    monkeypatch: pytest.MonkeyPatch, seed: int, count: int, wide: int
) -> None:
    monkeypatch.setattr(coldstart, "WORTH", 1)
    rng = np.random.default_rng(seed)
    points = _points(rng, count, wide)
    start = int(rng.integers(count))
    found = farthest_points(points, np.arange(count), np.array([start]), count - 1)
    everyone = list(range(count))
    expected = naive.farthest(_plainly(points), everyone, [start], count - 1)
    assert [step.index for step in found] == expected


@keeps_patch
@given(seeds, st.integers(40, 300), grids, st.booleans())
def test_walks_with_and_without_groups_take_the_same_steps(
    monkeypatch: pytest.MonkeyPatch, seed: int, count: int, wide: int, patients: bool
) -> None:
    rng = np.random.default_rng(seed)
    points = _points(rng, count, wide)
    members = np.sort(rng.choice(count, count - 10, replace=False))
    starts = np.sort(rng.choice(count, int(rng.integers(0, 5)), replace=False))
    who = rng.integers(0, count // 4, count) if patients else None

    def steps(worth: int) -> list[FarthestPoint]:
        monkeypatch.setattr(coldstart, "WORTH", worth)
        turns = Turns(np.ones(count, np.bool_), np.zeros(count, np.bool_), who)
        walk, found = Walk(points, members, starts), []
        while (step := walk.step(turns.open)) is not None:
            assert step.index in members
            turns.take(step.index)
            found.append(step)
        return found

    assert steps(1) == steps(NEVER)


@keeps_patch
@given(seeds, counts, grids, st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_acquisition_is_that_of_plain_loops(
    monkeypatch: pytest.MonkeyPatch, seed: int, count: int, wide: int, alpha: float
) -> None:
    monkeypatch.setattr(acquisition, "WORTH", 1)
    rng = np.random.default_rng(seed)
    points, entropy = _points(rng, count, wide), rng.integers(0, 5, count) / 4.0
    covered = rng.random(count) < 0.2
    covered[0] = True
    found = entropy_diversity(points, ~covered, covered, entropy, count, alpha)
    expected = naive.entropy_diversity(
        _plainly(points), (~covered).tolist(), covered.tolist(), entropy.tolist(), count, alpha
    )
    assert [one.index for one in found] == [index for index, _ in expected]
    assert [one.score for one in found] == [score for _, score in expected]


@keeps_patch
@given(seeds, st.integers(40, 300), grids, st.floats(0, 1), st.booleans(), st.booleans())
def test_acquisitions_with_and_without_groups_are_equal_in_every_number(
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    count: int,
    wide: int,
    alpha: float,
    patients: bool,
    started: bool,
) -> None:
    rng = np.random.default_rng(seed)
    points, entropy = _points(rng, count, wide), rng.random(count)
    entropy[rng.random(count) < 0.1] = np.nan
    covered = np.asarray(rng.random(count) < 0.1 * started, np.bool_)
    who = rng.integers(0, count // 4, count) if patients else None

    def picks(worth: int) -> list[Acquired]:
        monkeypatch.setattr(acquisition, "WORTH", worth)
        return entropy_diversity(points, ~covered, covered, entropy, count, alpha, patients=who)

    # repr tells NaN from numbers and every bit of a float apart.
    assert [repr(one) for one in picks(1)] == [repr(one) for one in picks(NEVER)]


@keeps_patch
@given(seeds, st.integers(6, 80), st.sampled_from([0, 2, 5]), st.booleans())
def test_medoids_by_bounds_are_those_of_plain_loops(
    monkeypatch: pytest.MonkeyPatch, seed: int, count: int, wide: int, some: bool
) -> None:
    monkeypatch.setattr(clustering, "_MANY", 3)
    rng = np.random.default_rng(seed)
    points = _points(rng, count, wide)
    if some:  # an outlier far away, and points on one line
        points[:, 1] = 0.0
        points[0] = 1e9, 0.0
    assert medoid(points, np.arange(count)) == naive.medoid(_plainly(points), list(range(count)))


@keeps_patch
@given(seeds, st.integers(6, 80), st.sampled_from([0, 4]))
def test_a_medoid_among_some_is_the_least_sum_of_these(
    monkeypatch: pytest.MonkeyPatch, seed: int, count: int, wide: int
) -> None:
    rng = np.random.default_rng(seed)
    points = _points(rng, count, wide)
    among = np.sort(rng.choice(count, 1 + int(rng.integers(count)), replace=False))
    plain = medoid(points, np.arange(count), among)
    monkeypatch.setattr(clustering, "_MANY", 3)
    assert medoid(points, np.arange(count), among) == plain


def test_few_of_many_members_are_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(3).normal(size=(20_000, 2))
    laid = []

    def counting(points: np.ndarray, place: np.ndarray) -> tuple[float, np.ndarray]:
        laid.append(place)
        return tangent(points, place)

    tangent = clustering._tangent
    monkeypatch.setattr(clustering, "_tangent", counting)
    medoid(points, np.arange(len(points)))
    assert 0 < len(laid) <= 100


def test_groups_hold_every_point_once() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 31, 33, 1000, 5000):
        found = Buckets(
            rng.normal(size=(count, 2)), np.ones(count), np.zeros(count, int), np.arange(count)
        )
        held = found.ids[found.gap >= 0.0]
        assert sorted(held.tolist()) == list(range(count))
        assert np.all(np.diff(found.ids, axis=1) >= 0)


def test_turns_hand_out_the_same_array_until_scans_open_again() -> None:
    # Scans 0 and 1 are of one patient, 2 of another; nobody is covered.
    turns = Turns(np.ones(3, np.bool_), np.zeros(3, np.bool_), np.array([7, 7, 9]))
    first = turns.open
    turns.take(0)
    assert turns.open is first
    assert turns.open.tolist() == [False, False, True]
    turns.take(2)
    assert turns.open is not first
    assert turns.open.tolist() == [False, True, False]


def test_starts_tried_on_drawn_points_find_the_planted_clusters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clustering, "ALL_START", 100)
    monkeypatch.setattr(clustering, "_DRAWN", 60)
    rng = np.random.default_rng(1)
    points = np.concatenate([rng.normal(size=(80, 2)) + at for at in ((0, 0), (40, 0), (0, 40))])
    found = clustering.choose_clusters(points, 8, seed=0)
    assert found.k == 3
    assert found.labels.tolist() == [0] * 80 + [1] * 80 + [2] * 80
