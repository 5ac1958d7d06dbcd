"""``prelabels``: masks of other models as proposals for labelers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from coldal_tui.cli import common, which_project
from coldal_tui.cli.progress import file_progress
from coldal_tui.errors import UsageError
from coldal_tui.visible import counted, listed

if TYPE_CHECKING:
    from coldal_tui.project.models.prelabels import PrelabelReport
    from coldal_tui.project.project import Project

ACTIONS = ("list", "import", "remove")
_SHOWN = 20


@click.command("prelabels")
@common.project_argument("[PROJECT] [list|import DIR|remove [SCAN...]]")
@click.option("--source", help="import, remove: the name of the model, such as TotalSegmentator.")
@click.option("--match", help="import: file names, such as '{stem}_seg'.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def prelabels_command(
    targets: tuple[str, ...], source: str | None, match: str | None, as_json: bool
) -> None:
    """Masks of other models, for labelers to correct. They never become labels by themselves.

    An export hands them out where no run of the project has predicted the scan; with
    `export-queue --prelabels-from NAME` also where one has.

    \b
    coldal-tui prelabels import DIR --source TotalSegmentator
    coldal-tui prelabels                     which there are
    coldal-tui prelabels remove --source TotalSegmentator
    """
    root, rest = which_project.split_project(targets, rest=True)
    action, words = common.split_action(rest, ACTIONS, "list")
    if action == "list":
        if words:
            raise click.UsageError(f"unexpected argument {words[0]!r}")
        with common.reading(root) as project:
            _list(project, as_json)
        return
    if source is None:
        raise UsageError("which model is it?", remedy=f"prelabels {action} … --source NAME")
    with common.writing(root) as project:
        if action == "remove":
            _remove(project, source, words, as_json)
            return
        if len(words) != 1:
            raise UsageError("from where?", remedy="coldal-tui prelabels import DIR --source NAME")
        _import(project, Path(words[0]), source, match, as_json)


def _list(project: Project, as_json: bool) -> None:
    from coldal_tui.project.models.prelabels import list_prelabels

    found = list_prelabels(project)
    if as_json:
        common.print_json({"prelabels": [asdict(one) for one in found]})
        return
    for one in found:
        scans = counted(len(one.scans), "scan")
        common.echo(f"{one.source}: {scans}, last import {one.created_at[:16]}")
        common.echo(f"  {listed(one.scans)}")
    if not found:
        common.echo("no pre-labels of other models: coldal-tui prelabels import DIR --source NAME")


def _remove(project: Project, source: str, scans: list[str], as_json: bool) -> None:
    from coldal_tui.project.models.prelabels import remove_prelabels

    count = remove_prelabels(project, source, scans)
    if as_json:
        common.print_json({"source": source, "removed": count})
        return
    common.echo(f"removed {counted(count, 'pre-label')} by {source}; coldal-tui undo brings back")


def _import(project: Project, masks: Path, source: str, match: str | None, as_json: bool) -> None:
    from coldal_tui.project.models.prelabels import import_prelabels

    with file_progress("importing") as advance:
        report = import_prelabels(project, masks, source, match=match, progress=advance)
    if as_json:
        common.print_json(_document(report))
    else:
        _show(report)
    if not report.scans:
        raise SystemExit(1)


def _document(report: PrelabelReport) -> dict[str, object]:
    return {
        "source": report.source,
        "scans": list(report.scans),
        "replaced": report.replaced,
        "unchanged": report.unchanged,
        "unused": [
            {"file": one.origin, "code": one.code, "message": one.message} for one in report.unused
        ],
    }


def _show(report: PrelabelReport) -> None:
    common.echo(f"{counted(len(report.scans), 'scan')} with a pre-label by {report.source}")
    if report.replaced:
        common.echo(f"  {report.replaced:,} took the place of an earlier one")
    if report.unchanged:
        common.echo(f"  {report.unchanged:,} were here before, unchanged")
    told = [one for one in report.unused if one.status != "ignored"]
    for one in told[:_SHOWN]:
        common.echo(f"not used: {one.shown}: {one.explanation or one.status}")
    if len(told) > _SHOWN:
        common.echo(f"… and {len(told) - _SHOWN:,} more; --json lists all")
