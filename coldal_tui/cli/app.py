"""``open``: the terminal app."""

from __future__ import annotations

import sys

import click

from coldal_tui.cli import common


@click.command("open")
@common.project_argument()
@click.option("--readonly", is_flag=True, help="Look, change nothing.")
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal.")
def open_command(targets: tuple[str, ...], readonly: bool, no_mouse: bool) -> None:
    """Open the terminal app on a project."""
    from coldal_tui.errors import UsageError
    from coldal_tui.project.project import Project

    root, _ = common.split_project(targets)
    Project(root).close()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "the app needs a terminal",
            where=str(root),
            remedy="over SSH: ssh -t; without one: coldal-tui status",
        )
    from coldal_tui.tui.app import ColdalApp

    ColdalApp(root, readonly=readonly).run(mouse=not no_mouse)
