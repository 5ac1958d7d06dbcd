"""Shared by commands: finding the project, JSON on stdout, tables, counts in words."""

from __future__ import annotations

import json
import math
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from coldal_tui.cli import PIPE_CLOSED, completers
from coldal_tui.cli.which_project import is_path, nearest_project, split_project
from coldal_tui.errors import UsageError
from coldal_tui.project.layout import CONFIG_NAME
from coldal_tui.redaction import NAME_KEYS, active, named, shown_document
from coldal_tui.visible import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from coldal_tui.project.project import Project

PIPED_WIDTH = 10_000
"""Columns of a table that goes to a file or a pipe: nothing is cut or wrapped there."""

Command = TypeVar("Command", bound=Callable[..., Any])


def project_argument(metavar: str = "[PROJECT]") -> Callable[[Command], Command]:
    """Positional arguments, of which the first may be the project."""
    return click.argument(
        "targets", nargs=-1, metavar=metavar, shell_complete=completers.complete_targets
    )


def open_project(targets: Sequence[str]) -> Project:
    root, _ = split_project(targets)
    return writing(root)


def open_reading(targets: Sequence[str]) -> Project:
    """Open the project for a command that only reads: nothing on disk is made or changed.

    Where its schema is older and it may be written, it is brought up to date first.
    """
    root, _ = split_project(targets)
    return reading(root)


def reading_with_rest(targets: Sequence[str]) -> tuple[Project, list[str]]:
    """Like :func:`open_reading`; also returns the words after the project."""
    root, left = split_project(targets, rest=True)
    return reading(root), left


def reading(root: Path) -> Project:
    """Like :func:`open_reading`, given the project's folder."""
    from coldal_tui.errors import ColdalError
    from coldal_tui.project.identity import lost_actions, rolled_back
    from coldal_tui.project.project import Project

    try:
        project = Project(root, readonly=True)
    except ColdalError as error:
        if error.code != "old-schema":
            raise
        return Project(root)
    lost = lost_actions(project.store)
    if lost is not None:
        say(f"Warning: {rolled_back(project.store.path, lost)}")
    return project


def writing(root: Path) -> Project:
    """Open the project in this folder for a command that changes something."""
    from coldal_tui.project.labels.files import tidy_if_left
    from coldal_tui.project.project import Project

    project = Project(root, patient=True)
    try:
        tidy_if_left(project)
    except BaseException:
        project.close()
        raise
    return project


def open_with_rest(targets: Sequence[str]) -> tuple[Project, list[str]]:
    root, left = split_project(targets, rest=True)
    return writing(root), left


def split_action(
    rest: Sequence[str], actions: Sequence[str], default: str | None = None
) -> tuple[str, list[str]]:
    """Split words into the action and its arguments; UsageError lists the valid actions."""
    if not rest and default is not None:
        return default, []
    action, words = rest[0], list(rest[1:])
    allowed = f"one of: {', '.join(actions)}"
    if action not in actions:
        if is_path(action):
            raise UsageError(
                "neither a project folder nor an action",
                where=action,
                remedy=f"a project folder holds a {CONFIG_NAME}; the action is {allowed}",
            )
        raise UsageError(f"no such action {action!r}", remedy=allowed)
    return action, words


def paste(command: str, root: Path) -> str:
    """``command`` ready to paste: with PROJECT unless this is the nearest project."""
    cwd = Path.cwd()
    if not command or nearest_project() == root.resolve():
        return command
    near = root.resolve()
    shown = str(near.relative_to(cwd)) if near.is_relative_to(cwd) else str(near)
    if shown.startswith("-"):
        shown = f"./{shown}"
    words = command.split(" ", 2)
    return " ".join([*words[:2], shlex.quote(shown), *words[2:]])


def print_json(data: Any, *, one_line: bool = False) -> None:
    """Print one JSON document on stdout; numbers that JSON lacks become null."""
    text = json.dumps(
        shown_document(_finite(data)), indent=None if one_line else 2, default=str, allow_nan=False
    )
    click.echo(text)


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return data


def echo(line: str) -> None:
    """Print a line on stdout; control characters are made visible."""
    click.echo(visible(line, keep="\n"))


def say(message: str) -> None:
    """Print a message for people on stderr; stdout is for data."""
    click.echo(visible(message, keep="\n"), err=True)


def console(*, err: bool = False) -> Console:
    """A console without markup, emoji codes or control characters: every string is literal."""
    from rich.console import Console

    class Literal(Console):
        def on_broken_pipe(self) -> None:
            sys.exit(PIPE_CLOSED)

        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(visible(text, keep="\n"), **options)

    stream = sys.stderr if err else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
    return Literal(stderr=err, highlight=False, markup=False, emoji=False, width=width)


def table(*columns: str) -> Table:
    """A plain table. Columns whose name ends in ``>`` are right-aligned.

    A narrow terminal folds the columns whose name ends in ``~``, and cuts none.
    """
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        made.add_column(
            visible(column.rstrip(">~")),
            justify="right" if column.endswith(">") else "left",
            no_wrap=not column.endswith("~"),
            overflow="fold",
        )
    return made


def print_table(out: Console, title: str, made: Table) -> None:
    """Print a table with its title, separated from other output by an empty line."""
    from rich.text import Text

    if active() is not None:
        for column in made.columns:
            if str(column.header) in NAME_KEYS:
                # Even names that would not be taken for one in a sentence.
                column._cells[:] = [named(c) if isinstance(c, str) else c for c in column._cells]
    out.print()
    out.print(Text(visible(title), style="bold"))
    out.print(made)
    out.print()


def number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


@contextmanager
def quiet_interrupt() -> Iterator[None]:
    """End a following view on Ctrl-C: exit 130, without a message."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
