"""The local backend: each job is a process group that outlives the process that started it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import psutil

from coldal_launch import nvml
from coldal_launch.gpu_slots import (
    DEVICE_VARIABLE,
    GPUS_VARIABLE,
    NICE_VARIABLE,
    VISIBLE_VARIABLE,
    Place,
    find_place,
    slots_folder,
)
from coldal_launch.nvml import Gpu
from coldal_launch.process_identity import START_TOLERANCE_S, boot_id, handle_of, is_it, start_time
from coldal_tui.errors import ColdalError
from coldal_tui.files import try_lock
from coldal_tui.jobs.backend import Ask, JobHandle, Running, Wait
from coldal_tui.jobs.folder import JobFolder

KILL_WAIT_S = 5.0
LOOK_S = 3.0
"""For so long an answer of NVML counts as now while a job waits; before a launch it is asked."""


class LocalBackend:
    """Runs jobs on this machine. Output goes to files; nothing depends on the caller's terminal."""

    name = "local"

    def __init__(
        self,
        gpus: Callable[[], tuple[Gpu, ...] | None] = nvml.gpus,
        slots: Callable[[], Path] = slots_folder,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._gpus = gpus
        self._slots = slots
        self._clock = clock
        self._seen: tuple[float, tuple[Gpu, ...] | None] | None = None

    def room(self, ask: Ask, running: Sequence[Running]) -> Wait | None:
        place = self._place(ask, running, self._recent())
        if isinstance(place, Wait):
            return place
        place.close()
        return None

    def launch(self, folder: Path, ask: Ask, running: Sequence[Running]) -> JobHandle | Wait:
        """Start the worker; it inherits the folder's lock, which is thus held without a gap.

        Raises ColdalError (code ``running``) when a worker of this folder still lives.
        """
        # The free memory as it is now, not as it was at the last look.
        self._seen = None
        place = self._place(ask, running, self._recent())
        if isinstance(place, Wait):
            return place
        with contextlib.closing(place):
            return self._start(JobFolder(folder), place, int(ask.settings.get("nice", 0)))

    def find(self, folder: Path) -> JobHandle | None:
        """The identity that the worker wrote when it started."""
        return JobFolder(folder).handle()

    def alive(self, handle: JobHandle) -> bool:
        child = self._children.get(handle.pid)
        if child is not None and child.poll() is not None:
            # Two threads may ask at once while a job is being ended.
            self._children.pop(handle.pid, None)
            return False
        try:
            zombie = psutil.Process(handle.pid).status() == psutil.STATUS_ZOMBIE
            return is_it(handle) and not zombie
        except psutil.NoSuchProcess:
            return False

    def waits(self, handle: JobHandle) -> str | None:
        """Whether the worker is stopped by a signal (SIGSTOP)."""
        try:
            stopped = psutil.Process(handle.pid).status() == psutil.STATUS_STOPPED
            if not stopped or not is_it(handle):
                return None
        except psutil.NoSuchProcess:
            return None
        return f"stopped by a signal; kill -CONT {handle.pid} lets it go on"

    def devices(self) -> tuple[Gpu, ...]:
        """The GPUs of this machine as they are now, for people to look at."""
        return self._gpus() or ()

    def driver(self) -> str | None:
        """The version of the GPUs' driver."""
        return nvml.driver()

    def cancel(self, handle: JobHandle, grace_s: float) -> None:
        members = _members(handle)
        _signal(members, signal.SIGTERM)
        # A stopped process hears of no signal but the last one.
        _signal(members, signal.SIGCONT)
        psutil.wait_procs(members, timeout=grace_s)
        deadline = time.monotonic() + KILL_WAIT_S
        # Again and again: one of them may have forked while it was being ended.
        while left := _living({*members, *_members(handle)}):
            if time.monotonic() > deadline:
                break
            _signal(left, signal.SIGKILL)
            psutil.wait_procs(left, timeout=0.5)
        self.alive(handle)

    def _recent(self) -> tuple[Gpu, ...] | None:
        now = self._clock()
        if self._seen is None or now - self._seen[0] >= LOOK_S:
            self._seen = now, self._gpus()
        return self._seen[1]

    def _place(
        self, ask: Ask, running: Sequence[Running], gpus: tuple[Gpu, ...] | None
    ) -> Place | Wait:
        return find_place(ask, running, gpus, self._slots, os.environ.get(VISIBLE_VARIABLE))

    def _start(self, job: JobFolder, place: Place, nice: int) -> JobHandle:
        with job.lock.open("ab") as lock, job.log.open("ab") as log:
            if not _lock_soon(lock):
                raise ColdalError(
                    "a worker of an earlier attempt still runs this job",
                    where=str(job.path),
                    remedy="wait until it has ended, then: coldal-tui jobs retry",
                    code="running",
                )
            process = subprocess.Popen(
                # -P: a folder full of outputs is no place to import modules from.
                [sys.executable, "-P", "-m", "coldal_launch.worker", job.path, *_held(lock, place)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=job.path,
                start_new_session=True,
                pass_fds=(lock.fileno(), *(slot.fileno() for slot in place.locks)),
                env=_environment(place, nice),
            )
        self._children[process.pid] = process
        # A child that has ended already is a zombie, and has its start time still.
        return handle_of(process.pid, tuple(gpu.uuid for gpu in place.gpus))


def _lock_soon(lock: IO[bytes]) -> bool:
    """Take a job's lock. A killed worker is gone before the last of its threads lets go of it."""
    deadline = time.monotonic() + KILL_WAIT_S
    while not try_lock(lock):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _held(lock: IO[bytes], place: Place) -> list[str]:
    """The descriptors that the worker inherits: the folder's lock, then its slots."""
    return [str(lock.fileno()), *(str(slot.fileno()) for slot in place.locks)]


def _environment(place: Place, nice: int) -> dict[str, str]:
    ours = (DEVICE_VARIABLE, GPUS_VARIABLE)
    inherited = {name: value for name, value in os.environ.items() if name not in ours}
    own = {"PYTHONUNBUFFERED": "1", NICE_VARIABLE: str(nice)}
    return inherited | own | place.environment


def _members(handle: JobHandle) -> list[psutil.Process]:
    """Living processes of the job: its group, and descendants that left the group.

    Where the first process is gone, the group's number still is the job's as long as it has
    members: the system gives it to no other process. Empty when the number is another's now.
    """
    try:
        if not is_it(handle):
            return []
        descendants = psutil.Process(handle.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        if handle.boot_id != boot_id():
            return []
        descendants = []
    group = [one for one in group_members(handle.pid) if _since(one, handle)]
    return _living({*group, *descendants})


def _since(process: psutil.Process, handle: JobHandle) -> bool:
    """Whether a member of the group is of the job's session, and not older than the job."""
    try:
        return (
            os.getsid(process.pid) == handle.pid
            and start_time(process.pid) >= handle.started - START_TOLERANCE_S
        )
    except (ProcessLookupError, psutil.NoSuchProcess, PermissionError):
        return False


def _living(processes: set[psutil.Process]) -> list[psutil.Process]:
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _signal(members: list[psutil.Process], number: signal.Signals) -> None:
    """Signal each member; psutil checks that a pid is still the same process."""
    for process in members:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.send_signal(number)


def group_members(group: int) -> list[psutil.Process]:
    """Living processes of a process group (a session leader's children included)."""
    members = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess, PermissionError):
            continue
    return members
