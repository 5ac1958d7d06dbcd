"""A mask as runs of equal values: masks are mostly even areas, and a run costs as a pixel does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_PIXELS_PER_RUN = 8
"""With shorter runs than this on average, a table look-up per pixel is as fast."""


@dataclass(frozen=True)
class Runs:
    """Runs in memory order: the number of each one's value in ``values``, and its length."""

    values: NDArray[Any]
    which: NDArray[np.intp]
    lengths: NDArray[np.intp]
    shape: tuple[int, ...]
    order: Literal["C", "F"]

    @classmethod
    def of(cls, array: NDArray[Any]) -> Runs | None:
        """The runs of an array; None where they are too short to be worth it."""
        order: Literal["C", "F"] = "C"
        if array.flags.f_contiguous and not array.flags.c_contiguous:
            order = "F"
        flat = array.ravel(order=order)
        if not flat.size:
            return None
        change = flat[1:] != flat[:-1]
        if (int(np.count_nonzero(change)) + 1) * _PIXELS_PER_RUN > flat.size:
            return None
        starts = np.concatenate(([0], np.flatnonzero(change) + 1))
        values, which = np.unique(flat[starts], return_inverse=True)
        return cls(values, which, np.diff(starts, append=flat.size), array.shape, order)

    def counts(self) -> tuple[list[int], list[int]]:
        """The values that occur, ascending, and how often."""
        counts = np.zeros(len(self.values), dtype=np.int64)
        np.add.at(counts, self.which, self.lengths)
        return [int(value) for value in self.values], [int(count) for count in counts]

    def replaced(self, meanings: Sequence[int]) -> NDArray[np.uint8]:
        """The array with each value (in the order of ``values``) replaced."""
        table = np.array(meanings, dtype=np.uint8)
        flat = np.repeat(table[self.which], self.lengths)
        return flat.reshape(self.shape, order=self.order)
