"""``run``: takes probability maps of another model in as a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from coldal_tui.cli import common, which_project
from coldal_tui.cli.progress import file_progress
from coldal_tui.errors import UsageError
from coldal_tui.visible import counted

if TYPE_CHECKING:
    from coldal_tui.project.models.run_import import RunReport

ACTIONS = ("import", "remove")
_SHOWN = 20


@click.command("run")
@common.project_argument("[PROJECT] import DIR | remove RUN")
@click.option("--name", help="import: the name of the model, such as 'nnU-Net 3d_fullres'.")
@click.option(
    "--folds",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="import: which labelled scans the model had not seen: CSV, JSON or splits_final.json.",
)
@click.option("--match", help="import: file names, such as '{stem}_prob'.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def run_command(
    targets: tuple[str, ...],
    name: str | None,
    folds: Path | None,
    match: str | None,
    as_json: bool,
) -> None:
    """Your own model in the loop: its softmax maps become a run.

    `next` then picks by its entropy without training the built-in network, its masks go out as
    pre-labels, and labels are checked against it. DIR holds one map per scan: .npz of
    nnUNetv2_predict --save_probabilities, .npy, or 4-D NIfTI.

    \b
    coldal-tui run import predictions --name nnU-Net --folds splits_final.json
    coldal-tui next
    """
    root, rest = which_project.split_project(targets, rest=True)
    action, words = common.split_action(rest or [""], ACTIONS)
    if len(words) != 1:
        raise UsageError(f"{action} what?", remedy=f"coldal-tui run {action} …")
    with common.writing(root) as project:
        if action == "remove":
            from coldal_tui.project.models.run_import import remove_run

            remove_run(project, words[0])
            if as_json:
                common.print_json({"removed": words[0]})
            else:
                common.echo(f"removed {words[0]}")
            return
        if name is None:
            raise UsageError("which model is it?", remedy="coldal-tui run import DIR --name NAME")
        from coldal_tui.project.models.run_import import import_run

        with file_progress("reading maps") as advance:
            report = import_run(
                project, Path(words[0]), name, folds=folds, match=match, progress=advance
            )
    if as_json:
        common.print_json(_document(report))
    else:
        _show(report)


def _document(report: RunReport) -> dict[str, object]:
    return {
        "run_id": report.run_id,
        "scans": list(report.scans),
        "candidates": report.candidates,
        "candidates_without_map": report.missing,
        "measured": report.measured,
        "dice": report.dice,
        "passed_over": [{"file": one.file, "message": one.message} for one in report.passed],
    }


def _show(report: RunReport) -> None:
    from coldal_tui.project.measuring import kind_name

    common.echo(f"{report.run_id}: maps of {counted(len(report.scans), 'scan')}")
    for split, count in sorted(report.measured.items()):
        scans = counted(count, "labelled scan")
        common.echo(f"  Dice {report.dice[split]:.3f} on {scans} ({kind_name(split)})")
    if report.missing:
        common.echo(
            f"  {counted(report.missing, 'scan')} of {report.candidates:,} that may be picked "
            "have no map: they can't be picked by entropy"
        )
    for one in report.passed[:_SHOWN]:
        common.echo(f"passed over: {Path(one.file).name}: {one.message}")
    if len(report.passed) > _SHOWN:
        common.echo(f"… and {len(report.passed) - _SHOWN:,} more; --json lists all")
