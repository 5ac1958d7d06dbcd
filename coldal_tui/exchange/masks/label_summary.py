"""Summarises a label: pixels per value, and a key for finding equal labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coldal_tui.exchange.masks.run_lengths import Runs
from coldal_tui.imaging.labelfile import BACKGROUND, IGNORE_LABEL


@dataclass(frozen=True)
class Drawn:
    """``pixels`` per value that occurs; ``key`` is equal for equal labels."""

    pixels: Mapping[int, int]
    key: bytes

    @classmethod
    def of(cls, label: NDArray[np.uint8], runs: Runs | None = None) -> Drawn:
        """Summarise a label from its runs, which are few in mostly uniform labels.

        ``runs`` are the label's runs if known.
        """
        whole = np.ascontiguousarray(label)
        if runs is None or runs.order != "C" or runs.shape != whole.shape:
            runs = Runs.of(whole)
        if runs is not None:
            return cls(runs.counts(), runs.key())
        made = hashlib.sha256(f"{whole.shape}".encode())
        made.update(whole.data)
        counts = np.bincount(whole.ravel(), minlength=256)
        return cls({int(v): int(counts[v]) for v in np.flatnonzero(counts)}, made.digest())

    @property
    def classes(self) -> int:
        """Number of pixels that belong to a class."""
        return sum(n for v, n in self.pixels.items() if v not in (BACKGROUND, IGNORE_LABEL))

    @property
    def ignored(self) -> int:
        """Number of ignored pixels."""
        return self.pixels.get(IGNORE_LABEL, 0)
