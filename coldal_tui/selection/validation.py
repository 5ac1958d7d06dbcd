"""Draws validation patients per cluster; one scan of each is queued, none is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import UsageError
from coldal_tui.selection.coldstart import largest_remainder
from coldal_tui.selection.pool import Mask

Item = TypeVar("Item")


@dataclass(frozen=True)
class _Patient:
    name: str
    cluster: int
    scans: tuple[int, ...]


def most_validation(patients: Sequence[str], candidate: Mask, training: Mask | None = None) -> int:
    """The most patients for validation: a fifth of those with a candidate scan.

    Rounded up, but one patient is always left, so that a small pool keeps its scans to train on.
    ``training`` as in ``draw_validation``; all (N,), in index order.
    """
    free, others = _split(
        _patients(patients, np.zeros(len(patients), int), candidate), patients, training
    )
    share = -(-(len(free) + len(others)) // 5)
    return max(0, min(share, len(free) if others else len(free) - 1))


def draw_validation(
    patients: Sequence[str],
    clusters: NDArray[np.integer],
    candidate: Mask,
    count: int,
    seed: int,
    *,
    training: Mask | None = None,
) -> list[int]:
    """One scan of each of ``count`` patients, at random, stratified by cluster.

    A patient's cluster is that of its first candidate scan in index order. Quotas are by largest
    remainder over the patients per cluster (ties: the cluster with more patients, then the lower
    number); patients are drawn without replacement in their cluster, then one of the patient's
    candidate scans. The order spreads clusters evenly, as ranks of the cold start do.

    ``training`` marks scans in the training set or queued for it: their patients are never drawn,
    so that no split separates a patient's scans.

    Fewer than ``count`` are returned (compare lengths, and tell the user) when there are too few
    patients: one patient with a candidate is always left to train on.

    Raises UsageError for a negative count.
    """
    if count < 0:
        raise UsageError(f"{count} validation patients can't be drawn", code="validation")
    free, others = _split(_patients(patients, clusters, candidate), patients, training)
    count = min(count, len(free) if others else len(free) - 1)
    if count <= 0:
        return []
    strata: dict[int, list[_Patient]] = {}
    for patient in free:
        strata.setdefault(patient.cluster, []).append(patient)
    order = sorted(strata, key=lambda cluster: (-len(strata[cluster]), cluster))
    quotas = largest_remainder(count, [len(strata[cluster]) for cluster in order])
    rng = np.random.default_rng(seed)
    drawn: list[tuple[Fraction, int, int]] = []
    for place, (cluster, quota) in enumerate(zip(order, quotas, strict=True)):
        chosen = rng.choice(len(strata[cluster]), quota, replace=False).tolist()
        for j, patient in enumerate((strata[cluster][n] for n in chosen), 1):
            scan = patient.scans[int(rng.integers(len(patient.scans)))]
            drawn.append((Fraction(2 * j - 1, 2 * quota), place, scan))
    return [scan for _, _, scan in sorted(drawn)]


def interleave(picks: Sequence[Item], validation: Sequence[Item]) -> list[Item]:
    """Merge both lists into one ranking, each in its order and evenly spread.

    The i-th of n stands at (i - 1/2) / n of the way; at the same place, ``picks`` come first.
    """
    spread = [
        (Fraction(2 * i + 1, 2 * len(items)), which, i)
        for which, items in enumerate((picks, validation))
        for i in range(len(items))
    ]
    return [(picks, validation)[which][i] for _, which, i in sorted(spread)]


def _patients(
    patients: Sequence[str], clusters: NDArray[np.integer], candidate: Mask
) -> list[_Patient]:
    """Patients with candidate scans, in order of their first one."""
    scans: dict[str, list[int]] = {}
    for n in np.flatnonzero(candidate).tolist():
        scans.setdefault(patients[n], []).append(n)
    return [_Patient(name, int(clusters[found[0]]), tuple(found)) for name, found in scans.items()]


def _split(
    found: list[_Patient], patients: Sequence[str], training: Mask | None
) -> tuple[list[_Patient], list[_Patient]]:
    """Patients that may be drawn, and those already in training."""
    taken = set() if training is None else {patients[n] for n in np.flatnonzero(training).tolist()}
    free = [patient for patient in found if patient.name not in taken]
    return free, [patient for patient in found if patient.name in taken]
