"""Summarises a label: pixels per value, and a key for finding equal labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coldal_tui.exchange.masks.run_lengths import Runs
from coldal_tui.imaging.labelfile import BACKGROUND, IGNORE_LABEL


def in_file_order(label: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The label in the memory order of its file: volumes as NIfTI, columns first; pictures by rows.

    Masks of volumes mostly come in this order and are written in it; turning a volume round and
    back would take longer than all else.
    """
    return np.asfortranarray(label) if label.ndim == 3 else np.ascontiguousarray(label)


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
        whole = in_file_order(label)
        order = "F" if not whole.flags.c_contiguous else "C"
        if runs is None or runs.order != order or runs.shape != whole.shape:
            runs = Runs.of(whole)
        if runs is not None:
            return cls(runs.counts(), runs.key())
        made = hashlib.sha256(f"{whole.shape}".encode())
        flat = whole.ravel(order="K")
        made.update(flat.data)
        counts = np.bincount(flat, minlength=256)
        return cls({int(v): int(counts[v]) for v in np.flatnonzero(counts)}, made.digest())

    @property
    def classes(self) -> int:
        """Number of pixels that belong to a class."""
        return sum(n for v, n in self.pixels.items() if v not in (BACKGROUND, IGNORE_LABEL))

    @property
    def ignored(self) -> int:
        """Number of ignored pixels."""
        return self.pixels.get(IGNORE_LABEL, 0)
