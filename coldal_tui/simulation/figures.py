"""The measures of a comparison: means, areas under curves, efficiency, labels needed.

Pure functions on arrays. Axes: A arms, B label counts, S seeds, P test patients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from coldal_tui.simulation.clustered import Estimate, estimate

Floats = NDArray[np.float64]

_ROUNDING = 1e-9
"""Of means that are added up in another order."""


@dataclass(frozen=True)
class Outcomes:
    """One measure of every arm at every label count, on the same test scans.

    ``sums`` is (A, B, S, P): the measure summed over a patient's scans, for each seed. ``counts``
    is (S, P): how many scans of a patient a seed tests on (or their summed weight); 0 when none.
    ``looks``: see ``Estimate``.
    """

    sums: Floats
    counts: Floats
    looks: int = 1

    @property
    def seed_means(self) -> Floats:
        """(A, B, S): the mean over the test scans of each seed."""
        return np.asarray(self.sums.sum(axis=3) / self.counts.sum(axis=1), dtype=np.float64)

    @property
    def means(self) -> Floats:
        """(A, B): the mean over seeds of their means."""
        return np.asarray(self.seed_means.mean(axis=2), dtype=np.float64)

    def of(self, sums: Floats) -> Estimate:
        """The estimate for (S, P) ``sums`` of one cell, or any linear combination of cells."""
        return replace(estimate(sums, self.counts), looks=self.looks)


def aubc(values: Floats, labels: Sequence[int]) -> Floats:
    """Area under (…, B) values over the label counts (trapezoidal rule) / their range: (…).

    The area of a constant curve is its value (Zhan et al., IJCAI 2021; nnActive's ``compute_auc``,
    but on the label counts themselves). With one label count: that value.
    """
    if len(labels) == 1:
        return np.asarray(values[..., 0], dtype=np.float64)
    x = np.asarray(labels, dtype=np.float64)
    return np.asarray(np.trapezoid(values, x, axis=-1) / (x[-1] - x[0]), dtype=np.float64)


def spread(seed_means: Floats) -> Floats:
    """Standard deviation (n − 1) over the last axis; NaN for a single seed."""
    if seed_means.shape[-1] < 2:
        return np.full(seed_means.shape[:-1], np.nan)
    return np.asarray(seed_means.std(axis=-1, ddof=1), dtype=np.float64)


def trapezia(labels: Sequence[int]) -> Floats:
    """(B,) weights that add up to 1: a curve times them is its ``aubc``."""
    if len(labels) == 1:
        return np.ones(1)
    widths = np.diff(np.asarray(labels, dtype=np.float64))
    sides = np.concatenate([[0.0], widths]) + np.concatenate([widths, [0.0]])
    return np.asarray(sides / 2 / widths.sum(), dtype=np.float64)


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

    The curve is made monotone (``rising``) and interpolated linearly. Infinite when it is not
    reached within the label counts; the first count when it is reached from the start (the true
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

    The γ of ``dice = full − (full − start)·exp(−γ·(foreground − start))`` by least squares over all
    points of an arm, where ``foreground`` is the share (0 to 1) of the pool's foreground that the
    labels hold, ``start`` the (share, Dice) that all arms start from, and ``full`` the Dice of
    training on the whole pool. None when full labelling is no better than the start, or no point is
    beyond the start.
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
