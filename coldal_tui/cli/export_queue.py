"""``export-queue``: hands scans to labelers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from coldal_tui.cli import common, completers
from coldal_tui.cli.handing_out import HandedOut, handing_out_options
from coldal_tui.cli.progress import file_progress, run_steps

if TYPE_CHECKING:
    from coldal_tui.project.export.exporting import ExportReport
    from coldal_tui.project.project import Project


@click.command("export-queue")
@common.project_argument()
@click.option(
    "--to",
    "format_",
    default="folder",
    show_default=True,
    shell_complete=completers.complete_export_formats,
    help="folder, nifti (ITK-SNAP), slicer, monai-label, nnunet, cvat, label-studio, coco or "
    "dicom-seg.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Default: exports/ in the project.")
@handing_out_options
@click.option(
    "--honeypots",
    type=click.IntRange(min=0),
    default=0,
    help="So many labelled scans, hidden among each person's others; results only in raters.",
)
@click.option(
    "--repeats",
    type=click.IntRange(min=0),
    default=0,
    help="So many scans that the person drew before, hidden; all scans get new names.",
)
@click.option(
    "--changed",
    is_flag=True,
    help="Scans that are out, and whose image, pre-label or people changed since.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def export_queue_command(
    targets: tuple[str, ...],
    format_: str,
    out: Path | None,
    handed: HandedOut,
    honeypots: int,
    repeats: int,
    changed: bool,
    as_json: bool,
) -> None:
    """Hand queued scans to labelers: images, a manifest, and a page that says what to do.

    Where a run has predicted a queued scan, its mask goes along as a pre-label; else that of
    another model, if one was imported (prelabels import).

    \b
    coldal-tui export-queue --to slicer --top 10
    coldal-tui export-queue --to cvat --slices every:5 --assign ana,ben --overlap 4
    """
    from coldal_tui.exchange.exporters import SLICED, exporter, hands_out_whole
    from coldal_tui.project.export.exporting import export_queue

    wanted = handed.wanted(changed=changed, honeypots=honeypots, repeats=repeats)
    exporter(format_)
    if handed.slices != "all" and hands_out_whole(format_):
        common.say(
            f"--slices does nothing: {format_} hands volumes out whole ({', '.join(SLICED)} don't)"
        )
    with common.open_project(targets) as project:
        if handed.prelabels:
            predict_missing(project)
        with file_progress("exporting") as advance:
            report = export_queue(
                project,
                format=format_,
                out=out.absolute() if out else None,
                wanted=wanted,
                progress=advance,
            )
    if as_json:
        _print_json(report, format_)
    else:
        _show(report, project.root)


def _print_json(report: ExportReport, format_: str) -> None:
    common.print_json(
        {
            "export_id": report.export_id,
            "format": format_,
            "folder": str(report.folder),
            "scans": list(report.scans),
            "prelabels": report.prelabels,
            "prelabels_by": report.makers,
            "assignees": report.assignees,
            "shared": report.shared,
            "key_file": str(report.key_file) if report.key_file else None,
            "expected_minutes": _minutes(report),
        }
    )


def _minutes(report: ExportReport) -> dict[str, float] | None:
    """Expected minutes of all drawings, with the 90 % interval."""
    total = report.expected
    if total is None:
        return None
    named = {"minutes": total.minutes, "low": total.low, "high": total.high}
    return {"drawings": total.scans} | {key: round(value, 1) for key, value in named.items()}


def _show(report: ExportReport, root: Path) -> None:
    from coldal_tui.project.report_words import export_lines

    for line in export_lines(report):
        common.echo(line)
    back = common.paste("coldal-tui import-masks DIR", root)
    common.echo(f"when masks are back: {back}")


def predict_missing(project: Project) -> None:
    """Predict missing pre-labels with the newest run; the export continues if that fails."""
    from coldal_tui.errors import ColdalError
    from coldal_tui.project.runs import latest_run
    from coldal_tui.scheduler.plan_train import plan_predict

    if latest_run(project) is None or plan_predict(project, {}) is None:
        return
    try:
        run_steps(project, [("predict", {})], detach=False)
    except ColdalError as error:
        common.say(f"without new pre-labels: {error}")
