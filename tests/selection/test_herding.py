"""Herding: steps by hand, agreement with plain loops, ties, what covered scans do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.selection.methods.herding import least_distance, median_distance
from coldal_tui.selection.pool import Pick, Pool
from coldal_tui.selection.projection import normalise
from coldal_tui.selection.strategies import strategy
from coldal_tui.selection.vectors import population
from tests.support import naive_vectors
from tests.support.naive_vectors import Field
from tests.support.scenes import vector_scene

SCENES = [(seed, patients) for seed in range(40) for patients in (False, True)]


def _circle(angles: list[float], covered: tuple[int, ...] = (), **more: object) -> Pool:
    """Scans on the unit circle at the given degrees."""
    turn = np.deg2rad(angles)
    taken = np.isin(np.arange(len(angles)), covered)
    rows = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    clusters = np.zeros(len(angles), int)
    points = np.zeros((len(angles), 2))
    return Pool(points, clusters, ~taken, taken, taken, embeddings=rows, **more)


def _indices(picks: list[Pick]) -> list[int]:
    return [pick.index for pick in picks]


def _field(pool: Pool) -> Field:
    patients = None if pool.patients is None else pool.patients.tolist()
    return Field(pool.candidate.tolist(), pool.covered.tolist(), patients)


def _rows(pool: Pool) -> list[list[float]]:
    assert pool.embeddings is not None
    return [[float(x) for x in row] for row in normalise(pool.embeddings)]


@pytest.mark.parametrize(("seed", "patients"), SCENES)
def test_herding_agrees_with_plain_loops(seed: int, patients: bool) -> None:
    pool = vector_scene(seed, patients=patients)
    everyone = population(pool).tolist()
    expected = naive_vectors.herding(_rows(pool), _field(pool), everyone, 7)
    assert _indices(strategy("herding")(pool, 7)) == expected


@pytest.mark.parametrize(("seed", "patients"), SCENES)
def test_max_herding_agrees_with_plain_loops(seed: int, patients: bool) -> None:
    pool = vector_scene(seed, patients=patients, largest=18)
    everyone = population(pool).tolist()
    rows = _rows(pool)
    expected = naive_vectors.coverage(rows, _field(pool), everyone, 6, lambda _: 1.0, 1.0)
    assert _indices(strategy("maxherding")(pool, 6)) == expected


@pytest.mark.parametrize(("seed", "patients"), SCENES)
def test_uherding_agrees_with_plain_loops(seed: int, patients: bool) -> None:
    pool = vector_scene(seed, patients=patients, largest=18)
    rows = _rows(pool)
    labelled = np.flatnonzero(pool.labelled).tolist()
    gaps = [naive_vectors.distance(rows[i], rows[j]) for i in labelled for j in labelled if i < j]
    width = min((gap for gap in gaps if gap > 1e-6), default=1.0)

    def weight(i: int) -> float:
        found = float(pool.entropy[i])
        return 0.0 if pool.covered[i] or math.isnan(found) else found

    everyone = population(pool).tolist()
    expected = naive_vectors.coverage(rows, _field(pool), everyone, 6, weight, width)
    assert _indices(strategy("uherding")(pool, 6)) == expected


def test_herding_takes_the_typical_scan_first_and_kinds_by_their_size() -> None:
    """Six scans around 0°, three around 90°: of three picks two and one."""
    picks = strategy("herding")(_circle([-5, -3, -1, 1, 3, 5, 88, 90, 92]), 3)
    assert picks[0].index in (2, 3)
    assert picks[1].index == 7
    assert picks[2].index < 6


def test_the_terms_of_herding_by_hand() -> None:
    """Two scans at a right angle: h = √2, k = exp(−1); μ = (1 + 1/e) / 2 for both."""
    first, second = strategy("herding")(_circle([0, 90]), 2)
    assert first.terms == pytest.approx(
        {"step": 1, "typical": (1 + 1 / math.e) / 2, "crowded": 0.0, "value": (1 + 1 / math.e) / 2}
    )
    assert second.terms["crowded"] == pytest.approx(1 / math.e / 2)
    assert (first.role, second.index) == ("medoid", 1)


def test_coverage_counts_what_is_covered_already() -> None:
    """The clump at 0° holds a label: the first pick is of the smaller one at 90°."""
    pool = _circle([0, 1, 2, 3, 4, 90, 91], covered=(2,))
    for name in ("herding", "maxherding"):
        assert strategy(name)(pool, 1)[0].index in (5, 6), name


def test_uherding_goes_where_the_model_is_unsure() -> None:
    """Labels on both clumps' rims set the width; all entropy lies in the smaller one."""
    entropy = np.array([0, 0, 0, 0, 0, 0.9, 0.8, 0.9])
    pool = _circle([0, 5, 10, 15, 20, 60, 65, 70], covered=(0, 5), entropy=entropy)
    pick = strategy("uherding")(pool, 1)[0]
    assert pick.index in (6, 7)
    assert pick.terms["weight"] == entropy[pick.index]


def test_without_scores_uherding_says_what_to_do() -> None:
    with pytest.raises(ColdalError, match="needs entropy"):
        strategy("uherding")(_circle([0, 1, 2]), 1)


def test_widths_by_hand() -> None:
    rows = normalise(np.array([[1.0, 0], [1, 0], [0, 1], [-1, 0]]))
    # Different pairs: √2 four times less one, 2 twice (the copies against the opposite one).
    assert median_distance(rows) == pytest.approx(math.sqrt(2))
    assert least_distance(rows) == pytest.approx(math.sqrt(2))
    assert median_distance(rows[:2]) == least_distance(rows[:2]) == 1.0


def test_large_pools_sum_over_drawn_columns(monkeypatch) -> None:
    from coldal_tui.selection.methods import herding

    pool = vector_scene(8, largest=30)
    whole = _indices(strategy("herding")(pool, 5))
    monkeypatch.setattr(herding, "COLUMNS", max(2, len(population(pool)) // 2))
    drawn = [_indices(strategy("herding")(pool, 5, seed=4)) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == len(whole)
