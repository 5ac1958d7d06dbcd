"""Ends a process together with the process that started it."""

from __future__ import annotations

import ctypes
import signal
import sys

_PDEATHSIG = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def end_with_parent() -> None:
    """Ask Linux to end this process when its parent ends (prctl(2)).

    That one may have ended before: see afterwards whether it still is the parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PDEATHSIG, signal.SIGKILL)
