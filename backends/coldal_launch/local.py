"""The local backend: each job a process group of its own that outlives whoever started it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

from coldal_tui.errors import ColdalError
from coldal_tui.files import try_lock
from coldal_tui.jobs.backend import JobHandle
from coldal_tui.jobs.folder import JobFolder

START_TOLERANCE_S = 0.005
KILL_WAIT_S = 5.0


class LocalBackend:
    """Runs jobs on this machine. Output goes to files; nothing depends on the caller's terminal."""

    name = "local"

    def __init__(self) -> None:
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def launch(self, folder: Path) -> JobHandle:
        """Start the worker; it inherits the folder's lock, which is thus held without a gap.

        Raises ColdalError (code ``running``) when a worker of this folder still lives.
        """
        job = JobFolder(folder)
        with job.lock.open("ab") as lock, job.log.open("ab") as log:
            if not try_lock(lock):
                raise ColdalError(
                    "a worker of an earlier attempt still runs this job",
                    where=str(folder),
                    remedy="wait until it has ended, then: coldal-tui jobs retry",
                    code="running",
                )
            descriptor = lock.fileno()
            process = subprocess.Popen(
                # -P: a folder full of outputs is no place to import modules from.
                [sys.executable, "-P", "-m", "coldal_launch.worker", folder, str(descriptor)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
                pass_fds=(descriptor,),
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
        self._children[process.pid] = process
        # A child that has ended already is a zombie, and has its start time still.
        started = start_time(process.pid)
        return JobHandle(
            host=socket.gethostname(), boot_id=boot_id(), pid=process.pid, started=started
        )

    def alive(self, handle: JobHandle) -> bool:
        child = self._children.get(handle.pid)
        if child is not None and child.poll() is not None:
            del self._children[handle.pid]
            return False
        try:
            zombie = psutil.Process(handle.pid).status() == psutil.STATUS_ZOMBIE
            return _is_it(handle) and not zombie
        except psutil.NoSuchProcess:
            return False

    def cancel(self, handle: JobHandle, grace_s: float) -> None:
        members = _members(handle)
        _signal(handle, members, signal.SIGTERM)
        psutil.wait_procs(members, timeout=grace_s)
        deadline = time.monotonic() + KILL_WAIT_S
        # Again and again: one of them may have forked while it was being ended.
        while left := _living({*members, *_members(handle)}):
            if time.monotonic() > deadline:
                break
            _signal(handle, left, signal.SIGKILL)
            psutil.wait_procs(left, timeout=0.5)
        self.alive(handle)


def _is_it(handle: JobHandle) -> bool:
    """Whether the process with the handle's pid is the one that was launched, ended or not."""
    if handle.boot_id != boot_id():
        return False
    return abs(start_time(handle.pid) - handle.started) < START_TOLERANCE_S


def _members(handle: JobHandle) -> list[psutil.Process]:
    """Living processes of the job: its group, and descendants that left the group.

    Where the first process is gone, the group's number still is the job's as long as it has
    members: the system gives it to no other process. Empty when the number is another's now.
    """
    try:
        if not _is_it(handle):
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


def _signal(handle: JobHandle, members: list[psutil.Process], number: signal.Signals) -> None:
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


def start_time(pid: int) -> float:
    """When a process started, in seconds since the boot (Linux) or since the epoch.

    Linux tells ticks since the boot; times since the epoch made from them move whenever the
    clock is set, and a living job would be taken for a stranger. Raises psutil.NoSuchProcess.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            raise psutil.NoSuchProcess(pid) from None
        return float(psutil.Process(pid).create_time())
    # Field 22 (starttime) of proc_pid_stat(5); the name, field 2, may hold blanks.
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def boot_id() -> str:
    """Changes at every boot; made from the boot's time where the system names none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(int(psutil.boot_time()))
