"""Tests for entropy plus diversity: steps worked by hand, an independent copy, its edges."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.selection.acquisition import Acquired, cover, entropy_diversity, unscored
from tests.support import naive
from tests.support.scenes import plain, scene

# On a line: 0 is covered; candidates at x = 1, 4, 5, 10 with entropies .5 .9 .1 .1.
POINTS = np.array([[0.0, 0], [1, 0], [4, 0], [5, 0], [10, 0]])
COVERED = np.array([True, False, False, False, False])
ENTROPY = np.array([np.nan, 0.5, 0.9, 0.1, 0.1])


def _run(alpha: float = 0.5, batch: int = 4) -> list[Acquired]:
    return entropy_diversity(POINTS, ~COVERED, COVERED, ENTROPY, batch, alpha)


def test_steps_worked_by_hand() -> None:
    # H̃ = (H - .1)/.8 = .5 1 0 0, once.
    # 1: D 1 4 5 10, max 10: S = .25+.05, .5+.2, .25, .5 = .3 .7 .25 .5            -> 2, S .7
    # 2: D 1 . 1 6, max 6:   S = .25+.5/6, ., .5/6, .5    = .333 . .083 .5         -> 4, S .5
    # 3: D 1 . 1 ., max 1:   S = .25+.5, ., .5, .         = .75 . .5 .             -> 1, S .75
    # 4: D . . 1 ., max 1:   S = .5                                                -> 3, S .5
    picks = _run()
    assert [pick.index for pick in picks] == [2, 4, 1, 3]
    assert [pick.score for pick in picks] == pytest.approx([0.7, 0.5, 0.75, 0.5], abs=1e-15)
    assert [pick.entropy_term for pick in picks] == pytest.approx([1, 0, 0.5, 0], abs=1e-15)
    assert [pick.diversity_term for pick in picks] == pytest.approx([0.4, 1, 1, 1], abs=1e-15)
    assert [pick.distance for pick in picks] == [4, 6, 1, 1]
    assert [pick.nearest for pick in picks] == [0, 2, 0, 2]
    assert [pick.runner_up for pick in picks] == [4, 1, 3, -1]
    assert picks[1].runner_up_score == pytest.approx(0.25 + 0.5 / 6, abs=1e-15)


def test_terms_hold_the_numbers_of_the_step() -> None:
    terms = _run(batch=1)[0].terms(0.5)
    assert terms == {
        "step": 1,
        "alpha": 0.5,
        "score": 0.7,
        "entropy_term": 1.0,
        "diversity_term": 0.4,
        "entropy": 0.9,
        "distance": 4.0,
        "nearest": 0,
        "runner_up": 4,
        "runner_up_score": 0.5,
    }


def test_alpha_one_is_pure_entropy() -> None:
    assert [pick.index for pick in _run(1.0)] == [2, 1, 3, 4]


def test_alpha_zero_is_pure_diversity() -> None:
    # Farthest points from 0: 10, then 5 (gap 5), then 1 and 4 at gap 1: the lower index.
    assert [pick.index for pick in _run(0.0)] == [4, 3, 1, 2]


def test_equal_entropies_count_nothing() -> None:
    picks = entropy_diversity(POINTS, ~COVERED, COVERED, np.full(5, 0.4), 4, 0.5)
    assert [pick.entropy_term for pick in picks] == [0.0] * 4


def test_candidates_at_covered_points_have_no_diversity() -> None:
    picks = entropy_diversity(np.zeros((5, 2)), ~COVERED, COVERED, ENTROPY, 2, 0.5)
    assert [(pick.index, pick.score) for pick in picks] == [(2, 0.5), (1, 0.25)]


def test_where_nothing_is_covered_entropy_decides_the_first_pick() -> None:
    nothing = np.zeros(5, bool)
    first, second = entropy_diversity(POINTS, ~COVERED, nothing, ENTROPY, 2, 0.5)
    assert (first.index, first.diversity_term, first.nearest) == (2, 0.0, -1)
    assert "distance" not in first.terms(0.5)
    # Then D 3 . 1 6 from x = 4: S = .25 + .5·3/6, ., .5/6, .5: 1 and 4 tie at .5 -> 1.
    assert (second.index, second.distance, second.nearest) == (1, 3.0, 2)


def test_a_pick_as_far_as_the_covered_scan_does_not_replace_it_as_nearest() -> None:
    # x = 2 lies 2 from the covered 0 and 2 from the first pick at 4.
    points, covered = np.array([[0.0, 0], [2, 0], [4, 0]]), np.array([True, False, False])
    picks = entropy_diversity(points, ~covered, covered, None, 2, 0.0)
    assert [(pick.index, pick.nearest) for pick in picks] == [(2, 0), (1, 0)]


def test_unscored_candidates_are_passed_over() -> None:
    entropy = np.array([np.nan, np.nan, 0.9, 0.1, np.inf])
    picks = entropy_diversity(POINTS, ~COVERED, COVERED, entropy, 9, 0.5)
    assert [pick.index for pick in picks] == [2, 3]
    assert unscored(~COVERED, entropy) == [1, 4]


@pytest.mark.parametrize("entropy", [None, np.array([np.nan, np.nan, 0.9, 0.1, 0.2])])
def test_pure_diversity_needs_no_entropy(entropy: np.ndarray | None) -> None:
    picks = entropy_diversity(POINTS, ~COVERED, COVERED, entropy, 4, 0.0)
    assert [pick.index for pick in picks] == [4, 3, 1, 2]


def test_no_entropy_at_all_is_refused() -> None:
    with pytest.raises(ColdalError) as caught:
        entropy_diversity(POINTS, ~COVERED, COVERED, None, 1, 0.5)
    assert caught.value.code == "no-entropy"


@pytest.mark.parametrize("alpha", [-0.1, 1.1, np.nan])
def test_alpha_outside_its_range_is_refused(alpha: float) -> None:
    with pytest.raises(UsageError, match="not between 0 and 1"):
        _run(alpha)


def test_no_candidates_give_no_picks() -> None:
    assert entropy_diversity(POINTS, COVERED & False, COVERED, ENTROPY, 3, 0.5) == []


def test_known_coverage_changes_nothing() -> None:
    pool = scene(24)
    known = cover(pool.points, pool.candidate, pool.covered)
    arguments = (pool.points, pool.candidate, pool.covered, pool.entropy, 9, 0.3)
    assert entropy_diversity(*arguments, known) == entropy_diversity(*arguments)
    assert entropy_diversity(*arguments, known) == entropy_diversity(*arguments)


@pytest.mark.parametrize("seed", range(200))
def test_it_agrees_with_plain_loops(seed: int) -> None:
    pool = scene(seed)
    assert pool.entropy is not None
    for alpha in (0.5, 1.0, (seed % 7 + 1) / 8):
        for batch in {1, 4, len(pool) + 2}:
            picks = entropy_diversity(
                pool.points, pool.candidate, pool.covered, pool.entropy, batch, alpha
            )
            assert [(pick.index, pick.score) for pick in picks] == naive.entropy_diversity(
                plain(pool),
                pool.candidate.tolist(),
                pool.covered.tolist(),
                pool.entropy.tolist(),
                batch,
                alpha,
            )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 45), st.floats(0, 1))
def test_picks_are_distinct_and_the_score_is_the_sum_of_its_terms(
    seed: int, batch: int, alpha: float
) -> None:
    pool = scene(seed)
    assert pool.entropy is not None
    picks = entropy_diversity(pool.points, pool.candidate, pool.covered, pool.entropy, batch, alpha)
    usable = pool.candidate & np.isfinite(pool.entropy) if alpha > 0 else pool.candidate
    assert len({pick.index for pick in picks}) == len(picks) == min(batch, int(usable.sum()))
    for pick in picks:
        assert pick.score == alpha * pick.entropy_term + (1 - alpha) * pick.diversity_term
        assert pick.runner_up < 0 or pick.runner_up_score <= pick.score


def test_a_hundred_of_a_hundred_thousand_are_ranked_fast() -> None:
    rng = np.random.default_rng(0)
    points, entropy = rng.normal(size=(100_000, 2)), rng.random(100_000)
    covered = np.arange(100_000) < 200
    started = time.perf_counter()
    picks = entropy_diversity(points, ~covered, covered, entropy, 100, 0.5)
    assert len(picks) == 100
    assert time.perf_counter() - started < 3  # a fraction of a second on an idle core


def test_it_needs_numpy_alone() -> None:
    code = (
        "import sys; import coldal_tui.selection.acquisition, coldal_tui.selection.strategies;"
        "heavy = {'sklearn', 'scipy', 'numba', 'openTSNE', 'torch', 'threadpoolctl'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
