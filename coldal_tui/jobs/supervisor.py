"""One supervisor per project: launches jobs whose dependencies are done, commits receipts.

Started by whoever submits a job, gone when nothing is left to do; a file lock keeps it single.
Run as ``python -m coldal_tui.jobs.supervisor PROJECT``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec

from coldal_tui.errors import ColdalError
from coldal_tui.files import try_lock
from coldal_tui.jobs import queue
from coldal_tui.jobs.backend import Backend, JobHandle, load_backend
from coldal_tui.jobs.commit import commit_receipt
from coldal_tui.jobs.folder import JobError
from coldal_tui.jobs.planning import build_spec
from coldal_tui.project.layout import Layout
from coldal_tui.project.project import Project

POLL_S = 0.1
IDLE_S = 2.0
LOCK_WAIT_S = 6.0
CANCEL_GRACE_S = 10.0
MOST_FAILURES = 50


class Supervisor:
    """The loop's body, one pass at a time; the caller holds the lock."""

    def __init__(self, project: Project, backends: Callable[[str], Backend] = load_backend) -> None:
        self._project = project
        self._load = backends
        self._backends: dict[str, Backend] = {}

    def step(self) -> bool:
        """Look at every open job once. Returns whether any is still open."""
        running = queue.list_jobs(self._project, (queue.RUNNING,))
        for job in running:
            self._watch(job)
        self._launch_next()
        return bool(queue.list_jobs(self._project, queue.OPEN))

    def _backend(self, name: str) -> Backend:
        if name not in self._backends:
            self._backends[name] = self._load(name)
        return self._backends[name]

    def _watch(self, job: queue.Job) -> None:
        if job.handle is None:
            # The supervisor that launched it died before it could note the worker's identity.
            if not job.folder.worker_running():
                self._collect(job)
            return
        backend = self._backend(job.backend)
        handle = msgspec.convert(job.handle, JobHandle)
        if job.folder.receipt() is None and job.folder.error() is None:
            if job.cancel_asked:
                backend.cancel(handle, CANCEL_GRACE_S)
                self._end(job, queue.CANCELLED, JobError("cancelled", code="cancelled"))
                return
            if backend.alive(handle):
                return
        self._collect(job)

    def _collect(self, job: queue.Job) -> None:
        """The worker has ended: commit its receipt, or record why there is none."""
        if job.folder.receipt() is not None:
            self._commit(job)
            return
        told = job.folder.error()
        if told is None:
            tail = job.folder.log_tail(1)
            self._end(
                job,
                queue.INTERRUPTED,
                JobError(
                    "the worker ended without a word (killed, or the machine went down)"
                    + (f"; last line of its log: {tail[0]}" if tail else ""),
                    str(job.folder.log),
                    f"coldal-tui jobs retry {job.job_id} goes on from where it was",
                    "interrupted",
                ),
            )
        else:
            status = queue.CANCELLED if told.code == "cancelled" else queue.FAILED
            self._end(job, status, told)

    def _commit(self, job: queue.Job) -> None:
        """A receipt that can't be committed fails its job; it must not stop the others."""
        try:
            commit_receipt(self._project, job.job_id)
        except ColdalError as error:
            failure = JobError(error.what, error.where, error.remedy, error.code)
            self._end(job, queue.FAILED, failure)
        except Exception as error:
            traceback.print_exc()
            what = f"its result could not be taken in: {type(error).__name__}: {error}"
            log = str(self._project.layout.supervisor_log)
            self._end(job, queue.FAILED, JobError(what, log, "this is a defect", "commit"))

    def _end(self, job: queue.Job, status: str, error: JobError) -> None:
        with self._project.store.transaction():
            queue.set_status(
                self._project, job.job_id, status, error=queue.error_value(error), cancel_asked=0
            )

    def _launch_next(self) -> None:
        """Start the first waiting job whose dependencies are done, when no job runs."""
        jobs = {job.job_id: job for job in queue.list_jobs(self._project)}
        if any(job.status == queue.RUNNING for job in jobs.values()):
            return
        for job in jobs.values():
            if job.status != queue.WAITING:
                continue
            needed = [jobs[number] for number in job.depends_on]
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
                with self._project.store.transaction():
                    queue.set_status(
                        self._project, job.job_id, queue.DONE, result={"nothing_to_do": True}
                    )
                return
            backend = self._backend(job.backend)
            job.folder.prepare(spec)
        except ColdalError as error:
            self._end(
                job, queue.FAILED, JobError(error.what, error.where, error.remedy, error.code)
            )
            return
        store = self._project.store
        with store.transaction():
            queue.set_status(
                self._project,
                job.job_id,
                queue.RUNNING,
                started_at=store.now(),
                attempts=job.attempts + 1,
                handle=None,
            )
        handle = backend.launch(job.folder.path)
        with store.transaction():
            store.update(
                "jobs", {"job_id": job.job_id}, handle=json.loads(msgspec.json.encode(handle))
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
            [sys.executable, "-m", "coldal_tui.jobs.supervisor", str(layout.root)],
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
            if supervisor.step():
                idle_since = time.monotonic()
            failures = 0
        except Exception:
            # A busy database or a bad coldal.toml may be mended while jobs go on.
            failures += 1
            traceback.print_exc()
            sys.stderr.flush()
        time.sleep(poll_s)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(run(Path(sys.argv[1])))
