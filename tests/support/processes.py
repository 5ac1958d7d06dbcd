"""Finding, watching and killing the processes of one project's jobs in tests."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from coldal_tui.project.job_rows import Job, get_job
from coldal_tui.project.project import Project

PRETENDED = Path(__file__).with_name("pretended")


def until(happened: Callable[[], bool], what: str, seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def processes_of(project: Project) -> list[psutil.Process]:
    """Every living process that names the project's folder, or works in it."""
    root = str(project.root)
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            inside = process.cwd().startswith(root) or any(root in w for w in process.cmdline())
            if inside and process.pid != psutil.Process().pid:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def supervisors(project: Project) -> list[psutil.Process]:
    return [one for one in processes_of(project) if _runs(one, "coldal_tui.scheduler.supervisor")]


def workers(project: Project) -> list[psutil.Process]:
    """Workers, without the processes that they have started."""
    found = [one for one in processes_of(project) if _runs(one, "coldal_launch.worker")]
    return [one for one in found if one.pid == _group(one)]


def _runs(process: psutil.Process, module: str) -> bool:
    try:
        return module in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def _group(process: psutil.Process) -> int:
    import os

    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return -1


def ended(project: Project, number: int, seconds: float = 600) -> Job:
    until(lambda: get_job(project, number).ended, f"the end of job {number}", seconds)
    return get_job(project, number)


@contextmanager
def nothing_left(project: Project) -> Iterator[None]:
    """Afterwards no process of the project may be left; whatever the test did, none is."""
    try:
        yield
        until(lambda: not processes_of(project), f"an end of {processes_of(project)}", 20)
    finally:
        for process in processes_of(project):
            process.kill()
