"""Watches running jobs and commits, retries or fails each when it has ended."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import msgspec

from coldal_tui.errors import ColdalError
from coldal_tui.jobs.backend import Backend, JobHandle
from coldal_tui.jobs.folder import JobError
from coldal_tui.jobs.retry_smaller import OUT_OF_MEMORY, Fit, smaller
from coldal_tui.project.hooks.running import fire
from coldal_tui.project.job_rows import (
    CANCELLED,
    DONE,
    FAILED,
    INTERRUPTED,
    RUNNING,
    Job,
    get_job,
    list_jobs,
)
from coldal_tui.project.project import Project
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.commit import commit_receipt
from coldal_tui.scheduler.failures import failure, interruption, memory_kills

CANCEL_GRACE_S = 10.0
CANCEL_LOOK_S = 0.3
LINGER_S = 15.0
LEASE_S = 60.0


class Watch:
    """Watches running jobs; what is not in the database is kept in memory."""

    def __init__(
        self,
        project: Project,
        backend: Callable[[str], Backend],
        clock: Callable[[], float],
    ) -> None:
        self._project = project
        self._backend = backend
        self._clock = clock
        self._told_at: dict[int, float] = {}
        self._beats: dict[int, tuple[float, float]] = {}
        self._endings: dict[int, _Ending] = {}
        self._memory_kills: dict[int, int] = {}

    @property
    def ending(self) -> bool:
        """Whether a job is being cancelled now."""
        return bool(self._endings)

    def look(self) -> None:
        """Look at every running job once."""
        for job in list_jobs(self._project, (RUNNING,)):
            try:
                self._look_at(job)
            except ColdalError as error:
                # A damaged receipt, a backend that is gone: this job's end, not the others'.
                self._end(job, FAILED, failure(error, self._project))

    def _look_at(self, job: Job) -> None:
        if job.job_id in self._endings:
            self._go_on_ending(job)
            return
        if job.job_id not in self._memory_kills:
            self._memory_kills[job.job_id] = memory_kills()
        backend = self._backend(job.backend)
        told = job.folder.told
        handle = self._handle(job, backend)
        if handle is None:
            # The supervisor that launched it died before it could note the worker's identity.
            if told or not job.folder.worker_running():
                self._collect(job)
            return
        alive = backend.alive(handle)
        if told:
            goes_on = alive and not self._lingers(job)
        elif alive:
            goes_on = not (job.cancel_asked or job.steps_back)
        else:
            goes_on = self._beats_elsewhere(job, handle)
        if goes_on:
            queue.tell(self._project, job, backend.waits(handle))
            return
        # Ended, to be ended, or gone: what it started must not outlive it and hold memory.
        grace = CANCEL_GRACE_S if alive else 0.0
        self._endings[job.job_id] = _Ending(backend, handle, grace)
        self._go_on_ending(job)

    def _handle(self, job: Job, backend: Backend) -> JobHandle | None:
        if job.handle is not None:
            return msgspec.convert(job.handle, JobHandle)
        handle = backend.find(job.folder.path)
        if handle is not None:
            queue.note_handle(self._project, job.job_id, handle)
        return handle

    def _go_on_ending(self, job: Job) -> None:
        """Collect the job when all its processes have ended, without making other jobs wait."""
        ending = self._endings[job.job_id]
        if not ending.over(CANCEL_LOOK_S):
            return
        del self._endings[job.job_id]
        if ending.error is not None and ending.still_alive():
            # A job that may still run is neither over nor to be run again: the next look tries.
            queue.tell(self._project, job, f"can't be ended: {ending.error.what}")
            return
        self._collect(job)

    def _lingers(self, job: Job) -> bool:
        """Whether a worker still runs too long after it wrote its receipt or error."""
        since = self._told_at.setdefault(job.job_id, self._clock())
        return self._clock() - since >= LINGER_S

    def _beats_elsewhere(self, job: Job, handle: JobHandle) -> bool:
        """Whether a worker on another machine still touches its heartbeat.

        Only changes count, measured by this process's clock: those of two machines differ.
        Of a scheduler's job, the scheduler knows.
        """
        if handle.native_id or handle.host == socket.gethostname():
            return False
        try:
            beat = job.folder.heartbeat.stat().st_mtime
        except FileNotFoundError:
            beat = 0.0
        seen, since = self._beats.get(job.job_id, (None, 0.0))
        if beat != seen:
            self._beats[job.job_id] = (beat, self._clock())
            return True
        return self._clock() - since < LEASE_S

    def _collect(self, job: Job) -> None:
        """The worker has ended: commit its receipt, or record why there is none."""
        self._told_at.pop(job.job_id, None)
        self._beats.pop(job.job_id, None)
        now = memory_kills()
        killed = now > self._memory_kills.pop(job.job_id, now)
        if job.folder.receipt() is not None:
            self._commit(job)
            return
        told = job.folder.error()
        if job.cancel_asked:
            self._end(job, CANCELLED, JobError("cancelled", code="cancelled"))
        elif job.steps_back:
            reason = "stepped back for another job"
            job.folder.note(reason)
            queue.go_on(self._project, job.job_id, reason)
        elif told is None:
            lacking = "; the system was ending processes for lack of memory" if killed else ""
            self._interrupted(job, f"ended without a word{lacking}")
        elif told.code == "cancelled":
            # Nobody here asked for it: the machine goes down, or someone sent it a signal.
            self._interrupted(job, "was told to end by a signal")
        elif told.code == OUT_OF_MEMORY and (fit := self._smaller(job)) is not None:
            job.folder.write_fit(fit)
            reason = f"goes on with less: {fit.reasons[-1]}"
            job.folder.note(reason)
            queue.go_on(self._project, job.job_id, reason)
        else:
            self._end(job, FAILED, told)

    def _smaller(self, job: Job) -> Fit | None:
        folder = job.folder
        return smaller(folder.read_spec(), folder.fit(), folder.path)

    def _interrupted(self, job: Job, how: str) -> None:
        """Retry automatically a few times; then mark the job as interrupted."""
        error = interruption(job, how)
        most = self._project.config.backend.retries
        if job.interruptions >= most:
            self._end(job, INTERRUPTED, error)
            return
        reason = f"goes on after an interruption ({job.interruptions + 1} of {most}): {error.what}"
        job.folder.note(reason)
        queue.go_on(self._project, job.job_id, reason, interrupted=True)

    def _commit(self, job: Job) -> None:
        """A receipt that can't be committed fails its job; it must not stop the others."""
        try:
            commit_receipt(self._project, job.job_id)
        except Exception as error:
            self._end(job, FAILED, failure(error, self._project))
            return
        fire(self._project, "job_done", job=job.job_id, kind=job.kind, status=DONE, error="")
        if job.kind == "select":
            result = get_job(self._project, job.job_id).result or {}
            facts = {key: result.get(key) for key in ("round", "picked")}
            fire(self._project, "round_ready", job=job.job_id, **facts)

    def _end(self, job: Job, status: str, error: JobError) -> None:
        queue.end(self._project, job.job_id, status, error=queue.error_value(error))
        facts = {"kind": job.kind, "status": status, "error": error.what}
        fire(self._project, "job_done", job=job.job_id, **facts)


class _Ending:
    """A job that is being cancelled in a thread, which takes up to its grace period.

    ``error`` is what its backend said when it could not end it.
    """

    def __init__(self, backend: Backend, handle: JobHandle, grace_s: float) -> None:
        self.error: ColdalError | None = None
        self._backend = backend
        self._handle = handle
        self._thread = threading.Thread(
            target=self._run, args=(grace_s,), daemon=True, name="ending"
        )
        self._thread.start()

    def _run(self, grace_s: float) -> None:
        try:
            self._backend.cancel(self._handle, grace_s)
        except ColdalError as error:
            self.error = error

    def over(self, wait_s: float) -> bool:
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def still_alive(self) -> bool:
        return self._backend.alive(self._handle)
