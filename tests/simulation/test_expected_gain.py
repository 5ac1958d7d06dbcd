"""The expected gain against hand-worked values, scipy, and simulated projects of known truth."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from coldal_tui.simulation.expected_gain import (
    PRIOR,
    Prior,
    RunFigures,
    expected_gain,
    missing_dice,
    normal_below,
    usable,
)

SIMPLE = Prior(share=(1.0, 2.0), steepness=(1.0,), noise=(0.1, 0.0), picks=0.0)
"""One steepness and one scale of noise: s alone is unknown, on 20 values."""


def _run(labels: int, values: dict[str, float]) -> RunFigures:
    return RunFigures(labels, {scan: (dice, float(labels)) for scan, dice in values.items()})


def _flat(*counts: int, dice: float = 0.8, scans: int = 4) -> list[RunFigures]:
    return [_run(labels, {f"s{n}": dice for n in range(scans)}) for labels in counts]


def _alone(runs: list[RunFigures]) -> dict[str, str]:
    return {scan: scan for run in runs for scan in run.scans}


def test_what_is_missing_counts_one_more_scan() -> None:
    """Two scans of 0.7 and 0.9 miss 0.3 and 0.1, the further one 0.1: 0.5 / 3."""
    assert missing_dice([0.7, 0.9]) == pytest.approx(0.5 / 3)
    assert missing_dice([1.0, 1.0, 1.0]) == pytest.approx(0.025)


def test_one_run_says_what_the_prior_says() -> None:
    """Four scans of 0.8 miss h = (4 · 0.2 + 0.1) / 5 = 0.18.

    s is (k + 0.5) / 20 with weight 1 - s: its mean is Σ s (1 - s) / Σ (1 - s) = (10 - 6.6625) / 10.
    From 10 to 20 labels at c = 1 half of s · h goes: 0.18 · 0.33375 / 2.
    """
    runs = _flat(10)
    found = expected_gain(runs, _alone(runs), 10, prior=SIMPLE)
    assert found.expected == pytest.approx(0.18 * 0.33375 / 2, abs=1e-6)
    assert found.low < 0 < found.expected < found.high
    assert (found.labels, found.more, found.dice, found.runs) == (10, 10, pytest.approx(0.8), 1)


def test_two_runs_are_weighed_as_scipy_weighs_them() -> None:
    """Runs of 10 and 20 labels, 10 more; four scans, each of its own patient, gain 0.02 alike.

    h = (4 · 0.18 + 0.1) / 5 = 0.164. Sampling: no spread among the four, three usual ones beside
    them: 3 · (0.2 h)² · 4 / (4 - 1 + 3) / 4². Noise of a run: (0.1 h)², each of its own.
    At c = 1 the past gain is s h (20 / 10 - 1), the coming one s h (1 - 20 / 30).
    """
    h = 0.164
    runs = [*_flat(10, dice=0.8), *_flat(20, dice=0.82)]
    sampling = 3 * (0.2 * h) ** 2 * 4 / 6 / 16
    noise = (0.1 * h) ** 2
    variance = 2 * noise + sampling
    pull = -noise / variance
    s = (np.arange(20) + 0.5) / 20
    weights = (1 - s) * stats.norm.pdf(0.02, s * h, math.sqrt(variance))
    weights /= weights.sum()
    means = s * h / 3 + pull * (0.02 - s * h)
    deviation = math.sqrt(2 * noise - noise**2 / variance)

    found = expected_gain(runs, _alone(runs), 10, prior=SIMPLE)

    assert found.expected == pytest.approx(weights @ means, abs=1e-6)
    for end, share in ((found.low, 0.05), (found.high, 0.95)):
        assert weights @ stats.norm.cdf(end, means, deviation) == pytest.approx(share, abs=1e-5)


def test_a_flat_curve_is_expected_to_stay_nearly_flat() -> None:
    runs = _flat(10, 20, 40, 80, scans=60)
    found = expected_gain(runs, _alone(runs), 20)
    assert 0 < found.expected < 0.003
    assert found.low < 0 < found.high < 0.02


def test_nothing_is_gained_above_a_dice_of_one() -> None:
    """Four perfect scans: h = 0.1 / 5, and no end of the interval is above it."""
    runs = _flat(10, 20, 40, dice=1.0)
    found = expected_gain(runs, _alone(runs), 1000)
    assert -0.02 < found.low <= 0 < found.expected < found.high <= 0.02
    one = expected_gain(runs[:1], _alone(runs), 100_000)
    assert one.high <= 0.02


def test_a_rising_curve_goes_on_rising_and_more_labels_gain_more() -> None:
    """1 - Dice is 0.1 + 0.3 (10 / n)^0.75 without noise: from 80 to 90 labels 0.0053 go."""
    miss = {n: 0.1 + 0.3 * (10 / n) ** 0.75 for n in (10, 20, 40, 80, 90)}
    runs = [_run(n, {f"s{i}": 1 - miss[n] for i in range(80)}) for n in (10, 20, 40, 80)]
    gains = [expected_gain(runs, _alone(runs), more) for more in (5, 10, 20, 40)]
    expected = [one.expected for one in gains]
    assert expected == sorted(expected)
    assert gains[1].low < miss[80] - miss[90] < gains[1].high
    assert gains[1].expected == pytest.approx(miss[80] - miss[90], abs=0.004)


def test_after_a_lucky_run_less_is_expected() -> None:
    steady = [_run(n, dict.fromkeys("abcdefgh", d)) for n, d in ((10, 0.7), (20, 0.75), (40, 0.77))]
    lucky = [*steady[:2], _run(40, dict.fromkeys("abcdefgh", 0.8))]
    before, after = (expected_gain(runs, _alone(runs), 10) for runs in (steady, lucky))
    assert after.expected < before.expected


def test_scans_of_one_patient_count_as_one_observation() -> None:
    """Every scan twice, as a patient's two: nothing is learned. As patients of their own: it is.

    The last mean is 0.9, so that one more scan of 0.9 changes nothing either.
    """
    prior = Prior(scans_weight=0.0)
    dice = {"a": (0.5, 0.7, 0.85), "b": (0.7, 0.6, 0.95), "c": (0.4, 0.8, 0.9)}
    once = [_run(n, {s: d[k] for s, d in dice.items()}) for k, n in enumerate((5, 10, 20))]
    twice = [
        _run(run.labels, {f"{s}{copy}": d for s, (d, _) in run.scans.items() for copy in (1, 2)})
        for run in once
    ]
    known = expected_gain(once, _alone(once), 10, prior=prior)
    same = expected_gain(twice, {scan: scan[0] for scan in twice[0].scans}, 10, prior=prior)
    other = expected_gain(twice, _alone(twice), 10, prior=prior)
    assert (same.expected, same.low, same.high) == pytest.approx(
        (known.expected, known.low, known.high)
    )
    assert (same.scans, same.patients, other.patients) == (6, 3, 6)
    assert other.high - other.low != pytest.approx(known.high - known.low, rel=0.01)


def test_networks_of_a_cross_fitting_count_with_the_labels_that_they_had() -> None:
    """The same Dice from fewer labels: the curve was flatter, so less is to come."""
    full = [_run(n, dict.fromkeys("abcd", d)) for n, d in ((10, 0.6), (20, 0.7), (40, 0.75))]
    first = RunFigures(10, dict.fromkeys("abcd", (0.6, 2.0)))
    assert (
        expected_gain([first, *full[1:]], _alone(full), 10).expected
        < expected_gain(full, _alone(full), 10).expected
    )


def test_usable_runs() -> None:
    first, again = _run(10, {"a": 0.5}), _run(10, {"a": 0.6})
    second, third = _run(20, {"a": 0.7, "b": math.nan}), _run(30, {"a": 0.8})
    assert usable([]) == []
    assert usable([first, again, second]) == [again, _run(20, {"a": 0.7})]
    # Labels were withdrawn: the newest run counts, what had more does not.
    assert usable([first, third, second]) == [first, _run(20, {"a": 0.7})]
    # No scan in common with the next run, and nothing measured at all.
    assert usable([_run(5, {"c": 0.4}), first, third]) == [first, third]
    assert usable([_run(5, {"c": math.nan}), first]) == [first]
    assert usable([_run(5, {"c": math.inf})]) == []


def test_the_normal_distribution_is_that_of_scipy() -> None:
    z = np.linspace(-9, 9, 400)
    assert normal_below(z) == pytest.approx(stats.norm.cdf(z), abs=2e-7)


def test_intervals_hold_the_truth_of_simulated_projects_in_nine_of_ten() -> None:
    """150 projects drawn from the prior; the gain that comes is that of all patients, with noise.

    Of 150 draws at 0.9, 99.9 % have between 122 and 146 hits.
    """
    rng = np.random.default_rng(5)
    held = sum(_holds(rng) for _ in range(150))
    assert 122 <= held <= 146


def _holds(rng: np.random.Generator) -> bool:
    counts = (6, 12, 24, 36)
    h = rng.uniform(0.05, 0.4)
    s, c = rng.beta(*PRIOR.share), rng.choice(PRIOR.steepness)
    scale = PRIOR.noise[0] * math.exp(PRIOR.noise[1] * rng.normal())
    noise = np.zeros(len(counts))
    covariance = [
        [(1 - PRIOR.picks) * (a == b) + PRIOR.picks * 10 / max(a, b) for b in counts]
        for a in counts
    ]
    noise = rng.multivariate_normal(noise, np.array(covariance)) * scale * h
    curve = [-h * s * (24 / n) ** c + e for n, e in zip(counts, noise, strict=True)]
    names = [f"s{n}" for n in range(24)]
    level = 1 - h + h * s + rng.normal(0, 0.3 * h, 24)
    runs = []
    for number, labels in enumerate(counts[:3]):
        own = level + curve[number] + rng.normal(0, 0.2 * h / math.sqrt(2), 24)
        size = counts[min(number + 1, 2)]
        runs.append(_run(labels, dict(zip(names[:size], own.tolist(), strict=False))))
    found = expected_gain(runs, {name: name for name in names}, 12)
    return found.low <= curve[3] - curve[2] <= found.high


@pytest.mark.parametrize(("dice", "scans"), product((0.0, 0.5, 1.0), (1, 3)))
def test_any_figures_give_finite_ends_in_order(dice: float, scans: int) -> None:
    runs = _flat(3, 7, 11, dice=dice, scans=scans)
    found = expected_gain(runs, _alone(runs), 1)
    assert -1 <= found.low <= found.expected <= found.high <= 1
