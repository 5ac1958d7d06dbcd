"""Expected gain in Dice of the next labels, with an interval, from the rounds so far.

A saturating curve (an inverse power law, bounded by 1) is fitted to what scans gained from round to
round. With h the Dice that is still missing after n labels, m further labels gain

    h · s · (1 - (n / (n + m))^c) + noise,

where s in [0, 1] is the share of h that labels can mend and c the steepness. Neither is known well
after a few rounds: all of them count, each as much as the rounds so far speak for it (Bayes on a
grid), and the interval is that of the mixture. Three things make it wide:

* scans: a mean over few patients is not that of all. The covariance of the mean gains is that over
  patients, to which a bootstrap of patients converges, pulled to a usual one while they are few;
* trainings: a further training, or other labels of the same number, gives another Dice. After a
  lucky training less is expected to come;
* the curve: s and c.

The prior is the same for every project, in shares of h. How its numbers were chosen, and how often
the intervals hold: docs/enough.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.9
LEAST_RUNS = 3
LEAST_PATIENTS = 3
USUAL_LABELS = 10
"""The label count for which ``Prior.noise`` holds."""
_NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class Prior:
    """What is thought before the first round; all spreads are shares of the missing Dice h.

    s is Beta(``share``), c is one of ``steepness``. The standard deviation of a run's Dice by its
    training and its picks, at 10 labels, is log-normal (``noise``: the median, and the spread of
    the logarithm). The part ``picks`` of its variance is inverse to the labels, and stays with them
    in later runs; the rest is each training's own, at any label count. ``scans`` is the usual
    standard deviation of one scan's gain between two runs, and counts as ``scans_weight`` patients.
    """

    share: tuple[float, float] = (1.0, 3.0)
    steepness: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
    noise: tuple[float, float] = (0.07, 1.0)
    picks: float = 0.5
    scans: float = 0.2
    scans_weight: float = 3.0

    def shares(self) -> tuple[Floats, Floats]:
        """20 values of s, and the logarithm of what each weighs."""
        grid = (np.arange(20) + 0.5) / 20
        a, b = self.share
        return grid, (a - 1) * np.log(grid) + (b - 1) * np.log1p(-grid)

    def scales(self) -> tuple[Floats, Floats]:
        """11 standard deviations of noise, and the logarithm of what each weighs."""
        median, spread = self.noise
        at = np.linspace(-2.5, 2.5, 11)
        return median * np.exp(spread * at), -0.5 * at * at


PRIOR = Prior()


@dataclass(frozen=True)
class RunFigures:
    """One run of ``labels`` labels, measured on scans that its networks had not seen.

    ``scans``: scan → (Dice, labels of the network that predicted it: fewer when cross-fitted).
    """

    labels: int
    scans: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Gain:
    """What ``more`` labels on top of ``labels`` are expected to gain; ``low`` to ``high``: 90 %.

    ``dice`` is the mean of the newest of ``runs`` runs over ``scans`` scans of ``patients``.
    """

    labels: int
    more: int
    expected: float
    low: float
    high: float
    dice: float
    scans: int
    patients: int
    runs: int


def usable(runs: Sequence[RunFigures]) -> list[RunFigures]:
    """The newest run of each label count, ascending, that shares a scan with the next.

    ``runs`` are in the order in which they were trained. Dice that are not finite are left out.
    Runs of more labels than the newest, whose labels were withdrawn since, don't count.
    """
    by_labels: dict[int, RunFigures] = {}
    for run in runs:
        scans = {name: one for name, one in run.scans.items() if math.isfinite(one[0])}
        by_labels = {labels: one for labels, one in by_labels.items() if labels < run.labels}
        by_labels[run.labels] = RunFigures(run.labels, scans)
    found: list[RunFigures] = []
    for labels in sorted(by_labels, reverse=True):
        run = by_labels[labels]
        if run.scans and (not found or run.scans.keys() & found[-1].scans.keys()):
            found.append(run)
    return found[::-1]


def missing_dice(values: Sequence[float]) -> float:
    """The mean of 1 - Dice over scans, and over one more of 0.9: few perfect scans prove little."""
    return (math.fsum(1 - value for value in values) + 0.1) / (len(values) + 1)


def expected_gain(
    runs: Sequence[RunFigures],
    patients: Mapping[str, str],
    more: int,
    *,
    prior: Prior = PRIOR,
    level: float = LEVEL,
) -> Gain:
    """What ``more`` labels gain in mean Dice over all patients, beyond the last of ``runs``.

    Parameters
    ----------
    runs : as ``usable`` returns them, at least one. From fewer than ``LEAST_RUNS`` runs and
        ``LEAST_PATIENTS`` patients the prior says nearly all: ask whether there are as many first.
    patients : scan → patient; scans of one patient count as one observation with a common error.
    more : how many labels, at least 1.
    level : the share of cases in which the interval is to hold.
    """
    last = runs[-1]
    dice = [value for value, _ in last.scans.values()]
    missing = missing_dice(dice)
    steps = [_step(a, b, patients) for a, b in pairwise(runs)]
    mixture = _mixture(steps, [*(run.labels for run in runs), last.labels + more], missing, prior)
    # A mean Dice is at most 1 and at least 0.
    low, expected, high = (
        min(max(value, missing - 1), missing)
        for value in (
            mixture.quantile((1 - level) / 2),
            mixture.mean,
            mixture.quantile((1 + level) / 2),
        )
    )
    return Gain(
        labels=last.labels,
        more=more,
        expected=expected,
        low=low,
        high=high,
        dice=math.fsum(dice) / len(dice),
        scans=len(dice),
        patients=len({patients[scan] for scan in last.scans}),
        runs=len(runs),
    )


@dataclass(frozen=True)
class _Step:
    """From one run to the next, on the scans that both were measured on.

    ``sums``: patient → summed difference from the mean gain. ``before`` and ``after``: the labels
    of the networks, scan by scan.
    """

    gain: float
    sums: dict[str, float]
    before: Floats
    after: Floats

    def curve(self, steepness: float, labels: int) -> float:
        """The gain as a share of s · h, where h is missing after ``labels`` labels."""
        falls = (self.before / labels) ** -steepness - (self.after / labels) ** -steepness
        return float(falls.mean())


def _step(before: RunFigures, after: RunFigures, patients: Mapping[str, str]) -> _Step:
    common = [scan for scan in before.scans if scan in after.scans]
    gains = [after.scans[scan][0] - before.scans[scan][0] for scan in common]
    mean = math.fsum(gains) / len(gains)
    sums: dict[str, float] = {}
    for scan, gain in zip(common, gains, strict=True):
        sums[patients[scan]] = sums.get(patients[scan], 0.0) + gain - mean
    labels = [np.array([run.scans[scan][1] for scan in common]) for run in (before, after)]
    return _Step(mean, sums, labels[0], labels[1])


def _sampling(steps: Sequence[_Step], missing: float, prior: Prior) -> Floats:
    """The covariance of the mean gains over the choice of patients, ``(k, k)``.

    Clustered by patient as in ``project.measuring``, with ``scans_weight`` usual patients beside
    those measured.
    """
    names = sorted({name for step in steps for name in step.sums})
    sums = np.array([[step.sums.get(name, 0.0) for name in names] for step in steps])
    groups = np.array([len(step.sums) for step in steps], dtype=np.float64)
    counts = np.array([len(step.before) for step in steps], dtype=np.float64)
    weight = prior.scans_weight
    usual = weight * (prior.scans * missing) ** 2
    scale = np.sqrt(groups / (groups - 1 + weight)) / counts
    return np.asarray((sums @ sums.T + usual * np.eye(len(steps))) * np.outer(scale, scale))


def _noise(counts: Floats, missing: float, prior: Prior) -> Floats:
    """The covariance of the gains between label counts by trainings and picks, at a scale of 1."""
    own = np.eye(len(counts))
    stays = USUAL_LABELS / np.maximum.outer(counts, counts)
    runs = missing**2 * ((1 - prior.picks) * own + prior.picks * stays)
    differences = np.diff(np.eye(len(counts)), axis=0)
    return np.asarray(differences @ runs @ differences.T)


@dataclass(frozen=True)
class _Mixture:
    """Normal distributions, each with its weight; ``(N,)`` each."""

    means: Floats
    deviations: Floats
    weights: Floats

    @property
    def mean(self) -> float:
        return float(self.weights @ self.means)

    def quantile(self, share: float) -> float:
        """The value below which ``share`` of the mixture lies, by bisection."""
        reach = 8 * self.deviations
        low, high = float((self.means - reach).min()), float((self.means + reach).max())
        for _ in range(40):
            middle = (low + high) / 2
            below = float(self.weights @ normal_below((middle - self.means) / self.deviations))
            low, high = (middle, high) if below < share else (low, middle)
        return (low + high) / 2


def normal_below(z: Floats) -> Floats:
    """The standard normal distribution function; off by 1.5e-7 at most.

    Abramowitz and Stegun 7.1.26; scipy would take longer to load than all of ``status``.
    """
    x = np.abs(z) / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * x)
    series = np.polynomial.polynomial.polyval(
        t, [0.0, 0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429]
    )
    tail = 0.5 * series * np.exp(-x * x)
    return np.asarray(np.where(z > 0, 1 - tail, tail))


def _mixture(
    steps: Sequence[_Step], counts: Sequence[int], missing: float, prior: Prior
) -> _Mixture:
    """What is thought of the gain to the last of ``counts``, given the gains up to it.

    Given s, c and the scale of the noise, all gains are jointly normal: the measured ones give the
    weight (their density) and the conditional distribution of the next one.
    """
    k = len(steps)
    labels, more = counts[-2], counts[-1]
    seen = np.array([step.gain for step in steps])
    sampling = _sampling(steps, missing, prior) if steps else np.zeros((0, 0))
    noise = _noise(np.array(counts, dtype=np.float64), missing, prior)
    shares, share_logs = prior.shares()
    curves = [
        (
            missing * np.array([step.curve(steepness, labels) for step in steps]),
            missing * (1 - (labels / more) ** steepness),
        )
        for steepness in prior.steepness
    ]
    means, variances, logs = [], [], []
    for scale, scale_log in zip(*prior.scales(), strict=True):
        every = scale**2 * noise
        own, cross = every[:k, :k] + sampling, every[k, :k]
        inverse = np.linalg.inv(own)
        pull = cross @ inverse
        log = scale_log - 0.5 * np.linalg.slogdet(own)[1]
        variance = every[k, k] - pull @ cross
        for past, coming in curves:
            off = seen[:, None] - past[:, None] * shares
            means.append(shares * coming + pull @ off)
            variances.append(np.full(len(shares), variance))
            logs.append(log + share_logs - 0.5 * np.einsum("ks,kl,ls->s", off, inverse, off))
    mean, variance, log = (np.concatenate(one) for one in (means, variances, logs))
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    kept = weights > _NEGLIGIBLE
    weights = weights[kept] / weights[kept].sum()
    return _Mixture(mean[kept], np.sqrt(variance[kept]), weights)
