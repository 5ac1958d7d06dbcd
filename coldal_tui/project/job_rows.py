"""Jobs as rows of the database."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from coldal_tui.errors import UsageError
from coldal_tui.jobs.folder import JobError, JobFolder
from coldal_tui.project.database.store import Row
from coldal_tui.project.project import Project

WAITING, RUNNING, DONE = "waiting", "running", "done"
FAILED, CANCELLED, INTERRUPTED = "failed", "cancelled", "interrupted"
OPEN = (WAITING, RUNNING)
CANCEL, STEP_BACK = 1, 2
"""Values of the column ``cancel_asked``: end for good, or make room and go on later."""
ENDED_BADLY = (FAILED, CANCELLED, INTERRUPTED)


@dataclass(frozen=True)
class Job:
    """One row of the job table. ``result`` is the committed receipt's summary.

    ``waiting_for`` says why an open job doesn't run yet; None when it runs. Waiting jobs with
    higher ``priority`` start first, then those with lower numbers. ``interruptions`` counts
    interruptions after which the job was retried automatically. ``steps_back``: a running job that
    was asked to make room for others; it goes on later.
    """

    job_id: int
    kind: str
    status: str
    request: dict[str, Any]
    depends_on: tuple[int, ...]
    folder: JobFolder
    backend: str
    handle: dict[str, Any] | None
    attempts: int
    cancel_asked: bool
    error: JobError | None
    result: dict[str, Any]
    created_at: str
    started_at: str | None
    ended_at: str | None
    priority: int = 0
    waiting_for: str | None = None
    interruptions: int = 0
    steps_back: bool = False

    @property
    def name(self) -> str:
        """The job's name in messages: ``job 12 (train)``."""
        return f"job {self.job_id} ({self.kind})"

    @property
    def ended(self) -> bool:
        return self.status not in OPEN


def get_job(project: Project, job_id: int) -> Job:
    row = project.store.row("SELECT * FROM jobs WHERE job_id = ?", (job_id,))
    if row is None:
        raise UsageError(
            "no such job", where=f"job {job_id}", remedy="coldal-tui jobs list shows them"
        )
    return _job(project, row)


def list_jobs(
    project: Project, statuses: Iterable[str] | None = None, *, newest: int | None = None
) -> list[Job]:
    """Jobs by number, optionally only some statuses; ``newest`` keeps only the last ones."""
    wanted = None if statuses is None else tuple(statuses)
    among = "" if wanted is None else f"WHERE status IN ({', '.join('?' * len(wanted))})"
    rows = project.store.rows(
        f"SELECT * FROM (SELECT * FROM jobs {among} ORDER BY job_id DESC LIMIT ?) ORDER BY job_id",
        (*(wanted or ()), newest if newest is not None else -1),
    )
    return [_job(project, row) for row in rows]


def _job(project: Project, row: Row) -> Job:
    error = json.loads(row["error"]) if row["error"] else None
    return Job(
        job_id=row["job_id"],
        kind=row["kind"],
        status=row["status"],
        request=json.loads(row["request"]),
        depends_on=tuple(json.loads(row["depends_on"])),
        folder=JobFolder(project.job_folder(row["folder"])),
        backend=row["backend"],
        handle=json.loads(row["handle"]) if row["handle"] else None,
        attempts=row["attempts"],
        cancel_asked=row["cancel_asked"] == CANCEL,
        steps_back=row["cancel_asked"] == STEP_BACK,
        error=JobError(**error) if error else None,
        result=json.loads(row["result"]) if row["result"] else {},
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        priority=row["priority"],
        waiting_for=row["waiting_for"],
        interruptions=row["interruptions"],
    )


READING = "reading"
"""How the message of a job begins while it reads its input."""


@dataclass(frozen=True)
class JobState:
    """One job and its progress (``fraction`` 0 to 1, None when unknown).

    ``folder`` is its absolute folder; ``at`` the time of its last progress report (seconds since
    the epoch).
    """

    job_id: int
    kind: str
    status: str
    fraction: float | None
    message: str
    error: str | None
    created_at: str
    ended_at: str | None
    folder: str = ""
    at: float | None = None
    started_at: str | None = None

    @property
    def reads(self) -> bool:
        """Whether it still reads its input: its fraction is no measure of its work."""
        return self.message.startswith(READING)


def job_state(job: Job) -> JobState:
    progress = job.folder.progress() if job.status in OPEN else None
    return JobState(
        job_id=job.job_id,
        kind=job.kind,
        status=job.status,
        fraction=progress.fraction if progress else None,
        message=progress.message if progress else "",
        error=job.error.what if job.error else None,
        created_at=job.created_at,
        ended_at=job.ended_at,
        folder=str(job.folder.path),
        at=progress.at if progress else None,
        started_at=job.started_at,
    )
