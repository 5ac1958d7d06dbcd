"""Reads the project in its own thread, and posts a new view after each change."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from coldal_tui.project.hooks.running import LOG as HOOKS_LOG
from coldal_tui.project.job_rows import OPEN, RUNNING
from coldal_tui.project.project import Project
from coldal_tui.project.views.map_view import MapView, read_map_view
from coldal_tui.project.views.snapshot import take_snapshot, with_progress
from coldal_tui.redaction import refresh
from coldal_tui.tui.pane import OwnKeys, View
from coldal_tui.tui.programs.own_keys import read_own_keys

POLL_S = 1.0
DRAWN_S = 1.0
"""The longest wait for the screen before the map is read."""
TRIMS = (1, 6)
"""Quiet polls after which memory goes back: of what was read at once, and what panes read then."""
REVIVE_POLLS = 5
"""Number of readings between checks that a supervisor runs while jobs are open."""


def _give_back_memory() -> None:
    """Return freed memory to the system after reading a large project (glibc's malloc_trim(3))."""
    import ctypes

    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


class Reader(threading.Thread):
    """Checks once a second whether the project has changed, and posts its new state.

    A check costs a few file stamps and one SQLite pragma; without a change nothing is posted.
    ``personal_keys``: the file with a person's own keys, if they are wanted.
    ``tell`` is called in this thread, with a ``View`` or with the error that reading met; the
    same error is told once.
    """

    def __init__(
        self,
        root: Path,
        tell: Callable[[View | Exception], None],
        *,
        revives: bool = True,
        personal_keys: Path | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        super().__init__(name="coldal-reader", daemon=True)
        self._root, self._tell, self._poll_s = root, tell, poll_s
        self._revives, self._personal_keys = revives, personal_keys
        self._wake = threading.Event()
        self._drawn = threading.Event()
        self._ended = False
        self._project: Project | None = None
        self._seen: _Stamps | None = None
        self._view: View | None = None
        self._trouble = ""
        self._polls = 0
        self._quiet = 0

    def look(self) -> None:
        """Read now, whether the stamps changed or not."""
        self._seen = None
        self._wake.set()

    def go_on(self) -> None:
        """The first state is on the screen: read the map, which would have held that up."""
        self._drawn.set()

    def stop(self) -> None:
        self._ended = True
        self._drawn.set()
        self._wake.set()

    def run(self) -> None:
        while not self._ended:
            self._wake.clear()
            try:
                self._step()
            except Exception as error:  # told to the screen; the next look may succeed
                self._fail(error)
            self._wake.wait(self._poll_s)
        self._close()

    def _step(self) -> None:
        project = self._opened()
        self._polls += 1
        if self._revives and self._polls % REVIVE_POLLS == 0 and self._jobs_are_open():
            from coldal_tui.scheduler.follow import revive

            revive(project)
        seen = self._stamps(project)
        if seen == self._seen and not self._trouble:
            self._quiet += 1
            if self._quiet in TRIMS:
                _give_back_memory()  # of all that panes have read, too
            return
        old, before = self._view, self._seen
        if old is not None and before is not None and seen.same_project(before):
            fresh = self._advanced(project, old)
        else:
            fresh = self._read(project, old)
        if old is None or self._trouble or not _same(fresh, old):
            self._say(fresh)
        self._trouble = ""
        self._seen = seen

    def _read(self, project: Project, old: View | None) -> View:
        """Everything; the first time, what needs no map is told before it."""
        refresh()
        project.reload_config()
        snapshot = take_snapshot(project)
        if old is None:
            self._say(View(snapshot))
            self._drawn.wait(DRAWN_S)
        self._quiet = 0
        return View(snapshot, self._scene(project, old), self._own_keys(project))

    def _advanced(self, project: Project, old: View) -> View:
        """The same state with the progress that jobs have made: they write it once a second."""
        return replace(old, snapshot=with_progress(project, old.snapshot))

    def _own_keys(self, project: Project) -> OwnKeys:
        if self._personal_keys is None:
            return OwnKeys()
        return read_own_keys(project, self._personal_keys)

    def _jobs_are_open(self) -> bool:
        return self._view is not None and any(
            job.status in OPEN for job in self._view.snapshot.jobs
        )

    def _scene(self, project: Project, old: View | None) -> MapView | None:
        """The map; the same object as before when nothing on it has changed."""
        map_view = read_map_view(project)
        if map_view is not None and old is not None and old.map_view is not None:
            return old.map_view if _same_scene(map_view, old.map_view) else map_view
        return map_view

    def _say(self, view: View) -> None:
        self._view = view
        self._tell(view)

    def _fail(self, error: Exception) -> None:
        self._close()
        reason = str(error) or type(error).__name__
        if reason != self._trouble:
            self._trouble = reason
            self._tell(error)

    def _opened(self) -> Project:
        if self._project is None:
            self._project = Project(self._root, readonly=True)
            self._inode = self._project.layout.database.stat().st_ino
        return self._project

    def _close(self) -> None:
        if self._project is not None:
            self._project.close()
            self._project = None
        self._seen = None

    def _stamps(self, project: Project) -> _Stamps:
        layout = project.layout
        config = layout.config.stat()
        if layout.database.stat().st_ino != self._inode:
            raise FileNotFoundError(f"{layout.database} was replaced")
        stamps: list[Any] = [config.st_mtime_ns, config.st_size, project.store.data_version()]
        stamps.append(_modified(layout.state / HOOKS_LOG))
        if self._personal_keys is not None:
            stamps.append(_modified(self._personal_keys))
        jobs = self._view.snapshot.jobs if self._view is not None else ()
        running = (job for job in jobs if job.status == RUNNING)
        progress = [_modified(Path(job.folder) / "progress.jsonl") for job in running]
        return _Stamps(tuple(stamps), tuple(progress))


@dataclass(frozen=True)
class _Stamps:
    """They differ after any change by a process, an editor or a worker."""

    project: tuple[Any, ...]
    progress: tuple[int, ...]

    def same_project(self, other: _Stamps) -> bool:
        """Whether at most the progress of jobs has changed."""
        return self.project == other.project


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _same(one: View, other: View) -> bool:
    return (
        one.map_view is other.map_view
        and one.own_keys == other.own_keys
        and replace(one.snapshot, at=other.snapshot.at) == other.snapshot
    )


def _same_scene(one: MapView, other: MapView) -> bool:
    return (
        one.map_id == other.map_id
        and one.scan_ids == other.scan_ids
        and all(
            np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name == "entropy")
            for name in ("xy", "cluster", "status", "entropy", "medoids")
        )
    )
