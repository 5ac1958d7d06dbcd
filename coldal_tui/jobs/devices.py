"""What a backend's machine has: its GPUs, its processors and memory, and how busy they are."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import psutil

from coldal_tui.errors import ColdalError
from coldal_tui.jobs.backend import load_backend


@dataclass(frozen=True)
class Device:
    """One GPU. ``label`` is its number as nvidia-smi shows it.

    ``free`` and ``total`` are bytes of its memory, ``busy`` the share of the last second in which
    it computed (0 to 1); None where that is not told.
    """

    label: str
    uuid: str
    name: str
    free: int | None
    total: int | None
    busy: float | None


@dataclass(frozen=True)
class Host:
    """This machine: ``busy`` is the share of all processors' time since the look before (None
    where no time has passed); ``used`` and ``total`` are bytes of memory."""

    processors: int
    busy: float | None
    used: int
    total: int


FIRST_LOOK_S = 0.1
"""For so long the first look lasts: before it, nothing is known to compare with."""


class DeviceReader:
    """Reads the state of GPUs, processors and memory. Slow: don't call it from the UI thread."""

    def __init__(self) -> None:
        self._backends: dict[str, Any] = {}
        self._times: tuple[float, float] | None = None

    def devices(self, backend: str) -> tuple[Device, ...]:
        """The GPUs that a backend reports; empty when it reports none or can't be loaded."""
        if backend not in self._backends:
            try:
                self._backends[backend] = load_backend(backend)
            except ColdalError:
                # Jobs that need it say what is wrong with it.
                self._backends[backend] = None
        tell = getattr(self._backends[backend], "devices", None)
        found = tell() if tell is not None else ()
        return tuple(
            Device(one.label, one.uuid, one.name, one.free, one.total, one.busy) for one in found
        )

    def host(self) -> Host:
        memory = psutil.virtual_memory()
        if self._times is None:
            self._times = _processor_times()
            time.sleep(FIRST_LOOK_S)
        before, self._times = self._times, _processor_times()
        idle, total = (now - then for now, then in zip(self._times, before, strict=True))
        busy = max(0.0, 1 - idle / total) if total > 0 else None
        used = memory.total - memory.available
        return Host(psutil.cpu_count() or 1, busy, used, memory.total)


def _processor_times() -> tuple[float, float]:
    """Seconds that the processors were idle, and in all, since the machine was started."""
    times = psutil.cpu_times()
    return times.idle + getattr(times, "iowait", 0.0), sum(times)
