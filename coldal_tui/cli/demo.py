"""``demo``: the whole loop on the sample data, whose masks replace the labeler."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from coldal_tui.cli import common
from coldal_tui.cli.common import number
from coldal_tui.cli.progress import run_steps
from coldal_tui.visible import counted

if TYPE_CHECKING:
    from coldal_tui.project.project import Project
    from coldal_tui.project.views.snapshot import QueueItem

BUDGET, ROUND0, BATCH = 20, 14, 6


@click.command("demo")
@click.argument("folder", required=False, type=click.Path(path_type=Path), metavar="[DIR]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--no-open", is_flag=True, help="Do not open the app at the end.")
def demo_command(folder: Path | None, seed: int, no_open: bool) -> None:
    """The whole loop on the sample data; opens the app when there is a terminal.

    Sixty radiograph-like pictures in four styles: embed, map, cluster, pick; the sample's own
    masks come back as labels; train, score, pick the next batch; once more; measure each round on
    the pictures that were never labelled.
    """
    from coldal_tui.project.layout import is_project
    from coldal_tui.project.project import Project

    root = (folder or Path("coldal-demo")).resolve()
    began = time.monotonic()
    if is_project(root):
        common.say(f"{root} is there already; showing it (delete it to run the demo afresh)")
    else:
        _run(root, seed)
        common.say(f"the demo took {time.monotonic() - began:.0f} s")
    with Project(root) as project:
        show_result(project)
    if sys.stdout.isatty() and sys.stdin.isatty() and not no_open:
        from coldal_tui.cli.open import run_app

        run_app(root)


def _run(root: Path, seed: int) -> None:
    from coldal_tui.project.project import Project
    from coldal_tui.project.scans.indexing import reindex
    from coldal_tui.project.settings.config import edit_config
    from coldal_tui.sampledata import sample_data

    data = sample_data() / "cxr"
    with Project.create(root, data / "images") as project:
        edit_config(
            project.layout.config,
            {
                ("classes", "names"): ("lung",),
                ("classes", "ignore_value"): 127,
                ("images", "patients_csv"): str(data / "metadata.csv"),
                ("budget", "total"): BUDGET,
                ("budget", "round0"): ROUND0,
                ("budget", "batch"): BATCH,
                ("selection", "seed"): seed,
                # Five trainings more for each run: the demo measures on masks that it has.
                ("validation", "folds"): 0,
            },
        )
        project.reload_config()
        report = reindex(project)
        _title(f"1  index: {counted(report.scans, 'scan')}")
        _title("2  embed, map, cluster, pick the first queue")
        run_steps(project, [("embed", {}), ("map", {}), ("select", {})], detach=False)
        _label(project, data / "masks", "3  export, label, import")
        _title("4  train on round 0, score the pool, pick the next batch")
        kinds = ("train", "score", "select", "predict")
        run_steps(project, [(kind, {}) for kind in kinds], detach=False)
        _label(project, data / "masks", "5  export, label, import the second queue")
        _title("6  train again; measure both runs on the scans that nobody labelled")
        run_steps(project, [("train", {})], detach=False)
        _evaluate(project, data / "masks")


def _title(text: str) -> None:
    common.say(f"\n{text}")


def _label(project: Project, masks: Path, title: str) -> None:
    """Play the labeler: save the true mask of every exported scan under its scan_id."""
    from coldal_tui.project.export.exporting import export_queue
    from coldal_tui.project.labels.importing import import_masks

    _title(title)
    report = export_queue(project)
    for scan_id in report.scans:
        drawn = masks / Path(project.scan(scan_id).rel_path).name
        shutil.copyfile(drawn, report.folder / "masks" / f"{scan_id}.png")
    taken = import_masks(project, report.folder / "masks")
    common.say(f"{counted(len(taken.accepted), 'mask')} accepted")


def _evaluate(project: Project, masks: Path) -> None:
    from coldal_tui.project.labels.evaluation_masks import prepare_cases

    cases = prepare_cases(project, masks)
    runs = [row["run_id"] for row in project.store.rows("SELECT run_id FROM runs ORDER BY run_id")]
    try:
        for run_id in runs:
            request = {"cases": cases.file, "run": run_id}
            run_steps(project, [("evaluate", request)], detach=False)
    finally:
        cases.discard()


def show_result(project: Project) -> None:
    """Clusters, picks with roles, Dice per round."""
    from coldal_tui.cli.queue import show_queue
    from coldal_tui.cli.status import interval_words, show_clusters
    from coldal_tui.project.views.snapshot import take_snapshot

    snapshot = take_snapshot(project)
    out = common.console()
    show_clusters(out, snapshot)
    items: list[QueueItem] = [item for item in snapshot.queue if item.status != "skipped"]
    show_queue(items)
    columns = (
        "round",
        "run",
        "labels>",
        "measured",
        "Dice>",
        "95 %",
        "never labelled>",
        "HD95 px>",
    )
    table = common.table(*columns)
    measured = _measured(project)
    for run in snapshot.runs:
        first = run.measures[0] if run.measures else None
        other = measured.get(run.run_id, {})
        table.add_row(
            str(run.round),
            run.run_id,
            str(run.labels),
            run.measured or number(None, 3),
            number(first.dice if first else None, 3),
            interval_words(first),
            number(other.get("dice"), 3),
            number(other.get("hd95"), 1),
        )
    common.print_table(out, "Dice per round", table)
    look = common.paste("coldal-tui open", project.root)
    out.print(f"the project lies in {project.root}; look around: {look}")


def _measured(project: Project) -> dict[str, dict[str, float]]:
    rows = project.store.rows(
        "SELECT run_id, avg(dice) AS dice, avg(hd95) AS hd95 FROM metrics "
        "WHERE split LIKE 'evaluation-%' GROUP BY run_id"
    )
    return {row["run_id"]: {"dice": row["dice"], "hd95": row["hd95"]} for row in rows}
