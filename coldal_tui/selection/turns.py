"""Which scans may be picked at a step, also with at most one scan per patient."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coldal_tui.selection.pool import Mask, Pool


class Turns:
    """The remaining candidates during a selection.

    With ``patients`` (N,) int, a scan is open while no scan of its patient is covered or picked;
    once every patient with a candidate has one, all remaining candidates are open. Without
    ``patients``, every candidate that was not picked is open.
    """

    def __init__(
        self, candidate: Mask, covered: Mask, patients: NDArray[np.integer] | None
    ) -> None:
        self._left = candidate.copy()
        self._first = self._left
        self._waiting = 0
        if patients is not None:
            _, self._patient, counts = np.unique(patients, return_inverse=True, return_counts=True)
            self._ends = np.cumsum(counts)
            self._scans = np.argsort(self._patient, kind="stable")
            served = np.zeros(len(counts), np.bool_)
            served[self._patient[covered]] = True
            self._first = candidate & ~served[self._patient]
            self._waiting = int(self._first.sum())

    @classmethod
    def of(cls, pool: Pool) -> Turns:
        """The ``Turns`` of a pool's candidates."""
        return cls(pool.candidate, pool.covered, pool.patients)

    @property
    def open(self) -> Mask:
        """(N,) bool, the scans that may be picked now; read-only.

        The same array as long as scans only close: it is a new one when scans open again.
        """
        return self._first if self._waiting else self._left

    def take(self, index: int) -> None:
        """Mark a scan as picked."""
        self._left[index] = False
        if self._waiting:
            patient = int(self._patient[index])
            end = int(self._ends[patient])
            start = int(self._ends[patient - 1]) if patient else 0
            scans = self._scans[start:end]
            self._waiting -= int(self._first[scans].sum())
            self._first[scans] = False
