"""The input and output of selection: the pool of scans as arrays, and the picks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ColdalError
from coldal_tui.selection.needs import Need

Floats = NDArray[np.floating]
Floats64 = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
Term = float | int | str
Cell = tuple[float, ...]

_PER_SCAN = ("clusters", "labelled", *get_args(Need), "patients", "minutes")


@dataclass(frozen=True)
class Pool:
    """All scans of a project in index order (``scan_id`` order), one row per scan.

    Parameters
    ----------
    points : (N, 2) float, the map. Scans at exactly the same point are in the same cluster
        (``choose_clusters`` ensures it).
    clusters : (N,) int, cluster of each scan; -1 without one.
    candidate : (N,) bool, may be picked. No candidate is covered.
    covered : (N,) bool, labelled, queued or exported.
    labelled : (N,) bool, holds a label; every labelled scan is covered.
    entropy : (N,) float in 0..1, NaN where a scan was not scored; None before the first run.
    embeddings : (N, d) float, for strategies that ask for them.
    bald : (N,) float, mutual information of prediction and model, NaN where not scored.
    class_entropy : (N, C) float, mean over a scan's pixels of p_c · H for each class but the
        background, NaN where not scored.
    foreground_entropy, boundary_entropy : (N,) float, means of the entropy weighted by the
        probability of any class, and by nearness to a predicted outline; NaN where not scored.
    features : (N, f) float, what the last run's network makes of each scan; NaN rows where it has
        not seen one.
    patients : (N,) int, equal for scans of one patient; given only when at most one scan of each
        is wanted until all patients are covered (see ``turns``).
    minutes : (N,) float above 0, expected minutes of labelling; given only where strategies weigh
        what a scan promises by them.
    round : the number of this selection, 0 for the cold start.
    clusters_by : ``map``, or the strategy by whose own clustering ``clusters`` were made.

    Raises
    ------
    ColdalError : arrays of different lengths, points that are not finite, contradicting masks.
    """

    points: Floats
    clusters: NDArray[np.integer]
    candidate: Mask
    covered: Mask
    labelled: Mask
    entropy: Floats | None = None
    embeddings: Floats | None = None
    bald: Floats | None = None
    class_entropy: Floats | None = None
    foreground_entropy: Floats | None = None
    boundary_entropy: Floats | None = None
    features: Floats | None = None
    patients: NDArray[np.integer] | None = None
    minutes: Floats | None = None
    round: int = 0
    clusters_by: str = "map"

    def __post_init__(self) -> None:
        check_pool_arrays(self.points, self.candidate, self.covered)
        for name in _PER_SCAN:
            array = getattr(self, name)
            if array is not None and len(array) != len(self.points):
                raise _malformed(f"{name} has {len(array)} rows for {len(self.points)} points")
        if bool(np.any(self.labelled & ~self.covered)):
            raise _malformed("a labelled scan is not marked as covered")
        if self.minutes is not None and not bool(np.all(self.minutes > 0)):
            raise _malformed("the expected minutes of a scan are not above 0")

    def __len__(self) -> int:
        return len(self.points)

    def candidates(self) -> Indices:
        """Indices of the scans that may be picked, ascending."""
        return np.flatnonzero(self.candidate).astype(np.int64)


@dataclass(frozen=True)
class Pick:
    """One picked scan and the numbers behind it. Picks are returned in rank order.

    ``role`` is ``medoid``, ``farthest-point``, ``acquired``, ``random`` or ``validation``.
    ``terms`` are the numbers at the step of this pick (see the strategy that made it).
    """

    index: int
    role: str
    cluster: int
    terms: Mapping[str, Term] = field(default_factory=dict)


ROLES = ("medoid", "farthest-point", "acquired", "random")
"""What the picks of a strategy may be; validation scans are drawn elsewhere."""


def wrong_picks(picks: list[Pick], pool: Pool, batch: int) -> str:
    """What is wrong with a strategy's picks, in words; empty when they are valid.

    Valid are at most ``batch`` distinct candidates with terms that JSON can represent.
    """
    if not all(isinstance(pick, Pick) for pick in picks):
        return "it returned something else than picks"
    if len(picks) > batch:
        return f"it returned {len(picks)} picks, and {batch} were asked for"
    seen: set[int] = set()
    for pick in picks:
        index = pick.index
        if not isinstance(index, (int, np.integer)) or not 0 <= index < len(pool):
            return f"pick {index!r} is no row of the pool, which has {len(pool)}"
        if not pool.candidate[index]:
            return f"it picked row {index}, which is no candidate"
        if index in seen:
            return f"it picked row {index} twice"
        seen.add(int(index))
        if not isinstance(pick.cluster, (int, np.integer)):
            return f"the cluster {pick.cluster!r} is no number"
        if pick.role not in ROLES:
            return f"the role {pick.role!r} is none of {', '.join(ROLES)}"
        for name, value in pick.terms.items():
            # numpy's float64 is a float; its integers and float32 are not, and JSON refuses them.
            if not isinstance(value, (bool, int, float, str)):
                return f"its term {name} is a {type(value).__name__}, not a number or a text"
            if isinstance(value, float) and not math.isfinite(value):
                return f"its term {name} is {value}"
    return ""


def queue_row(pick: Pick, scan_ids: Sequence[str]) -> dict[str, Any]:
    """A pick as a row of the queue, without round and rank; indices in its terms become scan ids.

    ``entropy`` and ``diversity`` are the terms of S: score = α·entropy + (1 − α)·diversity.
    """
    terms: dict[str, Any] = dict(pick.terms)
    for key in ("nearest", "runner_up"):
        if key in terms:
            index = int(terms[key])
            terms[key] = scan_ids[index] if index >= 0 else None
    return {
        "scan_id": scan_ids[pick.index],
        "role": pick.role,
        "cluster": pick.cluster,
        "score": terms.get("score"),
        "entropy": terms.get("entropy_term"),
        "diversity": terms.get("diversity_term"),
        "terms": terms,
    }


def patient_numbers(patients: Sequence[str]) -> NDArray[np.int64]:
    """(N,) numbers of patients, from 0 in the order in which they first appear."""
    number: dict[str, int] = {}
    return np.array([number.setdefault(name, len(number)) for name in patients], dtype=np.int64)


def check_pool_arrays(points: Floats, candidate: Mask, covered: Mask) -> None:
    """Refuse a map and masks that don't belong together (ColdalError, code ``pool``).

    ``points`` (N, 2) float; both masks of shape (N,), bool.
    """
    if points.ndim != 2 or points.shape[1] != 2:
        raise _malformed(f"points have the shape {points.shape}, not (N, 2)")
    if not len(points) == len(candidate) == len(covered):
        raise _malformed(
            f"{len(points)} points, {len(candidate)} candidate flags, {len(covered)} covered flags"
        )
    if candidate.dtype != np.bool_ or covered.dtype != np.bool_:
        raise _malformed("candidate and covered must be boolean arrays")
    if not bool(np.all(np.isfinite(points))):
        rows = np.flatnonzero(~np.isfinite(points).all(axis=1))[:5]
        raise _malformed(f"map coordinates are not finite at {', '.join(map(str, rows))}")
    if bool(np.any(candidate & covered)):
        raise _malformed("a candidate is labelled, queued or exported already")


def _malformed(what: str) -> ColdalError:
    return ColdalError(
        what,
        where="selection pool",
        remedy="rebuild the map, then select again",
        code="pool",
    )
