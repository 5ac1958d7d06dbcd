"""Submits jobs and waits for them, for the command line and the app."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from coldal_tui.errors import ColdalError
from coldal_tui.jobs.folder import Progress
from coldal_tui.project.job_rows import DONE, OPEN, WAITING, Job, get_job, list_jobs
from coldal_tui.project.project import Project
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.supervisor import ensure_supervisor, supervisor_running

MOST_RESTARTS = 3
Watcher = Callable[[Job, Progress | None], None]


def submit_chain(
    project: Project,
    steps: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    picks_round: int | None = None,
) -> list[int]:
    """Submit steps (see ``queue.submit_chain``), and start a supervisor if none runs."""
    numbers = queue.submit_chain(project, steps, picks_round=picks_round)
    ensure_supervisor(project.layout)
    return numbers


def revive(project: Project) -> None:
    """Start a supervisor when jobs are open and none runs (the last one was killed).

    Whoever may not write here only looks.
    """
    if not os.access(project.layout.state, os.W_OK):
        return
    if list_jobs(project, OPEN) and not supervisor_running(project.layout):
        ensure_supervisor(project.layout)


def wait_for(
    project: Project, numbers: Iterable[int], watch: Watcher, poll_s: float = 0.1
) -> list[Job]:
    """Wait for jobs in order until each has ended; ``watch`` is called at every progress change.

    Raises ColdalError of the first job that did not end well.
    """
    ended = []
    for number in numbers:
        checked, restarts = time.monotonic(), 0
        while True:
            job = get_job(project, number)
            watch(job, job.folder.progress() if job.status != WAITING else None)
            if job.ended:
                break
            if time.monotonic() - checked > 5:
                checked = time.monotonic()
                if supervisor_running(project.layout):
                    restarts = 0
                else:
                    restarts += 1
                    ensure_supervisor(project.layout)
                if restarts > MOST_RESTARTS:
                    raise ColdalError(
                        "the supervisor keeps ending before the job does",
                        where=str(project.layout.supervisor_log),
                        remedy="see that log; coldal-tui doctor checks the project",
                    )
            time.sleep(poll_s)
        if job.status != DONE:
            raise job_failure(job)
        ended.append(job)
    return ended


def job_failure(job: Job) -> ColdalError:
    """The error of a failed job, with the name of its log."""
    if job.error is None:
        return ColdalError(
            f"{job.kind} {job.status}", where=str(job.folder.log), remedy="see the log"
        )
    return ColdalError(
        f"{job.kind}: {job.error.what}",
        where=job.error.where or f"job {job.job_id}, log {job.folder.log}",
        remedy=job.error.remedy or f"see {job.folder.log}",
        code=job.error.code,
    )
