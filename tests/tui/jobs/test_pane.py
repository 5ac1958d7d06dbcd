"""The jobs' pane, with real keys on jobs whose folders are written by hand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from coldal_tui.jobs.devices import Device, DeviceReader, Host
from coldal_tui.jobs.folder import JobFolder
from coldal_tui.project.job_rows import DONE, get_job
from coldal_tui.project.project import Project
from coldal_tui.scheduler import queue
from coldal_tui.scheduler import supervisor as supervisor_module
from coldal_tui.tui.drawing.glyphs import ASCII
from coldal_tui.tui.jobs.pane import JobsPane
from tests.support.pane_app import PaneApp, drive, screen, until

NOW = datetime(2026, 11, 23, 9, 30, 0, tzinfo=UTC)
POLL_S = 0.1


class Gpus(DeviceReader):
    """A machine with one GPU."""

    def devices(self, backend: str) -> tuple[Device, ...]:
        return (Device("0", "u", "H100", 60 * 2**30, 80 * 2**30, 0.5),)


class NoGpus(DeviceReader):
    def devices(self, backend: str) -> tuple[Device, ...]:
        return ()

    def host(self) -> Host:
        return Host(8, 0.25, 2**30, 16 * 2**30)


class WatchedApp(PaneApp):
    """Counts what was read."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.reads = 0

    def read(self, key: str, *more: Any, **options: Any) -> None:
        self.reads += 1
        super().read(key, *more, **options)


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Projects for which a supervisor would have been started."""
    found: list[Path] = []
    monkeypatch.setattr(
        supervisor_module, "ensure_supervisor", lambda layout: found.append(layout.root)
    )
    return found


@pytest.fixture
def working(project: Path) -> Path:
    """1 embed failed, 2 train runs, 3 score waits for it."""
    with Project(project) as opened:
        queue.submit(opened, "embed")
        queue.submit(opened, "train")
        queue.submit(opened, "score", depends_on=[2])
        opened.store.update(
            "jobs",
            {"job_id": 1},
            status="failed",
            started_at="2026-11-23T09:00:00+00:00",
            ended_at="2026-11-23T09:00:08+00:00",
            error={"what": "the disk is full", "where": "/data/x", "remedy": "free space"},
        )
        opened.store.update(
            "jobs", {"job_id": 2}, status="running", started_at="2026-11-23T09:26:40+00:00"
        )
        for number in (1, 2):
            get_job(opened, number).folder.path.mkdir(parents=True)
        folder = get_job(opened, 2).folder
        advance(folder, 10)
        folder.log.write_text("train starts\n")
    return project


def advance(folder: JobFolder, done: int) -> None:
    """Half a second a step, the last one just now."""
    lines = [
        f'{{"at": {NOW.timestamp() - (done - n) / 2}, "done": {n}, "total": 100, '
        f'"message": "training", "metrics": {{"loss": {1 / (n + 1):.4f}}}}}\n'
        for n in range(done + 1)
    ]
    folder.progress_file.write_text("".join(lines))


def folder_of(root: Path, number: int) -> JobFolder:
    with Project(root) as project:
        return get_job(project, number).folder


def pane(**options: Any) -> JobsPane:
    return JobsPane(lambda: NOW, options.pop("reader", Gpus()), poll_s=POLL_S)


async def shown(app: PaneApp, pilot: Pilot[None], *words: str) -> None:
    for word in words:
        await until(pilot, lambda word=word: word in screen(app))  # type: ignore[misc]


def test_jobs_are_listed_and_the_running_one_is_looked_at(working: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "training  10 of 100  2.0/s  45 s left", "train starts")
        text = screen(app)
        rows = [line.split() for line in text.split("\n")[1:4]]
        assert rows[0][:4] == ["3", "score", "○", "waiting"]
        assert rows[1][:5] == ["▸", "2", "train", "▶", "running"]
        assert rows[2][:4] == ["1", "embed", "✗", "failed"]
        assert "after train 2" in text
        assert "loss  0.091" in text
        assert "GPU 0  ████      50 % busy" in text
        assert str(app.pane.border_title) == "7 Jobs  1 running"

    drive(working, pane(), steps, size=(80, 22))


def test_the_cursor_chooses_the_job_that_is_looked_at(working: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "training  10 of 100")
        await pilot.press("j")
        await shown(app, pilot, "embed 1  ✗ failed", "in /data/x", "→ free space")
        await pilot.press("g")
        await shown(app, pilot, "score 3  ○ waiting")

    drive(working, pane(), steps, size=(80, 22))


def test_progress_and_log_are_followed_while_something_runs(working: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "training  10 of 100")
        folder = folder_of(working, 2)
        advance(folder, 60)
        with folder.log.open("a") as log:
            log.write("halfway\n")
        # Nobody tells the pane: it looks by itself.
        await shown(app, pilot, "training  60 of 100", "halfway")

    drive(working, pane(), steps, size=(80, 22))


def test_nothing_is_looked_at_when_nothing_runs(working: Path) -> None:
    with Project(working) as project:
        project.store.update("jobs", {"job_id": 2}, status="done")
    app = WatchedApp(working, pane())

    async def session() -> None:
        async with app.run_test(size=(80, 22)) as pilot:
            await shown(app, pilot, "✓ done")
            before = app.reads
            await pilot.pause(5 * POLL_S)
            assert app.reads == before

    asyncio.run(session())


def test_nothing_is_looked_at_while_nobody_sees_it(working: Path) -> None:
    app = WatchedApp(working, pane())

    async def session() -> None:
        async with app.run_test(size=(80, 22)) as pilot:
            await shown(app, pilot, "training  10 of 100")
            app.pane.display = False
            await pilot.pause(0.2)
            before = app.reads
            advance(folder_of(working, 2), 30)
            await pilot.pause(5 * POLL_S)
            assert app.reads == before
            app.pane.display = True
            await shown(app, pilot, "training  30 of 100")

    asyncio.run(session())


def test_the_timer_ends_with_the_last_job(working: Path) -> None:
    app = WatchedApp(working, pane())

    async def session() -> None:
        async with app.run_test(size=(80, 22)) as pilot:
            await shown(app, pilot, "training  10 of 100")
            with Project(working) as project:
                queue.end(project, 2, DONE, result={"run_id": "run-001"})
            await shown(app, pilot, "run-001")
            await pilot.pause(0.2)
            before = app.reads
            await pilot.pause(5 * POLL_S)
            assert app.reads == before

    asyncio.run(session())


def test_the_whole_log_is_a_key_away(working: Path) -> None:
    folder = folder_of(working, 2)
    folder.log.write_text("".join(f"line {n}\n" for n in range(500)))

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "training  10 of 100")
        await pilot.press("enter")
        await shown(app, pilot, "line 499")
        assert str(app.pane.border_title) == "log of train 2"
        assert ".coldal/jobs/000002-train/log.txt" in screen(app)
        await pilot.press("g")
        await shown(app, pilot, "line 0")
        assert "line 499" not in screen(app)
        await pilot.press("escape")
        await shown(app, pilot, "training  10 of 100")

    drive(working, pane(), steps, size=(80, 22))


def test_a_log_that_is_read_at_its_end_is_followed(working: Path) -> None:
    folder = folder_of(working, 2)
    folder.log.write_text("".join(f"line {n}\n" for n in range(100)))

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "training  10 of 100")
        await pilot.press("enter")
        await shown(app, pilot, "line 99")
        with folder.log.open("a") as log:
            log.write("the newest\n")
        await shown(app, pilot, "the newest")

    drive(working, pane(), steps, size=(80, 22))


def test_a_log_that_is_read_elsewhere_stays_where_it_is(working: Path) -> None:
    folder = folder_of(working, 2)
    folder.log.write_text("".join(f"line {n}\n" for n in range(100)))
    jobs = pane()

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "training  10 of 100")
        await pilot.press("enter")
        await shown(app, pilot, "line 99")
        await pilot.press("g")
        with folder.log.open("a") as log:
            log.write("the newest\n")
        await until(pilot, lambda: jobs.log_view.row_count == 101)
        assert jobs.log_view.cursor == 0
        assert "the newest" not in screen(app)

    drive(working, jobs, steps, size=(80, 22))


def test_a_log_is_wrapped_anew_in_another_width(working: Path) -> None:
    jobs = pane()
    folder_of(working, 2).log.write_text("x" * 100 + "\n")

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "training  10 of 100")
        await pilot.press("enter")
        await until(pilot, lambda: jobs.log_view.row_count == 2)
        await pilot.resize_terminal(120, 22)
        await until(pilot, lambda: jobs.log_view.row_count == 1)

    drive(working, jobs, steps, size=(80, 22))


def test_a_log_of_a_job_that_wrote_nothing(working: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "training  10 of 100")
        await pilot.press("g", "enter")
        await shown(app, pilot, "(nothing was written yet)")

    drive(working, pane(), steps, size=(80, 22))


def test_escape_among_the_jobs_is_the_apps(working: Path) -> None:
    class Escaping(PaneApp):
        escaped = 0
        BINDINGS = [("escape", "away", "away")]  # noqa: RUF012

        def action_away(self) -> None:
            self.escaped += 1

    app = Escaping(working, pane())

    async def session() -> None:
        async with app.run_test(size=(80, 22)) as pilot:
            await shown(app, pilot, "training  10 of 100")
            await pilot.press("enter", "escape")
            assert app.escaped == 0
            await pilot.press("escape")
            assert app.escaped == 1

    asyncio.run(session())


def status(root: Path, number: int) -> str:
    with Project(root) as project:
        return get_job(project, number).status


def test_a_running_job_is_ended_after_a_question(working: Path, started: list[Path]) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "training  10 of 100")
        app.answers = ["no", "yes"]
        await pilot.press("ctrl+x")
        assert started == []
        await pilot.press("ctrl+x")
        assert app.questions[1] == (
            "end train 2 and 1 job that wait for it? A retry goes on from where it was."
        )
        assert app.told == ["train 2 was asked to end"]
        await shown(app, pilot, "▶ ending")

    drive(working, pane(), steps, size=(80, 22))
    assert started == [working]
    with Project(working) as project:
        assert get_job(project, 2).cancel_asked


def test_a_waiting_job_is_cancelled_at_once(working: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "training  10 of 100")
        app.answers = ["yes"]
        await pilot.press("g", "ctrl+x")
        assert app.questions == ["cancel score 3 before it starts?"]
        await shown(app, pilot, "score 3  × cancelled")

    drive(working, pane(), steps, size=(80, 22))
    assert status(working, 3) == "cancelled"


def test_a_failed_job_is_retried(working: Path, started: list[Path]) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "training  10 of 100")
        await pilot.press("G", "r")
        assert app.told == ["embed 1 goes on"]
        await shown(app, pilot, "embed 1  ○ waiting")

    drive(working, pane(), steps, size=(80, 22))
    assert started == [working]
    assert status(working, 1) == "waiting"


def test_keys_that_do_not_fit_the_job_do_nothing(working: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "training  10 of 100")
        await pilot.press("r", "G", "ctrl+x", "space", "v")
        assert (app.questions, app.told) == ([], [])

    drive(working, pane(), steps, size=(80, 22))


def test_nothing_is_changed_when_only_reading(working: Path) -> None:
    jobs = pane()

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "training  10 of 100")
        assert jobs.check_action("cancel", ()) is None
        assert jobs.check_action("retry", ()) is False
        assert jobs.check_action("log", ()) is True
        await pilot.press("ctrl+x", "G", "r")
        assert (app.questions, app.told) == ([], [])

    drive(working, jobs, steps, size=(80, 22), readonly=True)


def test_trouble_is_told_once(working: Path) -> None:
    class Troubled(Gpus):
        broken = False

        def devices(self, backend: str) -> tuple[Device, ...]:
            if self.broken:
                raise OSError("the disk is gone")
            return super().devices(backend)

    reader = Troubled()

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "training  10 of 100")
        reader.broken = True
        await until(pilot, lambda: app.told != [])
        await pilot.pause(5 * POLL_S)
        assert app.told == ["the disk is gone"]
        reader.broken = False
        advance(folder_of(working, 2), 20)
        await shown(app, pilot, "training  20 of 100")

    drive(working, pane(reader=reader), steps, size=(80, 22))


def test_a_slow_disk_is_not_asked_twice_at_once(working: Path) -> None:
    import time

    class Slow(Gpus):
        def devices(self, backend: str) -> tuple[Device, ...]:
            time.sleep(3 * POLL_S)
            return super().devices(backend)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "training  10 of 100")
        advance(folder_of(working, 2), 20)
        await shown(app, pilot, "training  20 of 100")

    drive(working, pane(reader=Slow()), steps, size=(80, 22))


def test_without_a_gpu_the_machine_is_told(working: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "no GPU  25 % of 8 processors busy  1.0 of 16 GB memory")

    drive(working, pane(reader=NoGpus()), steps, size=(80, 22))


def test_before_the_first_job_the_pane_says_what_to_do(project: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "no job yet: embed 6 scans and pick the first queue")
        await pilot.press("enter", "ctrl+x", "r", "j")
        assert app.errors == []

    drive(project, pane(), steps)


@pytest.mark.parametrize("size", [(60, 14), (78, 19), (120, 40), (200, 60), (30, 6)])
def test_the_pane_fits_any_size(working: Path, size: tuple[int, int]) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "train")
        await pilot.press("enter")
        await pilot.resize_terminal(90, 24)
        await shown(app, pilot, "train starts")
        await pilot.press("escape")
        await shown(app, pilot, "training  10 of 100")
        assert app.errors == []

    drive(working, pane(), steps, size=size)


def test_the_cursor_is_where_it_was(working: Path) -> None:
    jobs = pane()
    jobs.restore({"job": 1})

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "embed 1  ✗ failed")
        assert jobs.state() == {"job": 1}

    drive(working, jobs, steps, size=(80, 22))


def test_a_job_that_is_no_longer_there_is_passed_over(working: Path) -> None:
    jobs = pane()
    jobs.restore({"job": 99})

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "score 3  ○ waiting")

    drive(working, jobs, steps, size=(80, 22))


def test_plain_terminals_get_plain_characters(working: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await shown(app, pilot, "training  10 of 100")
        assert screen(app).isascii()

    drive(working, pane(), steps, size=(80, 22), look=ASCII)
