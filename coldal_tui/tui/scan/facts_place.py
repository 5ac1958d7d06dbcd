"""The place of a scan's facts: beside its image, below it, or instead of it."""

from __future__ import annotations

from dataclasses import dataclass

BESIDE, BELOW = 68, 26
"""The least columns for facts beside the image; the least rows for facts below it."""
FACTS_LEAST, FACTS_MOST, FACTS_LOW = 26, 44, 8
"""Columns of the facts beside a picture; rows of those below it."""


@dataclass(frozen=True)
class FactsPlace:
    """For a pane of ``width`` by ``height`` cells, and a picture ``widest`` times as wide as high
    (a cell is twice as high as wide).
    """

    width: int
    height: int
    widest: float

    @property
    def name(self) -> str:
        """The place that leaves most room for the image: ``beside``, ``below`` or ``instead``."""
        beside = below = 0.0
        if self.width >= BESIDE:
            beside = min(self.height, (self.width - FACTS_LEAST) / self.widest / 2)
        if self.height >= BELOW:
            below = min(self.height - FACTS_LOW, self.width / self.widest / 2)
        if not beside and not below:
            return "instead"
        return "beside" if beside >= below else "below"

    @property
    def columns(self) -> int:
        """Columns for facts beside the image: those that it does not use."""
        picture = round(2 * self.height * self.widest)
        return max(FACTS_LEAST, min(FACTS_MOST, self.width - picture - 1))

    @property
    def rows(self) -> int:
        """Rows for facts below the image and its legend."""
        picture = round(self.width / self.widest / 2) + 1
        return max(FACTS_LOW, self.height - picture)

    @property
    def line(self) -> int:
        """Columns of one line of facts."""
        return (self.columns if self.name == "beside" else self.width - 1) - 2

    def note(self, *, bare: bool) -> int:
        """Columns of text in place of an image; ``bare``: no facts are shown."""
        beside = self.name == "beside" and not bare
        return max(16, self.width - (self.line if beside else 0) - 6)
