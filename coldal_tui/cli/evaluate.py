"""``evaluate``: measures a run on masks that never become labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coldal_tui.cli import common
from coldal_tui.cli.common import number
from coldal_tui.cli.progress import file_progress, run_steps
from coldal_tui.cli.status import interval_words
from coldal_tui.visible import counted

if TYPE_CHECKING:
    from coldal_tui.project.measuring import Measure


@click.command("evaluate")
@common.project_argument()
@click.option("--masks", required=True, type=click.Path(path_type=Path), help="The true masks.")
@click.option("--images", type=click.Path(path_type=Path), help="Other images than the project's.")
@click.option("--match", help="How masks are named, such as '{stem}_mask'.")
@click.option("--run", "run_id", help="Default: the newest run.")
@click.option("--device", help="auto, cpu, cuda or cuda:N; default: coldal.toml.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def evaluate_command(
    targets: tuple[str, ...],
    masks: Path,
    images: Path | None,
    match: str | None,
    run_id: str | None,
    device: str | None,
    as_json: bool,
) -> None:
    """Measure a run on masks that never become labels.

    Without --images: on the project's own scans of patients without a label.
    """
    from coldal_tui.project.labels.evaluation_masks import prepare_cases
    from coldal_tui.project.measuring import read_evaluation_measure
    from coldal_tui.scheduler.recipes import check_run

    with common.open_project(targets) as project:
        check_run(project, run_id)
        with file_progress("reading masks") as advance:
            cases = prepare_cases(project, masks, images=images, match=match, progress=advance)
        try:
            request = {"cases": cases.file, "run": run_id, "device": device}
            (job,) = run_steps(project, [("evaluate", request)], detach=False)
        finally:
            cases.discard()
        measure = read_evaluation_measure(project, job.job_id)
    wrong = [v for v in cases.unused if v.status == "quarantined"]
    for verdict in wrong:
        common.say(f"left out {verdict.file.name}: {verdict.explanation}")
    show_evaluation(job.result, measure, as_json)


def show_evaluation(result: dict[str, Any], measure: Measure | None, as_json: bool) -> None:
    """Print Dice, HD and HD95 per class, their means, and the interval of the mean Dice."""
    if as_json:
        document = {
            "scans": len(result["scans"]),
            "classes": result["classes"],
            "mean": result["mean"]
            | {"low": measure.low if measure else None, "high": measure.high if measure else None},
            "per_scan": result["scans"],
        }
        common.print_json(document | {k: result[k] for k in ("counts",) if k in result})
        return
    table = common.table("class", "Dice>", "HD>", "HD95>", "")
    for name, values in result["classes"].items():
        table.add_row(
            name,
            number(values["dice"], 3),
            number(values["hd"], 1),
            number(values["hd95"], 1),
            values["unit"],
        )
    mean = result["mean"]
    table.add_row(
        "mean", number(mean["dice"], 3), number(mean["hd"], 1), number(mean["hd95"], 1), ""
    )
    common.print_table(common.console(), counted(len(result["scans"]), "scan"), table)
    if measure is not None and measure.low is not None:
        people = counted(measure.patients, "patient")
        click.echo(f"mean Dice, 95 % interval over {people}: {interval_words(measure)}")
    for name, count in (result.get("counts") or {}).items():
        if isinstance(count, int) and count and name in ("missed", "spurious"):
            click.echo(f"{name}: {count} (the diagonal stands for their distance)")
