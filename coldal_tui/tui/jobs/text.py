"""A job's details, the end of its log, and the devices, as lines of text. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.cells import chop_cells
from textual.content import Content

from coldal_tui.jobs.devices import Device, Host
from coldal_tui.project.hooks.running import HookEnd
from coldal_tui.project.job_rows import RUNNING, WAITING, Job
from coldal_tui.project.views.job_view import Pace, Sample, history, pace_of
from coldal_tui.textcharts import sparkline
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.drawing.styles import (
    ACCENT,
    BAD,
    BOLD,
    MUTED,
    STATUS_INKS,
    WARN,
    arrow,
    clock_time,
    duration,
    fitted,
    number,
)
from coldal_tui.tui.jobs.rows import metrics_of, outcome, rate, status_word, took, waits_for
from coldal_tui.visible import counted, visible

SPARK = 24
MOST_ERROR_LINES = 6


def job_lines(
    job: Job,
    jobs: Sequence[Job],
    samples: Sequence[Sample],
    log: Sequence[str],
    now: datetime,
    width: int,
    height: int,
    look: Look,
) -> list[Content]:
    """The job, its progress or error, then as much of the end of its log as fits."""
    rows = [_head(job, now, look)]
    if job.status == RUNNING:
        rows += _live(pace_of(samples, now.timestamp()), samples, width, look)
        if job.waiting_for:
            rows.append(Content.styled(visible(job.waiting_for), WARN))
    elif job.status == WAITING:
        rows.append(Content.styled(visible(waits_for(job, jobs)), MUTED))
    elif job.error is not None and job.error.what != job.status:
        rows += error_lines(job, width, look)[:MOST_ERROR_LINES]
    elif words := outcome(job, look):
        rows.append(Content(visible(words)))
    rows += _failures(job, look)
    room = height - len(rows) - 1
    tail = [] if room < 1 else log_rows(log, width)[-room:]
    if tail:
        rows += [Content.styled("log", MUTED), *(Content.styled(row, MUTED) for row in tail)]
    return [fitted(row, width, look) for row in rows[:height]]


def _head(job: Job, now: datetime, look: Look) -> Content:
    """``train 7  ▶ running  began 14:02, 3 m 20 s  attempt 2``."""
    word = status_word(job)
    glyph = look.state("running" if word == "ending" else word)
    parts: list[tuple[str, str]] = [
        (f"{job.kind} {job.job_id}", BOLD),
        (f"  {glyph} {word}", WARN if word == "ending" else STATUS_INKS.get(word, MUTED)),
    ]
    if job.started_at is not None and job.status != WAITING:
        parts.append((f"  began {clock_time(job.started_at, now)}, took {took(job, now)}", MUTED))
    else:
        parts.append((f"  submitted {clock_time(job.created_at, now)}", MUTED))
    if job.attempts > 1:
        parts.append((f"  attempt {job.attempts}", ""))
    if job.handle and job.handle.get("host") and job.status == RUNNING:
        parts.append((f"  on {visible(job.handle['host'])}", MUTED))
    if told := _request(job):
        parts.append((f"  {told}", MUTED))
    return Content.assemble(*parts)


def _request(job: Job) -> str:
    """The options that differ from the defaults."""
    told = [
        f"{key} {visible(value)}"
        for key, value in job.request.items()
        if value is not None and isinstance(value, (str, int, float)) and key != "cases"
    ]
    return ", ".join(told)


def _live(pace: Pace | None, samples: Sequence[Sample], width: int, look: Look) -> list[Content]:
    """Phase, counts, rate, time left; then one line per measure that changes."""
    if pace is None:
        return [Content.styled("starting: it has told nothing yet", MUTED)]
    parts: list[tuple[str, str]] = [(visible(pace.message or "at work"), BOLD)]
    if pace.total > 0:
        parts.append((f"  {pace.done:,.0f} of {pace.total:,.0f}", ""))
    if told := rate(pace, look):
        parts.append((f"  {told}", MUTED))
    if pace.left_s is not None:
        parts.append((f"  {duration(pace.left_s)} left", ACCENT))
    if pace.quiet_s is not None:
        parts.append((f"  no news for {duration(pace.quiet_s)}", WARN))
    rows = [Content.assemble(*parts)]
    for name, value in metrics_of(pace):
        values = history(samples, name)
        row = Content.assemble((f"{visible(name):<6}", MUTED), (number(value, 3, look), BOLD))
        if len(values) > 2:
            first, room = number(values[0], 3, look), min(SPARK, width - 24)
            spark = sparkline(values, max(4, room), plain=not look.braille)
            row = row.append(Content.assemble((f"  {spark}", ACCENT), (f"  from {first}", MUTED)))
        rows.append(row)
    return rows


def error_lines(job: Job, width: int, look: Look) -> list[Content]:
    """The error: what, where and remedy, wrapped."""
    error = job.error
    if error is None:
        return []
    ink = BAD if job.status == "failed" else WARN
    rows = [Content.styled(row, ink) for row in wrapped(error.what, width)]
    if error.where:
        rows += [Content.styled(row, MUTED) for row in wrapped(f"in {error.where}", width)]
    if error.remedy:
        rows += [Content(row) for row in wrapped(f"{arrow(look)} {error.remedy}", width)]
    return rows


def _failures(job: Job, look: Look) -> list[Content]:
    """Scans that a finished job could not use: the first, and how many more."""
    failed = job.result.get("failed") or []
    if not failed:
        return []
    first = failed[0]
    told = visible(f"{first['scan_id']}: {first['message']}")
    more = f" (and {counted(len(failed) - 1, 'scan')} more)" if len(failed) > 1 else ""
    return [Content.assemble((f"{look.state('failed')} {told}", BAD), (more, MUTED))]


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` cells, broken between words where possible."""
    rows: list[str] = []
    for line in Content(visible(text, keep="\n")).wrap(max(1, width)):
        rows.append(line.plain.rstrip())
    return rows


def log_rows(log: Sequence[str], width: int) -> list[str]:
    """The lines of a log in rows of at most ``width`` cells; nothing is cut off."""
    rows: list[str] = []
    for line in log:
        text = visible(line)
        if len(text) <= width and text.isascii():
            rows.append(text)
        else:
            rows += chop_cells(text, max(1, width)) or [""]
    return rows


def hook_lines(failed: Sequence[HookEnd], look: Look) -> list[Content]:
    """The programs of ``[hooks]`` whose last run failed, with when and why."""
    mark = look.state("failed")
    return [
        Content.assemble(
            (f"{mark} program of {hook.event} failed", BAD),
            (f" {visible(hook.at[:16].replace('T', ' '))}: {visible(hook.problem)}", ""),
        )
        for hook in failed
    ]


def device_lines(
    devices: Sequence[Device], host: Host | None, width: int, height: int, look: Look
) -> list[Content]:
    """One line per GPU; without a GPU, one for the machine."""
    rows = [_device_line(device, width, look) for device in devices]
    if not rows and host is not None:
        rows = [_host_line(host, look)]
    if len(rows) > height:
        hidden = len(rows) - height + 1
        rows = [*rows[: height - 1], Content.styled(f"{counted(hidden, 'GPU')} more", MUTED)]
    return [fitted(row, width, look) for row in rows[: max(0, height)]]


def _device_line(device: Device, width: int, look: Look) -> Content:
    """``GPU 0  ██████▌  83 % busy  ███▏  12.3 of 80 GB  NVIDIA H100``."""
    busy = "" if device.busy is None else f"{round(100 * device.busy):>3} % busy"
    parts: list[tuple[str, str]] = [(f"GPU {visible(device.label)}", BOLD)]
    bars = width >= 60
    if device.busy is not None:
        parts += [(f"  {look.share(device.busy, 8)}" if bars else "", ACCENT), (f" {busy}", "")]
    if device.free is not None and device.total:
        used = device.total - device.free
        bar = f"  {look.share(used / device.total, 8)}" if bars else " "
        parts += [(bar, ACCENT), (f" {_gb(used)} of {device.total / 2**30:.0f} GB", "")]
    else:
        parts.append(("  shares the machine's memory", MUTED))
    parts.append((f"  {visible(device.name)}", MUTED))
    return Content.assemble(*parts)


def _host_line(host: Host, look: Look) -> Content:
    busy = look.dash if host.busy is None else f"{round(100 * host.busy)} %"
    processors = counted(host.processors, "processor")
    memory = f"{_gb(host.used)} of {host.total / 2**30:.0f} GB memory"
    return Content.styled(f"no GPU  {busy} of {processors} busy  {memory}", MUTED)


def _gb(size: int) -> str:
    return f"{size / 2**30:.1f}"
