"""``open``: the terminal app."""

from __future__ import annotations

import click

from coldal_tui.cli import common


@click.command("open")
@common.project_argument()
@click.option("--readonly", is_flag=True, help="Look, change nothing.")
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal.")
def open_command(targets: tuple[str, ...], readonly: bool, no_mouse: bool) -> None:
    """Open the terminal app on a project."""
    from coldal_tui.tui.app import ColdalApp

    root, _ = common.split_project(targets)
    common.open_project((str(root),)).close()
    ColdalApp(root, readonly=readonly).run(mouse=not no_mouse)
