"""``status``: the project at a glance, for people, for scripts, for screen readers."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from coldal_tui.cli import common
from coldal_tui.cli.common import number, plural

if TYPE_CHECKING:
    from rich.console import Console

    from coldal_tui.project.snapshot import Snapshot


@click.command("status")
@common.project_argument()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--watch", is_flag=True, help="Print again whenever something has changed.")
def status_command(targets: tuple[str, ...], as_json: bool, watch: bool) -> None:
    """Budget, clusters, rounds, labels, runs, jobs, and the next sensible step."""
    from coldal_tui.project.snapshot import take_snapshot

    with common.open_project(targets) as project:
        shown = None
        while True:
            snapshot = take_snapshot(project)
            if replace(snapshot, at="") != shown:
                shown = replace(snapshot, at="")
                show(snapshot, as_json)
            if not watch:
                return
            time.sleep(1)


def show(snapshot: Snapshot, as_json: bool = False) -> None:
    """Print a snapshot as tables, or as one JSON document."""
    if as_json:
        common.print_json(snapshot.as_json())
        return
    out = common.console()
    _head(out, snapshot)
    show_clusters(out, snapshot)
    show_runs(out, snapshot)
    _open_jobs(out, snapshot)
    _last_words(out, snapshot)


def _head(out: Console, s: Snapshot) -> None:
    from rich.text import Text

    title = Text(s.name, style="bold")
    title.append(f"  ·  {s.host}  ·  round {len(s.rounds) - 1}" if s.rounds else f"  ·  {s.host}")
    out.print(title)
    budget = s.budget
    out.print(
        f"budget    {budget.total:,}: {budget.labelled:,} labelled, {budget.exported:,} out, "
        f"{budget.queued:,} queued, {budget.left:,} left"
        + (f" ({plural(budget.skipped, 'scan')} skipped)" if budget.skipped else "")
    )
    extras = [
        f"{count:,} {word}"
        for count, word in (
            (s.duplicates, "exact copies"),
            (s.excluded, "excluded"),
            (s.missing, "missing"),
            (s.unreadable, "files unreadable or refused"),
        )
        if count
    ]
    out.print(
        f"scans     {s.scans:,} of {plural(s.patients, 'patient')}, {s.embedded:,} embedded "
        f"({s.encoder})" + (f"; {', '.join(extras)}" if extras else "")
    )
    if s.validation_patients:
        out.print(f"validation  {plural(s.validation_patients, 'patient')}, frozen")


def show_clusters(out: Console, s: Snapshot) -> None:
    if not s.clusters:
        return
    first = s.rounds[0]
    best = dict(first.silhouettes).get(first.k)
    title = f"Clusters  k = {first.k}" + (f" (silhouette {best:.3f})" if best is not None else "")
    table = common.table(title, "cluster", "size>", "labelled>", "out>", "queued>")
    for cluster in s.clusters:
        table.add_row(
            f"C{cluster.id + 1}",
            f"{cluster.size:,}",
            f"{cluster.labelled:,}",
            f"{cluster.exported:,}",
            f"{cluster.queued:,}",
        )
    out.print(table)
    if first.silhouettes:
        tried = "  ".join(f"k={k}: {score:.3f}" for k, score in first.silhouettes)
        out.print(f"silhouettes  {tried}")
    for state in s.rounds:
        for note in state.notes:
            out.print(f"round {state.round}: {note}")


def show_runs(out: Console, s: Snapshot) -> None:
    if not s.runs:
        return
    classes = sorted({name for run in s.runs for name in run.classes})
    columns = [f"Dice {name}>" for name in classes] if len(classes) > 1 else []
    table = common.table(
        "Runs, measured on the validation scans",
        "run",
        "round>",
        "labels>",
        "validation>",
        "Dice>",
        "HD95>",
        "",
        *columns,
    )
    for run in s.runs:
        mean = run.mean or {}
        unit = next((values["unit"] for values in run.classes.values()), "")
        table.add_row(
            run.run_id,
            str(run.round),
            str(run.labels),
            str(run.validation),
            number(mean.get("dice"), 3),
            number(mean.get("hd95"), 1),
            unit,
            *[number(run.classes.get(name, {}).get("dice"), 3) for name in classes if columns],
        )
    out.print(table)


def _open_jobs(out: Console, s: Snapshot) -> None:
    for job in s.jobs:
        if job.status == "running":
            share = f" {job.fraction:.0%}" if job.fraction is not None else ""
            out.print(f"job {job.job_id}   {job.kind} is running{share} {job.message}")
        elif job.status == "waiting":
            out.print(f"job {job.job_id}   {job.kind} waits")
    ended = [job for job in s.jobs if job.status in ("failed", "interrupted")]
    if ended and ended[-1] is s.jobs[-1]:
        out.print(
            f"job {ended[-1].job_id}   {ended[-1].kind} {ended[-1].status}: {ended[-1].error}"
        )


def _last_words(out: Console, s: Snapshot) -> None:
    from rich.text import Text

    if s.quarantined:
        out.print(f"quarantine  {plural(s.quarantined, 'mask')} (coldal-tui labels list)")
    line = Text("next  ", style="bold")
    line.append(s.next.text)
    if s.next.command:
        line.append(f":  {s.next.command}", style="bold")
    out.print(line)
