"""The protocol of a backend: where jobs run. Implementations are found by entry point."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from coldal_tui.errors import ColdalError

ENTRY_POINT_GROUP = "coldal_tui.backends"


class JobHandle(msgspec.Struct, frozen=True):
    """Identity of a launched job that survives the launcher: checked before any signal.

    ``boot_id`` names the machine's boot, ``started`` is the process's start time (seconds since
    the boot, or since the epoch where the system tells no other: the same clock each time); a pid
    alone could belong to another process by now. ``host`` is for people.
    """

    host: str
    boot_id: str
    pid: int
    started: float


@runtime_checkable
class Backend(Protocol):
    """Runs one job folder at a time: ``spec.json`` in, ``receipt.json`` or ``error.json`` out."""

    name: str

    def launch(self, folder: Path) -> JobHandle:
        """Start the worker for ``folder`` and return at once.

        From then on the folder's lock is held until the worker has ended.
        """

    def alive(self, handle: JobHandle) -> bool:
        """Whether that very process still runs."""

    def cancel(self, handle: JobHandle, grace_s: float) -> None:
        """End the job and everything that it started; returns when nothing is left.

        Of a job that has ended by itself, what it left running is ended.
        """


def load_backend(name: str) -> Backend:
    """The backend called ``name``; ColdalError when none is installed or it fails to load."""
    points = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in points:
        raise ColdalError(
            f"no backend called {name!r}",
            where="coldal.toml, backend.name",
            remedy=f"installed: {', '.join(sorted(points)) or 'none'}",
        )
    try:
        backend = points[name].load()()
    except Exception as error:
        # A backend may be anybody's package; whatever is wrong with it is told, not a crash.
        raise ColdalError(
            f"the backend {name!r} can't be loaded: {type(error).__name__}: {error}",
            where="coldal.toml, backend.name",
            remedy="install what it needs",
        ) from error
    if not isinstance(backend, Backend):
        raise ColdalError(
            f"{name!r} is not a backend: it lacks launch, alive or cancel",
            where="coldal.toml, backend.name",
            remedy="update that package",
        )
    return backend
