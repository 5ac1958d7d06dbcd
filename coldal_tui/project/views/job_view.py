"""Jobs in detail: speed, time left and logs; read from the job folders."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coldal_tui.project.job_rows import RUNNING, Job, list_jobs
from coldal_tui.project.project import Project

NEWEST = 200
"""Jobs that are shown."""
TAIL_BYTES = 64 * 1024
LOG_BYTES = 1024 * 1024
WINDOW_S = 30.0
LEAST_SPAN_S = 1.0
QUIET_S = 20.0

# Colours and cursor movements that libraries write into logs.
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])")


@dataclass(frozen=True)
class Sample:
    """One line of ``progress.jsonl``; ``at`` in seconds since the epoch, by the worker's clock."""

    at: float
    done: float
    total: float
    message: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class Pace:
    """A job's progress in its current phase, and its speed.

    ``per_s`` is the rate over the last half minute, ``left_s`` the time left in this phase at that
    rate; both None before there are enough samples. ``quiet_s`` is the time since the last report,
    None while reports are frequent enough.
    """

    done: float
    total: float
    message: str
    metrics: dict[str, float]
    per_s: float | None
    left_s: float | None
    quiet_s: float | None

    @property
    def fraction(self) -> float:
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0


@dataclass(frozen=True)
class JobsView:
    """Jobs, newest first; samples of running jobs, and the end of the log of ``current``."""

    jobs: tuple[Job, ...]
    samples: dict[int, tuple[Sample, ...]]
    current: int | None
    log: tuple[str, ...]


@dataclass(frozen=True)
class LogText:
    """A log's lines, and its ``size`` in bytes; ``cut``: only its end was read."""

    lines: tuple[str, ...]
    size: int
    cut: bool


def read_jobs(project: Project, current: int | None = None, log_lines: int = 200) -> JobsView:
    """``current`` is the job whose log is read; the newest when it is None or unknown."""
    jobs = tuple(reversed(list_jobs(project, newest=NEWEST)))
    shown = next((job for job in jobs if job.job_id == current), jobs[0] if jobs else None)
    wanted = [job for job in jobs if job.status == RUNNING or job is shown]
    samples = {job.job_id: read_samples(job.folder.progress_file) for job in wanted}
    log: tuple[str, ...] = ()
    if shown is not None:
        log = tuple(map(plain_line, shown.folder.log_tail(log_lines)))
    return JobsView(jobs, samples, shown.job_id if shown else None, log)


def read_samples(file: Path, tail: int = TAIL_BYTES) -> tuple[Sample, ...]:
    """Complete lines of the last ``tail`` bytes, oldest first; damaged ones are skipped."""
    found = []
    for line in _tail(file, tail)[0].split(b"\n")[:-1]:
        try:
            data = json.loads(line)
            found.append(
                Sample(
                    at=float(data["at"]),
                    done=float(data["done"]),
                    total=float(data["total"]),
                    message=str(data.get("message", "")),
                    metrics=dict(data.get("metrics", {})),
                )
            )
        except (ValueError, KeyError, TypeError):
            continue
    return tuple(found)


def pace_of(samples: Sequence[Sample], now: float) -> Pace | None:
    """A job's pace at ``now`` (seconds since the epoch); None before its first sample.

    Only samples of the current phase count (the same message and total), and only those of the last
    half minute; in a phase with rare reports, the last two of any age.
    """
    if not samples:
        return None
    last = samples[-1]
    phase: list[Sample] = []
    for sample in reversed(samples):
        if (sample.message, sample.total) != (last.message, last.total) or sample.done > last.done:
            break
        if last.at - sample.at > WINDOW_S and len(phase) > 1:
            break
        phase.append(sample)
    span, steps = last.at - phase[-1].at, last.done - phase[-1].done
    per_s = steps / span if span >= LEAST_SPAN_S and steps > 0 else None
    left_s = (last.total - last.done) / per_s if per_s else None
    usual = span / max(1, len(phase) - 1)
    quiet = now - last.at
    return Pace(
        done=last.done,
        total=last.total,
        message=last.message,
        metrics=last.metrics,
        per_s=per_s,
        left_s=left_s,
        quiet_s=quiet if quiet > max(QUIET_S, 3 * usual) else None,
    )


def history(samples: Sequence[Sample], metric: str) -> list[float]:
    """All values of a metric, in order."""
    return [sample.metrics[metric] for sample in samples if metric in sample.metrics]


def read_log(file: Path, known_size: int = -1) -> LogText | None:
    """Read a log; None when it still has ``known_size`` bytes."""
    try:
        if file.stat().st_size == known_size:
            return None
    except FileNotFoundError:
        return LogText((), 0, False) if known_size != 0 else None
    data, size = _tail(file, LOG_BYTES)
    cut = size > LOG_BYTES
    lines = data.decode("utf-8", "replace").split("\n")
    if cut:
        lines = lines[1:]
    if lines and not lines[-1]:
        lines.pop()
    return LogText(tuple(map(plain_line, lines)), size, cut)


def plain_line(line: str) -> str:
    """A log line as finally shown: without colours and overwritten text."""
    text = _ESCAPES.sub("", line).rstrip("\r\n")
    return text.rpartition("\r")[2].expandtabs(4)


def _tail(file: Path, size: int) -> tuple[bytes, int]:
    """The file's last ``size`` bytes, and its whole size; empty for a missing file."""
    try:
        with file.open("rb") as stream:
            end = stream.seek(0, 2)
            stream.seek(max(0, end - size))
            return stream.read(), end
    except FileNotFoundError:
        return b"", 0
