"""``status``: an overview of the project for people, scripts and screen readers."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from coldal_tui.cli import common
from coldal_tui.cli.common import number
from coldal_tui.visible import counted, visible

if TYPE_CHECKING:
    from rich.console import Console

    from coldal_tui.project.enough.estimate import Enough
    from coldal_tui.project.measuring import Measure
    from coldal_tui.project.project import Project
    from coldal_tui.project.views.next_step import NextStep
    from coldal_tui.project.views.snapshot import Snapshot

WATCH_S = 1.0


@click.command("status")
@common.project_argument()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--watch", is_flag=True, help="Say each change in a sentence; Ctrl-C ends.")
def status_command(targets: tuple[str, ...], as_json: bool, watch: bool) -> None:
    """Budget, clusters, rounds, labels, runs, jobs, and the next sensible step."""
    from coldal_tui.project.enough.estimate import read_enough
    from coldal_tui.project.views.snapshot import take_snapshot
    from coldal_tui.scheduler.follow import revive

    with common.open_reading(targets) as project:
        revive(project)
        if not watch:
            show(take_snapshot(project), read_enough(project), as_json)
            return
        with common.quiet_interrupt():
            _watch(project, as_json)


def _watch(project: Project, as_json: bool) -> None:
    """Print once and after every change until Ctrl-C; an invalid coldal.toml is only reported."""
    from coldal_tui.cli.watching import change_sentences, state_sentences
    from coldal_tui.errors import ColdalError
    from coldal_tui.project.enough.estimate import read_enough
    from coldal_tui.project.views.snapshot import take_snapshot

    shown: Snapshot | None = None
    told = ""
    while True:
        try:
            project.reload_config()
            snapshot = take_snapshot(project)
        except ColdalError as error:
            if str(error) != told:
                told = str(error)
                common.say(told)
        else:
            told = ""
            if shown is None or replace(snapshot, at=shown.at) != shown:
                if as_json:
                    show(snapshot, read_enough(project), as_json, one_line=True)
                else:
                    for sentence in (
                        state_sentences(snapshot)
                        if shown is None
                        else change_sentences(shown, snapshot)
                    ):
                        common.echo(sentence)
                shown = snapshot
                sys.stdout.flush()
        time.sleep(WATCH_S)


def show(
    snapshot: Snapshot, enough: Enough | None, as_json: bool = False, *, one_line: bool = False
) -> None:
    """Print a snapshot as tables, or as one JSON document (``one_line``: without line breaks)."""
    if as_json:
        answer = {"enough": None if enough is None else enough.as_json()}
        common.print_json(snapshot.as_json() | answer, one_line=one_line)
        return
    out = common.console()
    _head(out, snapshot)
    show_clusters(out, snapshot)
    show_runs(out, snapshot)
    if enough is not None:
        _facts(out, _enough_facts(enough))
    _facts(out, [*_open_jobs(snapshot), *_last_words(snapshot)])


def _facts(out: Console, facts: Iterable[tuple[str, str]]) -> None:
    """Lines of ``name text``; a long text continues below itself, not below the name."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=10, no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in facts:
        strong = "bold" if name == "next" else ""
        grid.add_row(name, Text(visible(text), style=strong))
    out.print(grid)


def _head(out: Console, s: Snapshot) -> None:
    from rich.text import Text

    title = Text(visible(s.name), style="bold")
    title.append(f"  ·  {s.host}" + (f"  ·  round {s.rounds[-1].round}" if s.rounds else ""))
    out.print(title)
    budget = s.budget
    spent = (
        f"{budget.total:,}: {budget.labelled:,} labelled, {budget.exported:,} out, "
        f"{budget.queued:,} queued, {budget.left:,} left"
        + (f" ({counted(budget.skipped, 'scan')} skipped)" if budget.skipped else "")
    )
    extras = [
        f"{count:,} {word}"
        for count, word in (
            (s.duplicates, "exact copy" if s.duplicates == 1 else "exact copies"),
            (s.excluded, "excluded"),
            (s.missing, "missing"),
            (
                s.unreadable,
                f"file{'' if s.unreadable == 1 else 's'} unreadable or refused"
                + (f", {s.left_out} of them left out by a job" if s.left_out else "")
                + " (coldal-tui index --problems)",
            ),
        )
        if count
    ]
    scans = (
        f"{s.scans:,} of {counted(s.patients, 'patient')}, {s.embedded:,} embedded "
        f"({s.encoder})" + (f"; {', '.join(extras)}" if extras else "")
    )
    facts = [("budget", spent)]
    minutes = s.minutes
    if minutes is not None and (minutes.total is not None or minutes.learned):
        facts.append(("minutes", minutes.words()))
    facts.append(("scans", scans))
    if s.images_gone:
        facts.append(("images", f"the folder is gone or empty: {s.images} (mount its disk)"))
    if s.validation_patients:
        facts.append(("validation", f"{counted(s.validation_patients, 'patient')}, frozen"))
    _facts(out, facts)


def show_clusters(out: Console, s: Snapshot) -> None:
    if not s.clusters:
        return
    first = s.rounds[0]
    best = dict(first.silhouettes).get(first.k)
    title = f"Clusters  k = {first.k}" + (f" (silhouette {best:.3f})" if best is not None else "")
    table = common.table("cluster", "size>", "labelled>", "out>", "queued>")
    for cluster in s.clusters:
        table.add_row(
            f"C{cluster.id + 1}",
            f"{cluster.size:,}",
            f"{cluster.labelled:,}",
            f"{cluster.exported:,}",
            f"{cluster.queued:,}",
        )
    common.print_table(out, title, table)
    facts = []
    if first.silhouettes:
        tried = " ".join(f"k={k}:{score:.3f}" for k, score in first.silhouettes)
        facts.append(("silhouette", tried + ("; not all exact" if first.estimated else "")))
    facts += [(f"round {state.round}", note) for state in s.rounds for note in state.notes]
    if facts:
        _facts(out, facts)


def show_runs(out: Console, s: Snapshot) -> None:
    """One line for each way in which a run was measured; one without a measure has dashes."""
    if not s.runs:
        return
    classes = sorted({name for run in s.runs for name in run.classes})
    columns = [f"Dice {name}>" for name in classes] if len(classes) > 1 else []
    short = any(run.left_out for run in s.runs)
    table = common.table(
        "run",
        "round>",
        "labels>",
        *(["left out>"] if short else []),
        "measured",
        "scans>",
        "Dice>",
        "95 %",
        "HD95>",
        "",
        *columns,
    )
    for run in s.runs:
        own = [run.run_id, str(run.round), str(run.labels), *([str(run.left_out)] if short else [])]
        for measure in run.measures or (None,):
            found = measure.classes if measure else {}
            table.add_row(
                *own,
                measure.kind if measure else "not yet",
                str(measure.scans) if measure else number(None, 0),
                number(measure.dice if measure else None, 3),
                interval_words(measure),
                number(measure.hd95 if measure else None, 1),
                next((values["unit"] for values in found.values()), ""),
                *[number(found.get(name, {}).get("dice"), 3) for name in classes if columns],
            )
            own = [""] * len(own)
    common.print_table(out, "Runs", table)
    absent = [
        name
        for name, one in s.runs[-1].classes.items()
        if 0 < one.get("scans", 0) <= one.get("both_empty", 0) + one.get("spurious", 0)
    ]
    if 0 < len(absent) < len(s.runs[-1].classes):
        said = f"no measured label holds {', '.join(absent)}: left out of the mean"
        _facts(out, [(s.runs[-1].run_id, said)])
    stale = [(run.run_id, f"old: {run.stale}") for run in s.runs[-3:] if run.stale]
    if stale:
        _facts(out, stale)


def _enough_facts(enough: Enough) -> list[tuple[str, str]]:
    from coldal_tui.project.enough.estimate_words import (
        gain_words,
        raters_words,
        since_words,
        stop_words,
    )

    parts = (gain_words(enough), raters_words(enough), since_words(enough))
    facts = [("enough?", "; ".join(part for part in parts if part))]
    stop = stop_words(enough)
    return [*facts, ("stop", stop)] if stop else facts


def interval_words(measure: Measure | None) -> str:
    """``0.861 to 0.925``; a dash for a single patient, or where an older version measured."""
    if measure is None or measure.low is None or measure.high is None:
        return number(None, 3)
    return f"{measure.low:.3f} to {measure.high:.3f}"


def _open_jobs(s: Snapshot) -> list[tuple[str, str]]:
    from coldal_tui.project.views.next_step import failure_words

    facts = []
    for job in s.jobs:
        if job.status == "running":
            share = f" {job.fraction:.0%}" if job.fraction is not None else ""
            words = f"{job.kind} is running: {job.message}{share}".replace(":  ", ": ")
            facts.append((f"job {job.job_id}", words))
        elif job.status == "waiting":
            facts.append((f"job {job.job_id}", f"{job.kind} waits"))
    for job in s.failed:
        look = common.paste(f"coldal-tui jobs logs {job.job_id}", Path(s.root))
        facts.append((f"job {job.job_id}", f"{failure_words(job)} ({look})"))
    return facts


def _last_words(s: Snapshot) -> list[tuple[str, str]]:
    facts = []
    if s.quarantined:
        look = common.paste("coldal-tui labels list", Path(s.root))
        facts.append(("quarantine", f"{counted(s.quarantined, 'mask')} ({look})"))
    for hook in s.hooks:
        facts.append(("hook", f"{hook.event} failed ({hook.at[:16]}): {hook.problem}"))
    facts.append(("next", next_words(s)))
    if s.then is not None:
        facts.append(("then", step_words(s, s.then)))
    return facts


def next_words(s: Snapshot) -> str:
    """The next step and the command for it, ready to paste."""
    return step_words(s, s.next)


def step_words(s: Snapshot, step: NextStep) -> str:
    if not step.command:
        return step.text
    return f"{step.text}:  {common.paste(step.command, Path(s.root))}"
