"""Makes one label from several raters' labels: by majority, by STAPLE, or where all agree.

STAPLE: Warfield, Zou, Wells, "Simultaneous Truth and Performance Level Estimation", IEEE
Transactions on Medical Imaging 23(7), 2004; initialised with the raters' mean, as ITK's
STAPLEImageFilter does. Classes are estimated one against all others. A pixel that any rater ignores
is ignored in the result: "can't tell" is no vote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coldal_tui.imaging.labelfile import BACKGROUND, IGNORE_LABEL

MOST_RATERS = 32
_SETTLED = 1e-7
"""Change of the raters' performance below which the iteration stops, as in ITK's filter."""
_MOST_STEPS = 1000


@dataclass(frozen=True)
class Votes:
    """The raters' answers, each distinct combination once.

    ``answers`` is ``(P, R)``: P combinations that occur, R raters; ``counts`` is the number of
    pixels of each, ``where`` the combination of every pixel (flat).
    """

    answers: NDArray[np.uint8]
    counts: NDArray[np.int64]
    where: NDArray[np.intp]


def majority(labels: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], int]:
    """The class (or background) that most raters drew, and the number of tied pixels.

    A tie is ignored: of two raters, every pixel on which they differ. It is never background, which
    would make the intersection of two masks their majority. As ITK's LabelVotingImageFilter with
    255 as the label for undecided pixels.

    Parameters
    ----------
    labels : of one shape, uint8: 0 background, 1..C classes, 255 ignore.
    """
    votes = collect_votes(labels)
    most = np.zeros(len(votes.answers), dtype=np.intp)
    chosen = np.full(len(votes.answers), IGNORE_LABEL, dtype=np.uint8)
    tied = np.zeros(len(votes.answers), dtype=bool)
    for value in np.unique(votes.answers):
        count = (votes.answers == value).sum(axis=1)
        tied = np.where(count > most, False, tied | (count == most))
        chosen[count > most] = value
        most = np.maximum(most, count)
    ignored = (votes.answers == IGNORE_LABEL).any(axis=1)
    chosen[ignored | tied] = IGNORE_LABEL
    undecided = int(votes.counts[tied & ~ignored].sum())
    return chosen[votes.where].reshape(labels[0].shape), undecided


def agreed(labels: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], int]:
    """What all raters drew alike; every other pixel is ignored. Also the number of the latter.

    Parameters as :func:`majority`.
    """
    votes = collect_votes(labels)
    alike = (votes.answers == votes.answers[:, :1]).all(axis=1)
    ignored = (votes.answers == IGNORE_LABEL).any(axis=1)
    chosen = np.where(alike & ~ignored, votes.answers[:, 0], IGNORE_LABEL).astype(np.uint8)
    disputed = int(votes.counts[~alike & ~ignored].sum())
    return chosen[votes.where].reshape(labels[0].shape), disputed


def staple(labels: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The most likely class of each pixel if its probability exceeds one half; else background.

    Returns uint8 of the masks' shape.

    Parameters as :func:`majority`.
    """
    votes = collect_votes(labels)
    ignored = (votes.answers == IGNORE_LABEL).any(axis=1)
    answers, counts = votes.answers[~ignored], votes.counts[~ignored]
    best = np.full(len(answers), 0.5)
    chosen = np.zeros(len(answers), dtype=np.uint8)
    for value in np.unique(answers):
        if value != BACKGROUND:
            likely = estimate(answers == value, counts)
            chosen[likely > best] = value
            best = np.maximum(best, likely)
    combined = np.full(len(votes.answers), IGNORE_LABEL, dtype=np.uint8)
    combined[~ignored] = chosen
    return combined[votes.where].reshape(labels[0].shape)


def estimate(drawn: NDArray[np.bool_], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probability of the class for each combination of answers: STAPLE's weights, ``(P,)``.

    Parameters
    ----------
    drawn : ``(P, R)`` whether rater r drew the class in combination p.
    counts : ``(P,)`` pixels with that combination.
    """
    pixels = counts.astype(np.float64)
    weights: NDArray[np.float64] = drawn.mean(axis=1)
    prior = float((weights * pixels).sum() / pixels.sum())
    hits = passes = np.full(drawn.shape[1], -1.0)
    for _ in range(_MOST_STEPS):
        last_hits, last_passes = hits, passes
        hits = _share(weights * pixels, drawn)
        passes = _share((1 - weights) * pixels, ~drawn)
        yes = prior * np.where(drawn, hits, 1 - hits).prod(axis=1)
        no = (1 - prior) * np.where(drawn, 1 - passes, passes).prod(axis=1)
        weights = np.divide(yes, yes + no, out=np.zeros_like(yes), where=yes + no > 0)
        moved = max(np.abs(hits - last_hits).max(), np.abs(passes - last_passes).max())
        if moved <= _SETTLED:
            break
    return weights


def _share(weights: NDArray[np.float64], answers: NDArray[np.bool_]) -> NDArray[np.float64]:
    total = float(weights.sum())
    if total <= 0:
        return np.ones(answers.shape[1])
    return np.asarray((weights[:, None] * answers).sum(axis=0) / total)


def collect_votes(labels: Sequence[NDArray[np.uint8]]) -> Votes:
    """Collect the distinct combinations of answers: there are few, for millions of pixels.

    Masks are uint8, all of one shape.
    """
    keys = np.zeros(labels[0].size, dtype=np.intp)
    answers = np.zeros((1, 0), dtype=np.uint8)
    for label in labels:
        # Renumber after each rater, so that any number of raters fits.
        joined = keys * 256 + label.ravel()
        found, keys = np.unique(joined, return_inverse=True)
        column = (found % 256).astype(np.uint8)[:, None]
        answers = np.hstack([answers[found // 256], column])
    counts = np.bincount(keys, minlength=len(answers))
    return Votes(answers, counts, keys)
