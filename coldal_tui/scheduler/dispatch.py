"""Starts waiting jobs where there is room, and records why the others wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from coldal_tui.jobs.backend import Ask, Backend, JobHandle, Running, Wait
from coldal_tui.jobs.folder import JobError
from coldal_tui.jobs.spec import JobSpec
from coldal_tui.project.job_rows import (
    CANCELLED,
    DONE,
    ENDED_BADLY,
    FAILED,
    OPEN,
    RUNNING,
    WAITING,
    Job,
    get_job,
    list_jobs,
)
from coldal_tui.project.project import Project
from coldal_tui.project.trust_questions import require_trust
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.commit import commit_receipt
from coldal_tui.scheduler.failures import dependency_error, failure
from coldal_tui.scheduler.planning import build_spec
from coldal_tui.scheduler.request import ask_of

_SAME_PLACE = {
    "embed": "embeddings",
    "map": "maps",
    "select": "rounds",
    "train": "runs",
    "score": "scores",
    "predict": "scores",
    "crossfit": "cross-fitted",
}
"""Kinds that write to the same place plan their work from what is there, so they run one after
the other: two selections would be the same round, two trainings the same run, and two embeddings
or scorings the same work done twice."""


STEPS_BACK = ("crossfit",)
"""Kinds that end for a job of higher priority that waits for their place, and go on later."""


class Starter:
    """Starts what can start, in the order of priority and number."""

    def __init__(self, project: Project, backend: Callable[[str], Backend]) -> None:
        self._project = project
        self._backend = backend
        self._config_seen: tuple[int, int] | None = None

    def start(self) -> None:
        """Look at every waiting job once; several may start."""
        jobs = list_jobs(self._project, OPEN)
        running = [job for job in jobs if job.status == RUNNING]
        full: dict[tuple[str, str], str] = {}
        waiting = [job for job in jobs if job.status == WAITING]
        for job in sorted(waiting, key=lambda job: (-job.priority, job.job_id)):
            try:
                reason = self._not_yet(job, running) or self._try(job, running, full)
            except Exception as error:
                # One job's request, folder or backend; the next one may have none of its trouble.
                self._end(job, FAILED, failure(error, self._project))
                continue
            if reason is not None:
                queue.tell(self._project, job, reason)
                continue
            now = get_job(self._project, job.job_id)
            if now.status == RUNNING:
                running.append(now)

    def _not_yet(self, job: Job, running: Iterable[Job]) -> str | None:
        """What the job waits for in this project; ends a job that will never start."""
        needed = [get_job(self._project, number) for number in job.depends_on]
        unfinished = next((one for one in needed if one.status in OPEN), None)
        if unfinished is not None:
            return f"needs {unfinished.name}"
        rival = next((one for one in running if writes_the_same(job, one)), None)
        return f"{rival.name} writes to the same place" if rival else None

    def _try(self, job: Job, running: list[Job], full: dict[tuple[str, str], str]) -> str | None:
        """Start the job, or return what it waits for. None also when it ended without a worker."""
        if self._ended(job):
            return None
        self._reload_config()
        require_trust(self._project.layout, self._project.config)
        backend = self._backend(job.backend)
        ask = ask_of(self._project, job.kind, job.request)
        # Who comes later must not take what an earlier one waits for, a GPU at a time.
        where = (job.backend, "gpu" if ask.device in ("auto", "cuda") else ask.device)
        if where in full:
            return full[where]
        here = [one for one in running if one.backend == job.backend]
        unknown = next((one for one in here if one.handle is None), None)
        if unknown is not None:
            return f"{unknown.name} is just starting"
        known = [Running(one.name, msgspec.convert(one.handle, JobHandle)) for one in here]
        wait = backend.room(ask, known) or self._launch(job, backend, ask, known)
        if wait is not None:
            full[where] = wait.reason
            self._make_room(job, ask, backend, here)
            return wait.reason
        return None

    def _make_room(self, job: Job, ask: Ask, backend: Backend, here: Iterable[Job]) -> None:
        """Ask a job that only measures to step back where this one could start without it."""
        here = list(here)
        for one in here:
            if one.kind in STEPS_BACK and one.priority < job.priority and not one.steps_back:
                handle = msgspec.convert(one.handle, JobHandle)
                others = [
                    Running(other.name, msgspec.convert(other.handle, JobHandle))
                    for other in here
                    if other.job_id != one.job_id
                ]
                if handle.devices:
                    # Its lock and memory stay on the GPU until it has ended: there is no asking.
                    same = one.request.get("device") == ask.device
                    makes = ask.device in ("auto", "cuda") or same
                else:
                    makes = backend.room(ask, others) is None
                if makes:
                    queue.step_back(self._project, one.job_id)
                    return

    def _ended(self, job: Job) -> bool:
        """End a job that was cancelled, or whose dependency ended badly."""
        if job.cancel_asked:
            self._end(job, CANCELLED, JobError("cancelled", code="cancelled"))
            return True
        needed = [get_job(self._project, number) for number in job.depends_on]
        broken = next((one for one in needed if one.status in ENDED_BADLY), None)
        if broken is not None:
            self._end(job, CANCELLED, dependency_error(broken))
        return broken is not None

    def _reload_config(self) -> None:
        """Read coldal.toml again where it has changed."""
        found = self._project.layout.config.stat()
        seen = found.st_mtime_ns, found.st_size
        if seen != self._config_seen:
            self._project.reload_config()
            self._config_seen = seen

    def _launch(self, job: Job, backend: Backend, ask: Ask, running: list[Running]) -> Wait | None:
        spec = build_spec(self._project, job.kind, job.request)
        if spec is None:
            result = {"nothing_to_do": True}
            queue.end(self._project, job.job_id, DONE, result=result, error=None)
            return None
        job = self._with_earlier_work(job, spec)
        if self._taken_in(job, spec):
            return None
        job.folder.prepare(spec)
        if not queue.start(self._project, job.job_id):
            return None
        launched = backend.launch(job.folder.path, ask, running)
        if isinstance(launched, Wait):
            queue.put_back(self._project, job.job_id, launched.reason)
            return launched
        queue.note_handle(self._project, job.job_id, launched)
        return None

    def _with_earlier_work(self, job: Job, spec: JobSpec) -> Job:
        """The job, moved to the folder of a failed earlier job with the same specification.

        So ``train`` after Ctrl-C continues from the last checkpoint.
        """
        if job.attempts:
            return job
        for earlier in queue.abandoned(self._project, job.kind):
            if earlier.folder.holds(spec) and not earlier.folder.worker_running():
                queue.take_over(self._project, job.job_id, earlier)
                earlier.folder.note(f"{job.name} goes on with this")
                return get_job(self._project, job.job_id)
        return job

    def _taken_in(self, job: Job, spec: JobSpec) -> bool:
        """Commit the receipt of an earlier attempt at the same work (after a full disk, say).

        A receipt that still can't be committed is replaced by that of the new attempt.
        """
        try:
            if not job.folder.holds(spec) or job.folder.receipt() is None:
                return False
            commit_receipt(self._project, job.job_id)
        except Exception as error:
            failure(error, self._project)
            return False
        return get_job(self._project, job.job_id).ended

    def _end(self, job: Job, status: str, error: JobError) -> None:
        queue.end(self._project, job.job_id, status, error=queue.error_value(error))


def writes_the_same(one: Job, other: Job) -> bool:
    """Whether two jobs must not run side by side: they would write to the same place.

    Scores and predictions lie with their run: of two different runs, they may.
    """
    place = _SAME_PLACE.get(one.kind)
    if place is None or place != _SAME_PLACE.get(other.kind):
        return False
    if place != "scores":
        return True
    runs = one.request.get("run"), other.request.get("run")
    return None in runs or runs[0] == runs[1]
