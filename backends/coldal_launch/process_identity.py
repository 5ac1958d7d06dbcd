"""Identifies a job's process: boot id, pid and start time."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import psutil

from coldal_tui.jobs.backend import JobHandle

START_TOLERANCE_S = 0.005


def handle_of(pid: int, devices: tuple[str, ...] = ()) -> JobHandle:
    """The identity of a process of this machine; raises psutil.NoSuchProcess."""
    return JobHandle(
        host=socket.gethostname(),
        boot_id=boot_id(),
        pid=pid,
        started=start_time(pid),
        devices=devices,
    )


def is_it(handle: JobHandle) -> bool:
    """Whether the process with the handle's pid is the one that was launched, ended or not.

    Raises psutil.NoSuchProcess when no process has that pid.
    """
    if handle.boot_id != boot_id():
        return False
    return abs(start_time(handle.pid) - handle.started) < START_TOLERANCE_S


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
