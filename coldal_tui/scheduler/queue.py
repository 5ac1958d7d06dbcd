"""The queue of jobs: submitting, cancelling, retrying, reading. The supervisor runs them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from coldal_tui.errors import UsageError
from coldal_tui.jobs.backend import JobHandle
from coldal_tui.jobs.folder import JobError
from coldal_tui.project.job_rows import (
    CANCELLED,
    ENDED_BADLY,
    FAILED,
    OPEN,
    RUNNING,
    STEP_BACK,
    WAITING,
    Job,
    _job,
    get_job,
    list_jobs,
)
from coldal_tui.project.project import Project
from coldal_tui.project.queue.budget import next_round
from coldal_tui.project.trust_questions import require_trust
from coldal_tui.scheduler.plan_crossfit import measured_by_crossfit
from coldal_tui.scheduler.request import check_device

CROSSFIT_PRIORITY = -1


def submit(
    project: Project,
    kind: str,
    request: Mapping[str, Any] | None = None,
    depends_on: Iterable[int] = (),
    *,
    priority: int = 0,
) -> int:
    """Add a job; it starts when the jobs it depends on are done. Returns its number."""
    _check(project, request or {})
    needed = list(depends_on)
    with project.store.transaction(asked=True):
        for number in needed:
            get_job(project, number)
        return _add(project, kind, request or {}, needed, priority)


def submit_chain(
    project: Project,
    steps: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    picks_round: int | None = None,
) -> list[int]:
    """Add jobs, each depending on the one before, all or none. Returns their numbers.

    ``picks_round`` is the round that the chain selects. A cross-fitting that follows a training is
    no link of the chain, and its number is not among them.

    Raises UsageError when another process has submitted or picked that round meanwhile.
    """
    steps = list(steps)
    for _, request in steps:
        _check(project, request)
    numbers: list[int] = []
    with project.store.transaction(asked=True):
        if picks_round is not None:
            check_selecting(project)
            _check_round(project, picks_round)
        for kind, request in steps:
            numbers.append(_add(project, kind, request, numbers[-1:], 0))
        _add_crossfit(project, steps, numbers)
    return numbers


def _add_crossfit(
    project: Project, steps: Sequence[tuple[str, Mapping[str, Any]]], numbers: Sequence[int]
) -> None:
    """After a training that is measured so: nobody waits for it, and all other jobs come first."""
    for (kind, request), number in zip(steps, numbers, strict=True):
        if kind == "train" and measured_by_crossfit(project):
            wish = {"after": number, "device": request.get("device")}
            _add(project, "crossfit", wish, [number], CROSSFIT_PRIORITY)


def check_selecting(project: Project) -> None:
    """Refuse a second selection while one is open: it would make two rounds."""
    for job in list_jobs(project, OPEN):
        if job.kind == "select":
            raise UsageError(
                f"a selection is under way (job {job.job_id})",
                where=project.name,
                remedy=f"follow it: coldal-tui jobs logs -f {job.job_id}, or end it: "
                f"coldal-tui jobs cancel {job.job_id}",
            )


def _check_round(project: Project, number: int) -> None:
    if next_round(project) != number:
        raise UsageError(
            f"round {number} was picked or taken back meanwhile",
            where=project.name,
            remedy="look at coldal-tui queue, then ask again if it is still wanted",
        )


def _check(project: Project, request: Mapping[str, Any]) -> None:
    check_device(request)
    require_trust(project.layout, project.config)


def _add(
    project: Project, kind: str, request: Mapping[str, Any], depends_on: list[int], priority: int
) -> int:
    store = project.store
    job_id = store.insert(
        "jobs",
        kind=kind,
        request=dict(request),
        status=WAITING,
        depends_on=depends_on,
        folder="",
        backend=project.config.backend.name,
        priority=priority,
        created_at=store.now(),
    )
    folder = project.layout.jobs / f"{job_id:06d}-{kind}"
    store.update("jobs", {"job_id": job_id}, folder=project.layout.relative(folder))
    return job_id


def abandoned(project: Project, kind: str, newest: int = 5) -> list[Job]:
    """The newest jobs of a kind whose work can be continued: cancelled or interrupted.

    A failed job is left out, since its files may be the cause, and so is one whose folder another
    job has taken over.
    """
    rows = project.store.rows(
        "SELECT * FROM jobs AS one WHERE kind = ? AND status IN (?, ?, ?) AND NOT EXISTS "
        "(SELECT 1 FROM jobs WHERE folder = one.folder AND job_id > one.job_id) "
        "ORDER BY job_id DESC LIMIT ?",
        (kind, *ENDED_BADLY, newest),
    )
    jobs = [_job(project, row) for row in rows]
    return [job for job in jobs if job.status != FAILED or (job.error and job.error.code == "disk")]


def take_over(project: Project, job_id: int, earlier: Job) -> None:
    """Give a waiting job the folder of an earlier job, with the work done in it."""
    folder = project.layout.relative(earlier.folder.path)
    with project.store.transaction():
        project.store.update("jobs", {"job_id": job_id}, folder=folder)


def _successor(project: Project, job: Job) -> int | None:
    """The job that has taken over this one's folder."""
    folder = project.layout.relative(job.folder.path)
    found = project.store.value(
        "SELECT max(job_id) FROM jobs WHERE folder = ? AND job_id > ?", (folder, job.job_id)
    )
    return None if found is None else int(found)


def put_first(project: Project, job_id: int) -> Job:
    """Make a waiting job, and the waiting jobs it depends on, start before all others."""
    store = project.store
    with store.transaction(asked=True):
        job = get_job(project, job_id)
        if job.status != WAITING:
            raise UsageError(
                f"the job is {job.status}; only a waiting one can be put first",
                where=f"job {job_id}",
            )
        top = store.value("SELECT max(priority) FROM jobs WHERE status = ?", (WAITING,))
        for number in {job_id, *_needed(project, job, (WAITING,))}:
            store.update("jobs", {"job_id": number}, priority=int(top) + 1)
    return get_job(project, job_id)


def cancel(project: Project, job_id: int) -> Job:
    """Cancel a job: a waiting one ends now, a running one is ended by the supervisor."""
    store = project.store
    with store.transaction(asked=True):
        job = get_job(project, job_id)
        if job.status == WAITING:
            store.update(
                "jobs",
                {"job_id": job_id},
                status=CANCELLED,
                error=_error_json("cancelled before it started", "cancelled"),
                ended_at=store.now(),
                waiting_for=None,
            )
        elif job.status == RUNNING:
            store.update("jobs", {"job_id": job_id}, cancel_asked=1)
    return get_job(project, job_id)


def retry(project: Project, job_id: int) -> Job:
    """Run an ended job again in its own folder, continuing from what is there.

    Jobs that it needs and that ended badly are run again first; those that were cancelled because
    it ended badly wait for it once more.
    """
    store = project.store
    with store.transaction(asked=True):
        job = get_job(project, job_id)
        if job.status not in ENDED_BADLY:
            raise UsageError(
                f"the job is {job.status}; only one that ended badly can be retried",
                where=f"job {job_id}",
            )
        reopened = [job_id, *_needed(project, job, ENDED_BADLY)]
        for number in reopened:
            heir = _successor(project, get_job(project, number))
            if heir is not None:
                raise UsageError(
                    f"job {heir} has taken over its work",
                    where=f"job {number}",
                    remedy=f"coldal-tui jobs show {heir}",
                )
        reopened += _cancelled_dependants(project, set(reopened))
        for number in reopened:
            store.update(
                "jobs",
                {"job_id": number},
                status=WAITING,
                cancel_asked=0,
                error=None,
                ended_at=None,
                handle=None,
                interruptions=0,
            )
    return get_job(project, job_id)


def _needed(project: Project, job: Job, statuses: tuple[str, ...]) -> list[int]:
    """All jobs with one of ``statuses`` that the job depends on, directly or indirectly."""
    found: list[int] = []
    for number in job.depends_on:
        dependency = get_job(project, number)
        if dependency.status in statuses:
            found += [number, *_needed(project, dependency, statuses)]
    return found


def _cancelled_dependants(project: Project, reopened: set[int]) -> list[int]:
    """Numbers of jobs that were cancelled only because one of ``reopened`` failed."""
    found: list[int] = []
    for job in list_jobs(project, (CANCELLED,)):
        of_its_own = job.error is None or job.error.code != "dependency"
        if not of_its_own and reopened & {*job.depends_on}:
            found.append(job.job_id)
            reopened.add(job.job_id)
    return found


def step_back(project: Project, job_id: int) -> None:
    """Ask a running job to make room; the supervisor ends its worker, and it goes on later."""
    with project.store.transaction():
        job = get_job(project, job_id)
        if job.status == RUNNING and not job.cancel_asked:
            project.store.update("jobs", {"job_id": job_id}, cancel_asked=STEP_BACK)


def start(project: Project, job_id: int) -> bool:
    """Mark a waiting job as running; False when it no longer waits (it was cancelled)."""
    store = project.store
    with store.transaction():
        job = get_job(project, job_id)
        if job.status != WAITING:
            return False
        values = {"started_at": store.now(), "attempts": job.attempts + 1, "handle": None}
        set_status(project, job_id, RUNNING, waiting_for=None, **values)
    return True


def note_handle(project: Project, job_id: int, handle: JobHandle) -> None:
    """Record the process, or the cluster's job, that runs this job."""
    with project.store.transaction():
        project.store.update("jobs", {"job_id": job_id}, handle=msgspec.to_builtins(handle))


def put_back(project: Project, job_id: int, reason: str) -> None:
    """Return a job that could not be launched to waiting, without counting an attempt."""
    with project.store.transaction():
        job = get_job(project, job_id)
        if job.status == RUNNING:
            values = {"attempts": job.attempts - 1, "handle": None, "waiting_for": reason}
            set_status(project, job_id, WAITING, **values)


def go_on(project: Project, job_id: int, reason: str, *, interrupted: bool = False) -> None:
    """Return a running job to waiting for its next attempt, which continues its work."""
    with project.store.transaction():
        job = get_job(project, job_id)
        if job.status == RUNNING:
            values: dict[str, Any] = {"handle": None}
            values["interruptions"] = job.interruptions + interrupted
            if job.steps_back:
                values["cancel_asked"] = 0
            set_status(project, job_id, WAITING, waiting_for=reason, **values)


def tell(project: Project, job: Job, reason: str | None) -> None:
    """Record why an open job waits; written only when the reason has changed."""
    if job.waiting_for != reason:
        with project.store.transaction():
            if not get_job(project, job.job_id).ended:
                project.store.update("jobs", {"job_id": job.job_id}, waiting_for=reason)


def end(project: Project, job_id: int, status: str, **values: Any) -> bool:
    """Record how an open job ended; False, with no change, when it had ended before."""
    with project.store.transaction():
        if get_job(project, job_id).ended:
            return False
        set_status(project, job_id, status, cancel_asked=0, **values)
    return True


def set_status(project: Project, job_id: int, status: str, **values: Any) -> None:
    """Set a job's status inside the caller's transaction."""
    if status not in OPEN:
        values |= {"ended_at": project.store.now(), "waiting_for": None}
    project.store.update("jobs", {"job_id": job_id}, status=status, **values)


def error_value(error: JobError) -> dict[str, Any]:
    return {
        "what": error.what,
        "where": error.where,
        "remedy": error.remedy,
        "code": error.code,
    }


def _error_json(what: str, code: str) -> str:
    return json.dumps(error_value(JobError(what, code=code)))
