"""What the tests on a Slurm share: waiting, looking at its queue, settings of a project."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from coldal_tui.project.job_rows import get_job
from coldal_tui.project.project import Project
from coldal_tui.scheduler.supervisor import Supervisor

SCANS = 20


def missing_for_slurm() -> str | None:
    """Why there can be no real Slurm here; None when there can."""
    absent = _absent("slurmctld", "slurmd", "munged", "sbatch")
    if absent:
        return f"no {absent} here: apt-get install slurm-wlm munge"
    if find_spec("submitit") is None:
        return "submitit is not installed: make extras"
    return None


def missing_for_accounts() -> str | None:
    """Why a Slurm can keep no accounts here; None when it can."""
    absent = _absent("slurmdbd", "mariadbd", "sacctmgr")
    return f"no {absent} here: apt-get install slurmdbd mariadb-server" if absent else None


def _absent(*programs: str) -> str:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return ", ".join(name for name in programs if shutil.which(name, path=path) is None)


def squeue(fields: str = "%i %T %r") -> list[str]:
    """Slurm's queue as its own command shows it: jobs that wait, run or are just ending."""
    done = subprocess.run(
        ["squeue", "-h", f"--format={fields}"], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def sinfo() -> list[str]:
    """The state of each node."""
    words = ["sinfo", "-h", "--partition=main", "--format=%T"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines()


def until(happened: Callable[[], Any], what: str, seconds: float = 600) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.1)
    return found


def settings(project: Project, **values: Any) -> None:
    """Set keys of [backend.slurm]."""
    with project.layout.config.open("a") as stream:
        stream.write("[backend.slurm]\n")
        stream.writelines(f"{key} = {value}\n" for key, value in values.items())
    project.reload_config()


def finish(supervisor: Supervisor, seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while supervisor.step():
        assert time.monotonic() < deadline, "the jobs don't come to their end"
        time.sleep(0.1)


def step_until(
    supervisor: Supervisor, happened: Callable[[], Any], what: str, seconds: float = 600
) -> None:
    """Let the supervisor look again and again until something has happened."""

    def looked() -> Any:
        supervisor.step()
        return happened()

    until(looked, what, seconds)


def done_in_turn(project: Project, number: int) -> list[str]:
    """The scans that pretended workers of a job have worked on, in that order, twice if twice."""
    text = (get_job(project, number).folder.path / "work.txt").read_text()
    return [line.split()[1] for line in text.splitlines()]


@contextmanager
def hurry() -> Iterator[None]:
    """Meanwhile a job that is queued again starts at once, not after Slurm's own two minutes."""
    over = threading.Event()

    def urge() -> None:
        while not over.wait(0.5):
            for line in squeue("%i %r"):
                number, reason = line.split(maxsplit=1)
                if reason == "BeginTime":
                    # A job that is still being ended can't be changed yet; the next time it can.
                    time.sleep(1)
                    words = ["scontrol", "update", f"JobId={number}", "StartTime=now"]
                    subprocess.run(words, check=False, capture_output=True)

    urging = threading.Thread(target=urge)
    urging.start()
    try:
        yield
    finally:
        over.set()
        urging.join()


def start_daemon(name: str) -> None:
    """Start slurmctld again, with what it knew."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    subprocess.run([str(shutil.which(name, path=path))], check=True)
