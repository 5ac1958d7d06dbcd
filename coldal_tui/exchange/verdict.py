"""What becomes of one mask of an import."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Status = Literal["accepted", "quarantined", "unmatched", "ignored"]


@dataclass(frozen=True)
class Verdict:
    """What becomes of one mask of an import.

    ``sha256`` is that of the source file: with ``scan_id`` it makes an import repeatable.
    ``label`` (accepted ones, as they come from ``examine``) is uint8 on the scan's grid.
    ``matched_by`` says how the scan was found, ``geometry`` how the grids lay (``match``,
    ``drift``, ``flip``, ``crop``, ``resampled``).
    """

    status: Status
    file: Path
    sha256: str | None = None
    scan_id: str | None = None
    code: str = ""
    message: str = ""
    remedy: str | None = None
    label: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)
    geometry: str = ""
    matched_by: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    author: str | None = None
    tool: str | None = None

    @property
    def explanation(self) -> str:
        """The message and its remedy, as sentences."""
        if not self.message:
            return ""
        sentence = f"{self.message[0].upper()}{self.message[1:]}."
        return f"{sentence} {self.remedy}" if self.remedy else sentence
