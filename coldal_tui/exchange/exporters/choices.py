"""What people choose about an export: which slices of a volume a 2-D tool gets."""

from __future__ import annotations

import re
from dataclasses import dataclass

from coldal_tui.errors import UsageError


@dataclass(frozen=True)
class SliceChoice:
    """Every ``every``-th slice of a volume, the middle one among them."""

    every: int = 1

    @staticmethod
    def parse(text: str) -> SliceChoice:
        """Read ``all`` or ``every:N``.

        Raises
        ------
        UsageError : neither.
        """
        word = text.strip().lower()
        if word == "all":
            return SliceChoice()
        found = re.fullmatch(r"every:([1-9][0-9]{0,4})", word)
        if found is None:
            raise UsageError(
                f"no choice of slices is called {text!r}",
                remedy="Use all or every:N, such as every:5.",
                code="slices",
            )
        return SliceChoice(int(found[1]))

    def indices(self, count: int) -> range:
        """The slices of ``count`` that are shown, ascending."""
        return range((count // 2) % self.every, count, self.every)
