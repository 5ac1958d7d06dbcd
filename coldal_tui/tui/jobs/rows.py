"""Jobs as table rows: state, progress, time left, result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from rich.text import Text

from coldal_tui.project.job_rows import DONE, OPEN, READING, RUNNING, WAITING, Job
from coldal_tui.project.measuring import CROSS_FITTED, FROZEN, KINDS
from coldal_tui.project.views.job_view import Pace, pace_of
from coldal_tui.project.views.job_view import Sample as ProgressSample
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.drawing.styles import clock_time, duration, number, share
from coldal_tui.tui.widgets.columns import Column
from coldal_tui.tui.widgets.table_model import Cell
from coldal_tui.visible import counted

BAR = 8
STATUS_STYLES = {
    "running": "accent",
    "ending": "warning",
    "done": "success",
    "incomplete": "warning",
    "failed": "error",
    "interrupted": "warning",
    "cancelled": "muted",
    "waiting": "muted",
}


class JobRows:
    """One row per job in the given order (newest first), at ``now`` (local time)."""

    def __init__(
        self,
        jobs: Sequence[Job],
        samples: Mapping[int, Sequence[ProgressSample]],
        now: datetime,
        look: Look,
    ) -> None:
        self._jobs, self._now, self._look = jobs, now, look
        self._paces = {
            job.job_id: pace_of(samples.get(job.job_id, ()), now.timestamp())
            for job in jobs
            if job.status == RUNNING
        }
        self.columns = (
            Column("id", "#", _widest((job.job_id for job in jobs), 3), align="right"),
            Column("kind", "job", 8),
            Column("status", "status", 13),
            Column("note", "", 30, least=12, most=400),
            Column("took", "took", 9, align="right", priority=1),
            Column("began", "began", _widest(map(self._began, jobs), 5), align="right", priority=2),
        )

    def _began(self, job: Job) -> str:
        return clock_time(job.started_at or job.created_at, self._now)

    @property
    def row_count(self) -> int:
        return len(self._jobs)

    def key(self, row: int) -> str:
        return str(self._jobs[row].job_id)

    def find(self, key: str) -> int | None:
        return next((n for n, job in enumerate(self._jobs) if str(job.job_id) == key), None)

    def cells(self, row: int) -> Sequence[Cell]:
        job, look = self._jobs[row], self._look
        pace = self._paces.get(job.job_id)
        return (
            str(job.job_id),
            job.kind,
            status_cell(job, look),
            note(job, pace, self._jobs, look),
            took(job, self._now),
            self._began(job),
        )


def _widest(values: Iterable[object], least: int) -> int:
    return max([least, *(len(str(value)) for value in values)])


def status_word(job: Job) -> str:
    """The status; ``ending``: being cancelled; ``incomplete``: done, but without some scans."""
    if job.status in OPEN and job.cancel_asked:
        return "ending"
    return "incomplete" if job.status == DONE and job.result.get("failed") else job.status


def status_cell(job: Job, look: Look) -> Text:
    """``▶ running``."""
    word = status_word(job)
    glyph = look.state({"ending": "running", "incomplete": "interrupted"}.get(word, word))
    return Text(f"{glyph} {word}", style=STATUS_STYLES.get(word, "muted"))


def rate(pace: Pace | None, look: Look) -> str:
    """``2.4/s``; slow work per minute or per hour."""
    if pace is None or pace.per_s is None:
        return ""
    for per, unit in ((1.0, "s"), (60.0, "min"), (3600.0, "h")):
        if pace.per_s * per >= 1 or unit == "h":
            value = pace.per_s * per
            return f"{number(value, 0 if value >= 100 else 1, look)}/{unit}"
    return ""


def took(job: Job, now: datetime) -> str:
    """The run time so far or in all; empty if it never started."""
    if job.started_at is None or job.status == WAITING:
        return ""
    end = datetime.fromisoformat(job.ended_at) if job.ended_at else now
    return duration((end - datetime.fromisoformat(job.started_at)).total_seconds())


def note(job: Job, pace: Pace | None, jobs: Sequence[Job], look: Look) -> Text:
    """The main fact of a job: progress, what it waits for, its error, or its result."""
    if job.status == WAITING:
        return Text(waits_for(job, jobs), style="muted")
    if job.status == RUNNING:
        return Text(job.waiting_for) if job.waiting_for else progress(pace, look)
    if job.error is not None and job.error.what != job.status:
        style = "error" if job.status == "failed" else "muted"
        return Text(job.error.what, style=style)
    return Text(outcome(job, look))


def progress(pace: Pace | None, look: Look) -> Text:
    """``███▎      41 %  1 m 10 s left  training  2.0/s  loss 0.31``."""
    if pace is None:
        return Text("starting", style="muted")
    text = Text()
    if pace.message.startswith(READING):  # a share of what is read, not of the work
        read = f"  {share(pace.fraction, look)}" if pace.total > 0 else ""
        return text.append(f"{pace.message}{read}", "muted")
    if pace.total > 0:
        text.append(look.share(pace.fraction, BAR), "accent")
        text.append(f"{share(pace.fraction, look):>6}", "bold")
        text.append("  ")
    if pace.left_s is not None:
        text.append(f"{duration(pace.left_s)} left  ")
    told = [pace.message or "at work", rate(pace, look)]
    told += [f"{name} {number(value, 2, look)}" for name, value in metrics_of(pace)]
    return text.append("  ".join(filter(None, told)), "muted")


def metrics_of(pace: Pace) -> list[tuple[str, float]]:
    """The job's measures without its rate, which has its own place."""
    return [(name, value) for name, value in pace.metrics.items() if name != "rate"]


def waits_for(job: Job, jobs: Sequence[Job]) -> str:
    """The recorded reason, else the open jobs it depends on, else that it waits its turn."""
    if job.waiting_for:
        return job.waiting_for
    needed = [other for other in jobs if other.job_id in job.depends_on and not other.ended]
    if needed:
        return "after " + ", ".join(f"{other.kind} {other.job_id}" for other in needed)
    return "waits for its turn"


def outcome(job: Job, look: Look) -> str:
    """The result of a finished job, in a few words."""
    if job.status != DONE:
        return ""
    result = job.result
    if result.get("nothing_to_do"):
        return "nothing to do"
    match job.kind:
        case "embed":
            words = f"{counted(result.get('embedded', 0), 'scan')} embedded"
        case "map":
            words = (
                f"{counted(result.get('scans', 0), 'scan')} by {result.get('method', look.dash)}"
            )
        case "select":
            words = f"round {result.get('round')}: {counted(result.get('picked', 0), 'scan')}"
        case "score" | "predict":
            words = f"{counted(result.get('scored', 0), 'scan')} by {result.get('run_id')}"
        case "train":
            told = _dice(result.get("validation"), look, KINDS[FROZEN])
            words = f"{result.get('run_id')}{told}"
        case "crossfit":
            told = _dice(result.get("mean"), look, KINDS[CROSS_FITTED])
            words = f"{result.get('run_id')}{told}"
        case "evaluate":
            count = result.get("counts", {}).get("scans", len(result.get("scans", {})))
            words = f"{counted(count, 'scan')}{_dice(result.get('mean'), look)}"
        case _:
            words = ""
    failed = len(result.get("failed") or [])
    if not failed:
        return words
    unmeasured = job.kind == "train" and not (result.get("validation") or {}).get("dice")
    measured = ", not measured" if unmeasured else ""
    return f"{words}{measured}, {counted(failed, 'scan')} failed"


def _dice(mean: Mapping[str, float] | None, look: Look, kind: str = "") -> str:
    """``, Dice 0.912 (cross-fitted)``: the kind is one of ``project.measuring``."""
    which = f" ({kind})" if kind else ""
    return f", Dice {number(mean.get('dice'), 3, look)}{which}" if mean else ""
