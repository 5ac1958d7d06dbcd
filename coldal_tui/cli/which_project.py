"""Finds the project of a call: by its words, ``-C``, COLDAL_PROJECT, or the nearest folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from coldal_tui.errors import UsageError
from coldal_tui.project.layout import CONFIG_NAME, find_project, is_project
from coldal_tui.visible import visible

PROJECT_VARIABLE = "COLDAL_PROJECT"


def split_project(targets: Sequence[str], *, rest: bool = False) -> tuple[Path, list[str]]:
    """Split words into the project folder and the rest.

    The first word is the project when it is a folder with a ``coldal.toml``; with ``rest``, so is
    the second or the last after one that is no path (``jobs cancel PROJECT 2``). Otherwise it is
    the one of ``-C``, of the variable COLDAL_PROJECT, or the nearest folder upward, and all words
    are left for the command.
    """
    named, others = take_project(targets) if rest else take_project(targets[:1])
    if named:
        root, left = Path(named[0]).resolve(), list(others) if rest else list(targets[1:])
    elif targets and not rest:
        raise _no_project(targets[0])
    else:
        root, left = _standing(targets), list(targets)
    if left and not rest:
        raise click.UsageError(f"unexpected argument {left[0]!r}")
    return root, left


def take_project(targets: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split off the word that names a project, if any; opens nothing.

    It is the first word; after an action it is the second or, where more follow, the last.
    """
    words = tuple(targets)
    if words and is_project(Path(words[0])):
        return words[:1], words[1:]
    if len(words) > 1 and not is_path(words[0]):
        if is_project(Path(words[1])):
            return words[1:2], (words[0], *words[2:])
        if is_project(Path(words[-1])):
            return words[-1:], words[:-1]
    return (), words


def standing_project() -> Path | None:
    """The project of a call that names none, by ``-C`` or COLDAL_PROJECT; None: the nearest one.

    Raises UsageError where it is no project.
    """
    context = click.get_current_context(silent=True)
    named = context.find_root().obj if context is not None else None
    where = "-C"
    if not named:
        named, where = os.environ.get(PROJECT_VARIABLE), PROJECT_VARIABLE
    if not named:
        return None
    if not is_project(Path(named)):
        raise _no_project(named, f" ({where} names it)")
    return Path(named).resolve()


def _standing(targets: Sequence[str]) -> Path:
    found = standing_project()
    if found is None:
        return _nearest(targets)
    near = nearest_project()
    if near is not None and near.resolve() != found:
        click.echo(visible(f"working on {found}, not on the project here"), err=True)
    return found


def nearest_project() -> Path | None:
    """The nearest folder upward that is a project."""
    cwd = Path.cwd()
    return next((folder for folder in (cwd, *cwd.parents) if is_project(folder)), None)


def _nearest(targets: Sequence[str]) -> Path:
    try:
        return find_project(Path.cwd())
    except UsageError as error:
        if targets and is_path(targets[0]):
            raise _no_project(
                targets[0], ", nor is there one here or in any folder above"
            ) from error
        raise


def _no_project(word: str, further: str = "") -> UsageError:
    path = Path(word)
    if path.is_dir():
        what = f"no {CONFIG_NAME} in this folder"
    else:
        what = "a file, not a project folder" if path.exists() else "no such project"
    return UsageError(
        what + further,
        where=word,
        remedy="name a project folder, or make one: coldal-tui init PROJECT --images DIR",
        code="no-project",
    )


def is_path(word: str) -> bool:
    """Whether a word looks like a path rather than an action or a scan."""
    return "/" in word or Path(word).exists()
