"""Means over seeds and test patients: two-way clustered variance, intervals, tests and power.

Pure functions on arrays. Axes: S seeds, P test patients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
LEVEL = 0.05
_ROUNDING = 1e-12
"""Of sums that are added up in another order."""
POWER = 0.8
"""A difference is called visible where so many studies of its size would show it."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and test scans, and its variance.

    ``seed_variance`` and ``patient_variance`` add up to the variance of ``mean``: the parts due to
    the choice of seeds and to the choice of patients. The first shrinks with more seeds, the second
    does not. ``looks`` is how often the answer may be looked at while seeds come in: p and
    interval count for all of these times together (Bonferroni).
    """

    mean: float
    seed_variance: float
    patient_variance: float
    seeds: int
    patients: int
    looks: int = 1

    @property
    def error(self) -> float:
        """The standard error; NaN for one seed with one patient, which give no variance."""
        return math.sqrt(self.seed_variance + self.patient_variance)

    @property
    def freedom(self) -> int:
        """Degrees of freedom: seeds minus one; for a single seed, patients minus one."""
        return (self.seeds if self.seeds > 1 else self.patients) - 1

    def interval(self) -> tuple[float, float]:
        """The 95 % interval; for a single seed, over its test patients only."""
        if self.freedom < 1:
            return math.nan, math.nan
        reach = _quantile(self._share, self.freedom) * self.error
        return self.mean - reach, self.mean + reach

    @property
    def _share(self) -> float:
        """The share of t below the upper end of the interval."""
        return 1 - (1 - CONFIDENCE) / 2 / self.looks

    def p(self) -> float:
        """Two-sided p for a true mean of 0; 1 for a single seed, which can't be tested."""
        from scipy.special import stdtr

        if self.seeds < 2 or abs(self.mean) < _ROUNDING:
            return 1.0
        if self.error < _ROUNDING:
            return 0.0
        once = float(2 * stdtr(self.freedom, -abs(self.mean) / self.error))
        return min(1.0, once * self.looks)

    def visible(self, seeds: int | None = None) -> float | None:
        """The smallest true difference detected with 80 % power by ``seeds`` seeds.

        By default the number of seeds here. None when either number is below two.
        """
        wanted = self.seeds if seeds is None else seeds
        if self.seeds < 2 or wanted < 2:
            return None
        from scipy.special import nctdtrinc

        variance = self.seed_variance * self.seeds / wanted + self.patient_variance
        bar = _quantile(self._share, wanted - 1)
        return float(nctdtrinc(wanted - 1, 1 - POWER, bar)) * math.sqrt(variance)


def estimate(sums: Floats, counts: Floats) -> Estimate:
    """The mean over seeds of their means, with its variance clustered by seed and by patient.

    ``sums`` is (S, P), a value summed over a patient's test scans, or any linear combination of
    such values of cells that share seeds and patients: differences are paired that way.
    ``counts`` is (S, P), how many scans that were (or their summed weight); 0 where a seed does
    not test a patient.

    Variance = V_seed + max(0, V_patient − V_cell) (Cameron, Gelbach and Miller 2011, "Robust
    inference with multiway clustering", equation 2.6, each part with G / (G − 1)), to be used with
    t of S − 1 degrees of freedom. Deviation: the source's sum may fall below V_seed, or below 0,
    by chance; here it does not.
    """
    seeds = len(sums)
    total = counts.sum(axis=1)
    mean = float((sums.sum(axis=1) / total).mean())
    parts = (sums - mean * counts) / total[:, None] / seeds
    tested = counts > 0
    patients = int(tested.any(axis=0).sum())
    by_patient = _corrected(parts.sum(axis=0), patients)
    if seeds < 2:
        return Estimate(mean, 0.0, by_patient, seeds, patients)
    by_seed = _corrected(parts.sum(axis=1), seeds)
    by_cell = _corrected(parts[tested], int(tested.sum()))
    return Estimate(mean, by_seed, max(0.0, by_patient - by_cell), seeds, patients)


def _corrected(sums: Floats, groups: int) -> float:
    """Sum of squares, with the correction for few groups."""
    if groups < 2:
        return math.nan
    return float(np.square(sums).sum()) * groups / (groups - 1)


def holm(ps: Sequence[float]) -> list[float]:
    """p values adjusted for multiple testing (Holm 1979), in the given order."""
    order = sorted(range(len(ps)), key=lambda n: ps[n])
    found, least = [0.0] * len(ps), 0.0
    for rank, n in enumerate(order):
        least = max(least, min(1.0, (len(ps) - rank) * ps[n]))
        found[n] = least
    return found


def verdict(mean: float, p: float) -> str:
    """``better`` or ``worse`` when the adjusted p is below 0.05, else ``undecided``."""
    if p >= LEVEL:
        return "undecided"
    return "better" if mean > 0 else "worse"


def _quantile(share: float, freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, share))
