"""Active learning: entropy plus diversity, greedily. Needs numpy alone; runs live in the app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.selection.geometry import nearest
from coldal_tui.selection.pool import Floats, Floats64, Indices, Mask, Term, check_scene
from coldal_tui.selection.turns import Turns


@dataclass(frozen=True)
class Coverage:
    """Each scan's distance to the nearest covered scan, and its index (infinity, -1: none is).

    Independent of entropy and alpha: compute it once, re-rank with it as often as alpha moves.
    """

    distance: Floats64
    nearest: Indices


@dataclass(frozen=True)
class Acquired:
    """One pick and everything that decided it at its step.

    ``score`` = alpha · ``entropy_term`` + (1 - alpha) · ``diversity_term``. ``entropy`` and
    ``distance`` are the raw H and D (entropy NaN: not scored; distance infinite: nothing was
    covered), ``nearest`` the covered or picked scan that D was measured to (-1: none).
    ``runner_up`` is the scan that would have been picked instead (-1: there was no other).
    """

    index: int
    step: int
    score: float
    entropy_term: float
    diversity_term: float
    entropy: float
    distance: float
    nearest: int
    runner_up: int
    runner_up_score: float

    def terms(self, alpha: float) -> Mapping[str, Term]:
        """The numbers behind the pick; those that do not exist at this step are left out."""
        found: dict[str, Term] = {
            "step": self.step,
            "alpha": alpha,
            "score": self.score,
            "entropy_term": self.entropy_term,
            "diversity_term": self.diversity_term,
        }
        if np.isfinite(self.entropy):
            found["entropy"] = self.entropy
        if self.nearest >= 0:
            found |= {"distance": self.distance, "nearest": self.nearest}
        if self.runner_up >= 0:
            found |= {"runner_up": self.runner_up, "runner_up_score": self.runner_up_score}
        return found


def entropy_diversity(
    points: Floats,
    candidate: Mask,
    covered: Mask,
    entropy: Floats | None,
    batch: int,
    alpha: float,
    coverage: Coverage | None = None,
    patients: NDArray[np.integer] | None = None,
) -> list[Acquired]:
    """Pick ``batch`` candidates by S = alpha · H̃ + (1 - alpha) · D̃, in pick order.

    H̃ is the entropy, min-max over the candidates, once (all equal: 0). D is the distance on the
    (N, 2) map to the nearest covered or picked scan; D̃ = D / max D over the candidates that
    remain (max 0: 0), anew after each pick. Ties go to the lower index. Scores do not fall
    monotonically: the pick order is the rank.

    Candidates whose entropy is not finite can't be compared and are passed over (``unscored``
    lists them), except at alpha = 0, where entropy has no weight. Where nothing is covered yet,
    every scan is equally far: D̃ is 0 for the first pick, which entropy alone decides.

    ``coverage`` saves the search for nearest covered scans (see ``cover``). With ``patients``
    (N,) int, those candidates remain at a step whose patients' turn it is (see ``Turns``).

    Raises
    ------
    UsageError : alpha outside 0..1.
    ColdalError : alpha > 0 without entropies (``no-entropy``), arrays that don't fit (``pool``).
    """
    check_scene(points, candidate, covered)
    check_alpha(alpha)
    if entropy is None and alpha > 0:
        raise ColdalError(
            "the scans have no entropy yet",
            remedy="train and score first, or select with alpha 0",
            code="no-entropy",
        )
    raw = np.full(len(points), np.nan) if entropy is None else np.asarray(entropy, np.float64)
    if len(raw) != len(points):
        raise ColdalError(f"{len(raw)} entropies for {len(points)} scans", code="pool")
    usable = candidate & np.isfinite(raw) if alpha > 0 else candidate
    index = np.flatnonzero(usable).astype(np.int64)
    known = cover(points, candidate, covered) if coverage is None else coverage
    return _greedy(
        np.asarray(points, np.float64)[index],
        index,
        raw[index],
        known.distance[index],
        known.nearest[index],
        batch,
        alpha,
        Turns(usable, covered, patients),
    )


def cover(points: Floats, candidate: Mask, covered: Mask) -> Coverage:
    """Distance of every candidate to the nearest covered scan (ties: the lower index)."""
    check_scene(points, candidate, covered)
    distance = np.full(len(points), np.inf)
    which = np.full(len(points), -1, dtype=np.int64)
    targets = np.flatnonzero(covered).astype(np.int64)
    if len(targets):
        gap, first = nearest(points[candidate], points[targets])
        distance[candidate], which[candidate] = gap, targets[first]
    return Coverage(distance, which)


def unscored(candidate: Mask, entropy: Floats) -> list[int]:
    """Candidates that have no entropy, which ``entropy_diversity`` therefore passes over."""
    return [int(n) for n in np.flatnonzero(candidate & ~np.isfinite(entropy))]


def check_alpha(alpha: float) -> None:
    """Refuse an alpha outside 0..1 (NaN too)."""
    if not 0.0 <= alpha <= 1.0:
        raise UsageError(
            f"alpha is {alpha}, not between 0 and 1",
            remedy="0 is pure diversity, 1 pure entropy, 0.5 the default",
            code="alpha",
        )


def _greedy(
    spots: Floats64,
    index: Indices,
    entropy: Floats64,
    gap: Floats64,
    source: Indices,
    batch: int,
    alpha: float,
    turns: Turns,
) -> list[Acquired]:
    """The loop over picks, on the candidates alone; ``gap`` and ``source`` are its own copies."""
    entropy_term = _min_max(entropy)
    weighted = alpha * entropy_term
    x, y = np.ascontiguousarray(spots[:, 0]), np.ascontiguousarray(spots[:, 1])
    picks: list[Acquired] = []
    for step in range(1, min(batch, len(index)) + 1):
        shut = ~turns.open[index]
        diversity_term = _over_largest(gap, shut)
        score = weighted + (1.0 - alpha) * diversity_term
        score[shut] = -np.inf
        best = int(score.argmax())
        top = float(score[best])
        score[best] = -np.inf
        second = int(score.argmax())
        alone = np.isneginf(score[second])
        picks.append(
            Acquired(
                index=int(index[best]),
                step=step,
                score=top,
                entropy_term=float(entropy_term[best]),
                diversity_term=float(diversity_term[best]),
                entropy=float(entropy[best]),
                distance=float(gap[best]),
                nearest=int(source[best]),
                runner_up=-1 if alone else int(index[second]),
                runner_up_score=0.0 if alone else float(score[second]),
            )
        )
        turns.take(int(index[best]))
        dx, dy = x - x[best], y - y[best]
        fresh = np.sqrt(dx * dx + dy * dy)
        closer = fresh < gap
        gap[closer], source[closer] = fresh[closer], index[best]
    return picks


def _min_max(values: Floats64) -> Floats64:
    """Values scaled to 0..1; all equal, or none finite: 0."""
    finite = values[np.isfinite(values)]
    if not len(finite) or finite.max() == finite.min():
        return np.zeros(len(values))
    low, high = float(finite.min()), float(finite.max())
    return np.where(np.isfinite(values), (values - low) / (high - low), 0.0)


def _over_largest(gap: Floats64, shut: Mask) -> Floats64:
    """Distances over the largest of those that remain; 0 where it is 0 or nothing is covered."""
    largest = float(gap[~shut].max())
    if largest == 0.0 or np.isinf(largest):
        return np.zeros(len(gap))
    return gap / largest
