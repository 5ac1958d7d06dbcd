"""For processes that must not outlive the one that started them."""

from __future__ import annotations

import ctypes
import signal
import sys

_PDEATHSIG = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def end_with_parent() -> None:
    """Have Linux end this process with the one that started it (prctl(2)).

    That one may have ended before: see afterwards whether it still is the parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PDEATHSIG, signal.SIGKILL)
