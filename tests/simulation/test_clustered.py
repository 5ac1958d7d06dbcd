"""The test of a simulation: by hand, against scipy, and on studies whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from coldal_tui.simulation.clustered import Estimate, estimate, holm, verdict
from scripts.calibration import calibrate

SUMS = np.array([[0.0, 0.6, 1.4], [0.9, 0.7, 0.0]])
COUNTS = np.array([[0.0, 1.0, 2.0], [1.0, 1.0, 0.0]])
"""Two seeds, three patients: the third has two scans and is tested on by the first seed alone."""


def test_the_mean_is_over_scans_then_over_seeds() -> None:
    assert estimate(SUMS, COUNTS).mean == pytest.approx((2.0 / 3 + 0.8) / 2)


def test_the_variance_by_hand() -> None:
    """Parts r = (sum − mean · count) / scans of the seed / seeds, squared in three ways."""
    mean = (2.0 / 3 + 0.8) / 2
    r = [[0.0, (0.6 - mean) / 6, (1.4 - 2 * mean) / 6], [(0.9 - mean) / 4, (0.7 - mean) / 4, 0.0]]
    by_seed = sum(sum(row) ** 2 for row in r) * 2 / 1
    by_patient = sum((r[0][p] + r[1][p]) ** 2 for p in range(3)) * 3 / 2
    by_cell = sum(value**2 for row in r for value in row) * 4 / 3
    found = estimate(SUMS, COUNTS)
    assert found.seed_variance == pytest.approx(by_seed)
    assert found.patient_variance == pytest.approx(max(0.0, by_patient - by_cell))
    assert (found.seeds, found.patients, found.freedom) == (2, 3, 1)


def test_seeds_that_share_no_patient_are_a_t_test_of_their_means() -> None:
    """One patient each: what clusters by patient and by cell is the same, and cancels."""
    means = np.array([0.01, 0.03, -0.005, 0.02, 0.015])
    found = estimate(np.diag(means), np.eye(5))
    wanted = stats.ttest_1samp(means, 0.0)
    assert found.p() == pytest.approx(wanted.pvalue)
    low, high = wanted.confidence_interval(0.95)
    assert found.interval() == pytest.approx((low, high))


def test_a_patient_of_every_seed_adds_its_own_variance() -> None:
    """The same patients in all seeds: the interval is that of patients, however many seeds."""
    patients = np.array([0.1, -0.3, 0.2, 0.05, -0.15, 0.3])
    found = estimate(np.tile(patients, (4, 1)), np.ones((4, 6)))
    by_patient = 6 / 5 * np.square(patients - patients.mean()).sum() / 36
    by_cell = 24 / 23 * np.square(patients - patients.mean()).sum() * 4 / 24**2
    assert found.seed_variance == pytest.approx(0.0)
    assert found.patient_variance == pytest.approx(by_patient - by_cell)


def test_one_seed_has_an_interval_over_patients_and_no_verdict() -> None:
    values = np.array([[0.1, 0.2, 0.4, 0.3]])
    found = estimate(values, np.ones((1, 4)))
    low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values[0]))
    assert found.interval() == pytest.approx((low, high))
    assert found.p() == 1.0
    assert found.visible() is None


def test_one_seed_of_one_patient_knows_nothing_of_chance() -> None:
    found = estimate(np.array([[0.1]]), np.ones((1, 1)))
    assert all(math.isnan(end) for end in found.interval())


def test_a_constant_lead_is_certain_and_none_at_all_is_not() -> None:
    assert estimate(np.full((3, 5), 0.02), np.ones((3, 5))).p() == 0.0
    assert estimate(np.zeros((3, 5)), np.ones((3, 5))).p() == 1.0


def test_visible_is_what_four_studies_in_five_show() -> None:
    """By scipy: the power of a t-test with this non-centrality is 0.8."""
    found = Estimate(0.0, 0.0009, 0.0, seeds=10, patients=50)
    gap = found.visible()
    bar = stats.t.ppf(0.975, 9)
    assert stats.nct.sf(bar, 9, gap / found.error) == pytest.approx(0.8, abs=1e-6)
    # Four times the seeds: half the error, and more degrees of freedom.
    assert found.visible(40) < gap / 2


def test_several_looks_share_the_five_in_a_hundred() -> None:
    means = np.array([0.01, 0.03, -0.005, 0.02, 0.015])
    once = estimate(np.diag(means), np.eye(5))
    thrice = replace(once, looks=3)
    assert thrice.p() == pytest.approx(3 * stats.ttest_1samp(means, 0.0).pvalue)
    wanted = stats.ttest_1samp(means, 0.0).confidence_interval(1 - 0.05 / 3)
    assert thrice.interval() == pytest.approx((wanted.low, wanted.high))
    assert replace(once, looks=100).p() == 1.0
    assert (thrice.visible() or 0) > (once.visible() or 0) > 0


def test_patients_do_not_get_more_with_more_seeds() -> None:
    few = Estimate(0.0, 0.0, 0.0004, seeds=10, patients=50)
    assert few.visible(1000) == pytest.approx(
        (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * 0.02, rel=0.01
    )


def test_holm_by_hand() -> None:
    """0.01 · 4, 0.02 · 3, 0.03 · 2 and never less than the one before, 0.5."""
    assert holm([0.02, 0.5, 0.01, 0.03]) == pytest.approx([0.06, 0.5, 0.04, 0.06])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([]) == []


@pytest.mark.parametrize(
    ("mean", "p", "word"),
    [(0.01, 0.049, "better"), (-0.01, 0.01, "worse"), (0.01, 0.05, "undecided")],
)
def test_a_verdict_is_by_the_adjusted_p(mean: float, p: float, word: str) -> None:
    assert verdict(mean, p) == word


@pytest.mark.parametrize("shares", ["a little of both", "both", "mostly seeds"])
@pytest.mark.parametrize("seeds", [5, 20])
def test_false_alarms_and_power_are_as_stated(shares: str, seeds: int) -> None:
    """The seed is fixed, so nothing flickers; ``make soak`` does 4,000 of every mixture."""
    found = calibrate(shares, seeds, 500)
    assert 0.03 <= found.false_alarms <= 0.07
    assert 0.93 <= found.covered <= 0.97
    assert 0.74 <= found.power <= 0.86
