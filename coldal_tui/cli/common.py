"""What the commands share: finding the project, JSON on stdout, tables, following jobs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from coldal_tui.errors import UsageError
from coldal_tui.project.layout import CONFIG_NAME, find_project, is_project

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from coldal_tui.jobs.queue import Job
    from coldal_tui.project.project import Project

PIPED_WIDTH = 160
"""Columns of a table that goes to a file or a pipe: wide enough to cut no name."""

Command = TypeVar("Command", bound=Callable[..., Any])


def project_argument(metavar: str = "[PROJECT]") -> Callable[[Command], Command]:
    """Positional arguments of which the first may be the project."""
    return click.argument("targets", nargs=-1, metavar=metavar)


def split_project(targets: Sequence[str], *, rest: bool = False) -> tuple[Path, list[str]]:
    """The project folder and what follows it.

    The first word is the project when it is a folder with a ``coldal.toml``; otherwise the
    nearest folder upward is, and all words are left for the command (``rest``).
    """
    if targets and is_project(Path(targets[0])):
        root, left = Path(targets[0]).absolute(), list(targets[1:])
    elif targets and not rest:
        raise UsageError(
            f"no {CONFIG_NAME} in this folder" if Path(targets[0]).exists() else "no such project",
            where=targets[0],
            remedy="name a project folder, or make one: coldal-tui init PROJECT --images DIR",
            code="no-project",
        )
    else:
        root, left = find_project(Path.cwd()), list(targets)
    if left and not rest:
        raise click.UsageError(f"unexpected argument {left[0]!r}")
    return root, left


def open_project(targets: Sequence[str]) -> Project:
    from coldal_tui.project.project import Project

    root, _ = split_project(targets)
    return Project(root)


def open_with_rest(targets: Sequence[str]) -> tuple[Project, list[str]]:
    from coldal_tui.project.project import Project

    root, left = split_project(targets, rest=True)
    return Project(root), left


def print_json(data: Any) -> None:
    """One JSON document on stdout and nothing else."""
    click.echo(json.dumps(data, indent=2, default=str))


def say(message: str) -> None:
    """A message for people: stderr, so that stdout stays for data."""
    click.echo(message, err=True)


def console(*, err: bool = False) -> Console:
    from rich.console import Console

    stream = sys.stderr if err else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
    return Console(stderr=err, highlight=False, width=width)


def table(title: str | None, *columns: str) -> Table:
    """A plain table; columns whose name ends in ``>`` are right-aligned."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    if title:
        made.title = Text(title, style="bold")
    for column in columns:
        made.add_column(column.rstrip(">"), justify="right" if column.endswith(">") else "left")
    return made


def number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def run_steps(
    project: Project, steps: Iterable[tuple[str, Mapping[str, Any]]], *, detach: bool
) -> list[Job]:
    """Submit a chain of jobs and follow it with a progress bar, or return at once.

    Ctrl-C cancels the chain; a hang-up of the terminal does not.
    """
    from coldal_tui.jobs import queue
    from coldal_tui.jobs.supervisor import ensure_supervisor
    from coldal_tui.jobs.waiting import submit_chain, wait_for

    numbers = submit_chain(project, steps)
    if detach:
        say(
            f"submitted {plural(len(numbers), 'job')}; follow: coldal-tui jobs logs -f {numbers[0]}"
        )
        return []
    try:
        with JobProgress(len(numbers)) as progress:
            return wait_for(project, numbers, progress.update)
    except KeyboardInterrupt:
        for job_number in reversed(numbers):
            queue.cancel(project, job_number)
        ensure_supervisor(project.layout)
        say("cancelled; what was done is kept, and the same command goes on from there")
        raise


class JobProgress:
    """A progress bar per job on stderr; plain lines now and then where there is no terminal."""

    PLAIN_EVERY_S = 10.0

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._bar: Any = None
        self._tasks: dict[int, Any] = {}
        self._last_plain = 0.0
        self._ended: set[int] = set()

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
                TextColumn("{task.description:>9}"),
                BarColumn(bar_width=30),
                TextColumn("{task.percentage:>3.0f} %"),
                TextColumn("{task.fields[note]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=console(err=True),
            )
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, job: Job, progress: Any) -> None:
        if self._bar is not None:
            self._update_bar(job, progress)
        else:
            self._update_plain(job, progress)

    def _update_bar(self, job: Job, progress: Any) -> None:
        if job.job_id not in self._tasks:
            if job.status == "waiting":
                return
            self._tasks[job.job_id] = self._bar.add_task(job.kind, total=1.0, note="starting")
        task = self._tasks[job.job_id]
        if job.status == "done":
            nothing = job.result.get("nothing_to_do")
            self._bar.update(task, completed=1.0, note="up to date" if nothing else "done")
        elif progress is not None:
            self._bar.update(task, completed=progress.fraction, note=progress_note(progress))

    def _update_plain(self, job: Job, progress: Any) -> None:
        import time

        if job.ended and job.job_id not in self._ended:
            self._ended.add(job.job_id)
            if not job.result.get("nothing_to_do"):
                say(f"{job.kind}: {job.status}")
        elif progress is not None and time.monotonic() - self._last_plain > self.PLAIN_EVERY_S:
            self._last_plain = time.monotonic()
            say(f"{job.kind}: {progress.fraction:4.0%}  {progress_note(progress)}")


def progress_note(progress: Any) -> str:
    """``loss 0.31 · dice 0.88`` or the step's own message."""
    parts = [progress.message] if progress.message else []
    parts += [f"{name} {value:.3g}" for name, value in progress.metrics.items()]
    return " · ".join(parts)
