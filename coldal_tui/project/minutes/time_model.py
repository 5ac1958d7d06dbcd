"""A small robust model of how long drawings take: a default, moved by what drawings took.

The logarithm of a drawing's minutes is that of the default for its size and classes, plus a level,
plus an offset of its author, plus a slope on the logarithm of its size, plus chance. Level, offsets
and slope are medians, each shrunk towards 0 by how few drawings it stands on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from coldal_tui.minutes_words import interval_words, minutes_words

PICTURE_MINUTES = 3.0
"""The default for a picture and one class, where nobody says another."""
SLICE_POWER = 2 / 3
"""The default of a volume grows with its slices to this power: the next slice is much alike."""
FURTHER_CLASS = 0.5
"""Each class after the first adds this share of the first one's default."""

NEWEST = 300
"""Drawings that the model looks at: the newest ones."""
SLOPE_FROM = 10
"""Drawings from which on sizes may change the expectation; as many again halve the shrinkage."""
SLOPE_RANGE = math.log(2)
"""… if the largest of the drawn scans has at least twice the pixels of the smallest."""
LEVEL_WEIGHT = 0.25
"""The default counts as much as this many drawings: it may well be off by a factor of e."""
PERSON_WEIGHT = 2.0
"""Everybody's level counts in one person's as much as this many drawings."""
SPREAD = 0.5
"""The standard deviation of the logarithm, where few drawings say it …"""
SPREAD_WEIGHT = 4.0
"""… which counts as much as this many drawings."""
LEVEL_SD = 1.0
"""The standard deviation of the logarithm of the default's own error."""
Z90 = 1.6448536269514722
"""The normal distribution's 95 % point: 90 % lie between minus and plus this."""


@dataclass(frozen=True)
class Size:
    """A scan's grid: pixels or voxels in all, and its slices (1 for a picture)."""

    voxels: int
    slices: int = 1

    @classmethod
    def of(cls, shape: Sequence[int], spacing: Sequence[float] | None = None) -> Size:
        """Slices of a volume lie along its widest spacing, the last such axis (or the last one)."""
        voxels = max(1, math.prod(shape))
        if len(shape) < 3:
            return cls(voxels)
        axes = range(len(shape))
        steps = (
            spacing if spacing is not None and len(spacing) == len(shape) else [1.0] * len(shape)
        )
        across = max(axes, key=lambda axis: (steps[axis], axis))
        return cls(voxels, max(1, shape[across]))


@dataclass(frozen=True)
class Timed:
    """A past drawing: the size of its scan, its minutes (above 0), its author, the classes then."""

    size: Size
    minutes: float
    person: str = ""
    classes: int = 1


@dataclass(frozen=True)
class Total:
    """Expected minutes of ``scans`` drawings together; they take ``low`` to ``high`` in 90 %."""

    scans: int
    minutes: float
    low: float
    high: float

    @property
    def words(self) -> str:
        """``take about 140 minutes (90 % 110 to 180)``."""
        verb = "takes" if self.scans == 1 else "take"
        interval = interval_words(self.low, self.high)
        return f"{verb} about {minutes_words(self.minutes)} ({interval})"


@dataclass(frozen=True)
class TimeModel:
    """What drawings are expected to take. ``drawings``: on how many it stands.

    ``level``, the ``people``'s offsets and ``slope`` (per unit of ln voxels, from ``centre`` on)
    are logarithms of factors on the default. ``spread`` is the standard deviation of one drawing's
    logarithm, ``level_sd`` that of the error of the level.
    """

    per_scan: float | None = None
    drawings: int = 0
    level: float = 0.0
    people: dict[str, float] = field(default_factory=dict)
    slope: float = 0.0
    centre: float = 0.0
    spread: float = SPREAD
    level_sd: float = LEVEL_SD

    def minutes(self, size: Size, classes: int = 1, person: str = "") -> float:
        """The expected minutes (a mean) of one drawing; the default before the first drawing."""
        share = self.drawings / (self.drawings + LEVEL_WEIGHT)
        return default_minutes(size, classes, self.per_scan) * math.exp(
            self.level
            + self.people.get(person, 0.0)
            + self.slope * (math.log(size.voxels) - self.centre)
            + share * self.spread**2 / 2
        )

    def total(self, each: Iterable[float]) -> Total:
        """Drawings of ``each`` so many expected minutes together, with a 90 % interval.

        Each one's chance is its own, the error of the level is common to all. The sum is taken as
        log-normal.
        """
        minutes = list(each)
        mean = math.fsum(minutes)
        if not mean:
            return Total(len(minutes), 0.0, 0.0, 0.0)
        own = math.fsum(one * one for one in minutes) * math.expm1(self.spread**2)
        common = mean * mean * math.expm1(self.level_sd**2)
        log_variance = math.log1p((own + common) / (mean * mean))
        middle, reach = mean * math.exp(-log_variance / 2), Z90 * math.sqrt(log_variance)
        return Total(len(minutes), mean, middle * math.exp(-reach), middle * math.exp(reach))


def default_minutes(size: Size, classes: int = 1, per_scan: float | None = None) -> float:
    """``per_scan`` where it is given, else 3 · slices^(2/3) · (1 + (classes - 1) / 2)."""
    if per_scan is not None:
        return per_scan
    return (
        PICTURE_MINUTES * math.pow(size.slices, SLICE_POWER) * (1 + FURTHER_CLASS * (classes - 1))
    )


def fit(drawings: Sequence[Timed], per_scan: float | None = None) -> TimeModel:
    """The model after past ``drawings``, oldest first; ``per_scan`` is the default of every scan.

    Drawings of 0 minutes say nothing.
    """
    known = [one for one in drawings if one.minutes > 0][-NEWEST:]
    if not known:
        return TimeModel(per_scan)
    sizes = [math.log(one.size.voxels) for one in known]
    ratios = [
        math.log(one.minutes / default_minutes(one.size, one.classes, per_scan)) for one in known
    ]
    centre = median(sizes)
    slope = _slope(known, sizes, ratios)
    plain = [ratio - slope * (x - centre) for ratio, x in zip(ratios, sizes, strict=True)]
    count = len(known)
    level = count / (count + LEVEL_WEIGHT) * median(plain)
    by_person: dict[str, list[float]] = {}
    for one, value in zip(known, plain, strict=True):
        by_person.setdefault(one.person, []).append(value - level)
    people = {
        person: len(values) / (len(values) + PERSON_WEIGHT) * median(values)
        for person, values in by_person.items()
        if person
    }
    # Around the level of all, so that it holds also where nobody knows who will draw.
    robust = 1.4826 * median(abs(value - level) for value in plain)
    variance = (SPREAD_WEIGHT * SPREAD**2 + count * robust**2) / (SPREAD_WEIGHT + count)
    return TimeModel(
        per_scan,
        count,
        level,
        people,
        slope,
        centre,
        math.sqrt(variance),
        math.sqrt(_level_variance(count, variance)),
    )


def _level_variance(count: int, variance: float) -> float:
    """The variance of the error of the level: of the median, and of the mean that stands above it.

    A median of normal values has π/2 times the variance of their mean. The logarithm of a spread by
    the median deviation has about 1.36 / n (Rousseeuw and Croux, 1993).
    """
    of_median = 1 / (1 / LEVEL_SD**2 + count / (math.pi / 2 * variance))
    return of_median + 1.36 * variance**2 / (count + SPREAD_WEIGHT)


def _slope(known: Sequence[Timed], sizes: Sequence[float], ratios: Sequence[float]) -> float:
    """The median slope between two drawings of one person (Theil and Sen), shrunk; 0 for few."""
    count = len(known)
    if count < SLOPE_FROM or max(sizes) - min(sizes) < SLOPE_RANGE or len(set(sizes)) < 3:
        return 0.0
    slopes = [
        (ratios[m] - ratios[n]) / (sizes[m] - sizes[n])
        for n in range(count)
        for m in range(n)
        if sizes[m] != sizes[n] and known[m].person == known[n].person
    ]
    if not slopes:
        return 0.0
    return max(-1.0, min(1.0, median(slopes))) * count / (count + SLOPE_FROM)
