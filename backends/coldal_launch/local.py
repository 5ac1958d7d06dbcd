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

from coldal_tui.jobs.backend import JobHandle

START_TOLERANCE_S = 0.05


class LocalBackend:
    """Runs jobs on this machine. Output goes to files; nothing depends on the caller's terminal."""

    name = "local"

    def __init__(self) -> None:
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def launch(self, folder: Path) -> JobHandle:
        with (folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "coldal_launch.worker", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
        self._children[process.pid] = process
        try:
            started = psutil.Process(process.pid).create_time()
        except psutil.NoSuchProcess:
            started = time.time()
        return JobHandle(
            host=socket.gethostname(), boot_id=boot_id(), pid=process.pid, started=started
        )

    def alive(self, handle: JobHandle) -> bool:
        child = self._children.get(handle.pid)
        if child is not None and child.poll() is not None:
            del self._children[handle.pid]
            return False
        return self._process(handle) is not None

    def cancel(self, handle: JobHandle, grace_s: float) -> None:
        if self._process(handle) is None:
            return
        group = handle.pid
        members = group_members(group)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGTERM)
        _, left = psutil.wait_procs(members, timeout=grace_s)
        if left or group_members(group):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            psutil.wait_procs(left, timeout=5)
        self.alive(handle)

    def _process(self, handle: JobHandle) -> psutil.Process | None:
        if handle.host != socket.gethostname() or handle.boot_id != boot_id():
            return None
        try:
            process = psutil.Process(handle.pid)
            same = abs(process.create_time() - handle.started) < START_TOLERANCE_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


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


def boot_id() -> str:
    """Changes at every boot; empty where the system names none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(int(psutil.boot_time()))
