"""Checks, counts and replaces the values in a mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.masks.run_lengths import Runs

INTEGRAL_TOLERANCE = 1e-3
_SHOWN = 6
_TABLE_SPAN = 1 << 16
_BLOCK = 1 << 20
_LARGEST = 1 << 30
"""Larger than any label value, and exact in single precision."""

Translate = Callable[[list[int], list[int]], Sequence[int]]
"""Maps the values that occur (ascending) and their counts to the new values."""


def translate(raw: NDArray[Any], meanings_of: Translate) -> tuple[NDArray[np.uint8], Runs | None]:
    """Replace an array's values: same shape, uint8; also returns its runs if known.

    Raises
    ------
    ImageError : code ``not-integral``; whatever ``meanings_of`` raises.
    """
    whole = as_integers(raw)
    runs = Runs.of(whole)
    if runs is None:
        values, counts = _count_values(whole)
        return _look_up(whole, values, meanings_of(values, counts)), None
    found = runs.counts()
    meanings = meanings_of(list(found), list(found.values()))
    return runs.replaced(meanings), runs.renamed(meanings)


def as_integers(raw: NDArray[Any]) -> NDArray[Any]:
    """Convert the array to whole numbers; raises ImageError (``not-integral``) otherwise.

    Keeps the shape.
    """
    if raw.dtype == bool:
        return raw.astype(np.uint8)
    if np.issubdtype(raw.dtype, np.integer):
        return raw
    if not np.issubdtype(raw.dtype, np.floating):
        raise ImageError(
            f"values of type {raw.dtype} are no labels",
            remedy="Save the mask as one whole number per voxel.",
            code="not-integral",
        )
    # Both in memory order (NIfTI is column-major): a view of the one and of the other.
    whole = np.empty_like(raw, dtype=np.int32)
    flat, target = raw.ravel(order="K"), whole.ravel(order="K")
    wrong: list[NDArray[Any]] = []
    for first in range(0, flat.size, _BLOCK):
        block = flat[first : first + _BLOCK]
        nearest = np.rint(block)
        with np.errstate(invalid="ignore"):
            good = (np.abs(block - nearest) <= INTEGRAL_TOLERANCE) & (np.abs(nearest) <= _LARGEST)
        if not good.all():
            wrong.append(block[~good])
        else:
            target[first : first + _BLOCK] = nearest
    if wrong:
        raise _not_integral(np.concatenate(wrong))
    return whole


def _not_integral(found: NDArray[Any]) -> ImageError:
    examples = ", ".join(f"{value:.4g}" for value in np.unique(found)[:_SHOWN])
    noun = "pixel holds a value that is no whole number"
    if found.size > 1:
        noun = "pixels hold values that are no whole numbers"
    return ImageError(
        f"{found.size} {noun} ({examples})",
        remedy="It looks like a probability map or a resampled mask: save the label map "
        "itself, or threshold it.",
        code="not-integral",
    )


def _count_values(whole: NDArray[Any]) -> tuple[list[int], list[int]]:
    """The values that occur, ascending, and their counts."""
    low, span = _span(whole)
    if span > _TABLE_SPAN:
        values, numbers = np.unique(whole, return_counts=True)
        return [int(v) for v in values], [int(n) for n in numbers]
    flat = whole.ravel(order="K")
    counts = np.zeros(span, dtype=np.int64)
    # In blocks: bincount widens its input to 8 bytes per voxel.
    for first in range(0, flat.size, _BLOCK):
        block = flat[first : first + _BLOCK]
        counts += np.bincount(block if low == 0 else block.astype(np.int64) - low, minlength=span)
    present = np.flatnonzero(counts)
    return [int(v) + low for v in present], [int(counts[v]) for v in present]


def _look_up(whole: NDArray[Any], values: list[int], meanings: Sequence[int]) -> NDArray[np.uint8]:
    low = 0 if values[0] >= 0 and values[-1] < _TABLE_SPAN else values[0]
    span = values[-1] - low + 1
    if span > _TABLE_SPAN:
        where = np.searchsorted(np.array(values, dtype=whole.dtype), whole)
        return np.asarray(np.array(meanings, dtype=np.uint8)[where])
    table = np.zeros(span, dtype=np.uint8)
    table[np.array(values) - low] = meanings
    return table[whole if low == 0 else whole.astype(np.int64) - low]


def _span(whole: NDArray[Any]) -> tuple[int, int]:
    """The smallest value (0 if near enough) and the size of the value range."""
    low, high = int(whole.min()), int(whole.max())
    low = 0 if low >= 0 and high < _TABLE_SPAN else low
    return low, high - low + 1
