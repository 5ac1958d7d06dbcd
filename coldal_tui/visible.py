"""Names from outside made safe to print: what would steer a terminal is shown as an escape."""

from __future__ import annotations

import re

# C0 and C1 controls, marks that turn the writing direction, bytes that are no UTF-8 (surrogates).
_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: object, keep: str = "") -> str:
    r"""``text`` with control characters as ``\x1b``, ``\n`` or ``\u202e``; those in ``keep`` stay.

    A file name may hold any character but ``/`` and NUL: printed as it is, it could move the
    cursor, set colours, or forge a line of output.
    """
    return _STEERING.sub(lambda m: m[0] if m[0] in keep else _escape(m[0]), str(text))


def _escape(character: str) -> str:
    return ascii(character)[1:-1]
