"""The numbers of a comparison: means with intervals, areas, penalties, efficiency, savings.

Pure functions on arrays. Axes: A arms, B label counts, S seeds, P test patients, R resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS = 10_000
CONFIDENCE = 0.95
_ROUNDING = 1e-9
"""Of means that are added up in another order."""


@dataclass(frozen=True)
class Outcomes:
    """One measure of every arm at every label count, on the same test scans.

    ``sums`` is (A, B, S, P): the measure summed over a patient's scans, for each seed. ``counts``
    is (S, P): how many scans of a patient a seed tests on; 0 where it does not.
    """

    sums: Floats
    counts: Floats

    @property
    def seed_means(self) -> Floats:
        """(A, B, S): the mean over the test scans of each seed."""
        return np.asarray(self.sums.sum(axis=3) / self.counts.sum(axis=1), dtype=np.float64)

    @property
    def means(self) -> Floats:
        """(A, B): the mean over seeds of their means."""
        return np.asarray(self.seed_means.mean(axis=2), dtype=np.float64)


@dataclass(frozen=True)
class Resamples:
    """How often each seed (R, S) and each patient (R, P) was drawn."""

    seeds: Floats
    patients: Floats


def resample(seeds: int, patients: int, draws: int = DRAWS, seed: int = 0) -> Resamples:
    """Draw seeds, and independently patients, with replacement (Owen 2007, "The pigeonhole
    bootstrap"): a patient whom several seeds test on is drawn for all of them alike.
    """
    rng = np.random.default_rng(seed)
    return Resamples(
        rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws).astype(np.float64),
        rng.multinomial(patients, np.full(patients, 1 / patients), size=draws).astype(np.float64),
    )


def replicates(outcomes: Outcomes, drawn: Resamples) -> Floats:
    """(R, A, B): ``Outcomes.means`` of each resample; the same draw for all arms, so paired.

    A seed none of whose test patients was drawn leaves that resample; NaN where all do.
    """
    arms, budgets, seeds, patients = outcomes.sums.shape
    flat = outcomes.sums.reshape(-1, patients).T
    sums = (drawn.patients @ flat).reshape(-1, arms, budgets, seeds)
    counts = drawn.patients @ outcomes.counts.T
    weights = np.where(counts > 0, drawn.seeds, 0.0)
    means = sums / np.where(counts > 0, counts, 1.0)[:, None, None, :]
    total = weights.sum(axis=1)
    weighted = np.einsum("rabs,rs->rab", means, weights)
    safe = np.where(total > 0, total, 1.0)[:, None, None]
    return np.where(total[:, None, None] > 0, weighted / safe, np.nan)


def interval(found: Floats, seeds: int) -> tuple[Floats, Floats]:
    """Both ends of the 95 % interval of (R, …) replicates; NaN replicates are left out.

    The expanded percentile interval (Hesterberg 2015, "What teachers should know about the
    bootstrap"): a bootstrap over few seeds is too narrow, so that the tails are cut at
    Φ(−√(n/(n−1))·t) instead of 2.5 %, with t of n − 1 degrees of freedom. One seed says nothing
    about the chance in selection and training: its interval is over patients alone, not widened.
    """
    tail = _tail(seeds)
    with np.errstate(invalid="ignore"):
        low, high = _quantiles(found, tail), _quantiles(found, 1 - tail)
    return low, high


def _tail(seeds: int) -> float:
    from scipy.special import ndtr, stdtrit

    if seeds < 2:
        return (1 - CONFIDENCE) / 2
    t = float(stdtrit(seeds - 1, (1 + CONFIDENCE) / 2))
    return float(ndtr(-math.sqrt(seeds / (seeds - 1)) * t))


def _quantiles(found: Floats, share: float) -> Floats:
    """Linear, as ``nanquantile``, but infinities stay infinities (no 0 · ∞)."""
    ordered = np.sort(found, axis=0)
    known = np.sum(~np.isnan(ordered), axis=0)
    place = share * np.maximum(known - 1, 0)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(known - 1, 0))
    part = place - below
    a = np.take_along_axis(ordered, below[None], axis=0)[0]
    b = np.take_along_axis(ordered, above[None], axis=0)[0]
    mixed = np.where((a == b) | (part == 0), a, (1 - part) * a + part * b)
    return np.asarray(np.where(known > 0, mixed, np.nan), dtype=np.float64)


def verdict(low: float, high: float, seeds: int) -> str:
    """``better``, ``worse``, or ``can't tell``: when the interval spans 0, or of one seed."""
    if seeds < 2 or not (low > 0 or high < 0):
        return "can't tell"
    return "better" if low > 0 else "worse"


def aubc(values: Floats, labels: Sequence[int]) -> Floats:
    """Area under (…, B) values over the label counts, by trapezia, over the range: (…).

    A constant curve has its own value (Zhan et al., IJCAI 2021; nnActive's ``compute_auc``, but
    on the label counts themselves). With one label count: that value.
    """
    if len(labels) == 1:
        return np.asarray(values[..., 0], dtype=np.float64)
    x = np.asarray(labels, dtype=np.float64)
    return np.asarray(np.trapezoid(values, x, axis=-1) / (x[-1] - x[0]), dtype=np.float64)


def spread(seed_means: Floats) -> Floats:
    """Standard deviation (n − 1) over the last axis; NaN of a single seed."""
    if seed_means.shape[-1] < 2:
        return np.full(seed_means.shape[:-1], np.nan)
    return np.asarray(seed_means.std(axis=-1, ddof=1), dtype=np.float64)


def penalties(seed_means: Floats, compared: Sequence[int], p: float = 0.05) -> Floats:
    """The pairwise penalty matrix (A, A): in which share of label counts row beats column.

    A two-sided paired t-test over seeds at each of the label counts ``compared`` (Ash et al.,
    "Deep batch active learning by diverse, uncertain gradient lower bounds", ICLR 2020; nnActive's
    ``PairwisePenaltyMatrix``, whose rows are beaten). ``seed_means`` is (A, B, S).
    """
    arms = seed_means.shape[0]
    matrix = np.zeros((arms, arms))
    for row in range(arms):
        for column in range(arms):
            for budget in compared:
                gap = seed_means[row, budget] - seed_means[column, budget]
                if row != column and gap.mean() > 0 and paired_p(gap) < p:
                    matrix[row, column] += 1 / len(compared)
    return matrix


def paired_p(differences: Floats) -> float:
    """p of a two-sided t-test that paired differences have mean 0; 1 where it can't be tested."""
    from scipy.special import stdtr

    count = len(differences)
    if count < 2 or not np.any(differences):
        return 1.0
    deviation = float(differences.std(ddof=1))
    if deviation == 0:
        return 0.0
    t = abs(float(differences.mean())) / deviation * math.sqrt(count)
    return float(2 * stdtr(count - 1, -t))


def rising(values: Floats) -> Floats:
    """(…, B) made monotone: the closest curve that never falls (pool adjacent violators).

    Isotonic regression by its min-max formula: the largest over starts i ≤ b of the smallest over
    ends j ≥ b of the mean of values i to j (Barlow et al. 1972).
    """
    count = values.shape[-1]
    sums = np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)], axis=-1)
    found = np.empty_like(values, dtype=np.float64)
    for b in range(count):
        ends = np.arange(b, count)
        means = [
            ((sums[..., ends + 1] - sums[..., i, None]) / (ends + 1 - i)).min(axis=-1)
            for i in range(b + 1)
        ]
        found[..., b] = np.max(means, axis=0)
    return found


def labels_needed(wanted: Floats, curve: Floats, labels: Sequence[int]) -> Floats:
    """How many labels a curve (…, B) needs to reach the values ``wanted`` (…).

    The curve is made monotone (``rising``) and interpolated linearly. Infinite where it never
    gets there within its label counts; where it is there from the first, the first (the true
    number may be smaller).
    """
    x = np.asarray(labels, dtype=np.float64)
    y = rising(curve)
    found = np.full(np.shape(wanted), np.inf)
    for b in reversed(range(len(x))):
        reached = y[..., b] >= wanted - _ROUNDING
        found = np.where(reached, x[b], found)
        if b:
            rise = y[..., b] - y[..., b - 1]
            part = (wanted - y[..., b - 1]) / np.where(rise > 0, rise, 1.0)
            between = reached & (y[..., b - 1] < wanted - _ROUNDING)
            found = np.where(between, x[b - 1] + part * (x[b] - x[b - 1]), found)
    return found


def foreground_efficiency(
    foreground: Floats, dice: Floats, start: tuple[float, float], full: float
) -> float | None:
    """nnActive's FG-Eff (arXiv 2511.19183): how fast an arm closes the gap to full labelling.

    The γ of ``dice = full − (full − start)·exp(−γ·(foreground − start))`` by least squares over
    all points of an arm, where ``foreground`` is the share (0 to 1) of the pool's foreground that
    the labels hold, ``start`` the (share, Dice) that all arms start from, and ``full`` the Dice
    of training on the whole pool. None where full labelling is no better than the start, or no
    point lies beyond the start.
    """
    x, gap = foreground - start[0], full - start[1]
    if gap <= 0 or not np.any(x > 0):
        return None

    def error(gamma: float) -> float:
        return float(np.square(dice - (full - gap * np.exp(-gamma * x))).sum())

    grid = np.concatenate([-np.geomspace(100, 1e-3, 60), [0.0], np.geomspace(1e-3, 1e4, 120)])
    with np.errstate(over="ignore"):
        best = int(np.argmin([error(float(g)) for g in grid]))
        low, high = float(grid[max(0, best - 1)]), float(grid[min(len(grid) - 1, best + 1)])
        return _golden(error, low, high)


def _golden(error: Callable[[float], float], low: float, high: float) -> float:
    """The minimum of a function with one minimum between ``low`` and ``high``."""
    ratio = (math.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    for _ in range(100):
        if error(a) <= error(b):
            high = b
        else:
            low = a
        a, b = high - ratio * (high - low), low + ratio * (high - low)
    return (low + high) / 2
