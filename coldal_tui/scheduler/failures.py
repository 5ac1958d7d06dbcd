"""Builds the error that is recorded for a failed job."""

from __future__ import annotations

import contextlib
import traceback
from pathlib import Path

import apsw

from coldal_tui.errors import ColdalError
from coldal_tui.files import disk_error
from coldal_tui.jobs.folder import JobError
from coldal_tui.project.job_rows import Job
from coldal_tui.project.project import Project


def failure(error: Exception, project: Project) -> JobError:
    """The error of a failed job. An error of the database itself is raised again."""
    if isinstance(error, (apsw.BusyError, apsw.LockedError)) or _of_the_database(error, project):
        raise error
    if isinstance(error, ColdalError):
        return JobError(error.what, error.where, error.remedy, error.code)
    if isinstance(error, OSError):
        where = str(error.filename or project.layout.jobs)
        told = disk_error(error, Path(where))
        return JobError(told.what, told.where, told.remedy, told.code)
    with contextlib.suppress(OSError):
        traceback.print_exception(error)
    what = f"it could not be started or taken in: {type(error).__name__}: {error}"
    return JobError(what, str(project.layout.supervisor_log), "this is a defect", "defect")


def _of_the_database(error: Exception, project: Project) -> bool:
    """Whether the database is busy, read-only or on a full disk; running jobs continue."""
    if not isinstance(error, ColdalError):
        return False
    return error.code in ("busy", "other-host") or error.where == str(project.store.path)


def interruption(job: Job, how: str) -> JobError:
    """The error of a worker that stopped without a receipt and without being cancelled."""
    tail = [line for line in job.folder.log_tail() if line.strip()]
    return JobError(
        f"the worker {how} (killed, or the machine went down)"
        + (f"; last line of its log: {tail[-1]}" if tail else ""),
        str(job.folder.log),
        f"coldal-tui jobs retry {job.job_id} goes on from where it was",
        "interrupted",
    )


def memory_kills() -> int:
    """Processes that the kernel killed for lack of memory since boot; 0 when unknown."""
    found = 0
    for file in ("/proc/vmstat", "/sys/fs/cgroup/memory.events"):
        with contextlib.suppress(OSError, ValueError):
            for line in Path(file).read_text().splitlines():
                key, _, value = line.partition(" ")
                found += int(value) if key == "oom_kill" else 0
    return found


def dependency_error(broken: Job) -> JobError:
    """Why a job can't start: the first failed job, not the chain between."""
    if broken.error is not None and broken.error.code == "dependency":
        return broken.error
    what = f"{broken.name}, which it needs, {broken.status}"
    if broken.error is None:
        return JobError(what, code="dependency")
    return JobError(
        f"{what}: {broken.error.what}", broken.error.where, broken.error.remedy, "dependency"
    )
