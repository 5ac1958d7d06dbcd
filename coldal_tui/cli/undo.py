"""``undo``, ``redo`` and ``log``: take actions back, repeat them, list them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from coldal_tui.cli import common
from coldal_tui.visible import visible

if TYPE_CHECKING:
    from coldal_tui.project.history import Entry


@click.command("undo")
@common.project_argument()
@click.option("--list", "only_list", is_flag=True, help="Show what would be taken back, in order.")
@click.option("--yes", is_flag=True, help="Don't ask; also take back what somebody else did.")
@click.option("--json", "as_json", is_flag=True, help="--list: print one JSON document.")
def undo_command(targets: tuple[str, ...], only_list: bool, yes: bool, as_json: bool) -> None:
    """Take back the last selection, queue change, import, label change or export record.

    In a terminal it names the action and asks. What somebody else did is taken back only after a
    question, or with --yes. `coldal-tui redo` does it again. Exit 1 when there is nothing.
    """
    from coldal_tui.project import history

    if as_json and not only_list:
        raise click.UsageError("--json goes with --list")
    if only_list:
        with common.open_reading(targets) as project:
            entries = history.undoable(project)
            if as_json:
                common.print_json([entry.json() for entry in entries])
            else:
                _show(entries)
        return
    with common.open_project(targets) as project:
        asking = not yes and sys.stdin.isatty()
        last = history.next_undo(project, anybody=yes or asking)
        if asking:
            when, who = history.age(last["at"]), visible(last["who"])
            common.say(f"{when}, {who}: {visible(history.told(last))}")
            click.confirm("Take this back?", abort=True)
        undone = history.undo(project, last["audit_id"])
        common.echo(f"took back: {history.told(undone)} ({undone['at']}, {undone['who']})")
        common.say("coldal-tui redo does it again")


@click.command("redo")
@common.project_argument()
def redo_command(targets: tuple[str, ...]) -> None:
    """Do again what undo took back last, until the next change. Exit 1 when there is nothing."""
    from coldal_tui.project import history

    with common.open_project(targets) as project:
        common.echo(f"did again: {history.told(history.redo(project))}")


@click.command("log")
@common.project_argument()
@click.option("--since", help="Only from this date or time on (2026-01-31, 2026-01-31T14:00).")
@click.option("-n", "newest", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def log_command(targets: tuple[str, ...], since: str | None, newest: int, as_json: bool) -> None:
    """The audit trail: what was done, when and by whom, oldest first."""
    from coldal_tui.project import history

    with common.open_reading(targets) as project:
        entries = history.read_log(project, since=since, newest=newest)
        if as_json:
            common.print_json([entry.json() for entry in entries])
        else:
            _show(entries)


def _show(entries: list[Entry]) -> None:
    made = common.table("#>", "when", "who", "action", "what~")
    for entry in entries:
        what = entry.summary + (" (taken back)" if entry.undone else "")
        made.add_row(str(entry.number), entry.at[:19], entry.who, entry.action, what)
    common.console().print(made)
