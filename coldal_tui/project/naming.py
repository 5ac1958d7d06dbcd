"""Names of scans in the words of an action: a few by name, of many how many more."""

from __future__ import annotations

from collections.abc import Sequence

_MOST = 8


def listed(names: Sequence[str]) -> str:
    """``a, b, c``; of more than eight, the first ones ``and 12 more``."""
    shown = names if len(names) <= _MOST else names[: _MOST - 1]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")
