"""A file that names the one host that may write to a project on a network file system.

Locks shared by several hosts are not reliable there (https://sqlite.org/faq.html#q5).
"""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path

from coldal_tui.errors import ColdalError
from coldal_tui.files import atomic_write

LEASE_S = 90.0
"""So long after its last sign a host still counts as the one that writes."""
RENEW_S = 20.0


class WritingHost:
    """The claim of this process's host to be the only writer; ``claim`` before every write.

    Times are the file server's, because the clocks of the hosts may differ.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self._claimed: float | None = None

    def claim(self) -> None:
        """Become the writing host; ColdalError (code ``other-host``) while another host is it."""
        now = self._clock()
        if self._claimed is not None and now - self._claimed < RENEW_S:
            return
        here = socket.gethostname()
        other = self._host()
        if other not in (None, here) and (age := self._age()) < LEASE_S:
            raise self._held(str(other), age)
        content = json.dumps({"host": here}).encode()
        atomic_write(self._file, lambda stream: stream.write(content))
        if (winner := self._host()) != here:
            # Two hosts claimed it at the same moment.
            raise self._held(str(winner), 0.0)
        self._claimed = now

    def _host(self) -> str | None:
        try:
            return str(json.loads(self._file.read_bytes())["host"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _age(self) -> float:
        """Seconds since the file was written, by the clock of its file server."""
        probe = self._file.with_name(f".{self._file.name}.{secrets.token_hex(6)}.tmp")
        try:
            probe.touch()
            return probe.stat().st_mtime - self._file.stat().st_mtime
        except FileNotFoundError:
            return LEASE_S
        finally:
            probe.unlink(missing_ok=True)

    def _held(self, host: str, age: float) -> ColdalError:
        return ColdalError(
            f"the host {host} writes to this project (last sign {max(0.0, age):.0f} s ago), and "
            "on a network file system only one host at a time may",
            where=str(self._file.parent),
            remedy=f"work on {host}, or wait until {LEASE_S:.0f} s after its last job; "
            "coldal-tui open --readonly reads from here",
            code="other-host",
        )
