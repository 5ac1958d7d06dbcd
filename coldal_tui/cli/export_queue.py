"""``export-queue``: hands scans to labelers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from coldal_tui.cli import common, completers
from coldal_tui.cli.progress import file_progress, run_steps

if TYPE_CHECKING:
    from coldal_tui.exchange.deidentify.keys import Dates
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
@click.option("--top", type=click.IntRange(min=1), help="Only the first so many of the queue.")
@click.option("--round", "round_", type=int, help="Only this round.")
@click.option("--cluster", type=int, help="Only this cluster.")
@click.option(
    "--assign",
    help="Deal out to these people in turn: ana,ben",
    shell_complete=completers.complete_people,
)
@click.option(
    "--overlap",
    type=click.IntRange(min=0),
    default=0,
    help="So many scans, spread over the queue, go to several people; each person gets a folder.",
)
@click.option(
    "--raters",
    "each",
    type=click.IntRange(min=2),
    default=2,
    show_default=True,
    help="How many people draw each scan of the overlap.",
)
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
@click.option("--again", is_flag=True, help="Also scans that are out already.")
@click.option(
    "--changed",
    is_flag=True,
    help="Scans that are out, and whose image, pre-label or people changed since.",
)
@click.option(
    "--slices", default="all", show_default=True, help="Of volumes, for 2-D tools: all or every:N."
)
@click.option(
    "--deidentify", is_flag=True, help="Pseudonyms, clean headers; the keys stay in the project."
)
@click.option(
    "--dates",
    type=click.Choice(["remove", "shift"]),
    default="remove",
    show_default=True,
    help="With --deidentify: leave dates out, or move each patient's.",
)
@click.option("--no-prelabels", is_flag=True, help="Only the pre-labels that are there already.")
@click.option(
    "--prelabels-from",
    metavar="NAME",
    help="Prefer the pre-labels of this model (see prelabels), or run: the newest run.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def export_queue_command(
    targets: tuple[str, ...],
    format_: str,
    out: Path | None,
    top: int | None,
    round_: int | None,
    cluster: int | None,
    assign: str | None,
    overlap: int,
    each: int,
    honeypots: int,
    repeats: int,
    again: bool,
    changed: bool,
    slices: str,
    deidentify: bool,
    dates: Dates,
    no_prelabels: bool,
    prelabels_from: str | None,
    as_json: bool,
) -> None:
    """Hand queued scans to labelers: images, a manifest, and a page that says what to do.

    Where a run has predicted a queued scan, its mask goes along as a pre-label; else that of
    another model, if one was imported (prelabels import).

    \b
    coldal-tui export-queue --to slicer --top 10
    coldal-tui export-queue --to cvat --slices every:5 --assign ana,ben --overlap 4
    """
    from coldal_tui.exchange.exporters import exporter
    from coldal_tui.exchange.exporters.choices import SliceChoice
    from coldal_tui.project.export.exporting import Wanted, export_queue

    people = common.assigned(assign)
    exporter(format_)
    wanted = Wanted(
        top=top,
        round_=round_,
        cluster=cluster,
        again=again,
        changed=changed,
        people=people,
        overlap=overlap,
        each=each,
        honeypots=honeypots,
        repeats=repeats,
        slices=SliceChoice.parse(slices),
        deidentify=dates if deidentify else None,
        prelabels_from=prelabels_from,
    )
    with common.open_project(targets) as project:
        if not no_prelabels:
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
        }
    )


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
