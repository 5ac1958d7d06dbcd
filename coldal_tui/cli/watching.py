"""``status --watch`` in sentences, for screen readers and logs: what is, then what changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from coldal_tui.visible import counted, visible

if TYPE_CHECKING:
    from coldal_tui.project.job_rows import JobState
    from coldal_tui.project.views.snapshot import Snapshot

STEP = 4
"""A running job is told at each quarter of its work."""


def state_sentences(s: Snapshot) -> list[str]:
    """The project as it is, in a few sentences."""
    budget = s.budget
    said = [f"Project {visible(s.name)}: {counted(s.scans, 'scan')}, {s.embedded:,} embedded."]
    if s.rounds:
        said.append(f"Round {s.rounds[-1].round} is the newest.")
    said.append(
        f"Budget {budget.total:,}: {budget.labelled:,} labelled, {budget.exported:,} out, "
        f"{budget.queued:,} queued, {budget.left:,} left."
    )
    if s.minutes is not None and s.minutes.total is not None:
        said.append(f"Minutes {s.minutes.words()}.")
    if s.quarantined:
        said.append(f"{counted(s.quarantined, 'mask')} in quarantine.")
    said += [_job(job) for job in reversed(s.jobs) if job.status in ("running", "waiting")]
    said += [_job(job) for job in s.failed]
    return [*said, _next(s)]


def change_sentences(old: Snapshot, new: Snapshot) -> list[str]:
    """What is different, one sentence for each thing; empty where nothing is worth one."""
    said = [*_scans(old, new), *_labels(old, new), *_rounds_and_runs(old, new)]
    before = {job.job_id: job for job in old.jobs}
    for job in reversed(new.jobs):
        if _told(before.get(job.job_id)) != _told(job):
            said.append(_job(job))
    if (new.next.text, new.next.action) != (old.next.text, old.next.action):
        said.append(_next(new))
    return said


def _scans(old: Snapshot, new: Snapshot) -> list[str]:
    said = []
    if new.scans != old.scans:
        said.append(f"There are {counted(new.scans, 'scan')} now, {old.scans:,} before.")
    if new.embedded != old.embedded:
        said.append(f"{counted(new.embedded, 'scan')} embedded now.")
    if new.unreadable != old.unreadable:
        said.append(f"{counted(new.unreadable, 'file')} refused now, {old.unreadable:,} before.")
    if new.images_gone and not old.images_gone:
        said.append(f"The folder of images is gone or empty: {visible(new.images)}.")
    return said


def _labels(old: Snapshot, new: Snapshot) -> list[str]:
    said = []
    pairs = (
        ("labelled", old.budget.labelled, new.budget.labelled),
        ("out with labelers", old.budget.exported, new.budget.exported),
        ("queued", old.budget.queued, new.budget.queued),
        ("skipped", old.budget.skipped, new.budget.skipped),
    )
    for word, before, now in pairs:
        if now != before:
            said.append(f"{counted(now, 'scan')} {word} now, {before:,} before.")
    if new.budget.total != old.budget.total:
        said.append(f"The budget is {new.budget.total:,} now.")
    if new.minutes is not None and new.minutes.left is not None and new.minutes != old.minutes:
        said.append(f"Minutes {new.minutes.words()}.")
    if new.quarantined != old.quarantined:
        wait = "waits" if new.quarantined == 1 else "wait"
        said.append(f"{counted(new.quarantined, 'mask')} {wait} in quarantine now.")
    return said


def _rounds_and_runs(old: Snapshot, new: Snapshot) -> list[str]:
    known = {state.round for state in old.rounds}
    said = [
        f"Round {state.round} was picked: {counted(state.size, 'scan')}."
        for state in new.rounds
        if state.round not in known
    ]
    before = {run.run_id for run in old.runs}
    for run in new.runs:
        if run.run_id not in before:
            dice = (run.mean or {}).get("dice")
            told = "" if dice is None else f", Dice {dice:.3f}"
            said.append(
                f"{visible(run.run_id)} was trained on {counted(run.labels, 'label')}{told}."
            )
    return said


def _told(job: JobState | None) -> object:
    """What a sentence about a job depends on: its state, and the quarter that it is in."""
    if job is None:
        return None
    quarter = None if job.fraction is None or job.reads else int(job.fraction * STEP)
    return job.status, quarter if job.status == "running" else None


def _job(job: JobState) -> str:
    from coldal_tui.project.views.next_step import failure_words

    name = f"Job {job.job_id}, {job.kind},"
    if job.status == "running":
        if job.fraction is None or job.fraction == 0 or job.reads:
            return f"{name} is running."
        return f"{name} is at {job.fraction:.0%}."
    if job.status in ("failed", "interrupted"):
        return f"Job {job.job_id}: {visible(failure_words(job))}."
    words = {"waiting": "waits", "done": "is done", "cancelled": "was cancelled"}
    return f"{name} {words.get(job.status, job.status)}."


def _next(s: Snapshot) -> str:
    from coldal_tui.cli import common

    command = common.paste(s.next.command, Path(s.root)) if s.next.command else ""
    text = visible(s.next.text).rstrip(".")
    return f"Next: {text}." + (f" Command: {command}" if command else "")
