"""Silhouettes on a grid, and the k that are left out by them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from coldal_tui.selection import clustering
from coldal_tui.selection.clustering import choose_clusters
from coldal_tui.selection.shortcuts.rough_clusters import MOST_CELLS, _cells, rough_silhouettes

Points = NDArray[np.float64]


def _heaps(kind: str, count: int = 1_100) -> Points:
    rng = np.random.default_rng(len(kind))
    centres = rng.normal(size=(7, 2)) * 30
    of = rng.integers(0, 7, count)
    if kind == "apart":
        return centres[of] + rng.normal(size=(count, 2))
    if kind == "wide and narrow":
        return centres[of] + rng.normal(size=(count, 2)) * rng.uniform(1, 6, 7)[of, None]
    if kind == "a few far away":
        points = centres[of] + rng.normal(size=(count, 2)) * 2
        points[:4] = rng.normal((300, 200), size=(4, 2))
        return points
    if kind == "one very far away, equal points":
        points = np.round(centres[of] + rng.normal(size=(count, 2)))
        points[-1] = [9_000, 0]
        return points
    angle, radius = rng.uniform(0, 2 * np.pi, count), 40 * np.sqrt(rng.random(count))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


@pytest.mark.parametrize(
    "kind",
    ["apart", "wide and narrow", "a few far away", "one very far away, equal points", "no heaps"],
)
def test_the_clusters_are_those_of_all_k(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    points = _heaps(kind)
    found = choose_clusters(points, 10, seed=0)
    monkeypatch.setattr(clustering, "ALL_K", len(points))
    every = choose_clusters(points, 10, seed=0)
    assert found.k == every.k
    assert np.array_equal(found.labels, every.labels)
    assert [k for k, _ in found.silhouettes] == [k for k, _ in every.silhouettes]
    assert dict(found.silhouettes)[found.k] == dict(every.silhouettes)[found.k]


def test_a_k_far_from_the_best_has_an_estimate_only() -> None:
    found = choose_clusters(_heaps("apart"), 10, seed=0)
    assert (found.k, found.estimated) == (7, True)


def test_up_to_a_thousand_points_every_k_is_tried() -> None:
    assert not choose_clusters(_heaps("apart", 1_000), 8, seed=0).estimated


def test_silhouettes_of_few_places_are_exact() -> None:
    # On a line: 0, 1 | 4, 6, two points each; a cell for each place. With k = 2, of 8 points:
    # s(0): a 2/3, b 5; s(1): a 2/3, b 4; s(4): a 4/3, b 3.5; s(6): a 4/3, b 5.5.
    points = np.repeat([[0.0, 0], [1, 0], [4, 0], [6, 0]], 2, axis=0)
    by_hand = (4 - 2 / 15 - 1 / 6 - 4 / 10.5 - 4 / 16.5) / 4
    assert rough_silhouettes(points, [2]) == {2: pytest.approx(by_hand, abs=1e-6)}


def test_no_value_for_more_clusters_than_cells() -> None:
    points = np.repeat([[0.0, 0], [1, 0], [4, 0], [6, 0]], 2, axis=0)
    assert list(rough_silhouettes(points, range(2, 9))) == [2, 3, 4]


def test_cells_hold_every_point_once() -> None:
    points = _heaps("one very far away, equal points", 5_000)
    spots, weight, spread = _cells(points)
    assert len(spots) == len(np.unique(points, axis=0))  # fine enough to hold each place alone
    assert weight.sum() == 5_000
    assert weight @ spots == pytest.approx(points.sum(axis=0))
    total = weight @ (spread + np.square(spots).sum(axis=1))
    assert total == pytest.approx(np.square(points).sum())


def test_there_are_many_cells_and_not_too_many() -> None:
    spots, weight, _ = _cells(_heaps("no heaps", 20_000))
    assert MOST_CELLS / 3 < len(spots) <= MOST_CELLS
    assert weight.min() >= 1
