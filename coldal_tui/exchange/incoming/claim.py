"""A mask with its matched scan, and the rules of the decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from coldal_tui.exchange.candidate import Candidate
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.exchange.incoming.names.matching import Match


@dataclass(frozen=True)
class Rules:
    """The project's classes, and the options of the import."""

    classes: Sequence[str]
    ignore_value: int | None
    options: ImportOptions = field(default_factory=ImportOptions)


@dataclass(frozen=True)
class Claim:
    """A candidate, its matched scan, and the importer that found it. ``warnings`` were found before

    it was decoded.
    """

    candidate: Candidate
    match: Match
    format: str = ""
    warnings: tuple[str, ...] = ()
