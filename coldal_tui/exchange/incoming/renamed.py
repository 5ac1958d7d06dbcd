"""Finds scans whose pictures a server renamed: characters removed, a prefix added."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.names import file_stem, same_name

_DROPPED = re.compile(r"[\W_]+")


class RenamedPictures:
    """Finds scans by name, comparing only letters and digits (Label Studio, Roboflow)."""

    def __init__(self, targets: Iterable[ScanTarget]) -> None:
        self._targets = targets
        self._scans: dict[str, set[str]] | None = None

    def find(self, names: Sequence[str]) -> str | None:
        """The single scan for the first name that matches any; None if none or several match."""
        if self._scans is None:
            self._scans = {}
            for target in self._targets:
                for name in target.names:
                    self._scans.setdefault(_bare(name), set()).add(target.scan_id)
        for name in names:
            found = self._scans.get(_bare(name), set())
            if found:
                return next(iter(found)) if len(found) == 1 else None
        return None


def _bare(name: str) -> str:
    return _DROPPED.sub("", same_name(file_stem(name))).casefold()
