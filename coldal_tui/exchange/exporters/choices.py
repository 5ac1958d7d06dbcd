"""User options of an export: which slices of a volume are exported to 2-D tools."""

from __future__ import annotations

import re
from dataclasses import dataclass

from coldal_tui.errors import UsageError


@dataclass(frozen=True)
class SliceChoice:
    """Every ``every``-th slice of a volume, including the middle one."""

    every: int = 1

    @staticmethod
    def parse(text: str) -> SliceChoice:
        """Read ``all`` or ``every:N``.

        Raises
        ------
        UsageError : it is neither.
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
        """Indices of the chosen slices out of ``count``, ascending."""
        return range((count // 2) % self.every, count, self.every)
