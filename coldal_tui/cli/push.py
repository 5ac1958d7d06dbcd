"""``push``: sends queued scans to a labeler's server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from coldal_tui.cli import common
from coldal_tui.cli.handing_out import HandedOut, handing_out_options
from coldal_tui.cli.progress import stage_progress
from coldal_tui.visible import counted, listed

if TYPE_CHECKING:
    from coldal_tui.project.project import Project
    from coldal_tui.project.servers.pushing import PushReport


@click.command("push")
@common.project_argument()
@click.option("--to", "name", help="Which connection; default: the only one.")
@handing_out_options
@click.option("--dry-run", is_flag=True, help="Say what would be sent; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def push_command(
    targets: tuple[str, ...],
    name: str | None,
    handed: HandedOut,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send queued scans to a labeler's server, with the model's pre-labels.

    What is there already is not sent again; a push that was cut off is gone on with. To an archive
    (dicomweb) go the accepted labels, as DICOM segmentations.

    \b
    coldal-tui push --top 10 --dry-run
    coldal-tui push --assign ana@lab.org,ben@lab.org --overlap 4
    """
    with common.open_project(targets) as project:
        if _is_archive(project, name):
            _store(project, str(name), as_json)
            return
        report = run_push(project, name, handed, dry_run=dry_run)
    if as_json:
        common.print_json(push_json(report))
    else:
        show_push(report)


def _is_archive(project: Project, name: str | None) -> bool:
    from coldal_tui.project.servers.connections import DICOMWEB

    section = project.config.connections.get(name or "")
    return section is not None and section.kind == DICOMWEB


def _store(project: Project, name: str, as_json: bool) -> None:
    """Send accepted labels to an archive, as DICOM segmentations."""
    from coldal_tui.project.servers.archive import store_labels

    with stage_progress("storing") as (advance,):
        report = store_labels(project, name, progress=advance)
    if as_json:
        common.print_json(
            {
                "connection": name,
                "stored": list(report.stored),
                "there_before": report.before,
                "empty": list(report.empty),
                "no_dicom": list(report.no_dicom),
                "requests": report.requests,
            }
        )
        return
    common.echo(f"stored {counted(len(report.stored), 'label')} in {name}")
    if report.before:
        common.echo(f"there before, not sent again: {report.before:,}")
    if report.empty:
        common.echo(f"show nothing, and DICOM has no empty segmentation: {listed(report.empty)}")
    if report.no_dicom:
        common.echo(f"of images that are no DICOM: {listed(report.no_dicom)}")


def run_push(
    project: Project, name: str | None, handed: HandedOut, *, dry_run: bool = False
) -> PushReport:
    """Push with a progress bar."""
    from coldal_tui.cli.export_queue import predict_missing
    from coldal_tui.project.servers.connections import entered, pick_connection
    from coldal_tui.project.servers.pushing import push

    wanted = handed.wanted()
    with entered(project, pick_connection(project, name)) as connection:
        if handed.prelabels and not dry_run:
            predict_missing(project)
        with stage_progress("exporting", "pushing") as (exported, sent):
            return push(
                project,
                connection,
                wanted,
                dry_run=dry_run,
                progress=sent,
                export_progress=exported,
            )


def push_json(report: PushReport) -> dict[str, Any]:
    return {
        "connection": report.connection,
        "pushed": list(report.new),
        "there_before": list(report.before),
        "resumed": report.resumed,
        "assignees": report.people,
        "requests": report.requests,
        "dry_run": report.dry_run,
    }


def show_push(report: PushReport) -> None:
    from coldal_tui.project.servers.server_reports import push_lines

    for line in push_lines(report):
        common.echo(line)
    if not report.dry_run and (report.new or report.before):
        common.echo("when people have drawn: coldal-tui pull, or pull --watch")
