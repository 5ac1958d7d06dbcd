"""Which scans may be picked at a step: candidates, and with one scan a patient their patients."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coldal_tui.selection.pool import Mask, Pool


class Turns:
    """What is left of the candidates while they are picked from.

    With ``patients`` (N,) int, a scan is open while nobody of its patient is covered or picked;
    once every patient with a candidate is, all that is left is open. Without, every candidate
    that was not picked is open.
    """

    def __init__(
        self, candidate: Mask, covered: Mask, patients: NDArray[np.integer] | None
    ) -> None:
        self._left = candidate.copy()
        self._patients = patients
        self._served = np.zeros(len(candidate), np.bool_)
        if patients is not None:
            self._served = np.isin(patients, patients[covered])

    @classmethod
    def of(cls, pool: Pool) -> Turns:
        """The turns of a pool's candidates."""
        return cls(pool.candidate, pool.covered, pool.patients)

    @property
    def open(self) -> Mask:
        """(N,) bool, the scans that may be picked now; not to be written to."""
        if self._patients is None:
            return self._left
        first = self._left & ~self._served
        return first if first.any() else self._left

    def take(self, index: int) -> None:
        """A scan is picked."""
        self._left[index] = False
        if self._patients is not None:
            self._served |= self._patients == self._patients[index]
