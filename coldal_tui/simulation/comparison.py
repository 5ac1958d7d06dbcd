"""Compares the arms of a group: paired differences, one common test, labels saved."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from coldal_tui.simulation.clustered import LEVEL, Estimate, holm, verdict
from coldal_tui.simulation.figures import Floats, Outcomes, labels_needed, trapezia
from coldal_tui.simulation.grids import Grid, Value

Document = dict[str, Any]
VISIBLE_AT = (5, 10, 20, 40)
_MOST_STEPS = 200


def stat(found: Estimate) -> Document:
    """``mean``, ``low``, ``high``; None for unknown values."""
    low, high = found.interval()
    return {"mean": number(found.mean), "low": number(low), "high": number(high)}


def number(value: Any) -> float | None:
    """A number; None for NaN and infinity."""
    return None if math.isnan(float(value)) else float(value)


def differences(found: Mapping[int, Estimate]) -> dict[int, Document]:
    """Arms minus random: each with its interval, p (Holm over these arms) and verdict."""
    adjusted = holm([one.p() for one in found.values()])
    return {
        a: stat(one) | {"p": p, "verdict": verdict(one.mean, p), "visible": one.visible()}
        for (a, one), p in zip(found.items(), adjusted, strict=True)
    }


def at_count(outcomes: Outcomes, b: int, baseline: int) -> dict[int, Document]:
    """Every arm minus random at label count ``b``."""
    others = [a for a in range(len(outcomes.sums)) if a != baseline]
    return differences({a: gap(outcomes, a, baseline, b) for a in others})


def over_counts(
    outcomes: Outcomes, counts: Sequence[int], labels: Sequence[int], baseline: int
) -> dict[int, Document]:
    """Every arm minus random, averaged over the label counts with the indices ``counts``."""
    return differences(gaps_over_counts(outcomes, counts, labels, baseline))


def gaps_over_counts(
    outcomes: Outcomes, counts: Sequence[int], labels: Sequence[int], baseline: int
) -> dict[int, Estimate]:
    """The estimates behind ``over_counts``."""
    places = list(counts)
    weights = trapezia([labels[b] for b in places])
    curves = np.einsum("b,absp->asp", weights, outcomes.sums[:, places])
    others = [a for a in range(len(curves)) if a != baseline]
    return {a: outcomes.of(curves[a] - curves[baseline]) for a in others}


def gap(outcomes: Outcomes, a: int, other: int, b: int) -> Estimate:
    """One arm minus another at label count ``b``, paired by seed and test scan."""
    return outcomes.of(outcomes.sums[a, b] - outcomes.sums[other, b])


def beaten(outcomes: Outcomes, counts: Sequence[int], baseline: int) -> Floats:
    """The pairwise penalty matrix (A, A): in which share of label counts row beats column.

    The form of Ash et al. ("Deep batch active learning by diverse, uncertain gradient lower
    bounds", ICLR 2020) and of nnActive, with the test of this report: clustered by seed and
    patient, Holm over the pairs with random, and separately over the other pairs.
    """
    arms = len(outcomes.sums)
    matrix = np.zeros((arms, arms))
    pairs = [(a, c) for a in range(arms) for c in range(a) if baseline not in (a, c)]
    with_random = [(a, baseline) for a in range(arms) if a != baseline]
    for b in counts:
        for family in (with_random, pairs):
            found = [gap(outcomes, a, c, b) for a, c in family]
            adjusted = holm([one.p() for one in found])
            for (a, c), one, p in zip(family, found, adjusted, strict=True):
                if p < LEVEL:
                    winner, loser = (a, c) if one.mean > 0 else (c, a)
                    matrix[winner, loser] += 1 / len(counts)
    return matrix


def random_needs(
    outcomes: Outcomes, a: int, b: int, curve: Outcomes, labels: Sequence[int]
) -> Document:
    """The labels at which random reaches the Dice of arm ``a`` with its ``b``-th label count.

    ``curve`` is random alone at ``labels``, on the same seeds and scans. ``labels`` in the result
    is where its monotone curve reaches it; ``low`` to ``high`` contains that, and every count at
    which the test finds no difference between random, interpolated linearly, and the arm. None:
    more than ``most``.
    """
    wanted = outcomes.means[a, b]
    point = float(labels_needed(wanted, curve.means[0], labels))
    most = labels[-1]
    steps = min(_MOST_STEPS, most - labels[0] + 1)
    counts = np.unique(np.linspace(labels[0], most, steps).round())
    gaps = [
        outcomes.of(outcomes.sums[a, b] - _between(curve, labels, float(count)))
        for count in counts.tolist()
    ]
    alike = [
        float(count) for count, one in zip(counts.tolist(), gaps, strict=True) if one.p() >= LEVEL
    ]
    if alike:
        low: float | None = min(alike[0], point)
        high = None if alike[-1] == most or point > most else max(alike[-1], point)
    elif gaps[-1].mean > 0:
        low = high = None
    else:
        low = high = point
    return {
        "labels": point if math.isfinite(point) else None,
        "low": low,
        "high": high,
        "most": most,
        "least": labels[0],
    }


def _between(curve: Outcomes, labels: Sequence[int], count: float) -> Floats:
    """(S, P) sums of random at ``count`` labels, between its two nearest label counts."""
    after = min(max(1, int(np.searchsorted(labels, count))), len(labels) - 1)
    part = (count - labels[after - 1]) / (labels[after] - labels[after - 1])
    return np.asarray((1 - part) * curve.sums[0, after - 1] + part * curve.sums[0, after])


def visible(gaps: Mapping[int, Estimate]) -> Document | None:
    """The smallest detectable difference from random, for these cells and for more seeds.

    The maximum over the arms: ``now``, and ``seeds`` (count → difference). None for one seed.
    """
    now = [one.visible() for one in gaps.values()]
    known = [value for value in now if value is not None]
    if not known:
        return None
    more = {
        str(count): max(value for one in gaps.values() if (value := one.visible(count)) is not None)
        for count in VISIBLE_AT
    }
    return {"now": max(known), "seeds": more}


def by_kind(
    grid: Grid,
    value: Value,
    kind_of: Mapping[str, str],
    column: str,
    counts: Sequence[int],
    baseline: int,
) -> Document:
    """Dice by a metadata column: of each kind, and averaged over kinds with equal weight.

    ``mean`` is over the kinds that a seed tests, each with the same weight; ``worst`` is the kind
    with an arm's lowest Dice. Scans without a value form the kind ``–``.
    """
    kinds = sorted({kind_of.get(scan_id, "–") for tested in grid.tested for scan_id in tested})
    sizes = [
        {kind: sum(kind_of.get(scan_id, "–") == kind for scan_id in tested) for kind in kinds}
        for tested in grid.tested
    ]

    def alike(seed: int, scan_id: str) -> float:
        here = sizes[seed]
        return 1 / here[kind_of.get(scan_id, "–")] / sum(size > 0 for size in here.values())

    outcomes = grid.outcomes(value, alike)
    overall = over_counts(outcomes, counts, grid.labels, baseline)
    found = {kind: _of_kind(grid, value, kind_of, kind) for kind in kinds}
    points = [at_count(outcomes, b, baseline) for b in range(len(grid.labels))]
    arms = []
    for a, name in enumerate(grid.arms):
        made = []
        for b, labels in enumerate(grid.labels):
            means = {kind: float(found[kind][a, b]) for kind in kinds}
            worst = min(means, key=lambda kind: means[kind])
            point: Document = {
                "labels": labels,
                "mean": stat(outcomes.of(outcomes.sums[a, b])),
                "kinds": means,
                "worst": {"kind": worst, "dice": means[worst]},
            }
            if a != baseline and b in counts:
                point["minus_random"] = points[b][a]
            made.append(point)
        arm: Document = {"arm": name, "points": made}
        if a != baseline:
            arm["minus_random"] = overall[a]
        arms.append(arm)
    scans = {kind: sum(size[kind] for size in sizes) for kind in kinds}
    return {"column": column, "kinds": scans, "arms": arms}


def _of_kind(grid: Grid, value: Value, kind_of: Mapping[str, str], kind: str) -> Floats:
    """(A, B): the mean over all test scans of one kind and all seeds."""

    def only(seed: int, scan_id: str) -> float:
        return float(kind_of.get(scan_id, "–") == kind)

    outcomes = grid.outcomes(value, only)
    return np.asarray(outcomes.sums.sum(axis=(2, 3)) / outcomes.counts.sum(), dtype=np.float64)
