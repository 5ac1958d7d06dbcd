"""The next step, in words and as a command; every screen shows it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coldal_tui.minutes_words import minutes_words
from coldal_tui.project.job_rows import CANCELLED, DONE, FAILED, INTERRUPTED, RUNNING, WAITING
from coldal_tui.project.labels.raters.drawings import read_disputes
from coldal_tui.project.queue.budget import Budget
from coldal_tui.project.queue.candidates import any_candidate
from coldal_tui.project.queue.minute_budget import MinuteBudget
from coldal_tui.project.stale_runs import made_by_another_rule
from coldal_tui.visible import counted

if TYPE_CHECKING:
    from coldal_tui.project.job_rows import JobState
    from coldal_tui.project.project import Project
    from coldal_tui.project.servers.states import ServerState


@dataclass(frozen=True)
class NextStep:
    """The next step; ``command`` is empty when there is nothing to run (wait, or all is done).

    ``action`` is the same for programs: ``index``, ``select``, ``export``, ``import``, ``push``,
    ``pull``, ``next``, ``train``, ``quarantine``, ``disputes``, ``skipped`` (look at them),
    ``wait``, ``failed`` (a job has failed: look at its log) or ``""``.
    """

    command: str
    text: str
    action: str = ""


def next_step(project: Project, state: dict[str, Any]) -> NextStep:
    """The next sensible step for a project in ``state`` (the fields of a snapshot)."""
    return (
        _job_step(state["jobs"])
        or _failure_step(state["jobs"])
        or step_after_failure(project, state)
    )


def step_after_failure(project: Project, state: dict[str, Any]) -> NextStep:
    """The next step after a failed job was reviewed: as if there were no jobs."""
    return _first_steps(state) or _queue_step(project, state)


def failed_jobs(jobs: Sequence[JobState]) -> tuple[JobState, ...]:
    """Failed or interrupted jobs, newest first.

    A later job of the same kind that waits, runs or is done removes them from the list.
    ``jobs`` are by number.
    """
    found: list[JobState] = []
    redone: set[str] = set()
    for job in sorted(jobs, key=lambda job: -job.job_id):
        if job.status in (FAILED, INTERRUPTED) and job.kind not in redone:
            found.append(job)
        elif job.status != CANCELLED:
            redone.add(job.kind)
    return tuple(found)


def failure_words(job: JobState) -> str:
    """``embed failed: no CUDA device``."""
    how = "failed" if job.status == FAILED else "was interrupted"
    told = job.error if job.error and job.error != job.status else ""
    return f"{job.kind} {how}: {told}" if told else f"{job.kind} {how}"


def _failure_step(jobs: Sequence[JobState]) -> NextStep | None:
    """The step for the newest failure, unless other work was done since."""
    failed = failed_jobs(jobs)
    if not failed:
        return None
    job = failed[0]
    ended = job.ended_at or job.created_at
    if any(other.status == DONE and other.created_at > ended for other in jobs):
        return None
    return NextStep(f"coldal-tui jobs logs {job.job_id}", failure_words(job), "failed")


BESIDE = ("crossfit",)
"""Kinds of jobs that only measure: the loop goes on beside them."""


def _job_step(jobs: Sequence[JobState]) -> NextStep | None:
    jobs = [job for job in jobs if job.kind not in BESIDE]
    for job in jobs:
        if job.status == RUNNING:
            return NextStep("coldal-tui jobs logs -f", f"{job.kind} is running", "wait")
    for job in jobs:
        if job.status == WAITING:
            return NextStep("coldal-tui jobs list", f"{job.kind} waits for its turn", "wait")
    return None


def _first_steps(state: dict[str, Any]) -> NextStep | None:
    if not state["usable"]:
        return NextStep(
            "coldal-tui index", f"no usable scan in {state['images']}; index again", "index"
        )
    if state["rounds"]:
        return None
    waiting = state["usable"] - state["embedded"]
    text = f"embed {counted(waiting, 'scan')} and pick the first queue" if waiting > 0 else ""
    return NextStep("coldal-tui select", text or "pick the first queue", "select")


def _queue_step(project: Project, state: dict[str, Any]) -> NextStep:
    budget = state["budget"]
    if state["quarantined"]:
        count = state["quarantined"]
        return NextStep(
            "coldal-tui labels list",
            f"{count} {'mask is' if count == 1 else 'masks are'} in quarantine; see why",
            "quarantine",
        )
    disputed = len(read_disputes(project.store))
    if disputed:
        return NextStep(
            "coldal-tui labels adjudicate",
            f"{counted(disputed, 'scan')} {'is' if disputed == 1 else 'are'} in dispute; decide "
            "whose drawing counts",
            "disputes",
        )
    server_step = _server_step(budget, state["servers"])
    if server_step is not None:
        return server_step
    if budget.queued:
        return NextStep(
            "coldal-tui export-queue",
            f"hand {counted(budget.queued, 'queued scan')} to labelers",
            "export",
        )
    if budget.exported:
        out = "its mask" if budget.exported == 1 else "their masks"
        verb = "is" if budget.exported == 1 else "are"
        return NextStep(
            "coldal-tui import-masks DIR",
            f"{counted(budget.exported, 'scan')} {verb} out with labelers; import {out}",
            "import",
        )
    if not budget.labelled:
        return NextStep(
            "coldal-tui queue reopen SCAN",
            "every queued scan was skipped and there is no label yet; bring some back",
            "skipped",
        )
    return _round_step(project, budget, state.get("minutes"))


def _server_step(budget: Budget, servers: Sequence[ServerState]) -> NextStep | None:
    """Push or pull, where the project has a server of labelers."""
    if not servers:
        return None
    one = servers[0] if len(servers) == 1 else None
    if budget.queued:
        scans = counted(budget.queued, "queued scan")
        if one is not None:
            return NextStep("coldal-tui push", f"push {scans} to {one.name}", "push")
        return NextStep(f"coldal-tui push --to {servers[0].name}", f"push {scans}", "push")
    there = [state for state in servers if state.out]
    if not there:
        return None
    scans = counted(sum(state.out for state in there), "scan")
    where = " and ".join(state.name for state in there)
    verb = "is" if scans.startswith("1 ") else "are"
    name = "" if one is not None else f" --from {there[0].name}"
    return NextStep(
        f"coldal-tui pull{name}", f"{scans} {verb} on {where}; pull what is drawn", "pull"
    )


def _round_step(project: Project, budget: Budget, minutes: MinuteBudget | None) -> NextStep:
    """The step when all exported scans have labels."""
    spent = minutes is not None and minutes.is_spent
    more = budget.left > 0 and not spent and any_candidate(project)
    if not run_is_current(project):
        labels = "1 label is" if budget.labelled == 1 else f"{budget.labelled:,} labels are"
        what = "pick the next batch" if more else "measure the final model"
        return NextStep(
            "coldal-tui next" if more else "coldal-tui train",
            f"{labels} in; train and {what}",
            "next" if more else "train",
        )
    if more:
        return NextStep(
            "coldal-tui next",
            f"{_left_words(budget, minutes)} of the budget left; pick the next batch",
            "next",
        )
    if spent:
        return NextStep("", "the budget of minutes is spent; raise it in coldal.toml to go on")
    if budget.left:
        return NextStep("", "no scan is left to pick; add scans and index to go on")
    return NextStep("", "the budget is spent; raise it in coldal.toml to go on")


def _left_words(budget: Budget, minutes: MinuteBudget | None) -> str:
    """``20``, or with a budget of minutes ``20 scans and 95 minutes``."""
    if minutes is None or minutes.left is None:
        return f"{budget.left:,}"
    return f"{counted(budget.left, 'scan')} and {minutes_words(minutes.left)}"


def run_is_current(project: Project) -> bool:
    """Whether the newest run used exactly the active labels and the current intensity rule."""
    store = project.store
    row = store.row("SELECT summary FROM runs ORDER BY created_at DESC, run_id DESC LIMIT 1")
    if row is None:
        return False
    summary = json.loads(row["summary"])
    if made_by_another_rule(project, summary):
        return False
    seen: dict[str, str] = summary.get("labels", {})
    now = store.rows("SELECT scan_id, sha256 FROM labels WHERE state = 'active'")
    return seen == {label["scan_id"]: label["sha256"] for label in now}


def run_networks(project: Project, run_id: str | None = None) -> int:
    """The number of networks of a run, by default the newest; 0 without a run."""
    found = project.store.value(
        "SELECT coalesce(json_extract(summary, '$.networks'), 1) FROM runs "
        "WHERE run_id = coalesce(?, run_id) ORDER BY created_at DESC, run_id DESC LIMIT 1",
        (run_id,),
    )
    return int(found or 0)
