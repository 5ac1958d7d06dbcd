"""The supervisor, one per project: starts jobs whose dependencies are done, commits receipts.

Started by the process that submits a job; exits when nothing is left; a file lock keeps it single.
Run as ``python -m coldal_tui.scheduler.supervisor PROJECT``.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from coldal_tui.files import is_locked, open_to_append, share_all, try_lock
from coldal_tui.jobs.backend import Backend, load_backend
from coldal_tui.jobs.folder import JobFolder
from coldal_tui.project.job_rows import OPEN, RUNNING, list_jobs
from coldal_tui.project.layout import Layout
from coldal_tui.project.project import Project
from coldal_tui.scheduler.dispatch import Starter
from coldal_tui.scheduler.monitor import Watch

TICK_S = 0.1
LOOK_S = 1.0
IDLE_S = 2.0
LOCK_WAIT_S = 3.0
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
        self._backends: dict[str, Backend] = {}
        self._watch = Watch(project, self._backend, clock)
        self._starter = Starter(project, self._backend)
        self._running: list[JobFolder] = []
        self._version = 0

    def step(self) -> bool:
        """Look at every open job once. Returns whether any is still open."""
        self._project.store.hold()
        self._version = self._project.store.data_version()
        self._watch.look()
        self._starter.start()
        still = list_jobs(self._project, OPEN)
        self._running = [job.folder for job in still if job.status == RUNNING]
        return bool(still)

    def called(self) -> bool:
        """Whether something has happened since the last step: a job came in, or one has ended.

        Costs next to nothing, so that it can be asked all the time.
        """
        return (
            self._watch.ending
            or self._project.store.data_version() != self._version
            or any(folder.told for folder in self._running)
        )

    def _backend(self, name: str) -> Backend:
        if name not in self._backends:
            self._backends[name] = self._load(name)
        return self._backends[name]


def ensure_supervisor(layout: Layout) -> None:
    """Start a supervisor for the project unless one runs.

    One that is about to leave looks for open jobs once more after it has given its lock back:
    what was submitted before this call is not forgotten.
    """
    if supervisor_running(layout):
        return
    with open_to_append(layout.supervisor_log) as log:
        subprocess.Popen(
            # -P: the project's folder is no place to import modules from.
            [sys.executable, "-P", "-m", "coldal_tui.scheduler.supervisor", str(layout.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=layout.root,
            start_new_session=True,
        )


def supervisor_running(layout: Layout) -> bool:
    """Whether some process holds the supervisor's lock."""
    return is_locked(layout.supervisor_lock)


def run(root: Path, tick_s: float = TICK_S, idle_s: float = IDLE_S) -> int:
    """Run the supervisor until no job has been open for ``idle_s`` seconds."""
    layout = Layout(root.absolute())
    while True:
        with open_to_append(layout.supervisor_lock) as lock:
            deadline = time.monotonic() + LOCK_WAIT_S
            while not try_lock(lock):
                if time.monotonic() > deadline:
                    return 0
                time.sleep(tick_s)
            with Project(root) as project:
                gave_up = _loop(project, tick_s, idle_s)
        # Whoever submitted a job while the lock was held has started no other supervisor.
        if gave_up or not _any_open(root):
            return 0


def _any_open(root: Path) -> bool:
    with Project(root) as project:
        return bool(list_jobs(project, OPEN, newest=1))


def _loop(project: Project, tick_s: float, idle_s: float) -> bool:
    """Work until nothing is left; True when it stopped because of repeated failures."""
    supervisor = Supervisor(project)
    idle_since, failures = time.monotonic(), 0
    while time.monotonic() - idle_since < idle_s:
        try:
            busy = supervisor.step()
            failures = 0
            _rest(supervisor, tick_s)
        except Exception:
            # A busy database may be free again soon, and jobs may be open meanwhile.
            busy = True
            failures += 1
            with contextlib.suppress(OSError):
                traceback.print_exc()
                sys.stderr.flush()
            if failures >= MOST_FAILURES:
                return True
            time.sleep(tick_s * (1 + failures))
        if busy:
            idle_since = time.monotonic()
    return False


def _rest(supervisor: Supervisor, tick_s: float) -> None:
    """Wait until something happens or the next regular look is due."""
    for _ in range(round(LOOK_S / TICK_S)):
        time.sleep(tick_s)
        if supervisor.called():
            return


if __name__ == "__main__":
    # Colleagues go on with these jobs; the workers inherit it.
    share_all(Layout(Path(sys.argv[1])).state)
    sys.exit(run(Path(sys.argv[1])))
