"""``backup`` and ``restore``: copies of the project's database."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from coldal_tui.cli import common, which_project
from coldal_tui.cli.doctor_repair import say_repaired
from coldal_tui.errors import ColdalError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from coldal_tui.project.database.backups import Backup


@click.command("backup")
@common.project_argument()
@click.option("--list", "only_list", is_flag=True, help="Show the copies there are.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def backup_command(targets: tuple[str, ...], only_list: bool, as_json: bool) -> None:
    """Copy the project's database now, verified, to .coldal/backups.

    The first action of a day and every change of the schema make a copy, too. Labels and images
    are separate files and not part of it.
    """
    from coldal_tui.project.database.backups import backups

    if only_list:
        with common.open_reading(targets) as project:
            _show(backups(project.layout.database), as_json)
        return
    with common.open_project(targets) as project:
        made = project.store.back_up()
        if as_json:
            _show([made], as_json)
        else:
            common.echo(f"copied and verified: {made.file}")


@click.command("restore")
@common.project_argument("[PROJECT] [COPY]")
@click.option("--list", "only_list", is_flag=True, help="Show the copies there are.")
@click.option("--yes", is_flag=True, help="Put it back without being asked.")
def restore_command(targets: tuple[str, ...], only_list: bool, yes: bool) -> None:
    """Put a copy of the database back: the newest that is whole, or COPY by its name.

    The database that it replaces is kept beside the copies. Labels accepted since then are added
    again from their files.
    """
    from coldal_tui.files import is_locked
    from coldal_tui.project.database.backups import backups, be_alone, put_back
    from coldal_tui.project.label_repair import repair_labels
    from coldal_tui.project.layout import Layout
    from coldal_tui.project.project import Project

    root, rest = which_project.split_project(targets, rest=True)
    layout = Layout(root)
    there = backups(layout.database)
    if only_list:
        _show(there, False)
        return
    if len(rest) > 1:
        raise click.UsageError(f"unexpected argument {rest[1]!r}")
    chosen = _chosen(there, rest[0] if rest else None, layout.state)
    if is_locked(layout.supervisor_lock):
        raise ColdalError(
            "jobs of this project are running",
            where=str(root),
            remedy="wait for them or end them (coldal-tui jobs), then again",
            code="busy",
        )
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("nobody is here to answer", where=str(root), remedy="add --yes")
        click.confirm(f"Put back the copy of {chosen.at:%Y-%m-%d %H:%M} UTC?", abort=True)
    be_alone(layout.database)
    aside = put_back(chosen.file, layout.database)
    with Project(root, repairing=True) as project:
        with project.store.action("restore", undoable=False, copy=chosen.file.name) as action:
            action.summary = f"put back the copy {chosen.file.name}"
        common.echo(f"put back {chosen.file.name}")
        if aside is not None:
            common.echo(f"what was there is kept: {aside}")
        say_repaired(repair_labels(project))


def _chosen(there: list[Backup], name: str | None, state: Path) -> Backup:
    from coldal_tui.project.database.backups import verify

    if name is not None:
        found = next((one for one in there if one.file.name == name), None)
        if found is None:
            raise UsageError("no such copy", where=name, remedy="coldal-tui restore --list")
        verify(found.file)
        return found
    for one in reversed(there):
        try:
            verify(one.file)
        except ColdalError as error:
            common.say(str(error))
            continue
        return one
    raise ColdalError(
        "there is no copy of this database that is whole",
        where=str(state),
        remedy="make the database anew from the labels and the journal: coldal-tui doctor --repair",
        code="backup",
    )


def _show(there: list[Backup], as_json: bool) -> None:
    if as_json:
        words = [
            {"file": str(one.file), "at": one.at.isoformat(), "kind": one.kind} for one in there
        ]
        common.print_json(words)
        return
    if not there:
        common.echo("no copies yet: coldal-tui backup makes one")
    for one in there:
        common.echo(f"{one.at:%Y-%m-%d %H:%M:%S} UTC  {one.kind:<9}  {one.file.name}")
