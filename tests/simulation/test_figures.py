"""The numbers of a comparison, worked out by hand or by scipy and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.isotonic import IsotonicRegression

from coldal_tui.simulation.figures import (
    Outcomes,
    Resamples,
    aubc,
    foreground_efficiency,
    interval,
    labels_needed,
    paired_p,
    penalties,
    replicates,
    resample,
    rising,
    spread,
    verdict,
)

# One arm, one label count; two seeds, three patients. Patient 2 has two scans and is tested on by
# seed 0 alone; patient 0 by seed 1 alone.
SUMS = np.array([[[[0.0, 0.6, 1.4], [0.9, 0.7, 0.0]]]])
COUNTS = np.array([[0.0, 1.0, 2.0], [1.0, 1.0, 0.0]])
ONE = Outcomes(SUMS, COUNTS)


def test_means_are_over_scans_then_over_seeds() -> None:
    np.testing.assert_allclose(ONE.seed_means, [[[2.0 / 3, 0.8]]])
    np.testing.assert_allclose(ONE.means, [[(2.0 / 3 + 0.8) / 2]])


def test_a_resample_weighs_seeds_and_the_same_patients_in_all_of_them() -> None:
    drawn = Resamples(np.array([[2.0, 0.0], [1.0, 1.0]]), np.array([[0.0, 3.0, 0.0], [1, 1, 1]]))
    # First: seed 0 twice, of patient 1 alone. Second: everything once.
    np.testing.assert_allclose(replicates(ONE, drawn)[:, 0, 0], [0.6, (2.0 / 3 + 0.8) / 2])


def test_a_seed_without_a_drawn_patient_leaves_the_resample() -> None:
    drawn = Resamples(
        np.array([[1.0, 1.0], [1.0, 0.0]]), np.array([[0.0, 0.0, 3.0]] * 1 + [[3, 0, 0]])
    )
    found = replicates(ONE, drawn)[:, 0, 0]
    assert found[0] == pytest.approx(0.7)
    assert math.isnan(found[1])


def test_resamples_draw_as_many_as_there_are_and_repeat() -> None:
    drawn = resample(3, 7, draws=50)
    assert set(drawn.seeds.sum(axis=1)) == {3.0}
    assert set(drawn.patients.sum(axis=1)) == {7.0}
    np.testing.assert_array_equal(drawn.seeds, resample(3, 7, draws=50).seeds)


def test_the_interval_of_one_seed_is_the_plain_percentile() -> None:
    found = np.linspace(0, 1, 1001)
    low, high = interval(found, 1)
    assert (float(low), float(high)) == (pytest.approx(0.025), pytest.approx(0.975))


def test_the_interval_is_widened_for_few_seeds() -> None:
    found = np.linspace(0, 1, 100_001)
    low, high = interval(found, 5)
    tail = stats.norm.cdf(-math.sqrt(5 / 4) * stats.t.ppf(0.975, 4))
    assert float(low) == pytest.approx(tail, abs=1e-5)
    assert float(high) == pytest.approx(1 - tail, abs=1e-5)


def test_the_interval_leaves_out_what_is_no_number_and_keeps_infinities() -> None:
    found = np.concatenate([np.full(500, np.nan), np.linspace(0, 1, 401), np.full(100, np.inf)])
    low, high = interval(found, 1)
    assert float(low) == pytest.approx(0.03125)
    assert math.isinf(float(high))


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """200 studies of five seeds and 40 patients with effects of both: 95 %, give or take."""
    rng = np.random.default_rng(0)
    drawn = resample(5, 40, draws=1000)
    covered = 0
    for _ in range(200):
        gaps = rng.normal(0, 1, (5, 1)) + rng.normal(0, 3, (1, 40)) + rng.normal(0, 1, (5, 40))
        made = replicates(Outcomes(gaps[None, None], np.ones((5, 40))), drawn)
        low, high = interval(made[:, 0, 0], 5)
        covered += bool(low <= 0 <= high)
    assert 0.93 <= covered / 200 <= 1.0


@pytest.mark.parametrize(
    ("low", "high", "seeds", "word"),
    [
        (0.001, 0.02, 5, "better"),
        (-0.02, -0.001, 5, "worse"),
        (-0.001, 0.02, 5, "can't tell"),
        (0.0, 0.02, 5, "can't tell"),
        (0.001, 0.02, 1, "can't tell"),
        (math.nan, math.nan, 5, "can't tell"),
    ],
)
def test_a_verdict_needs_an_interval_beside_0_and_more_than_one_seed(
    low, high, seeds, word
) -> None:
    assert verdict(low, high, seeds) == word


def test_the_area_under_the_budget_curve_by_hand() -> None:
    """10 → 20: mean 0.7; 20 → 50: mean 0.85; weighted 10 and 30 of 40."""
    values = np.array([[0.6, 0.8, 0.9], [0.5, 0.5, 0.5]])
    np.testing.assert_allclose(aubc(values, [10, 20, 50]), [(7 + 25.5) / 40, 0.5])
    np.testing.assert_allclose(aubc(values[:, :1], [10]), [0.6, 0.5])


def test_spread_is_the_sample_deviation_and_unknown_for_one_seed() -> None:
    assert float(spread(np.array([0.8, 0.9]))) == pytest.approx(0.1 / math.sqrt(2))
    assert np.isnan(spread(np.array([[0.8]]))).all()


def test_paired_p_is_scipys() -> None:
    gaps = np.array([0.01, 0.03, -0.005, 0.02, 0.015])
    assert paired_p(gaps) == pytest.approx(stats.ttest_1samp(gaps, 0.0).pvalue)
    assert paired_p(np.zeros(5)) == 1.0
    assert paired_p(np.full(3, 0.1)) == pytest.approx(0.0, abs=1e-12)
    assert paired_p(np.array([0.1])) == 1.0


def test_the_penalty_matrix_counts_label_counts_where_one_beats_another() -> None:
    base = np.array([0.70, 0.72, 0.74, 0.71])
    wobble = np.array([0.01, -0.01, 0.012, -0.012])
    a = np.stack([base + 0.05 + wobble / 10, base + 0.001 + wobble, base + 0.04 + wobble / 10])
    b = np.stack([base, base, base])
    matrix = penalties(np.stack([a, b]), compared=[0, 1, 2])
    np.testing.assert_allclose(matrix, [[0, 2 / 3], [0, 0]])
    np.testing.assert_allclose(penalties(np.stack([a, b]), compared=[1]), np.zeros((2, 2)))


def test_a_rising_curve_is_isotonic_regression() -> None:
    rng = np.random.default_rng(3)
    curves = rng.normal(size=(20, 6)).cumsum(axis=1)
    x = np.arange(6)
    wanted = [IsotonicRegression().fit_transform(x, curve) for curve in curves]
    np.testing.assert_allclose(rising(curves), wanted)


def test_labels_that_random_needs_by_hand() -> None:
    """Random: 0.70, 0.80, 0.86 at 10, 20, 40."""
    curve, labels = np.array([0.70, 0.80, 0.86]), [10, 20, 40]
    wanted = np.array([0.60, 0.70, 0.75, 0.80, 0.83, 0.86, 0.87])
    needed = labels_needed(wanted, curve, labels)
    np.testing.assert_allclose(needed, [10, 10, 15, 20, 30, 40, math.inf])


def test_labels_needed_where_random_falls_in_between() -> None:
    """0.7, 0.9, 0.8 is taken as 0.7, 0.85, 0.85: 0.85 at 20, more never."""
    curve, labels = np.array([0.7, 0.9, 0.8]), [10, 20, 30]
    assert float(labels_needed(np.array(0.85), curve, labels)) == pytest.approx(20)
    assert math.isinf(float(labels_needed(np.array(0.86), curve, labels)))
    assert float(labels_needed(np.array(0.775), curve, labels)) == pytest.approx(15)


def test_labels_needed_of_many_resamples_at_once() -> None:
    curves = np.array([[0.5, 0.7], [0.6, 0.8]])
    np.testing.assert_allclose(labels_needed(np.array([0.6, 0.7]), curves, [10, 20]), [15, 15])


def test_foreground_efficiency_finds_the_rate_of_an_exact_curve() -> None:
    x = np.array([0.05, 0.1, 0.2, 0.4])
    dice = 0.9 - 0.4 * np.exp(-7.5 * (x - 0.05))
    found = foreground_efficiency(x, dice, start=(0.05, 0.5), full=0.9)
    assert found == pytest.approx(7.5, rel=1e-6)


def test_foreground_efficiency_is_the_least_squares_fit_of_scipy() -> None:
    rng = np.random.default_rng(1)
    x = np.repeat([0.02, 0.08, 0.15, 0.3], 5)
    dice = 0.85 - 0.35 * np.exp(-11 * (x - 0.02)) + rng.normal(0, 0.01, len(x))

    def curve(at: np.ndarray, gamma: float) -> np.ndarray:
        return 0.85 - 0.35 * np.exp(-gamma * (at - 0.02))

    fitted, _ = optimize.curve_fit(curve, x, dice)
    assert foreground_efficiency(x, dice, (0.02, 0.5), 0.85) == pytest.approx(fitted[0], rel=1e-5)


def test_foreground_efficiency_needs_room_above_the_start() -> None:
    x, dice = np.array([0.1, 0.2]), np.array([0.8, 0.8])
    assert foreground_efficiency(x, dice, (0.1, 0.8), full=0.8) is None
    assert foreground_efficiency(x[:1], dice[:1], (0.1, 0.7), full=0.9) is None
