"""Tests for k-means with k by silhouette, the silhouette itself, and medoids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.metrics import silhouette_score

from coldal_tui.errors import ColdalError
from coldal_tui.selection import clustering
from coldal_tui.selection.clustering import choose_clusters, mean_silhouettes, medoid
from tests.support import naive


def _blobs(sizes: list[int], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = [np.array([40 * i, 15 * i * i]) for i in range(len(sizes))]
    return np.concatenate(
        [c + rng.normal(size=(n, 2)) for c, n in zip(centres, sizes, strict=True)]
    )


def test_silhouette_worked_by_hand() -> None:
    # On a line: 0, 1 | 4, 6.   s(0): a 1, b (4+6)/2 = 5, 4/5.   s(1): a 1, b (3+5)/2 = 4, 3/4.
    # s(4): a 2, b (4+3)/2 = 3.5, 1.5/3.5 = 3/7.   s(6): a 2, b (6+5)/2 = 5.5, 3.5/5.5 = 7/11.
    xy = np.array([[0.0, 0], [1, 0], [4, 0], [6, 0]])
    (score,) = mean_silhouettes(xy, [np.array([0, 0, 1, 1])])
    assert score == pytest.approx((4 / 5 + 3 / 4 + 3 / 7 + 7 / 11) / 4, abs=1e-15)


def test_silhouettes_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    xy = rng.normal(size=(2500, 2)) * 30  # more than one tile of rows and of columns
    labelings = [np.concatenate([np.arange(k), rng.integers(0, k, 2500 - k)]) for k in (2, 7, 30)]
    labelings.append((np.arange(2500) == 4).astype(np.int64))  # a singleton
    expected = [silhouette_score(cdist(xy, xy), one, metric="precomputed") for one in labelings]
    assert mean_silhouettes(xy, labelings) == pytest.approx(expected, abs=1e-12)


def test_silhouettes_of_duplicates_agree_with_plain_loops() -> None:
    rng = np.random.default_rng(2)
    xy = rng.integers(0, 3, size=(25, 2)).astype(float)
    labels = np.concatenate([np.arange(4), rng.integers(0, 4, 21)])
    expected = naive.silhouette([tuple(p) for p in xy.tolist()], labels.tolist())
    assert mean_silhouettes(xy, [labels]) == pytest.approx([expected], abs=1e-12)


def test_queries_average_over_these_points_only() -> None:
    xy = np.array([[0.0, 0], [1, 0], [4, 0], [6, 0]])
    (score,) = mean_silhouettes(xy, [np.array([0, 0, 1, 1])], np.array([0, 2]))
    assert score == pytest.approx((4 / 5 + 3 / 7) / 2, abs=1e-15)


def test_k_and_its_scores_worked_by_hand() -> None:
    # On a line: 0, 1, 10, 11, 20; k = 2 … min(12, 30, 5 - 1) = 4. k=3: {0,1} {10,11} {20}:
    # s(0) = (10.5-1)/10.5, s(1) = (9.5-1)/9.5, s(10) = (9.5-1)/9.5, s(11) = (9-1)/9, s(20) = 0.
    xy = np.array([[0.0, 0], [1, 0], [10, 0], [11, 0], [20, 0]])
    found = choose_clusters(xy, 12, seed=0)
    assert [k for k, _ in found.silhouettes] == [2, 3, 4]
    by_hand = (9.5 / 10.5 + 8.5 / 9.5 + 8.5 / 9.5 + 8 / 9 + 0) / 5
    assert dict(found.silhouettes)[3] == pytest.approx(by_hand, abs=1e-15)
    # k=2: {0,1} {10,11,20}. s(0): a 1, b 41/3; s(1): a 1, b 38/3; s(10): a 5.5, b 9.5;
    # s(11): a 5, b 10.5; s(20): a 9.5, b 19.5. Mean 0.688; k=3 has 0.717.
    k2 = (1 - 3 / 41 + 1 - 3 / 38 + 4 / 9.5 + 5.5 / 10.5 + 10 / 19.5) / 5
    assert dict(found.silhouettes)[2] == pytest.approx(k2, abs=1e-15)
    assert found.k == 3
    assert found.labels.tolist() == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("k", [2, 3, 5])
def test_the_planted_number_of_blobs_is_found(k: int) -> None:
    assert choose_clusters(_blobs([40] * k), 20, seed=0).k == k


def test_cluster_zero_is_the_largest_and_ties_go_to_the_first_member() -> None:
    found = choose_clusters(_blobs([20, 60, 20]), 10, seed=0)
    assert found.labels.tolist() == [1] * 20 + [0] * 60 + [2] * 20


def test_the_budget_bounds_k() -> None:
    found = choose_clusters(_blobs([20] * 6), 4, seed=0)
    assert [k for k, _ in found.silhouettes] == [2, 3, 4]


def test_thirty_bounds_k() -> None:
    found = choose_clusters(_blobs([20] * 4), 80, seed=0)
    assert found.silhouettes[-1][0] == 30


def test_equal_scores_go_to_the_smaller_k(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "mean_silhouettes", lambda *_: [0.5, 0.7, 0.7 + 1e-15, 0.2])
    assert choose_clusters(_blobs([10, 10]), 5, seed=0).k == 3


@pytest.mark.parametrize("budget", [0, 1])
def test_no_k_to_try_gives_one_cluster(budget: int) -> None:
    found = choose_clusters(_blobs([10, 10]), budget, seed=0)
    assert (found.k, found.silhouettes, found.labels.tolist()) == (1, (), [0] * 20)


@pytest.mark.parametrize("distinct", [1, 2, 3])
def test_fewer_than_four_distinct_points_are_one_cluster(distinct: int) -> None:
    xy = np.repeat(np.arange(distinct), 5)[:, None] * np.ones((1, 2))
    assert choose_clusters(xy, 10, seed=0).k == 1


def test_duplicates_share_a_label_and_bound_k() -> None:
    base = _blobs([3, 3])
    found = choose_clusters(np.concatenate([base, base, base]), 10, seed=0)
    assert found.silhouettes[-1][0] == 5
    assert found.labels.tolist() == found.labels[:6].tolist() * 3


def test_a_tiny_cluster_beside_a_huge_one_is_kept() -> None:
    found = choose_clusters(_blobs([400, 3]), 10, seed=0)
    assert np.bincount(found.labels).tolist() == [400, 3]


def test_many_points_are_estimated_and_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    xy = _blobs([300, 200, 100])
    exact = choose_clusters(xy, 6, seed=0)
    monkeypatch.setattr(clustering, "EXACT_POINTS", 599)
    monkeypatch.setattr(clustering, "QUERIES", 300)
    found = choose_clusters(xy, 6, seed=0)
    assert (exact.estimated, found.estimated) == (False, True)
    assert np.array_equal(found.labels, exact.labels)
    assert found.silhouettes != exact.silhouettes
    assert [s for _, s in found.silhouettes] == pytest.approx(
        [s for _, s in exact.silhouettes], abs=0.03
    )


def test_no_scans_are_refused() -> None:
    with pytest.raises(ColdalError) as caught:
        choose_clusters(np.zeros((0, 2)), 5, seed=0)
    assert caught.value.code == "empty"


def test_medoid_worked_by_hand() -> None:
    # Members 1..4 at x = 0, 2, 3, 10: sums 15, 11, 11, 25 — a tie between 2 and 3.
    xy = np.array([[99.0, 0], [0, 0], [2, 0], [3, 0], [10, 0]])
    assert medoid(xy, np.array([1, 2, 3, 4])) == 2


def test_a_tie_of_sums_is_exact_in_any_order() -> None:
    # The corners of a square have the same three distances, added in four different orders.
    for size in (0.1, 0.3, 0.7, 1e-3, 12345.678):
        square = size * np.array([[0.0, 0], [0, 1], [1, 1], [1, 0]])
        for order in ([0, 1, 2, 3], [2, 0, 3, 1], [1, 3, 0, 2]):
            assert medoid(square[order], np.arange(4)) == 0


def test_medoid_ignores_the_order_of_members() -> None:
    xy = np.array([[0.0, 0], [0, 0], [5, 5]])
    assert medoid(xy, np.array([2, 1, 0])) == 0


def test_medoid_of_many_blocks_is_that_of_all_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "TILE", 700)
    xy = np.random.default_rng(3).normal(size=(150, 2))
    assert medoid(xy, np.arange(150)) == int(cdist(xy, xy).sum(axis=0).argmin())


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=14))
def test_medoid_is_that_of_plain_loops(points: list[tuple[int, int]]) -> None:
    xy = np.array(points, dtype=float)
    expected = naive.medoid([tuple(p) for p in xy.tolist()], list(range(len(points))))
    assert medoid(xy, np.arange(len(points))) == expected
