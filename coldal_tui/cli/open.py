"""``open``: the terminal app."""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from coldal_tui.cli import common, which_project
from coldal_tui.project.layout import Layout, is_project

if TYPE_CHECKING:
    from coldal_tui.tui.shell.app import ColdalApp

CELLS = ("off", "sextants", "quadrants", "blocks")
GRAPHICS = ("auto", "kitty", "sixel", "cells", *CELLS)


@click.command("open")
@common.project_argument()
@click.option("--readonly", is_flag=True, help="Look, change nothing.")
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal.")
@click.option("--ascii", "plain", is_flag=True, help="Draw with plain characters only.")
@click.option(
    "--graphics",
    type=click.Choice(GRAPHICS),
    default="auto",
    is_flag=False,
    flag_value="auto",
    help="How pictures are drawn: kitty and sixel (extra: graphics) by themselves where the "
    "terminal has them; in cells of 6, 4 or 2 pixels; off: as characters.",
)
def open_command(
    targets: tuple[str, ...], readonly: bool, no_mouse: bool, plain: bool, graphics: str
) -> None:
    """Open the terminal app on a project.

    Closing it, or losing the line, ends no job; the next time it looks as it was left. Where
    there is no project yet, four questions make one.
    """
    from coldal_tui.errors import UsageError
    from coldal_tui.project.project import Project

    if not readonly and has_terminal() and is_new(targets):
        made = ask_for_project(targets, plain=plain, mouse=not no_mouse)
        if made is None:
            return
        targets = (str(made),)
    root, _ = which_project.split_project(targets)
    Project(root, readonly=readonly).close()
    if not has_terminal():
        raise UsageError(
            "the app needs a terminal",
            where=str(root),
            remedy="over SSH: ssh -t; without one: coldal-tui status",
        )
    run_app(root, readonly=readonly, mouse=not no_mouse, plain=plain, graphics=graphics)


def has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def is_new(targets: tuple[str, ...]) -> bool:
    """Whether a call names a folder that is no project yet, or none and stands in none."""
    if targets:
        path = Path(targets[0])
        state = Layout(path).state
        return len(targets) == 1 and not (is_project(path) or path.is_file() or state.exists())
    return which_project.standing_project() is None and which_project.nearest_project() is None


def ask_for_project(targets: tuple[str, ...], *, plain: bool, mouse: bool) -> Path | None:
    """Ask the four questions; None when the person left.

    A folder with something in it is taken for the images, another one for the project.
    """
    from coldal_tui.tui.drawing.glyphs import ASCII, UNICODE
    from coldal_tui.tui.shell.terminal import can_unicode, private_terminal
    from coldal_tui.tui.start.wizard import Wizard

    look = ASCII if plain or not can_unicode() else UNICODE
    root = images = None
    if targets:
        path = Path(targets[0]).resolve()
        full = path.is_dir() and any(not one.name.startswith(".") for one in path.iterdir())
        root, images = (None, path) if full else (path, None)
    wizard = Wizard(root, images, look=look)
    with private_terminal(Path(os.devnull)):
        return wizard.run(mouse=mouse)


def run_app(
    root: Path,
    *,
    readonly: bool = False,
    mouse: bool = True,
    plain: bool = False,
    graphics: str = "auto",
) -> None:
    """Run the app until it is closed. ``plain``: ASCII only, as in locales without UTF-8."""
    from coldal_tui.tui.drawing.glyphs import ASCII, UNICODE
    from coldal_tui.tui.shell.terminal import (
        TerminalAnswer,
        ask_terminal,
        can_unicode,
        choose_pixels,
        choose_protocol,
        private_terminal,
    )
    from coldal_tui.tui.widgets.graphics import prepare_graphics

    # Thousands of objects are made from here to the first screen, and almost all of them stay.
    gc.disable()
    cells = graphics in CELLS
    answer = TerminalAnswer() if cells else ask_terminal(meanwhile=_load_app)
    protocol = choose_protocol(graphics, answer)
    missing = prepare_graphics() if protocol else ""
    if missing and graphics == "auto":
        protocol = ""  # nobody asked for it
    look = ASCII if plain or not can_unicode() else UNICODE
    if graphics == "off":
        look = replace(look, pixels="letters")
    elif look.braille:
        look = replace(look, pixels=choose_pixels(graphics, answer, os.environ))
    app = _load_app()(root, readonly=readonly, look=look, graphics=protocol)
    try:
        with private_terminal(app.log_file):
            app.run(mouse=mouse)
    finally:
        gc.enable()
    if app.return_code:
        common.say(f"the app ended on an error of its own; jobs go on. Its log: {app.log_file}")
    sys.exit(app.return_code or 0)


def _load_app() -> type[ColdalApp]:
    from coldal_tui.tui.shell.app import ColdalApp

    return ColdalApp
