"""Selection by score only: the highest scores, with power noise, and by class."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from coldal_tui.selection.pool import Floats, Floats64, Indices, Pick, Pool, Term
from coldal_tui.selection.turns import Turns

BETA = 1.0
"""Inverse temperature of the power noise; the default of its authors."""
CLASS_SHARE = Fraction(66, 100)
"""Part of a batch that ClaSP PE picks class by class."""
MOST_BETA = 64.0


def highest(pool: Pool, scores: Floats, name: str, batch: int) -> list[Pick]:
    """The candidates with the highest (N,) ``scores``; ties to the lower index.

    Candidates without a score (NaN) are skipped. Where the pool has ``minutes``, the highest scores
    per minute. Terms: ``step``, ``score`` and ``name``, and with minutes ``minutes`` and
    ``per_minute``.
    """
    values = np.asarray(scores, np.float64)
    if pool.minutes is None:
        return _ranked(pool, values, {name: scores}, batch)
    rate = values / pool.minutes
    known = {name: scores, "score": values, "minutes": pool.minutes, "per_minute": rate}
    return _ranked(pool, rate, known, batch)


def power(pool: Pool, scores: Floats, name: str, batch: int, seed: int) -> list[Pick]:
    """The candidates with the highest log(score) + Gumbel(0, 1/β), β = 1.

    ``scores`` is of shape (N,), NaN where a scan was not scored.

    Power sampling (Kirsch et al. 2023, "Stochastic batch acquisition", arXiv 2106.12059, section
    3): drawing without replacement with probabilities proportional to score^β, so that a batch is
    not made of similar scans only. The noise is added to the scan's score, not to its pixels. A
    score of 0 is drawn only when no other is left. Each scan's noise depends only on the seed and
    its index in the pool.

    Terms: ``step``, ``score`` (with noise), ``noise``, ``beta``, and ``name``, the raw score.
    """
    noise = _gumbel(len(pool), BETA, seed)
    known: dict[str, Floats] = {name: scores, "noise": noise}
    picks = _ranked(pool, _log(scores) + noise, known, batch)
    return [_with(pick, {"beta": BETA}) for pick in picks]


def class_power(pool: Pool, batch: int, seed: int) -> list[Pick]:
    """Class-stratified scheduled power predictive entropy (ClaSP PE, arXiv 2601.13677).

    66 % of the batch is picked class by class, by the mean of p_c · H over a scan's pixels, in
    equal shares, with the remainder of the division given to classes drawn at random; the rest of
    the batch is picked by the entropy H itself. Scores are log(score) + Gumbel(0, 1/β) with β
    growing from round to round: diverse picks early, the most uncertain ones late. The ratio and
    the class scores are those of the authors' code (nnActive, ``entropy_balanced.py``,
    ``class_pred_entropy``).

    Deviations: (1) whole scans, not patches: a scan picked for one class can't be picked for
    another, and the score is the mean over the scan. (2) One model, not the mean of five folds. (3)
    The background is not used as a class. (4) β is 1 in the first round of active learning and
    doubles with each, to at most 64; the authors' schedule depends on the number of rounds, which
    is unknown in advance in a labeling project. (5) Rank: each class's picks and the others are
    spread evenly, so that every prefix of the queue has a proportional share of each.

    Terms: ``step``, ``score``, ``noise``, ``beta``, ``entropy`` or ``class_entropy``, and
    ``by_class`` (the class's number, from 1).
    """
    assert pool.class_entropy is not None, "the registry asks for it"
    assert pool.entropy is not None, "the registry asks for it"
    rng = np.random.default_rng(seed)
    beta = min(MOST_BETA, 2.0 ** max(0, pool.round - 1))
    classes = pool.class_entropy.shape[1]
    scored = np.isfinite(pool.entropy) & np.isfinite(pool.class_entropy).all(axis=1)
    batch = min(batch, int((pool.candidate & scored).sum()))
    order = rng.permutation(classes)
    noise = rng.gumbel(0.0, 1.0 / beta, (len(pool), classes + 1))
    raw = np.column_stack([pool.class_entropy, pool.entropy]).astype(np.float64)
    values = _log(raw) + noise
    values[~scored] = np.nan
    turns = Turns(pool.candidate & scored, pool.covered, pool.patients)
    picks: list[Pick] = []
    for column in _columns(batch, classes, order):
        open_ = np.flatnonzero(turns.open)
        best = int(open_[values[open_, column].argmax()])
        terms: dict[str, Term] = {
            "step": len(picks) + 1,
            "score": float(values[best, column]),
            "noise": float(noise[best, column]),
            "beta": beta,
        }
        if column < classes:
            terms |= {"class_entropy": float(raw[best, column]), "by_class": int(column) + 1}
        else:
            terms["entropy"] = float(raw[best, column])
        picks.append(_finite(Pick(best, "acquired", int(pool.clusters[best]), terms)))
        turns.take(best)
    return picks


def _columns(batch: int, classes: int, order: Indices) -> list[int]:
    """The class column of each pick; ``classes`` for picks without a class."""
    stratified = int(CLASS_SHARE * batch) if classes else 0
    each, more = divmod(stratified, classes) if classes else (0, 0)
    counts = {int(column): each + (place < more) for place, column in enumerate(order)}
    counts[classes] = batch - stratified
    spread = sorted(
        (Fraction(2 * j - 1, 2 * count), place, column)
        for place, (column, count) in enumerate(counts.items())
        for j in range(1, count + 1)
    )
    return [column for _, _, column in spread]


def _ranked(pool: Pool, values: Floats64, known: dict[str, Floats], batch: int) -> list[Pick]:
    usable = pool.candidate & ~np.isnan(values)
    turns = Turns(usable, pool.covered, pool.patients)
    picks: list[Pick] = []
    for step in range(1, min(batch, int(usable.sum())) + 1):
        open_ = np.flatnonzero(turns.open)
        best = int(open_[values[open_].argmax()])
        terms: dict[str, Term] = {"step": step, "score": float(values[best])}
        terms |= {name: float(array[best]) for name, array in known.items()}
        picks.append(_finite(Pick(best, "acquired", int(pool.clusters[best]), terms)))
        turns.take(best)
    return picks


def _finite(pick: Pick) -> Pick:
    """Leave out numbers that JSON can't represent: the log of a score of 0."""
    terms = {k: v for k, v in pick.terms.items() if isinstance(v, str) or np.isfinite(v)}
    return Pick(pick.index, pick.role, pick.cluster, terms)


def _with(pick: Pick, more: dict[str, Term]) -> Pick:
    return Pick(pick.index, pick.role, pick.cluster, {**pick.terms, **more})


def _gumbel(count: int, beta: float, seed: int) -> Floats64:
    return np.random.default_rng(seed).gumbel(0.0, 1.0 / beta, count)


def _log(scores: Floats) -> Floats64:
    """Natural logarithm; 0 and negative rounding errors become minus infinity."""
    values = np.asarray(scores, np.float64)
    out = np.where(np.isnan(values), np.nan, -np.inf)
    np.log(values, out=out, where=values > 0)
    return out
