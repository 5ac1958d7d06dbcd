"""One supervisor per project: launches jobs whose dependencies are done, commits receipts.

Started by whoever submits a job, gone when nothing is left to do; a file lock keeps it single.
Run as ``python -m coldal_tui.jobs.supervisor PROJECT``.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import apsw
import msgspec

from coldal_tui.errors import ColdalError
from coldal_tui.files import disk_error, try_lock
from coldal_tui.jobs import queue
from coldal_tui.jobs.backend import Backend, JobHandle, load_backend
from coldal_tui.jobs.commit import commit_receipt
from coldal_tui.jobs.folder import JobError
from coldal_tui.jobs.planning import build_spec
from coldal_tui.jobs.spec import JobSpec
from coldal_tui.project.layout import Layout
from coldal_tui.project.project import Project

POLL_S = 0.1
IDLE_S = 2.0
LOCK_WAIT_S = 6.0
CANCEL_GRACE_S = 10.0
LINGER_S = 15.0
LEASE_S = 60.0
MOST_FAILURES = 50


class Supervisor:
    """The loop's body, one pass at a time; the caller holds the lock."""

    def __init__(
        self,
        project: Project,
        backends: Callable[[str], Backend] = load_backend,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._project = project
        self._load = backends
        self._clock = clock
        self._backends: dict[str, Backend] = {}
        self._ending: dict[int, float] = {}
        self._beats: dict[int, tuple[float, float]] = {}

    def step(self) -> bool:
        """Look at every open job once. Returns whether any is still open."""
        for job in queue.list_jobs(self._project, (queue.RUNNING,)):
            try:
                self._watch(job)
            except ColdalError as error:
                # A damaged receipt, a backend that is gone: this job's end, not the others'.
                self._end(job, queue.FAILED, _failure(error))
        self._launch_next()
        return bool(queue.list_jobs(self._project, queue.OPEN))

    def _backend(self, name: str) -> Backend:
        if name not in self._backends:
            self._backends[name] = self._load(name)
        return self._backends[name]

    def _watch(self, job: queue.Job) -> None:
        told = job.folder.receipt() is not None or job.folder.error() is not None
        if job.handle is None:
            # The supervisor that launched it died before it could note the worker's identity.
            if told or not job.folder.worker_running():
                self._collect(job)
            return
        backend = self._backend(job.backend)
        handle = msgspec.convert(job.handle, JobHandle)
        alive = backend.alive(handle)
        if told:
            goes_on = alive and not self._lingers(job)
        elif alive:
            goes_on = not job.cancel_asked
        else:
            goes_on = self._beats_elsewhere(job, handle)
        if goes_on:
            return
        # Ended, to be ended, or gone: what it started must not outlive it and hold memory.
        backend.cancel(handle, CANCEL_GRACE_S if alive else 0.0)
        self._collect(job)

    def _lingers(self, job: queue.Job) -> bool:
        """Whether a worker that has told its end has had long enough to leave."""
        since = self._ending.setdefault(job.job_id, self._clock())
        return self._clock() - since >= LINGER_S

    def _beats_elsewhere(self, job: queue.Job, handle: JobHandle) -> bool:
        """Whether a worker on another machine still touches its heartbeat.

        Only changes count, measured by this process's clock: those of two machines differ.
        """
        if handle.host == socket.gethostname():
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

    def _collect(self, job: queue.Job) -> None:
        """The worker has ended: commit its receipt, or record why there is none."""
        self._ending.pop(job.job_id, None)
        self._beats.pop(job.job_id, None)
        if job.folder.receipt() is not None:
            self._commit(job)
            return
        told = job.folder.error()
        if job.cancel_asked:
            self._end(job, queue.CANCELLED, JobError("cancelled", code="cancelled"))
        elif told is None:
            self._end(job, queue.INTERRUPTED, _interruption(job, "ended without a word"))
        elif told.code == "cancelled":
            # Nobody here asked for it: the machine goes down, or someone sent it a signal.
            self._end(job, queue.INTERRUPTED, _interruption(job, "was told to end by a signal"))
        else:
            self._end(job, queue.FAILED, told)

    def _commit(self, job: queue.Job) -> None:
        """A receipt that can't be committed fails its job; it must not stop the others."""
        try:
            commit_receipt(self._project, job.job_id)
        except Exception as error:
            self._end(job, queue.FAILED, _failure(error, self._project))

    def _end(self, job: queue.Job, status: str, error: JobError) -> None:
        queue.end(self._project, job.job_id, status, error=queue.error_value(error))

    def _launch_next(self) -> None:
        """Start the first waiting job whose dependencies are done, when no job runs."""
        jobs = queue.list_jobs(self._project, queue.OPEN)
        if any(job.status == queue.RUNNING for job in jobs):
            return
        for job in jobs:
            needed = [queue.get_job(self._project, number) for number in job.depends_on]
            broken = next((one for one in needed if one.status in queue.ENDED_BADLY), None)
            if broken is not None:
                self._end(job, queue.CANCELLED, _dependency_error(broken))
            elif all(one.status == queue.DONE for one in needed):
                self._launch(job)
                return

    def _launch(self, job: queue.Job) -> None:
        try:
            self._project.reload_config()
            spec = build_spec(self._project, job.kind, job.request)
            if spec is None:
                queue.end(self._project, job.job_id, queue.DONE, result={"nothing_to_do": True})
                return
            backend = self._backend(job.backend)
            if self._taken_in(job, spec) or not queue.start(self._project, job.job_id):
                return
            job.folder.prepare(spec)
            handle = backend.launch(job.folder.path)
        except Exception as error:
            # One job's request, folder or backend; the next one may have none of its trouble.
            self._end(job, queue.FAILED, _failure(error, self._project))
            return
        store = self._project.store
        with store.transaction():
            store.update(
                "jobs", {"job_id": job.job_id}, handle=json.loads(msgspec.json.encode(handle))
            )

    def _taken_in(self, job: queue.Job, spec: JobSpec) -> bool:
        """Commit what an earlier attempt has finished of this very work (the disk was full, say).

        A receipt that still can't be taken in is left to be replaced by the new attempt's.
        """
        try:
            if not job.folder.holds(spec) or job.folder.receipt() is None:
                return False
            commit_receipt(self._project, job.job_id)
        except Exception as error:
            _failure(error, self._project)
            return False
        return queue.get_job(self._project, job.job_id).ended


def _failure(error: Exception, project: Project | None = None) -> JobError:
    """What a job failed of. A busy database is no job's fault: that error is raised again."""
    if isinstance(error, ColdalError) and error.code != "busy":
        return JobError(error.what, error.where, error.remedy, error.code)
    if isinstance(error, (ColdalError, apsw.BusyError, apsw.LockedError)) or project is None:
        raise error
    if isinstance(error, OSError):
        where = str(error.filename or project.layout.jobs)
        told = disk_error(error, Path(where))
        return JobError(told.what, told.where, told.remedy, told.code)
    traceback.print_exception(error)
    what = f"it could not be started or taken in: {type(error).__name__}: {error}"
    return JobError(what, str(project.layout.supervisor_log), "this is a defect", "defect")


def _interruption(job: queue.Job, how: str) -> JobError:
    tail = [line for line in job.folder.log_tail() if line.strip()]
    return JobError(
        f"the worker {how} (killed, or the machine went down)"
        + (f"; last line of its log: {tail[-1]}" if tail else ""),
        str(job.folder.log),
        f"coldal-tui jobs retry {job.job_id} goes on from where it was",
        "interrupted",
    )


def _dependency_error(broken: queue.Job) -> JobError:
    """Why a job can't start: the first cause, not the chain that led from it."""
    if broken.error is not None and broken.error.code == "dependency":
        return broken.error
    what = f"job {broken.job_id} ({broken.kind}), which it needs, {broken.status}"
    if broken.error is None:
        return JobError(what, code="dependency")
    return JobError(
        f"{what}: {broken.error.what}", broken.error.where, broken.error.remedy, "dependency"
    )


def ensure_supervisor(layout: Layout) -> None:
    """Start a supervisor for the project; one that finds the lock held goes away by itself.

    It is started even when one seems to run: that one may be about to leave, and the new one
    waits for the lock for longer than an idle supervisor lives between two looks.
    """
    with layout.supervisor_log.open("ab") as log:
        subprocess.Popen(
            # -P: the project's folder is no place to import modules from.
            [sys.executable, "-P", "-m", "coldal_tui.jobs.supervisor", str(layout.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=layout.root,
            start_new_session=True,
        )


def supervisor_running(layout: Layout) -> bool:
    """Whether some process holds the supervisor's lock."""
    try:
        with layout.supervisor_lock.open("ab") as stream:
            return not try_lock(stream)
    except FileNotFoundError:
        return False


def run(root: Path, poll_s: float = POLL_S, idle_s: float = IDLE_S) -> int:
    """The supervisor process: until nothing has been open for ``idle_s`` seconds."""
    layout = Layout(root.absolute())
    with layout.supervisor_lock.open("ab") as lock:
        deadline = time.monotonic() + LOCK_WAIT_S
        while not try_lock(lock):
            if time.monotonic() > deadline:
                return 0
            time.sleep(poll_s)
        with Project(root) as project:
            _loop(project, poll_s, idle_s)
    return 0


def _loop(project: Project, poll_s: float, idle_s: float) -> None:
    supervisor = Supervisor(project)
    idle_since, failures = time.monotonic(), 0
    while time.monotonic() - idle_since < idle_s and failures < MOST_FAILURES:
        try:
            busy = supervisor.step()
            failures = 0
        except Exception:
            # A busy database may be free again soon, and jobs may be open meanwhile.
            busy = True
            failures += 1
            traceback.print_exc()
            sys.stderr.flush()
        time.sleep(poll_s * (1 + failures))
        if busy:
            idle_since = time.monotonic()


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])))
