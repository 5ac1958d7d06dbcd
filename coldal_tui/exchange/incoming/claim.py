"""A mask and the scan that it says it belongs to, and the rules by which it is decided on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from coldal_tui.exchange.candidate import Candidate
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.exchange.incoming.names.matching import Match


@dataclass(frozen=True)
class Rules:
    """What the project calls a label, and what the user allows."""

    classes: Sequence[str]
    ignore_value: int | None
    options: ImportOptions = field(default_factory=ImportOptions)


@dataclass(frozen=True)
class Claim:
    """A candidate, the scan that it says it belongs to, and the importer that found it.

    ``warnings`` are what was noticed about it before it was decoded.
    """

    candidate: Candidate
    match: Match
    format: str = ""
    warnings: tuple[str, ...] = ()
