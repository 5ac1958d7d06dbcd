"""Words for people: names made safe to print, counts with their noun, lists cut short."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

# C0 and C1 controls, marks that turn the writing direction, bytes that are no UTF-8 (surrogates).
_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


class _Through:
    """What every text for people passes in this process: the redactor of ``--redact``, or none."""

    change: Callable[[str], str] | None = None


def show_through(change: Callable[[str], str] | None) -> None:
    """Let every text that :func:`visible` answers pass ``change`` first."""
    _Through.change = change


def is_changed() -> bool:
    """Whether what is shown may differ from what it is."""
    return _Through.change is not None


def visible(text: object, keep: str = "") -> str:
    r"""``text`` with control characters as ``\x1b``, ``\n`` or ``\u202e``; those in ``keep`` stay.

    A file name may hold any character but ``/`` and NUL: printed as it is, it could move the
    cursor, set colours, or forge a line of output. With ``--redact`` names are pseudonyms. For
    what is stored rather than shown: :func:`escaped`.
    """
    change = _Through.change
    return escaped(text if change is None else change(str(text)), keep)


def escaped(text: object, keep: str = "") -> str:
    """Like :func:`visible`, but the same whether names are hidden or not."""
    return _STEERING.sub(lambda m: m[0] if m[0] in keep else _escape(m[0]), str(text))


def counted(count: int, noun: str, many: str | None = None) -> str:
    """``1 scan``, ``2,114 scans``; ``many`` is the plural where it takes no s."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def listed(names: Sequence[str], most: int = 8) -> str:
    """``a, b, c``; of more than ``most`` names, the first ones ``and 12 more``."""
    shown = names if len(names) <= most else names[: most - 1]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def _escape(character: str) -> str:
    return ascii(character)[1:-1]
