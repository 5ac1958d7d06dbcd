"""The numbers of a comparison, worked out by hand or by scipy and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize
from sklearn.isotonic import IsotonicRegression

from coldal_tui.simulation.figures import (
    Outcomes,
    aubc,
    foreground_efficiency,
    labels_needed,
    rising,
    spread,
    trapezia,
)

# One arm, one label count; two seeds, three patients. Patient 2 has two scans and is tested on by
# seed 0 alone; patient 0 by seed 1 alone.
SUMS = np.array([[[[0.0, 0.6, 1.4], [0.9, 0.7, 0.0]]]])
COUNTS = np.array([[0.0, 1.0, 2.0], [1.0, 1.0, 0.0]])
ONE = Outcomes(SUMS, COUNTS)


def test_means_are_over_scans_then_over_seeds() -> None:
    np.testing.assert_allclose(ONE.seed_means, [[[2.0 / 3, 0.8]]])
    np.testing.assert_allclose(ONE.means, [[(2.0 / 3 + 0.8) / 2]])


def test_the_area_under_the_budget_curve_by_hand() -> None:
    """10 → 20: mean 0.7; 20 → 50: mean 0.85; weighted 10 and 30 of 40."""
    values = np.array([[0.6, 0.8, 0.9], [0.5, 0.5, 0.5]])
    np.testing.assert_allclose(aubc(values, [10, 20, 50]), [(7 + 25.5) / 40, 0.5])
    np.testing.assert_allclose(aubc(values[:, :1], [10]), [0.6, 0.5])


def test_spread_is_the_sample_deviation_and_unknown_for_one_seed() -> None:
    assert float(spread(np.array([0.8, 0.9]))) == pytest.approx(0.1 / math.sqrt(2))
    assert np.isnan(spread(np.array([[0.8]]))).all()


@pytest.mark.parametrize("labels", [(10,), (10, 20), (6, 12, 24, 34)])
def test_trapezia_are_the_weights_of_the_area(labels: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).random((3, len(labels)))
    np.testing.assert_allclose(values @ trapezia(labels), aubc(values, labels))


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
