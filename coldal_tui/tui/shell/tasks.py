"""Runs reads and changes of a project in threads; changes one after the other, with progress."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from coldal_tui.project.project import Project
from coldal_tui.tui.pane import Progress

T = TypeVar("T")
TELL_EVERY_S = 0.1


class Cancelled(BaseException):
    """The user has cancelled. Not an ``Exception``, so that no handler in between catches it."""


@dataclass
class Task:
    """One long action. ``cancel`` may be set from any thread; the work ends at its next step."""

    title: str
    done: int = 0
    total: int = 0
    note: str = ""
    started: float = field(default_factory=time.monotonic)
    cancel: threading.Event = field(default_factory=threading.Event)


class Tasks:
    """Runs changes in order of request, and reads in parallel to them.

    ``moved`` is called (in the thread) when a task begins, goes on or ends.
    """

    def __init__(self, root: Path, *, readonly: bool, moved: Callable[[Task | None], None]) -> None:
        self._root, self._readonly, self._moved = root, readonly, moved
        self._changes = ThreadPoolExecutor(1, "coldal-change")
        self._reads = ThreadPoolExecutor(2, "coldal-read")
        self._newest: dict[str, int] = {}
        self._servers = ThreadPoolExecutor(1, "coldal-server")
        self._running: list[Task] = []
        self._waiting = 0

    @property
    def current(self) -> Task | None:
        """The task that began last and still runs."""
        return next(iter(self._running[-1:]), None)

    @property
    def busy(self) -> bool:
        """Whether a change is running or waiting."""
        return self._waiting > 0

    def change(
        self,
        title: str,
        work: Callable[[Project, Progress], T],
        then: Callable[[T], None],
        failed: Callable[[BaseException], None],
        *,
        server: bool = False,
    ) -> None:
        """Run ``work`` after earlier changes, then ``then`` or ``failed`` in the thread.

        ``server``: it waits for a server most of the time; other changes don't wait for it.
        """
        self._waiting += 1
        task = Task(title)

        def run() -> None:
            self._running.append(task)
            self._moved(task)
            try:
                with Project(self._root) as project:
                    found = work(project, self._progress(task))
            except BaseException as error:
                failed(error)
            else:
                then(found)
            finally:
                self._waiting -= 1
                self._running.remove(task)
                self._moved(self.current)

        (self._servers if server else self._changes).submit(run)

    def _progress(self, task: Task) -> Progress:
        last = 0.0

        def advance(done: int, total: int, note: str) -> None:
            nonlocal last
            if task.cancel.is_set():
                raise Cancelled(task.title)
            # Another stage is told at once: its first step may be a long one.
            begins = done < task.done or total != task.total
            task.done, task.total, task.note = done, total, note
            if begins or time.monotonic() - last >= TELL_EVERY_S:
                last = time.monotonic()
                self._moved(task)

        return advance

    def read(
        self,
        key: str,
        work: Callable[[Project], T],
        then: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Run ``work`` on a read-only project; per ``key`` only the newest request is answered."""
        number = self._newest[key] = self._newest.get(key, 0) + 1

        def run() -> None:
            if self._newest[key] != number:
                return
            try:
                with Project(self._root, readonly=True) as project:
                    found = work(project)
            except Exception as error:
                if self._newest[key] == number:
                    failed(error)
            else:
                if self._newest[key] == number:
                    then(found)

        self._reads.submit(run)

    def aside(self, work: Callable[[], Any]) -> Future[Any]:
        """Run a small task that uses the disk but no project."""
        return self._reads.submit(work)

    def stop(self) -> None:
        """Cancel tasks that can be cancelled, without waiting for reads."""
        for task in list(self._running):
            task.cancel.set()
        self._reads.shutdown(wait=False, cancel_futures=True)
        self._servers.shutdown(wait=False, cancel_futures=True)
        self._changes.shutdown(wait=True, cancel_futures=True)
