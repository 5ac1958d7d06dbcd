"""``pull`` and ``sync``: bring drawings back from a labeler's server, once or as they come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from coldal_tui.cli import common
from coldal_tui.cli.handing_out import HandedOut
from coldal_tui.cli.import_masks import import_json
from coldal_tui.cli.progress import stage_progress
from coldal_tui.cli.push import push_json, run_push, show_push
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
    from coldal_tui.project.project import Project
    from coldal_tui.project.servers.connections import Connection
    from coldal_tui.project.servers.pulling import PullReport, Word

_LONGEST_WAIT_S = 300.0
_FATAL = frozenset({"server-login", "no-token", "not-trusted", "certificate"})
"""Errors that no waiting mends."""


@click.command("pull")
@common.project_argument()
@click.option("--from", "name", help="Which connection; default: the only one.")
@click.option(
    "--conflict",
    default="quarantine",
    help="Of several masks of a scan: quarantine, newest, annotator:NAME, majority, staple, union.",
)
@click.option("--confirm-empty", is_flag=True, help="Empty masks are negative cases.")
@click.option("--watch", is_flag=True, help="Pull what is drawn, as it is drawn, until Ctrl-C.")
@click.option(
    "--every",
    type=click.FloatRange(min=1),
    default=5.0,
    show_default=True,
    help="With --watch: seconds between two questions.",
)
@click.option("--dry-run", is_flag=True, help="Say what would happen; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def pull_command(
    targets: tuple[str, ...],
    name: str | None,
    conflict: str,
    confirm_empty: bool,
    watch: bool,
    every: float,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Bring finished drawings from a labeler's server; each is imported under its person.

    Everything lands in incoming/NAME/ first, and goes through the same checks as import-masks.

    \b
    coldal-tui pull
    coldal-tui pull --watch --conflict majority
    """
    from coldal_tui.exchange.incoming.conflicts import ConflictRule
    from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
    from coldal_tui.project.servers.connections import entered, pick_connection

    if watch and dry_run:
        raise click.UsageError("--watch and --dry-run exclude each other")
    options = ImportOptions(conflict=ConflictRule.parse(conflict), confirm_empty=confirm_empty)
    with (
        common.open_project(targets) as project,
        entered(project, pick_connection(project, name)) as connection,
    ):
        if watch:
            _watch(project, connection, options, every, as_json)
            return
        report = _pull(project, connection, options, dry_run)
    if as_json:
        common.print_json(pull_json(report))
    else:
        show_pull(report)


@click.command("sync")
@common.project_argument()
@click.option("--with", "name", help="Which connection; default: the only one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def sync_command(targets: tuple[str, ...], name: str | None, as_json: bool) -> None:
    """Push what is queued, then pull what is drawn."""
    from coldal_tui.project.servers.connections import entered, pick_connection

    with common.open_project(targets) as project:
        try:
            pushed = run_push(project, name, HandedOut())
        except UsageError as error:
            if error.code != "nothing":
                raise
            pushed = None
        with entered(project, pick_connection(project, name)) as connection:
            pulled = _pull(project, connection, None, False)
    if as_json:
        told = push_json(pushed) if pushed else None
        common.print_json({"push": told, "pull": pull_json(pulled)})
        return
    if pushed:
        show_push(pushed)
    else:
        common.echo("nothing is queued: nothing was pushed")
    show_pull(pulled)


def _pull(
    project: Project, connection: Connection, options: ImportOptions | None, dry_run: bool
) -> PullReport:
    from coldal_tui.project.servers.pulling import pull

    with stage_progress("pulling", "importing") as (asked, imported):
        return pull(
            project,
            connection,
            options=options,
            dry_run=dry_run,
            progress=asked,
            import_progress=imported,
        )


def _watch(
    project: Project,
    connection: Connection,
    options: ImportOptions,
    every: float,
    as_json: bool,
) -> None:
    """Pull until Ctrl-C; a server that is away is asked ever more seldom."""
    from coldal_tui.cli.progress import decoders_silenced
    from coldal_tui.project.servers.pulling import pull

    common.say(f"watching {connection.name}; Ctrl-C ends it")
    failures = 0
    with common.quiet_interrupt():
        while True:
            try:
                with decoders_silenced():
                    report = pull(project, connection, options=options, progress=_silent)
            except ColdalError as error:
                if error.code in _FATAL:
                    raise
                failures += 1
                if failures == 1:
                    common.say(f"{error}\n  trying again …")
            else:
                if failures:
                    common.say(f"{connection.name} answers again")
                failures = 0
                if report.news:
                    _tell(report, as_json)
            # Doubled ten times at most: days of failures would be a number too large.
            time.sleep(min(every * 2 ** min(failures, 10), max(every, _LONGEST_WAIT_S)))


def _silent(done: int, total: int, name: str) -> None:
    """Progress that nobody watches."""


def _tell(report: PullReport, as_json: bool) -> None:
    if as_json:
        common.print_json(pull_json(report), one_line=True)
    else:
        show_pull(report)


def pull_json(report: PullReport) -> dict[str, Any]:
    def words(some: Sequence[Word]) -> list[dict[str, str]]:
        return [{"scan_id": w.scan_id, "person": w.person, "text": w.text} for w in some]

    return {
        "connection": report.connection,
        "drawn": report.drawn,
        "minutes": round(report.minutes, 3),
        "partly": words(report.partly),
        "skipped": words(report.skipped),
        "comments": words(report.comments),
        "strangers": report.strangers,
        "requests": report.requests,
        "dry_run": report.dry_run,
        "import": import_json(report.report) if report.report is not None else None,
    }


def show_pull(report: PullReport) -> None:
    from coldal_tui.project.servers.server_reports import pull_lines

    for line in pull_lines(report):
        common.echo(visible(line))
