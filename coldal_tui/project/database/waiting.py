"""Waits while another process holds the database, and says which process that is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from coldal_tui.visible import visible

TELL_S = 2.0
"""A wait that is longer than this is told, with its reason."""
_STEPS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
_LOCKS = Path("/proc/locks")
_WAL_WRITE_LOCK = 120
"""The byte of the -shm file that a writer locks (SQLite, WAL file format, 2.3)."""


class Waiting:
    """SQLite's busy handler: gives up after ``limit_s`` seconds, with None never.

    ``told`` gets the reason once a wait, after ``TELL_S``; without it nothing is said.
    """

    def __init__(
        self,
        path: Path,
        limit_s: float | None,
        told: Callable[[str], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._path = path
        self._limit_s = limit_s
        self._told = told
        self._clock = clock
        self._sleep = sleep
        self._since = 0.0
        self._said = False

    def __call__(self, tried: int) -> bool:
        """Whether to try again; ``tried`` is how often that was said before in this wait."""
        now = self._clock()
        if tried == 0:
            self._since, self._said = now, False
        waited = now - self._since
        if self._limit_s is not None and waited >= self._limit_s:
            return False
        if self._told is not None and not self._said and waited >= TELL_S:
            self._said = True
            who = holder(self._path) or "another process"
            self._told(f"waiting for the project's database: {who} holds it; Ctrl-C ends the wait")
        self._sleep(_STEPS_S[min(tried, len(_STEPS_S) - 1)])
        return True


def holder(path: Path, locks: Path = _LOCKS) -> str | None:
    """Which other process of this machine holds the database, in words; None where not known.

    It is read from the system's list of locks (Linux): opening the file to ask would, on closing,
    drop the locks that this process has on it.
    """
    shared = path.with_name(f"{path.name}-shm")
    pid = _writer(locks, path, None) or _writer(locks, shared, _WAL_WRITE_LOCK)
    return None if pid is None or pid == os.getpid() else _described(pid)


def _writer(locks: Path, file: Path, byte: int | None) -> int | None:
    """The process with a write lock on ``file``, on that byte or on any; None without one."""
    try:
        found = file.stat()
        lines = locks.read_text("ascii").splitlines()
    except OSError:
        return None
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for line in lines:
        # 3: POSIX  ADVISORY  WRITE 4711 08:01:131075 120 120; with -> a process that waits.
        words = line.split()
        if len(words) != 8 or words[1] == "->" or words[3] != "WRITE" or words[5] != device:
            continue
        last = float("inf") if words[7] == "EOF" else int(words[7])
        if byte is None or int(words[6]) <= byte <= last:
            return int(words[4])
    return None


def _described(pid: int) -> str:
    """``process 4711 (coldal-tui index)``; a process of another container has no number here."""
    import psutil

    try:
        process = psutil.Process(pid)
        words, status = process.cmdline(), process.status()
    except (psutil.Error, ValueError):
        return "a process of another user or container" if pid <= 0 else f"process {pid}"
    told = f"process {pid} ({visible(_command(words) or process.name())})"
    if status == psutil.STATUS_STOPPED:
        return f"{told}, which is stopped (kill -CONT {pid} lets it go on),"
    return told


def _command(words: Sequence[str]) -> str:
    """The program and its first word: ``coldal-tui index`` of a Python that runs it."""
    for number, word in enumerate(words):
        name = Path(word).name
        if name in ("coldal-tui", "coldal_tui"):
            return " ".join(["coldal-tui", *words[number + 1 : number + 2]])
        if name.startswith("coldal_"):
            return name
    return Path(words[0]).name if words else ""
