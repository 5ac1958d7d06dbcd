"""Stores a mask as runs of equal values, since masks are mostly uniform areas."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_PIXELS_PER_RUN = 8
"""If runs are shorter than this on average, a table look-up per pixel is as fast."""


@dataclass(frozen=True)
class Runs:
    """Runs in memory order: the index into ``values`` and the length of each."""

    values: NDArray[Any]
    which: NDArray[np.intp]
    lengths: NDArray[np.intp]
    shape: tuple[int, ...]
    order: Literal["C", "F"]

    @classmethod
    def of(cls, array: NDArray[Any]) -> Runs | None:
        """The runs of an array; None if they are too short to be useful."""
        order: Literal["C", "F"] = "C"
        if array.flags.f_contiguous and not array.flags.c_contiguous:
            order = "F"
        flat = array.ravel(order=order)
        if not flat.size:
            return None
        ends = _set_places(flat[1:] != flat[:-1])
        if (ends.size + 1) * _PIXELS_PER_RUN > flat.size:
            return None
        bounds = np.empty(ends.size + 2, dtype=np.intp)
        bounds[0], bounds[-1] = 0, flat.size
        np.add(ends, 1, out=bounds[1:-1])
        values, which = _numbered(flat[bounds[:-1]])
        return cls(values, which, bounds[1:] - bounds[:-1], array.shape, order)

    def counts(self) -> dict[int, int]:
        """The values that occur, in the order of ``values``, and their counts."""
        counts = np.bincount(self.which, weights=self.lengths, minlength=len(self.values))
        return dict(zip(self.values.tolist(), map(int, counts.tolist()), strict=True))

    def replaced(self, meanings: Sequence[int]) -> NDArray[np.uint8]:
        """The array with each value (in the order of ``values``) replaced."""
        flat = np.repeat(np.array(meanings, dtype=np.uint8)[self.which], self.lengths)
        return flat.reshape(self.shape, order=self.order)

    def renamed(self, meanings: Sequence[int]) -> Runs | None:
        """The runs of the array that :meth:`replaced` makes.

        None if two values become equal, since neighbouring runs would merge.
        """
        if len(set(meanings)) != len(meanings):
            return None
        values = np.array(meanings, dtype=np.uint8)
        return Runs(values, self.which, self.lengths, self.shape, self.order)

    def key(self) -> bytes:
        """A key, equal for equal arrays of values up to 255 with the same memory order."""
        made = hashlib.sha256(f"{self.order} {self.shape}".encode())
        made.update(self.values[self.which].astype(np.uint8).tobytes())
        made.update(self.lengths.tobytes())
        return made.digest()


def _set_places(flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    """``np.flatnonzero`` for sparse flags: tests eight at once."""
    whole = flags.size // 8 * 8
    eights = flags[:whole].view(np.uint64)
    some = (eights != 0).nonzero()[0]
    inside = eights[some].view(np.bool_).nonzero()[0]
    places = some[inside >> 3]
    places <<= 3
    places += inside & 7
    rest = flags[whole:].nonzero()[0]
    return np.concatenate((places, rest + whole)) if rest.size else places


def _numbered(found: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The distinct values, ascending, and each input's index among them."""
    if found.dtype != np.uint8:
        values, which = np.unique(found, return_inverse=True)
        return values, which
    values = np.flatnonzero(np.bincount(found, minlength=256))
    places = np.zeros(256, dtype=np.intp)
    places[values] = np.arange(values.size)
    return values, places[found]
