"""Greedy active learning by entropy and diversity. Needs only numpy, so it runs in the app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.selection.geometry import nearest
from coldal_tui.selection.pool import Floats, Floats64, Indices, Mask, Term, check_pool_arrays
from coldal_tui.selection.shortcuts.buckets import WORTH, Buckets
from coldal_tui.selection.turns import Turns

_FIRST_LOOK = 4
"""Groups of candidates that are looked at first at a step."""
_ROUNDING = 1e-12
"""More than sums of terms between 0 and 1 can be off."""


@dataclass(frozen=True)
class Coverage:
    """Each scan's distance to the nearest covered scan, and its index (infinity, -1: none is).

    Independent of entropy and alpha: compute it once and use it for every alpha.
    """

    distance: Floats64
    nearest: Indices


@dataclass(frozen=True)
class Acquired:
    """One pick and the numbers behind it at its step.

    ``score`` = alpha · ``entropy_term`` + (1 - alpha) · ``diversity_term``. ``entropy`` and
    ``distance`` are the raw H and D (entropy NaN: not scored; distance infinite: nothing was
    covered), ``nearest`` the covered or picked scan that D was measured to (-1: none).
    ``runner_up`` is the next best scan (-1: none). ``minutes`` are the expected ones by which S was
    divided, if it was.
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
    minutes: float | None = None

    def terms(self, alpha: float) -> Mapping[str, Term]:
        """The numbers behind the pick, without those that don't exist at this step."""
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
        if self.minutes is not None:
            found |= {"minutes": self.minutes, "per_minute": self.score / self.minutes}
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
    minutes: Floats | None = None,
) -> list[Acquired]:
    """Pick ``batch`` candidates by S = alpha · H̃ + (1 - alpha) · D̃, in pick order.

    H̃ is the entropy, min-max over the candidates, once (all equal: 0). D is the distance on the
    (N, 2) map to the nearest covered or picked scan; D̃ = D / max D over the remaining candidates
    (max 0: 0), updated after each pick. Ties go to the lower index. Scores need not decrease from
    pick to pick: the pick order is the rank.

    Candidates whose entropy is not finite can't be compared and are skipped (``unscored`` lists
    them), except at alpha = 0, where entropy has no weight. When nothing is covered yet, every scan
    is equally far: D̃ is 0 for the first pick, so entropy alone decides.

    ``coverage`` saves the search for nearest covered scans (see ``cover``). With ``patients`` (N,)
    int, only open candidates can be picked at a step (see ``Turns``). With ``minutes`` (N,) float
    above 0, the candidate with the largest S per minute is picked; S itself and its terms are the
    same, D̃ goes by all remaining candidates, and ties go to the lower index as before.

    Raises
    ------
    UsageError : alpha outside 0..1.
    ColdalError : alpha > 0 without entropies (``no-entropy``), arrays that don't fit (``pool``).
    """
    check_pool_arrays(points, candidate, covered)
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
        None if minutes is None else np.asarray(minutes, np.float64)[index],
    )


def cover(points: Floats, candidate: Mask, covered: Mask) -> Coverage:
    """Distance of every candidate to the nearest covered scan (ties: the lower index).

    ``points`` (N, 2); both masks (N,) bool.
    """
    check_pool_arrays(points, candidate, covered)
    distance = np.full(len(points), np.inf)
    which = np.full(len(points), -1, dtype=np.int64)
    targets = np.flatnonzero(covered).astype(np.int64)
    if len(targets):
        gap, first = nearest(points[candidate], points[targets])
        distance[candidate], which[candidate] = gap, targets[first]
    return Coverage(distance, which)


def unscored(candidate: Mask, entropy: Floats) -> list[int]:
    """Candidates without entropy, which ``entropy_diversity`` skips.

    Both arrays are of shape (N,).
    """
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
    minutes: Floats64 | None = None,
) -> list[Acquired]:
    """The loop over picks, on the candidates only; ``gap`` and ``source`` are modified."""
    terms = _min_max(entropy)
    # The bounds of groups hold for S, not for S per minute: then all are computed at each step.
    board: _Board | _Boxes = (
        _Boxes(spots, gap, source, index, terms, alpha)
        if len(index) >= WORTH and minutes is None
        else _Board(spots, gap, source, index, terms, alpha, minutes)
    )
    picks: list[Acquired] = []
    for step in range(1, min(batch, len(index)) + 1):
        best, second = board.best_two(turns.open)
        picks.append(
            Acquired(
                index=int(index[best.place]),
                step=step,
                score=best.score,
                entropy_term=float(terms[best.place]),
                diversity_term=best.diversity_term,
                entropy=float(entropy[best.place]),
                distance=best.distance,
                nearest=best.nearest,
                runner_up=-1 if second is None else int(index[second.place]),
                runner_up_score=0.0 if second is None else second.score,
                minutes=None if minutes is None else float(minutes[best.place]),
            )
        )
        turns.take(int(index[best.place]))
        board.take(best)
    return picks


@dataclass(frozen=True)
class _Ranked:
    """A candidate at a step: its index among the candidates, and its score."""

    place: int
    score: float
    diversity_term: float
    distance: float
    nearest: int


class _Board:
    """Computes all candidates' scores at each step."""

    def __init__(
        self,
        spots: Floats64,
        gap: Floats64,
        source: Indices,
        index: Indices,
        terms: Floats64,
        alpha: float,
        minutes: Floats64 | None = None,
    ) -> None:
        self._minutes = minutes
        self._x, self._y = np.ascontiguousarray(spots[:, 0]), np.ascontiguousarray(spots[:, 1])
        self._gap, self._source, self._index = gap, source, index
        self._weighted, self._rest = alpha * terms, 1.0 - alpha

    def best_two(self, open_: Mask) -> tuple[_Ranked, _Ranked | None]:
        """The open candidate with the largest score (per minute, if minutes count), and the next.

        Ties go to the lower index.
        """
        shut = ~open_[self._index]
        diversity = _over(self._gap, float(self._gap[~shut].max()))
        score = self._weighted + self._rest * diversity
        worth = score.copy() if self._minutes is None else score / self._minutes
        worth[shut] = -np.inf
        found: list[_Ranked] = []
        for _ in range(2):
            at = int(worth.argmax())
            if np.isneginf(worth[at]):
                break
            gap, source = float(self._gap[at]), int(self._source[at])
            found.append(_Ranked(at, float(score[at]), float(diversity[at]), gap, source))
            worth[at] = -np.inf
        return found[0], found[1] if len(found) > 1 else None

    def take(self, pick: _Ranked) -> None:
        """Update all distances with a pick."""
        dx, dy = self._x - self._x[pick.place], self._y - self._y[pick.place]
        fresh = np.sqrt(dx * dx + dy * dy)
        closer = fresh < self._gap
        self._gap[closer], self._source[closer] = fresh[closer], self._index[pick.place]


class _Boxes:
    """The same for many candidates: skips groups that can't hold one of the two best.

    A group's bound adds its largest entropy term and its largest distance with the operations of a
    score, which round monotonically: no score in the group is above it. For a group that was
    evaluated before, its best score then gives a second bound: since then its distances can only
    have decreased, and their weight in the score can only have grown, by the factor by which the
    largest distance of all has decreased.
    """

    def __init__(
        self,
        spots: Floats64,
        gap: Floats64,
        source: Indices,
        index: Indices,
        terms: Floats64,
        alpha: float,
    ) -> None:
        self._buckets = Buckets(spots, gap, source, index)
        self._index, self._spots, self._rest = index, spots, 1.0 - alpha
        self._weighted = (alpha * terms)[self._buckets.places]
        self._weighted[self._buckets.gap < 0.0] = -np.inf
        self._open: Mask | None = None
        self._forget()

    def best_two(self, open_: Mask) -> tuple[_Ranked, _Ranked | None]:
        """The open candidate with the largest score, and the next; ties to the lower index."""
        if open_ is not self._open:
            self._open = open_
            self._forget()
        largest = self._buckets.top(open_)[0]
        bound = self._bounds(largest)
        best: list[_Ranked] = []
        asked = np.zeros(len(bound), np.bool_)
        wanted = min(_FIRST_LOOK, len(bound))
        look = np.argpartition(-bound, wanted - 1)[:wanted]
        while len(look):
            asked[look] = True
            best = self._two_of(best, look, open_, largest)
            least = best[1].score if len(best) > 1 else -np.inf
            look = np.flatnonzero(~asked & (bound >= least))
        return best[0], best[1] if len(best) > 1 else None

    def _forget(self) -> None:
        """Discard the groups' bounds, because scans have opened."""
        self._most: Floats64 = self._weighted.max(axis=1)
        self._seen = np.full(len(self._most), np.inf)
        self._seen_at = np.full(len(self._most), np.inf)

    def _bounds(self, largest: float) -> Floats64:
        """(groups,) upper bounds of the scores; ``largest`` is the largest distance of all."""
        reach = self._buckets.largest
        if largest <= 0.0 or np.isinf(largest):
            return self._most
        now = _over(reach, largest)
        grown = np.maximum(now - reach / self._seen_at, 0.0)
        bound: Floats64 = self._seen + self._rest * grown + _ROUNDING
        return np.minimum(bound, self._most + self._rest * now, out=bound)

    def _two_of(
        self, best: list[_Ranked], groups: Indices, open_: Mask, largest: float
    ) -> list[_Ranked]:
        """The two best of ``best`` and the candidates of some groups."""
        ids, gaps = self._buckets.ids[groups], self._buckets.gap[groups]
        weighted = np.where(open_[ids], self._weighted[groups], -np.inf)
        score = _over(gaps, largest)
        score *= self._rest
        score += weighted
        self._most[groups] = weighted.max(axis=1)
        self._seen[groups] = score.max(axis=1)
        self._seen_at[groups] = largest if largest > 0.0 else np.inf
        found = list(best)
        for _ in range(2):
            top = float(score.max())
            if np.isneginf(top):
                break
            places = np.flatnonzero(score == top)
            flat = int(places[ids.ravel()[places].argmin()])
            row, column = divmod(flat, ids.shape[1])
            found.append(
                _Ranked(
                    int(self._buckets.places[groups[row], column]),
                    top,
                    float(_over(gaps[row, column : column + 1], largest)[0]),
                    float(gaps[row, column]),
                    int(self._buckets.source[groups[row], column]),
                )
            )
            score[row, column] = -np.inf
        return sorted(found, key=lambda one: (-one.score, one.place))[:2]

    def take(self, pick: _Ranked) -> None:
        """Update the distances of near groups with a pick."""
        x, y = self._spots[pick.place].tolist()
        self._buckets.near(x, y, int(self._index[pick.place]))


def scaled_entropy(raw: Floats64, candidate: Mask) -> Floats64:
    """(N,) entropies on the queue's scale: min-max over the candidates, 0 for the most certain.

    NaN for scans without entropy. All candidates equal: 0. No candidate with entropy: all NaN.
    """
    known = raw[candidate & np.isfinite(raw)]
    if not len(known):
        return np.full(len(raw), np.nan)
    span = float(known.max() - known.min())
    return (raw - known.min()) / span if span else np.where(np.isnan(raw), np.nan, 0.0)


def _min_max(values: Floats64) -> Floats64:
    """Values scaled to 0..1; all equal, or none finite: 0."""
    finite = values[np.isfinite(values)]
    if not len(finite) or finite.max() == finite.min():
        return np.zeros(len(values))
    low, high = float(finite.min()), float(finite.max())
    return np.where(np.isfinite(values), (values - low) / (high - low), 0.0)


def _over(gap: Floats64, largest: float) -> Floats64:
    """Distances divided by the largest remaining one; 0 if that is 0 or nothing is covered."""
    if largest <= 0.0 or np.isinf(largest):
        return np.zeros(gap.shape)
    return gap / largest
