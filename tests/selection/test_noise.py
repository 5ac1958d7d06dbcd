"""Rounds by score: power noise, BALD and ClaSP PE, against numbers drawn by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.selection.methods.noise import class_power
from coldal_tui.selection.pool import Pool
from coldal_tui.selection.strategies import strategy
from tests.support import naive_vectors
from tests.support.naive_vectors import Field
from tests.support.scenes import vector_scene


def _pool(scores: list[float], **more: object) -> Pool:
    n = len(scores)
    nobody = np.zeros(n, bool)
    values = np.array(scores)
    return Pool(
        np.zeros((n, 2)), np.zeros(n, int), ~nobody, nobody, nobody, values, bald=values, **more
    )


def _field(pool: Pool) -> Field:
    patients = None if pool.patients is None else pool.patients.tolist()
    return Field(pool.candidate.tolist(), pool.covered.tolist(), patients)


@pytest.mark.parametrize("seed", range(60))
def test_bald_takes_the_highest_that_are_scored(seed: int) -> None:
    pool = vector_scene(seed, patients=seed % 2 == 0)
    assert pool.bald is not None
    expected = naive_vectors.highest(pool.bald.tolist(), _field(pool), 6)
    assert [pick.index for pick in strategy("bald")(pool, 6)] == expected


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("name", ["foreground", "boundary"])
def test_entropy_by_other_means_takes_the_highest(name: str, seed: int) -> None:
    pool = vector_scene(seed, patients=seed % 2 == 0)
    scores = pool.foreground_entropy if name == "foreground" else pool.boundary_entropy
    assert scores is not None
    expected = naive_vectors.highest(scores.tolist(), _field(pool), 6)
    picks = strategy(f"entropy-{name}")(pool, 6)
    assert [pick.index for pick in picks] == expected
    assert all(pick.terms[f"{name}_entropy"] == scores[pick.index] for pick in picks)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("name", ["power-entropy", "power-bald"])
def test_power_adds_gumbel_noise_to_the_logarithm(name: str, seed: int) -> None:
    pool = vector_scene(seed, patients=seed % 2 == 0)
    scores = pool.entropy if name == "power-entropy" else pool.bald
    assert scores is not None
    # Inverse transform: the standard Gumbel is -log(-log U).
    uniform = np.random.default_rng(seed).gumbel(0, 1, len(pool))
    values = [
        float(np.log(s) + g) if s > 0 else -np.inf if s <= 0 else np.nan
        for s, g in zip(scores.tolist(), uniform.tolist(), strict=True)
    ]
    expected = naive_vectors.highest(values, _field(pool), 6)
    picks = strategy(name)(pool, 6, seed=seed)
    assert [pick.index for pick in picks] == expected


def test_scans_are_drawn_in_proportion_to_their_score() -> None:
    pool = _pool([0.1, 0.2, 0.3, 0.4])
    first = [strategy("power-entropy")(pool, 1, seed=seed)[0].index for seed in range(4000)]
    np.testing.assert_allclose(np.bincount(first) / 4000, [0.1, 0.2, 0.3, 0.4], atol=0.03)


def test_a_score_of_zero_comes_last() -> None:
    pool = _pool([0.0, 0.3, 0.0, 0.2])
    for seed in range(20):
        picks = strategy("power-entropy")(pool, 4, seed=seed)
        assert [pick.index for pick in picks][2:] == [0, 2]
    assert "score" not in picks[2].terms


def test_the_noise_of_a_scan_does_not_hang_on_who_else_is_a_candidate() -> None:
    pool = _pool([0.5] * 8)
    fewer = replace(pool, candidate=np.arange(8) % 2 == 0)
    all_ = {p.index: p.terms["noise"] for p in strategy("power-entropy")(pool, 8, seed=1)}
    some = {p.index: p.terms["noise"] for p in strategy("power-entropy")(fewer, 8, seed=1)}
    assert some == {index: all_[index] for index in (0, 2, 4, 6)}


def _classes(batch: int, round_: int = 9) -> Pool:
    """Six scans for each of two classes that are uncertain in it alone, and four that are dull."""
    first = np.repeat([0.9, 0.01, 0.02], [6, 6, 4])
    second = np.repeat([0.01, 0.9, 0.02], [6, 6, 4])
    pool = _pool((np.repeat([0.4, 0.3, 0.2], [6, 6, 4])).tolist())
    return replace(pool, class_entropy=np.column_stack([first, second]), round=round_)


def test_two_thirds_are_picked_class_by_class_in_equal_shares() -> None:
    picks = strategy("clasp-pe")(_classes(9), 9, seed=0)
    by_class = [pick.terms.get("by_class", 0) for pick in picks]
    # int(0.66 · 9) = 5: two each and one more for a class drawn at random; 4 by entropy alone.
    assert sorted(by_class.count(c) for c in (1, 2)) == [2, 3]
    assert by_class.count(0) == 4
    for pick in picks:
        if pick.terms.get("by_class") == 1:
            assert pick.index < 6
        if pick.terms.get("by_class") == 2:
            assert 6 <= pick.index < 12


def test_every_prefix_has_its_share_of_each_class() -> None:
    picks = strategy("clasp-pe")(_classes(12), 12, seed=0)
    first = [pick.terms.get("by_class", 0) for pick in picks[:6]]
    assert {0, 1, 2} <= set(first)


def test_the_noise_fades_from_round_to_round() -> None:
    beta = [
        strategy("clasp-pe")(_classes(1, round_), 1, seed=0)[0].terms["beta"]
        for round_ in (1, 2, 3, 9)
    ]
    assert beta == [1, 2, 4, 64]


def test_late_rounds_take_the_most_uncertain_and_early_ones_vary() -> None:
    rng = np.random.default_rng(0)
    values = np.sort(rng.random(100))[::-1]
    pool = replace(_pool(values.tolist()), class_entropy=values[:, None])
    early = [class_power(replace(pool, round=1), 10, seed) for seed in range(30)]
    late = [class_power(replace(pool, round=20), 10, seed) for seed in range(30)]
    mean = [np.mean([p.index for picks in found for p in picks]) for found in (early, late)]
    assert mean[0] > 25  # uniform would be 50, the top ten 4.5
    assert mean[1] < 8


@pytest.mark.parametrize("name", ["bald", "power-bald", "clasp-pe", "power-entropy"])
def test_what_scoring_must_deliver_is_asked_for(name: str) -> None:
    pool = replace(_pool([0.5, 0.4]), bald=None, entropy=None)
    with pytest.raises(ColdalError, match="needs") as caught:
        strategy(name)(pool, 1)
    assert caught.value.code == "missing-input"
