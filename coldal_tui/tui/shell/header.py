"""The lines around the panes: project and jobs at the top, the next step at the bottom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from rich.style import Style
from rich.text import Text

from coldal_tui.project.job_rows import JobState
from coldal_tui.project.views.next_step import NextStep
from coldal_tui.project.views.snapshot import Snapshot
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.shell.layout import NUMBERED
from coldal_tui.tui.shell.tasks import Task
from coldal_tui.visible import visible

GAUGE = 16
FAILED_STYLE = "bold #ffffff on #b00020"
"""Seen on every theme; where there are no colours, bold and reverse are left of it."""
SURE = 0.05
"""Share of a job that must be done before its remaining time is shown."""


def head_text(
    snapshot: Snapshot,
    look: Look,
    width: int,
    *,
    readonly: bool = False,
    stale: bool = False,
    failed: Sequence[JobState] = (),
) -> Text:
    """Project, host, round and budget on the left; jobs and the age of the data on the right.

    ``stale``: the project can't be read any more, and these are its last values. ``failed``:
    failed jobs that nobody has opened. What does not fit is left out from the end of the left
    side, never the right one.
    """
    right = _right(snapshot, look, failed, stale=stale)
    left = [(f" {visible(snapshot.name)}", "bold")]
    if readonly:
        left.append((" · read only", "bold"))
    if width >= 100:
        left.append((f" · {visible(snapshot.host)}", ""))
    left.append((_round(snapshot), ""))
    left.append((f" · {_budget(snapshot, look)}", ""))
    if snapshot.unreadable:
        left.append((f" · {snapshot.unreadable:,} refused (F)", ""))
    room = width - right.cell_len - 2
    text = Text(no_wrap=True)
    for words, style in left:
        if text.cell_len + Text(words).cell_len <= room:
            text.append(words, style=style)
    text.append(" " * max(1, width - text.cell_len - right.cell_len - 1))
    text.append_text(right)
    text.truncate(width)
    return text


def _round(snapshot: Snapshot) -> str:
    if not snapshot.rounds:
        return " · no round yet"
    newest = snapshot.rounds[-1]
    budget = snapshot.budget
    rest = -(-budget.left // newest.size) if newest.size else 0
    last = newest.round + rest
    return f" · round {newest.round}" + (f" of ~{last}" if rest else "")


def _budget(snapshot: Snapshot, look: Look) -> str:
    budget = snapshot.budget
    total = max(1, budget.total, budget.spent)
    full, _, half, empty = tuple(look.gauge)
    done = round(GAUGE * budget.labelled / total)
    out = round(GAUGE * budget.spent / total) - done
    bar = full * done + half * out + empty * (GAUGE - done - out)
    return f"{budget.labelled:,}/{budget.total:,} {bar}"


def _right(snapshot: Snapshot, look: Look, failed: Sequence[JobState], *, stale: bool) -> Text:
    text = Text()
    for job in failed[:1]:
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        words = f" {look.state('failed')} {job.kind} {job.job_id} failed{more} "
        text.append(words, style=FAILED_STYLE)
        text.append(" ")
    running = [job for job in snapshot.jobs if job.status == "running"]
    waiting = sum(job.status == "waiting" for job in snapshot.jobs)
    for job in running[:2]:
        text.append(f"{look.running} {job_words(job)} · ", style="bold")
    if len(running) > 2:
        text.append(f"{len(running) - 2} more · ")
    if waiting:
        text.append(f"{waiting} waiting · ")
    at = local_time(snapshot.at)
    if stale:
        text.append(f"can't be read; as of {at}", style="bold reverse")
    else:
        text.append(f"as of {at}")
    return text


def job_words(job: JobState) -> str:
    """``train 62% · 4 m left``, as far as known; the time left follows from the average pace."""
    if job.fraction is None:
        return job.kind
    if job.reads:
        return f"{job.kind}: {job.message} {job.fraction:.0%}"
    words = f"{job.kind} {job.fraction:.0%}"
    if job.at is None or job.started_at is None or job.fraction < SURE:
        return words
    spent = job.at - datetime.fromisoformat(job.started_at).timestamp()
    left = max(0.0, spent * (1 - job.fraction) / job.fraction)
    return f"{words} · {_short(left)} left" if left >= 1 else words


def _short(seconds: float) -> str:
    """``40 s``, ``4 m``, ``2 h``: rounded up."""
    for unit, name in ((3600, "h"), (60, "m")):
        if seconds > 1.5 * unit:
            return f"{math.ceil(seconds / unit)} {name}"
    return f"{math.ceil(seconds)} s"


def local_time(stamp: str) -> str:
    """Hours and minutes of an ISO time in this machine's time zone."""
    return datetime.fromisoformat(stamp).astimezone().strftime("%H:%M")


def tabs_text(focus: str, look: Look, width: int) -> Text:
    """The numbered panes, the focused one highlighted; short names on a narrow screen.

    A click on a name shows the pane.
    """
    names = [(f"{number} ", name) for number, name in enumerate(NUMBERED, 1)]
    room = width - 2
    wide = sum(len(key) + len(name) + 2 for key, name in names)
    text = Text(" ", no_wrap=True)
    for key, name in names:
        here = name == focus
        words = name.capitalize() if wide <= room or here else name[:3].capitalize()
        click = Style(meta={"@click": f"app.pane('{name}')"})
        text.append(f"{key}{words}", style=Style.parse("reverse bold") + click if here else click)
        text.append("  " if wide <= room else " ")
    return text


def next_text(step: NextStep, *, readonly: bool) -> Text:
    """The most prominent line: the next step, in words."""
    text = Text(no_wrap=True)
    if step.action in ("failed", "hook"):
        text.append(f" {visible(step.text)} ", style=FAILED_STYLE)
        text.append("  n: its log" if step.action == "failed" else "  n: all of it", style="bold")
        return text
    if step.action and not readonly:
        text.append(" n ", style="reverse bold")
    text.append(" next: ", style="bold")
    text.append(visible(step.text), style="bold")
    if step.action and not readonly:
        text.stylize(Style(meta={"@click": "app.step_clicked"}))
    return text


def task_text(task: Task, look: Look, width: int) -> Text:
    """The app's own task, as text."""
    share = task.done / task.total if task.total else 0.0
    counts = f"{task.done:,} of {task.total:,}" if task.total else "…"
    text = Text(f" {look.running} {task.title} ", style="bold", no_wrap=True)
    text.append(f"{look.share(share, 20)} {share:4.0%} · {counts} · {visible(task.note)}")
    text.append("  ctrl+x cancels", style="bold")
    text.truncate(width, overflow="ellipsis")
    return text
