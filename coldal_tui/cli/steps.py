"""The steps of the loop that run as jobs: embed, map, select, train, score, next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from coldal_tui.cli import common, completers
from coldal_tui.cli.progress import run_steps
from coldal_tui.visible import counted

if TYPE_CHECKING:
    from coldal_tui.project.job_rows import Job
    from coldal_tui.project.project import Project
    from coldal_tui.scheduler.recipes import Chain

_detach = click.option("--detach", is_flag=True, help="Submit and return at once.")
_device = click.option("--device", help="auto, cpu, cuda or cuda:N; default: coldal.toml.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_seed = click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Default: coldal.toml.")
_alpha = click.option(
    "--alpha", type=click.FloatRange(0, 1), help="1: only uncertainty, 0: only diversity."
)


@click.command("embed")
@common.project_argument()
@click.option("--again", is_flag=True, help="Try failed scans once more, and check what is stored.")
@_device
@_detach
def embed_command(targets: tuple[str, ...], again: bool, device: str | None, detach: bool) -> None:
    """Embed scans with the project's encoder; only new or changed ones are read."""
    with common.open_project(targets) as project:
        request = {"device": device, "again": again}
        jobs = run_steps(project, [("embed", request)], detach=detach)
        for job in jobs:
            _say_embedded(job)


def _say_embedded(job: Job) -> None:
    if job.result.get("nothing_to_do"):
        common.echo("every scan has its embedding already")
        return
    common.echo(f"embedded {counted(job.result['embedded'], 'scan')}")
    _say_failed(job)


def _say_failed(job: Job) -> None:
    failed = job.result.get("failed") or []
    if failed:
        common.say(f"{job.kind} left out {counted(len(failed), 'scan')}:")
    for one in failed[:10]:
        common.say(f"  {one['scan_id']} ({one['file']}): {one['message']}")
    if len(failed) > 10:
        common.say(f"  … and {len(failed) - 10} more: coldal-tui jobs show {job.job_id}")


@click.command("map")
@common.project_argument()
@click.option("--rebuild", is_flag=True, help="Start afresh even when rounds stand on a map.")
@_seed
@_detach
def map_command(targets: tuple[str, ...], rebuild: bool, seed: int | None, detach: bool) -> None:
    """Project the embeddings to two dimensions (t-SNE); a new, immutable map version."""
    with common.open_project(targets) as project:
        steps = [("embed", {}), ("map", {"seed": seed, "rebuild": rebuild})]
        for job in run_steps(project, steps, detach=detach)[1:]:
            if job.result.get("nothing_to_do"):
                common.echo("the newest map shows these very embeddings; --rebuild makes another")
            else:
                common.echo(f"mapped {counted(job.result['scans'], 'scan')}")


@click.command("select")
@common.project_argument()
@click.option("--budget", type=click.IntRange(min=1), help="Size of this queue.")
@click.option(
    "--strategy", help="Default: coldal.toml.", shell_complete=completers.complete_strategies
)
@click.option("--validation", type=click.IntRange(min=0), help="Patients to keep for validation.")
@_seed
@_device
@_json
@_detach
def select_command(
    targets: tuple[str, ...],
    budget: int | None,
    strategy: str | None,
    validation: int | None,
    seed: int | None,
    device: str | None,
    as_json: bool,
    detach: bool,
) -> None:
    """Pick the first queue: embed and map what is missing, cluster, select.

    \b
    coldal-tui select --budget 20 --seed 1
    """
    with common.open_project(targets) as project:
        from coldal_tui.scheduler.recipes import first_queue

        chain = first_queue(
            project,
            size=budget,
            strategy=strategy,
            validation=validation,
            seed=seed,
            device=device,
        )
        _say_notes(chain)
        jobs = run_steps(
            project, chain.steps, picks_round=chain.round, detach=detach, as_json=as_json
        )
        for job in jobs:
            _say_failed(job)
        if not detach:
            show_round(project, chain.round, as_json)


def _say_notes(chain: Chain) -> None:
    for note in chain.notes:
        common.say(note)


def show_round(project: Project, number: int, as_json: bool) -> None:
    """The picks of one round, with the clusters they came from."""
    from coldal_tui.cli.queue import show_queue
    from coldal_tui.cli.status import next_words, show_clusters
    from coldal_tui.project.views.snapshot import take_snapshot

    snapshot = take_snapshot(project)
    items = [item for item in snapshot.queue if item.round == number and item.status != "skipped"]
    if as_json:
        common.print_json([item.as_json() for item in items])
        return
    out = common.console()
    show_clusters(out, snapshot)
    told = snapshot.minutes
    show_queue(items, minutes=told is not None and (told.learned or told.total is not None))
    rest = ""
    if told is not None and told.left is not None:
        rest = f", and {told.left:,.0f} of {told.total:,} minutes"
    out.print(
        f"\nround {number}: {counted(len(items), 'scan')} queued, {snapshot.budget.left} of "
        f"{snapshot.budget.total} left{rest}"
    )
    out.print(f"next: {next_words(snapshot)}")


@click.command("train")
@common.project_argument()
@click.option("--steps", type=click.IntRange(min=1), help="Optimiser steps.")
@_seed
@_device
@_json
@_detach
def train_command(
    targets: tuple[str, ...],
    steps: int | None,
    seed: int | None,
    device: str | None,
    as_json: bool,
    detach: bool,
) -> None:
    """Train the segmentation model on the labels; the validation patients never train."""
    with common.open_project(targets) as project:
        request = {"steps": steps, "seed": seed, "device": device}
        for job in run_steps(project, [("train", request)], detach=detach, as_json=as_json):
            _say_failed(job)
        if not detach:
            _show_runs(project, as_json)


@click.command("crossfit")
@common.project_argument()
@click.option("--run", "run_id", help="Default: the newest run.")
@click.option("--again", is_flag=True, help="Also if it is done: after a changed seed or folds.")
@_device
@_json
@_detach
def crossfit_command(
    targets: tuple[str, ...],
    run_id: str | None,
    again: bool,
    device: str | None,
    as_json: bool,
    detach: bool,
) -> None:
    """Measure a run's training labels by networks that were trained on other patients' labels.

    A training starts this by itself where no patient is frozen for validation. The predictions
    also serve "labels check".
    """
    with common.open_project(targets) as project:
        from coldal_tui.scheduler.recipes import check_run

        check_run(project, run_id)
        request = {"run": run_id, "again": again, "device": device}
        for job in run_steps(project, [("crossfit", request)], detach=detach, as_json=as_json):
            if job.result.get("nothing_to_do"):
                common.say("every label is cross-fitted already")
            _say_failed(job)
        if not detach:
            _show_runs(project, as_json)


def _show_runs(project: Project, as_json: bool) -> None:
    from dataclasses import asdict

    from coldal_tui.cli.status import show_runs
    from coldal_tui.project.views.snapshot import take_snapshot

    snapshot = take_snapshot(project)
    if as_json:
        common.print_json(asdict(snapshot.runs[-1]))
    else:
        show_runs(common.console(), snapshot)


@click.command("score")
@common.project_argument()
@click.option("--run", "run_id", help="Default: the newest run.")
@_device
@_detach
def score_command(
    targets: tuple[str, ...], run_id: str | None, device: str | None, detach: bool
) -> None:
    """Entropy of a run's predictions on every candidate; pre-labels for queued scans."""
    with common.open_project(targets) as project:
        from coldal_tui.scheduler.recipes import check_run

        check_run(project, run_id)
        request = {"run": run_id, "device": device}
        for job in run_steps(project, [("score", request)], detach=detach):
            if job.result.get("nothing_to_do"):
                common.echo("every candidate is scored already")
            else:
                common.echo(f"scored {counted(job.result['scored'], 'scan')}")
                _say_failed(job)


@click.command("next")
@common.project_argument()
@click.option("--batch", type=click.IntRange(min=1), help="Size of the batch.")
@click.option(
    "--strategy", help="Default: coldal.toml.", shell_complete=completers.complete_strategies
)
@_alpha
@_seed
@_device
@_json
@_detach
def next_command(
    targets: tuple[str, ...],
    batch: int | None,
    strategy: str | None,
    alpha: float | None,
    seed: int | None,
    device: str | None,
    as_json: bool,
    detach: bool,
) -> None:
    """Pick the next batch; trains when labels are newer than the last run, scores what is missing.

    \b
    coldal-tui next --batch 10 --alpha 0.5
    """
    with common.open_project(targets) as project:
        from coldal_tui.scheduler.recipes import next_batch

        chain = next_batch(
            project, size=batch, strategy=strategy, alpha=alpha, seed=seed, device=device
        )
        _say_notes(chain)
        for job in run_steps(
            project, chain.steps, picks_round=chain.round, detach=detach, as_json=as_json
        ):
            _say_failed(job)
        if not detach:
            if not as_json:
                _show_runs(project, as_json=False)
            show_round(project, chain.round, as_json)
