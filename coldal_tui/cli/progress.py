"""Progress on stderr: a bar per job or over files; plain lines without a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

from coldal_tui.cli import common
from coldal_tui.visible import counted, visible

if TYPE_CHECKING:
    from coldal_tui.jobs.folder import Progress
    from coldal_tui.project.job_rows import Job
    from coldal_tui.project.project import Project


class JobProgress:
    """A progress bar per job; without a terminal, a plain line from time to time."""

    PLAIN_EVERY_S = 10.0

    def __init__(self) -> None:
        self._bar: Any = None
        self._tasks: dict[int, Any] = {}
        self._last_plain = 0.0
        self._ended: set[int] = set()
        self._waited: dict[int, str | None] = {}

    def __enter__(self) -> JobProgress:
        if sys.stderr.isatty():
            from rich.progress import (
                BarColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )

            self._bar = Progress(
                TextColumn("{task.description:>9}", markup=False),
                BarColumn(bar_width=30),
                TextColumn("{task.percentage:>3.0f} %"),
                TextColumn("{task.fields[note]}", markup=False),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=common.console(err=True),
            )
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, job: Job, progress: Progress | None) -> None:
        if self._bar is not None:
            self._update_bar(job, progress)
        else:
            self._update_plain(job, progress)

    def _update_bar(self, job: Job, progress: Progress | None) -> None:
        if job.job_id not in self._tasks:
            if job.status == "waiting" and job.waiting_for is None:
                return
            self._tasks[job.job_id] = self._bar.add_task(job.kind, total=1.0, note="starting")
        task = self._tasks[job.job_id]
        if job.waiting_for is not None:
            self._bar.update(task, note=f"waits: {visible(job.waiting_for)}")
        elif job.status == "done":
            nothing = job.result.get("nothing_to_do")
            self._bar.update(task, completed=1.0, note="up to date" if nothing else "done")
        elif job.ended:
            self._bar.update(task, note=job.status)
        elif progress is not None:
            self._bar.update(task, completed=progress.fraction, note=progress_note(progress))

    def _update_plain(self, job: Job, progress: Progress | None) -> None:
        if job.ended and job.job_id not in self._ended:
            self._ended.add(job.job_id)
            if not job.result.get("nothing_to_do"):
                common.say(f"{job.kind}: {job.status}")
        elif job.waiting_for is not None and self._waited.get(job.job_id) != job.waiting_for:
            self._waited[job.job_id] = job.waiting_for
            common.say(f"{job.kind} waits: {visible(job.waiting_for)}")
        elif progress is not None and time.monotonic() - self._last_plain > self.PLAIN_EVERY_S:
            self._last_plain = time.monotonic()
            common.say(f"{job.kind}: {progress.fraction:4.0%}  {progress_note(progress)}")


def progress_note(progress: Progress) -> str:
    """``loss 0.31 · dice 0.88`` or the step's own message."""
    parts = [visible(progress.message)] if progress.message else []
    parts += [f"{name} {value:.3g}" for name, value in progress.metrics.items()]
    return " · ".join(parts)


FileProgress = Callable[[int, int, str], None]


@contextmanager
def file_progress(what: str) -> Iterator[FileProgress]:
    """A progress bar over files on stderr; silent without a terminal.

    What C decoders print about a damaged file is kept off the screen: its reason is reported.
    """
    with stage_progress(what) as (advance,):
        yield advance


@contextmanager
def stage_progress(*stages: str) -> Iterator[tuple[FileProgress, ...]]:
    """Like :func:`file_progress`, with a bar for each of several stages that follow each other."""
    with decoders_silenced() as stderr:
        if not stderr.isatty():
            yield tuple(_unseen for _ in stages)
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn())
        with Progress(*columns, console=Console(file=stderr), transient=True) as bar:
            tasks = [
                bar.add_task(what, total=None, visible=not at) for at, what in enumerate(stages)
            ]

            def advance(task: Any, done: int, total: int, name: str) -> None:
                bar.update(task, completed=done, total=total, visible=True)

            yield tuple(partial(advance, task) for task in tasks)


def _unseen(done: int, total: int, name: str) -> None:
    """Progress without a terminal."""


@contextmanager
def decoders_silenced() -> Iterator[TextIO]:
    """Send the process's standard error to /dev/null; yields a stream to the real one."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        with os.fdopen(os.dup(kept), "w") as stream:
            yield stream
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def run_steps(
    project: Project,
    steps: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    detach: bool,
    as_json: bool = False,
    picks_round: int | None = None,
) -> list[Job]:
    """Submit a chain of jobs and follow it with progress bars, or return at once.

    ``picks_round`` is the round that the chain selects: refused if another process was faster.

    Ctrl-C cancels the chain; a hang-up of the terminal does not. ``as_json`` matters only with
    ``detach``: the numbers of the jobs are all there is to print then.
    """
    from coldal_tui.scheduler.follow import submit_chain

    steps = list(steps)
    numbers = submit_chain(project, steps, picks_round=picks_round)
    if detach:
        say_submitted(project, numbers, [kind for kind, _ in steps], as_json=as_json)
        return []
    return follow(project, numbers)


def say_submitted(
    project: Project, numbers: Sequence[int], kinds: Sequence[str], *, as_json: bool
) -> None:
    """Print that jobs run in the background, and how to follow them."""
    logs = common.paste(f"coldal-tui jobs logs -f {numbers[-1]}", project.root)
    common.say(f"submitted {counted(len(numbers), 'job')}; follow: {logs}")
    if as_json:
        jobs = zip(numbers, kinds, strict=True)
        common.print_json({"jobs": [{"job_id": number, "kind": kind} for number, kind in jobs]})


def follow(project: Project, numbers: Sequence[int]) -> list[Job]:
    """Follow jobs to their end with a bar each; Ctrl-C cancels those still open."""
    from coldal_tui.scheduler import queue
    from coldal_tui.scheduler.follow import wait_for
    from coldal_tui.scheduler.supervisor import ensure_supervisor

    try:
        with JobProgress() as progress:
            return wait_for(project, numbers, progress.update)
    except KeyboardInterrupt:
        for job_number in reversed(numbers):
            queue.cancel(project, job_number)
        ensure_supervisor(project.layout)
        again = common.paste(f"coldal-tui jobs retry {numbers[-1]}", project.root)
        common.say(f"\ncancelled; to go on from where it was: {again}")
        sys.exit(130)
