"""What becomes of one mask of an import."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from coldal_tui.exchange.incoming.rater_agreement import Agreement
from coldal_tui.exchange.masks.label_summary import Drawn

Status = Literal["accepted", "kept", "quarantined", "unmatched", "ignored"]


@dataclass(frozen=True)
class Verdict:
    """What becomes of one mask of an import.

    ``kept`` masks are valid, but another mask of the scan counts: they are versions of its label.
    ``sha256`` is the source file's hash: with ``key`` (the mask within the file) and ``scan_id`` it
    identifies the mask when it is imported
    again. ``source`` is the display name of the file if not its path: a member of an
    archive. ``parts`` are the other files that the mask is read from.
    ``label`` (of accepted and kept ones, as they come from ``examine``) is uint8 on the scan's
    grid, ``drawn`` its summary. ``matched_by`` says how the scan was found, ``geometry`` how the
    grids were related (``match``, ``drift``, ``flip``, ``crop``, ``resampled``). ``format`` is the
    importer's name. ``rivals`` (hash and key) are the masks from which a rule chose this one, and
    the results of other rules. ``unknown`` are values, class names or colours without a known
    meaning: keys for a class map. ``class_name`` is the single class from the mask's file name;
    ``named``: the file itself names its classes. ``nearest`` are the scans with the most similar
    names, for an unmatched mask. ``minutes`` is how long its author drew, if known, and
    ``minutes_from`` who states it (``file`` or ``manifest``); ``changed`` is when the mask was last
    changed, in seconds since 1970. ``stored`` is
    the result of the caller's ``finish`` for the label.
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
    key: str = ""
    format: str = ""
    source: str = ""
    parts: tuple[Path, ...] = field(default=(), repr=False)
    agreement: tuple[Agreement, ...] = ()
    rivals: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()
    class_name: str = ""
    named: bool = False
    nearest: tuple[str, ...] = ()
    minutes: float | None = None
    minutes_from: str = ""
    changed: float | None = None
    drawn: Drawn | None = field(default=None, repr=False, compare=False)
    stored: Any = field(default=None, repr=False, compare=False)

    @property
    def drawn_at(self) -> str | None:
        """``changed`` as ISO 8601 in UTC; None for a time that no calendar has."""
        if self.changed is None:
            return None
        try:
            return datetime.fromtimestamp(self.changed, UTC).isoformat(timespec="seconds")
        except (OSError, OverflowError, ValueError):
            return None

    @property
    def origin(self) -> str:
        """The mask's origin, as stored with the label."""
        return self.source or str(self.file)

    @property
    def shown(self) -> str:
        """A short display name: the file, and the mask in it if there are many."""
        name = self.origin.rpartition("/")[2]
        return f"{name} [{self.key}]" if self.key else name

    @property
    def sentence(self) -> str:
        """The message as a sentence."""
        return f"{self.message[0].upper()}{self.message[1:]}." if self.message else ""

    @property
    def explanation(self) -> str:
        """The message and its remedy, as sentences."""
        return f"{self.sentence} {self.remedy}" if self.message and self.remedy else self.sentence
