"""Tests for the map: distinct rows, tiny inputs, refusals, placing, repeatability."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.selection import projection
from coldal_tui.selection.projection import distinct_rows, normalise, place, project


def test_rows_get_length_one_and_zero_rows_stay_zero() -> None:
    rows = normalise(np.array([[3.0, 4.0], [0.0, 0.0], [-2.0, 0.0]]))
    assert rows.tolist() == pytest.approx(np.array([[0.6, 0.8], [0.0, 0.0], [-1.0, 0.0]]))


def test_huge_and_tiny_rows_keep_their_direction() -> None:
    rows = normalise(np.array([[3e200, 4e200], [3e-200, 4e-200]]))
    assert rows == pytest.approx(np.array([[0.6, 0.8], [0.6, 0.8]]))


def test_minus_zero_is_the_same_row_as_zero() -> None:
    first, inverse = distinct_rows(normalise(np.array([[0.0, 1.0], [-0.0, 2.0]])))
    assert (first.tolist(), inverse.tolist()) == ([0], [0, 0])


def test_rows_that_are_not_finite_are_named() -> None:
    rows = np.ones((6, 3))
    rows[2, 1], rows[5, 0] = np.nan, np.inf
    with pytest.raises(ColdalError, match=r"2 embedding rows hold NaN or infinity: 2, 5") as caught:
        project(rows, seed=0)
    assert caught.value.code == "not-finite"


@pytest.mark.parametrize("shape", [(5,), (5, 0), (2, 3, 4)])
def test_arrays_that_are_no_embeddings_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ColdalError) as caught:
        project(np.ones(shape), seed=0)
    assert caught.value.code == "embedding-shape"


def test_no_scan_gives_an_empty_map() -> None:
    assert project(np.zeros((0, 8)), seed=0).xy.shape == (0, 2)


def test_one_scan_lies_at_the_origin() -> None:
    found = project(np.array([[1.0, 2.0]]), seed=0)
    assert (found.xy.tolist(), found.method, found.perplexity) == ([[0.0, 0.0]], "none", None)


def test_two_scans_lie_at_their_distance() -> None:
    found = project(np.array([[1.0, 0.0], [0.0, 9.0]]), seed=0)
    assert found.xy == pytest.approx(np.array([[0.0, 0.0], [2**0.5, 0.0]]))


def test_three_scans_form_their_triangle() -> None:
    # (1,0), (0,1) and the zero row: sides √2, 1, 1. The zero row is 1 from both.
    found = project(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), seed=0)
    half = 2**0.5 / 2
    assert found.xy == pytest.approx(np.array([[0, 0], [2 * half, 0], [half, half]]), abs=1e-7)


def test_identical_rows_share_one_point_up_to_scale() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(10, 6))
    found = project(np.concatenate([rows, 2 * rows, rows[:3]]), seed=1)
    assert found.distinct == 10
    assert np.array_equal(found.xy[:10], found.xy[10:20])
    assert np.array_equal(found.xy[:3], found.xy[20:])
    assert len(np.unique(found.xy, axis=0)) == 10


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_identical_rows_share_one_point(value: float) -> None:
    found = project(np.full((7, 5), value), seed=0)
    assert (found.distinct, found.method) == (1, "none")
    assert found.xy.tolist() == [[0.0, 0.0]] * 7


@pytest.mark.parametrize(
    ("rows", "perplexity"), [(4, 1.0), (10, 3.0), (90, 89 / 3), (91, 30.0), (120, 30.0)]
)
def test_perplexity_follows_the_number_of_rows(rows: int, perplexity: float) -> None:
    found = project(np.random.default_rng(3).normal(size=(rows, 8)), seed=0)
    assert (found.method, found.perplexity) == ("sklearn-tsne", perplexity)
    assert np.isfinite(found.xy).all()


def test_the_map_keeps_groups_apart() -> None:
    rng = np.random.default_rng(4)
    centres = np.eye(3, 20)
    rows = np.repeat(centres, 30, axis=0) + 0.05 * rng.normal(size=(90, 20))
    xy = project(rows, seed=0).xy
    middles = xy.reshape(3, 30, 2).mean(axis=1)
    nearest = np.linalg.norm(xy[:, None] - middles[None], axis=2).argmin(axis=1)
    assert nearest.tolist() == np.repeat([0, 1, 2], 30).tolist()


def test_seeds_beyond_32_bits_work() -> None:
    rows = np.random.default_rng(0).normal(size=(12, 4))
    assert np.array_equal(project(rows, 2**32 + 5).xy, project(rows, 5).xy)


@pytest.mark.parametrize(
    ("limits", "method"),
    [((100, 200), "exact-tsne"), ((100, 140), "opentsne"), ((150, 200), "sklearn-tsne")],
)
def test_the_number_of_rows_chooses_the_method(
    limits: tuple[int, int], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "SKLEARN_LIMIT", limits[0])
    monkeypatch.setattr(projection, "EXACT_LIMIT", limits[1])
    rows = np.random.default_rng(5).normal(size=(150, 12)).astype(np.float32)
    told: list[float] = []
    found = project(rows, 7, lambda done, total, message: told.append(done / total))
    assert found.method == method
    assert np.array_equal(found.xy, project(rows, 7).xy)
    assert told == sorted(told)
    assert len(told) == (2 if method == "sklearn-tsne" else 2 + 15)


def test_wide_rows_of_a_large_pool_are_seen_by_their_principal_components(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(projection, "WHOLE_LIMIT", 100)
    seen: list[np.ndarray] = []

    def spy(rows: np.ndarray, *others: object) -> np.ndarray:
        seen.append(rows)
        return np.zeros((len(rows), 2)) + np.arange(len(rows))[:, None]

    monkeypatch.setattr(projection, "_sklearn_tsne", spy)
    rows = np.random.default_rng(6).normal(size=(150, 80)).astype(np.float32)
    assert project(rows, 7).components == 50
    # By hand: the unit rows less their mean, times the axes of their singular value decomposition.
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    centred = (unit - unit.mean(axis=0)).astype(np.float64)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:50]
    assert np.abs(seen[0]) == pytest.approx(np.abs(centred @ axes.T), abs=1e-4)
    assert project(rows[:, :50], 7).components is None
    assert seen[1].shape == (150, 50)
    assert project(rows[:90], 7).components is None


_BITS = """
import hashlib, numpy as np
from coldal_tui.selection import clustering, projection
rng = np.random.default_rng(11)
rows = np.concatenate([rng.normal(size=64) * 2 + rng.normal(size=(50, 64)) for _ in range(5)])
def bits(array): return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
exact = projection.project(rows, seed=3)
found = clustering.choose_clusters(exact.xy, 20, seed=3)
print(exact.method, bits(exact.xy), bits(found.labels), found.k, repr(found.silhouettes))
projection.SKLEARN_LIMIT = projection.WHOLE_LIMIT = 100
large = projection.project(rows, seed=3)
print(large.method, bits(large.xy))
projection.EXACT_LIMIT = 100
large = projection.project(rows, seed=3)
print(large.method, bits(large.xy))
print(bits(projection.place(rows, exact.xy, rng.normal(size=(20, 64)))))
"""


def _bits(threads: int) -> str:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    done = subprocess.run(
        [sys.executable, "-c", _BITS], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    one = _bits(1)
    assert one.split()[0] == "sklearn-tsne"
    assert one == _bits(2)


def test_a_known_row_is_placed_exactly_on_its_point() -> None:
    rng = np.random.default_rng(6)
    base, xy = rng.normal(size=(30, 8)), rng.normal(size=(30, 2))
    assert np.array_equal(place(base, xy, 4 * base[[3, 17]]), xy[[3, 17]])


def test_a_new_row_lands_at_the_weighted_mean_of_its_neighbours() -> None:
    # New row at 45°: squared distance to (1,0) and (0,1) is 2 - √2 each, to (-1,0) it is 2 + √2.
    # Two neighbours with equal weights: the middle of (0,0) and (10,0).
    base, xy = np.array([[1.0, 0], [0, 1.0], [-1.0, 0]]), np.array([[0.0, 0], [10, 0], [90, 90]])
    assert place(base, xy, np.array([[1.0, 1.0]]), k=2) == pytest.approx(np.array([[5.0, 0.0]]))


def test_weights_fall_with_distance() -> None:
    # Unit vectors at 0°, 60° and a new one at 20°: chords 2 sin 10° and 2 sin 20°.
    angle = np.deg2rad([0.0, 60.0, 20.0])
    rows = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    near, far = 1 / (2 * np.sin(np.deg2rad(10))), 1 / (2 * np.sin(np.deg2rad(20)))
    placed = place(rows[:2], np.array([[0.0, 0.0], [1.0, 2.0]]), rows[2:], k=2)
    share = far / (near + far)
    assert placed == pytest.approx(np.array([[share, 2 * share]]), rel=1e-6)


def test_duplicates_in_the_base_count_as_one_neighbour() -> None:
    base = np.array([[1.0, 0.0]] * 5 + [[0.0, 1.0]])
    xy = np.array([[0.0, 0.0]] * 5 + [[10.0, 0.0]])
    assert place(base, xy, np.array([[1.0, 1.0]]), k=2) == pytest.approx(np.array([[5.0, 0.0]]))


def test_placing_another_width_is_refused() -> None:
    with pytest.raises(ColdalError) as caught:
        place(np.ones((3, 4)), np.zeros((3, 2)), np.ones((1, 5)))
    assert caught.value.code == "embedding-shape"
