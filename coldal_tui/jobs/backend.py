"""The protocol of a backend: where jobs run. Implementations are found by entry point."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec

from coldal_tui import plugins
from coldal_tui.errors import ColdalError


class JobHandle(msgspec.Struct, frozen=True):
    """Identity of a launched job that survives the launcher: checked before any signal.

    ``boot_id`` names the machine's boot, ``started`` is the process's start time (seconds since
    the boot, or since the epoch where the system tells no other: the same clock each time); a pid
    alone could belong to another process by now. ``host`` is for people.

    A job that a scheduler of its own runs (Slurm, Ray) has that scheduler's number for it in
    ``native_id``, and 0 as pid; whether it is alive, the scheduler alone knows.
    ``devices`` are the UUIDs of the GPUs that the job holds; empty for one on the CPU.
    """

    host: str
    boot_id: str
    pid: int
    started: float
    native_id: str = ""
    devices: tuple[str, ...] = ()


ALL_GPUS = -1


class Ask(msgspec.Struct, frozen=True):
    """What a job asks of a backend.

    ``device`` is ``cpu``, ``auto`` (a GPU where there is one), ``cuda`` (any GPU) or ``cuda:N``;
    ``gpus`` is how many, where it is a GPU, or ``ALL_GPUS`` that can be used. ``settings`` is the
    table ``[backend]`` of coldal.toml with its defaults, in JSON types.
    """

    kind: str
    device: str = "cpu"
    gpus: int = 1
    settings: dict[str, Any] = {}


class Running(msgspec.Struct, frozen=True):
    """A job of this project that the backend runs now; ``name`` is for people."""

    name: str
    handle: JobHandle


class Wait(msgspec.Struct, frozen=True):
    """Not yet; ``reason`` is shown ("GPU 0 is held by others: 2.1 of 80 GB free")."""

    reason: str


@runtime_checkable
class Backend(Protocol):
    """Runs job folders: ``spec.json`` in, ``receipt.json`` or ``error.json`` out.

    Every method is called by one supervisor, from one thread but for ``cancel``; none may raise
    anything but ColdalError, and none may take long.
    """

    name: str

    def room(self, ask: Ask, running: Sequence[Running]) -> Wait | None:
        """Whether such a job could start now: asked often, before its work is planned."""

    def launch(self, folder: Path, ask: Ask, running: Sequence[Running]) -> JobHandle | Wait:
        """Start the worker for ``folder`` and return at once, or say what it has to wait for.

        A backend with its own queue (Slurm, Ray) never returns ``Wait``: it returns a handle,
        and ``waits`` says what the job waits for there.

        Raises ColdalError when waiting would not help.
        """

    def find(self, folder: Path) -> JobHandle | None:
        """The handle of a launched job whose launcher died before it could note it.

        None when there is none (yet): then the job counts as ended as soon as nobody holds the
        folder's lock.
        """

    def alive(self, handle: JobHandle) -> bool:
        """Whether exactly this job still runs, or waits in the backend's own queue."""

    def waits(self, handle: JobHandle) -> str | None:
        """What a launched job still waits for in the backend's own queue; None when it runs."""

    def cancel(self, handle: JobHandle, grace_s: float) -> None:
        """End the job and everything that it started; returns when nothing is left.

        Also ends processes that a finished job has left running.
        """


def load_backend(name: str) -> Backend:
    """The backend called ``name``; ColdalError when none is installed or it fails to load."""
    entries = plugins.entries(plugins.BACKEND)
    if name not in entries:
        raise ColdalError(
            f"no backend called {name!r}",
            where="coldal.toml, backend.name",
            remedy=f"installed: {', '.join(entries) or 'none'}",
        )
    return plugins.load(plugins.BACKEND, entries[name], as_backend)


def as_backend(loaded: object) -> Backend:
    """The backend that a plug-in's class makes; TypeError where it lacks something."""
    backend = loaded() if callable(loaded) else loaded
    if not isinstance(backend, Backend):
        raise TypeError(f"it is no backend: it lacks {', '.join(_lacking(backend))}")
    return backend


def _lacking(backend: object) -> list[str]:
    wanted = ("name", "room", "launch", "find", "alive", "waits", "cancel")
    return [name for name in wanted if not hasattr(backend, name)]
