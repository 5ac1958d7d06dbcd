"""The jobs pane: running, waiting and failed jobs, with reasons, logs and devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.timer import Timer

from coldal_tui.jobs.devices import Device, DeviceReader, Host
from coldal_tui.project.hooks.running import HookEnd
from coldal_tui.project.job_rows import ENDED_BADLY, RUNNING, Job, JobState
from coldal_tui.project.project import Project
from coldal_tui.project.views.job_view import JobsView, read_jobs
from coldal_tui.scheduler import queue
from coldal_tui.tui.drawing.styles import lines
from coldal_tui.tui.jobs.log_view import LogAnswer, LogRequest, LogView
from coldal_tui.tui.jobs.rows import JobRows
from coldal_tui.tui.jobs.text import device_lines, hook_lines, job_lines
from coldal_tui.tui.pane import View, local_now
from coldal_tui.tui.verbs import bind
from coldal_tui.tui.widgets.drawing import Drawing, Painted
from coldal_tui.tui.widgets.seen import WhileSeen
from coldal_tui.tui.widgets.table import BigTable
from coldal_tui.tui.widgets.table_model import EMPTY
from coldal_tui.tui.widgets.table_pane import TablePane
from coldal_tui.visible import counted

POLL_S = 1.0
DEVICES_HEIGHT = 12
"""Lines of the pane below which the devices are left out."""


@dataclass(frozen=True)
class _Look:
    """The result of one reading of the jobs."""

    view: JobsView
    devices: tuple[Device, ...]
    host: Host | None
    log: LogAnswer | None


class JobsPane(WhileSeen, TablePane):
    """Shows all jobs and the details of one; ``enter`` shows its whole log.

    While a job runs and the pane is visible, it reads once a second, otherwise only when the
    project has changed.
    """

    number: ClassVar[int] = 7
    title: ClassVar[str] = "7 Jobs"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("open", "log", "its log", id="jobs.log", show=True),
        bind("cancel", "cancel", "cancel", id="jobs.cancel", show=True),
        bind("retry", "retry", "retry", id="jobs.retry", show=True),
        bind("back", "close_log", "the jobs", id="jobs.back"),
    ]
    DEFAULT_CSS = """
    JobsPane {
        layout: vertical;
        & > #jobs-table { height: 6; }
        & > #job-detail { height: 1fr; padding: 0 1; border-top: solid $primary 50%; }
        &.-ascii > #job-detail { border-top: ascii $primary 50%; }
        & > #devices { height: auto; padding: 0 1; }
        & > #hooks { display: none; height: auto; max-height: 6; padding: 0 1; }
        & > #job-log { display: none; height: 1fr; }
        & > #no-jobs { height: 1fr; padding: 0 1; color: $foreground-muted; }
    }
    """

    def __init__(
        self,
        clock: Callable[[], datetime] = local_now,
        reader: DeviceReader | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        super().__init__(id="jobs")
        self._poll_s = poll_s
        self._asking = False
        self._trouble = ""
        self._clock = clock
        self._reader = reader or DeviceReader()
        self._found: _Look | None = None
        self._told: tuple[JobState, ...] | None = None
        self._wanted: int | None = None
        self._log_wanted: int | None = None
        self._timer: Timer | None = None
        self._log_of: Job | None = None
        self._hint = ""
        self.border_title = Content(self.title)

    def compose(self) -> ComposeResult:
        yield BigTable(id="jobs-table")
        yield LogView(id="job-log")
        yield Painted(id="job-detail")
        yield Drawing(id="hooks", wraps=True)
        yield Drawing(id="devices")
        yield Drawing(id="no-jobs", wraps=True)

    def on_mount(self) -> None:
        self.set_class(self.look.name == "ascii", "-ascii")

    @property
    def jobs_table(self) -> BigTable:
        return self.query_one("#jobs-table", BigTable)

    @property
    def log_view(self) -> LogView:
        return self.query_one("#job-log", LogView)

    @property
    def table(self) -> BigTable:
        return self.jobs_table if self._log_of is None else self.log_view

    # Looking

    def show(self, view: View) -> None:
        snapshot = view.snapshot
        self._hint = (snapshot.then or snapshot.next).text
        self._draw_hooks(snapshot.hooks)
        if view.snapshot.jobs != self._told:
            self._told = view.snapshot.jobs
            if self.seen:
                self._look()

    def catch_up(self) -> None:
        if self._told is not None:
            self._look()

    def looked_away(self) -> None:
        self._stop_timer()

    def _look_again(self) -> None:
        """Read again, unless the last reading still runs (a slow disk may take over a second)."""
        if not self._asking:
            self._look()

    def _look(self) -> None:
        """Request the state of the jobs; the answer is drawn when it arrives."""
        current = self._wanted if self._wanted is not None else self._current_id()
        self._asking = True
        work = partial(self._read, current, self.log_view.request(self.content_size.width))
        self.services.read("jobs", work, self._looked, self._failed)

    def _read(self, current: int | None, log: LogRequest | None, project: Project) -> _Look:
        """Runs in a thread."""
        devices = self._reader.devices(project.config.backend.name)
        return _Look(
            view=read_jobs(project, current),
            devices=devices,
            host=None if devices else self._reader.host(),
            log=log.read() if log is not None else None,
        )

    def _failed(self, error: Exception) -> None:
        """Report an error once, not at every reading."""
        self._asking = False
        if str(error) != self._trouble:
            self._trouble = str(error)
            self.services.tell(self._trouble or type(error).__name__, error=True)

    def _looked(self, found: _Look) -> None:
        self._found = found
        self._asking, self._trouble = False, ""
        if self.seen and any(job.status == RUNNING for job in found.view.jobs):
            if self._timer is None:
                self._timer = self.set_interval(self._poll_s, self._look_again)
        else:
            self._stop_timer()
        if found.log is not None:
            self.log_view.take(found.log)
        self._draw()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    # Drawing

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._resized)

    def _resized(self) -> None:
        if self._log_of is not None:
            self._look()
        self._draw()

    def _draw(self) -> None:
        found = self._found
        if found is None or not self.is_mounted:
            return
        jobs, in_log = found.view.jobs, self._log_of is not None
        for name, shown in (
            ("#jobs-table", bool(jobs) and not in_log),
            ("#job-log", in_log),
            ("#job-detail", bool(jobs) and not in_log),
            ("#no-jobs", not jobs),
        ):
            self.query_one(name).display = shown
        self._draw_devices(found)
        running = sum(job.status == RUNNING for job in jobs)
        self.border_title = Content(self._title(running))
        if not jobs:
            self.query_one("#no-jobs", Drawing).draw(Content(f"no job yet: {self._hint}"))
            self.jobs_table.set_model(EMPTY)
            return
        height = self.content_size.height
        self.jobs_table.styles.height = max(3, min(len(jobs) + 1, height // 2))
        keep = self._first_choice(jobs)
        rows = JobRows(jobs, found.view.samples, self._clock(), self.look)
        with self.prevent(BigTable.Moved):
            self.jobs_table.set_model(rows, keep=keep)
        if self._log_wanted is not None and self._current_id() == self._log_wanted:
            self._log_wanted = None
            self.action_log()
            self._draw()
            return
        self._draw_detail()
        self.refresh_bindings()

    def _title(self, running: int) -> str:
        if self._log_of is not None:
            return f"log of {self._log_of.kind} {self._log_of.job_id}"
        return f"{self.title}  {running} running" if running else self.title

    def _first_choice(self, jobs: Sequence[Job]) -> str | None:
        """The first row of the cursor: that of the last session, else a running job."""
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            return str(wanted)
        if self.jobs_table.row_count:
            return None
        return next((str(job.job_id) for job in jobs if job.status == RUNNING), None)

    def _draw_detail(self) -> None:
        job, found = self._current(), self._found
        if job is None or found is None:
            return
        known, now, look = found.view, self._clock(), self.look
        log = known.log if known.current == job.job_id else ()
        samples = known.samples.get(job.job_id, ())

        def paint(width: int, height: int) -> Content:
            return lines(job_lines(job, known.jobs, samples, log, now, width, height, look))

        self.query_one("#job-detail", Painted).draw(paint)

    def _draw_hooks(self, failed: Sequence[HookEnd]) -> None:
        line = self.query_one("#hooks", Drawing)
        line.display = bool(failed)
        line.draw(hook_lines(failed, self.look))

    def _draw_devices(self, found: _Look) -> None:
        line = self.query_one("#devices", Drawing)
        width, height = self.content_size
        most = 0 if height < DEVICES_HEIGHT or self._log_of is not None else max(1, height // 6)
        drawn = device_lines(found.devices, found.host, width - 2, most, self.look)
        line.display = bool(drawn)
        line.draw(drawn)

    # Keys

    def _current_id(self) -> int | None:
        key = self.jobs_table.current if self.is_mounted else None
        return int(key) if key is not None else None

    def _current(self) -> Job | None:
        jobs = self._found.view.jobs if self._found else ()
        return next((job for job in jobs if job.job_id == self._current_id()), None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("mark", "range", "invert"):
            return False
        if action == "close_log":
            return self._log_of is not None
        if action not in ("cancel", "retry", "log"):
            return True
        job = self._current()
        if action == "log":
            return self._log_of is None and job is not None
        if job is None:
            return False
        fits = not job.ended if action == "cancel" else job.status in ENDED_BADLY
        return (None if self.services.readonly else True) if fits else False

    def on_big_table_moved(self, message: BigTable.Moved) -> None:
        message.stop()
        if message.table is self.jobs_table:
            self._draw_detail()
            self._look()
            self.refresh_bindings()

    def on_big_table_opened(self, message: BigTable.Opened) -> None:
        message.stop()
        if self._log_of is None:
            self.action_log()

    def action_log(self) -> None:
        job = self._log_of = self._current()
        if job is not None:
            log, root = job.folder.log, self.services.root
            inside = log.is_relative_to(root)
            self.log_view.open(log, str(log.relative_to(root) if inside else log))
            self._look()

    def show_log(self, job_id: int) -> None:
        """Move to a job and open its log once it has been read."""
        self._wanted, self._log_wanted = job_id, job_id
        self._look()

    def action_close_log(self) -> None:
        self._log_of = None
        self.log_view.open(None)
        self._draw()

    def action_cancel(self) -> None:
        job = self._current()
        if job is None:
            return
        waiting = self._dependants(job)
        also = f" and {counted(waiting, 'job')} that wait for it" if waiting else ""
        if job.status == RUNNING:
            question = f"end {job.kind} {job.job_id}{also}? A retry goes on from where it was."
        else:
            question = f"cancel {job.kind} {job.job_id}{also} before it starts?"
        self.services.confirm(question, partial(self._cancel, job), yes="end it")

    def _dependants(self, job: Job) -> int:
        """Open jobs that depend on it, directly or through others."""
        needed = {job.job_id}
        for other in reversed(self._found.view.jobs if self._found else ()):
            if not other.ended and needed & {*other.depends_on}:
                needed.add(other.job_id)
        return len(needed) - 1

    def _cancel(self, job: Job) -> None:
        def work(project: Project) -> str:
            from coldal_tui.scheduler.supervisor import ensure_supervisor

            after = queue.cancel(project, job.job_id)
            ensure_supervisor(project.layout)
            name = f"{job.kind} {job.job_id}"
            return f"{name} was asked to end" if not after.ended else f"{name}: {after.status}"

        self.services.change(f"cancel {job.kind} {job.job_id}", work)

    def action_retry(self) -> None:
        job = self._current()
        if job is None:
            return

        def work(project: Project) -> str:
            from coldal_tui.scheduler.supervisor import ensure_supervisor

            queue.retry(project, job.job_id)
            ensure_supervisor(project.layout)
            return f"{job.kind} {job.job_id} goes on"

        self.services.change(f"retry {job.kind} {job.job_id}", work)

    def state(self) -> dict[str, Any]:
        return {"job": self._current_id()}

    def restore(self, state: dict[str, Any]) -> None:
        wanted = state.get("job")
        self._wanted = wanted if isinstance(wanted, int) else None
