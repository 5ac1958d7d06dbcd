"""Merges overlapping labels: decides which class keeps a voxel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from coldal_tui.imaging.labelfile import BACKGROUND, IGNORE_LABEL

_SHOWN = 4


def merge_labels(
    labels: Iterable[NDArray[np.uint8]],
    classes: Sequence[str],
    priority: Sequence[str] = (),
    levels: Sequence[int] = (),
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Merge labels on the same grid to one, with notes on overlaps.

    An overlapping voxel gets the class that is last in the project's list: a tumour stays visible
    in an organ listed before it. Ignored voxels stay ignored. If the file states an order, that
    decides first. The first label is modified.

    Parameters
    ----------
    labels : one or more of equal shape, uint8: 0 background, 1..C classes, 255 ignore.
    priority : classes that win over all others, the first one first; they override the file's
        order, too.
    levels : the level of each label in the file's order, ascending: higher ones cover lower ones.
    """
    if not priority and len(set(levels)) > 1:
        return _stacked(list(labels), classes, levels)
    ranks, values = _ranks(classes, priority)
    plain = not priority
    queue = iter(labels)
    merged = next(queue) if plain else ranks[next(queue)]
    lost: Counter[tuple[int, int]] = Counter()
    for label in queue if plain else (ranks[label] for label in queue):
        # Ignore is the largest value, so the larger one wins everywhere.
        differ = (merged != label) & (merged != BACKGROUND) & (label != BACKGROUND)
        lost += _count_pairs(merged[differ], label[differ])
        np.maximum(merged, label, out=merged)
    named = Counter({(int(values[a]), int(values[b])): n for (a, b), n in lost.items()})
    rule = "the later class" if plain else f"{', then '.join(priority)}, then the later class"
    return merged if plain else values[merged], _notes(named, classes, rule)


def covered_whole(
    before: NDArray[np.int64], after: NDArray[np.int64], classes: Sequence[str]
) -> tuple[str, ...]:
    """Warnings on classes that a merge covered entirely.

    ``before`` and ``after``: voxels per label value, ``(256,)``, of all labels and of the merged
    one.
    """
    return tuple(
        f"nothing is left of {name!r}: other classes cover all {before[value]} pixels of it"
        for value, name in enumerate(classes, start=1)
        if before[value] and not after[value]
    )


def _stacked(
    labels: Sequence[NDArray[np.uint8]], classes: Sequence[str], levels: Sequence[int]
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Merge labels of several levels: later classes win on a level, higher levels on top."""
    merged, notes = labels[0], list[str]()
    covered: Counter[tuple[int, int]] = Counter()
    for level in sorted(set(levels)):
        here = [one for one, at in zip(labels, levels, strict=True) if at == level]
        top, told = merge_labels(here, classes)
        notes += told
        if merged is top:
            continue
        differ = (merged != top) & (merged != BACKGROUND) & (top != BACKGROUND)
        codes = top[differ].astype(np.int64) << 8 | merged[differ]
        pairs, counts = np.unique(codes, return_counts=True)
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            covered[pair >> 8, pair & 255] += count
        np.copyto(merged, top, where=top != BACKGROUND)
    return merged, (*notes, *_notes(covered, classes, "the one on top in the file"))


def _ranks(
    classes: Sequence[str], priority: Sequence[str]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Tables from a label's value to its rank, and back; a higher rank wins."""
    first = [name.casefold() for name in priority]
    order = sorted(
        range(1, len(classes) + 1),
        key=lambda value: (
            -first.index(name) if (name := classes[value - 1].casefold()) in first else -len(first),
            value,
        ),
    )
    ranks = np.arange(256, dtype=np.uint8)
    ranks[order] = np.arange(1, len(order) + 1)
    values = np.arange(256, dtype=np.uint8)
    values[ranks] = np.arange(256)
    return ranks, values


def _count_pairs(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Counter[tuple[int, int]]:
    """Number of voxels of each (winner, loser) pair."""
    joined = np.maximum(left, right).astype(np.int64) << 8 | np.minimum(left, right)
    pairs, counts = np.unique(joined, return_counts=True)
    return Counter(
        {(int(p) >> 8, int(p) & 255): int(n) for p, n in zip(pairs, counts, strict=True)}
    )


def _notes(lost: Counter[tuple[int, int]], classes: Sequence[str], rule: str) -> tuple[str, ...]:
    if not lost:
        return ()

    def name(value: int) -> str:
        return "ignore" if value == IGNORE_LABEL else repr(classes[value - 1])

    shown = [
        f"{count} of {name(winner)} over {name(loser)}"
        for (winner, loser), count in lost.most_common(_SHOWN)
    ]
    more = f" and {len(lost) - _SHOWN} more pairs" if len(lost) > _SHOWN else ""
    total = sum(lost.values())
    noun = "pixel was" if total == 1 else "pixels were"
    return (f"{total} {noun} claimed twice: {', '.join(shown)}{more} ({rule} wins)",)
