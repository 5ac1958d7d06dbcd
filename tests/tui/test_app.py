"""The plain screen, driven by a pilot: what it draws, keys, changes from outside, bad files."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from small_projects import add_to_queue, set_config
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from coldal_tui.project.project import Project
from coldal_tui.project.snapshot import Snapshot, take_snapshot
from coldal_tui.tui.app import ColdalApp

Drive = Callable[[ColdalApp, Pilot[None]], Awaitable[None]]
WIDE, NARROW = (120, 40), (80, 24)
SOON_S = 2.0
"""A change made elsewhere must be on the screen by then."""


def drive(root: Path, steps: Drive, size: tuple[int, int] = WIDE, **options: bool) -> ColdalApp:
    app = ColdalApp(root, **options)

    async def session() -> None:
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app._shown is not None)
            await steps(app, pilot)

    asyncio.run(session())
    return app


async def until(pilot: Pilot[None], true: Callable[[], bool], within_s: float = 10.0) -> None:
    for _ in range(int(within_s / 0.05)):
        if true():
            return
        await pilot.pause(0.05)
    assert true(), inspect.getsource(true)


def cells(app: ColdalApp) -> list[list[str]]:
    table = app.query_one(DataTable)
    return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]


def text(app: ColdalApp, name: str) -> str:
    return str(app.query_one(name, Static).render())


def screen(app: ColdalApp) -> str:
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in strips)


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_the_queue_and_the_next_step_are_drawn(size: tuple[int, int], queued: Path) -> None:
    async def look(app: ColdalApp, pilot: Pilot[None]) -> None:
        assert cells(app) == [
            ["0.1", "scan_0", "C1", "medoid", "queued"],
            ["0.2", "scan_1", "C1", "farthest-point", "queued"],
            ["0.3", "scan_2", "C1", "validation", "queued"],
        ]
        await pilot.pause()
        drawn = screen(app)
        assert "hand 3 queued scans to labelers" in drawn
        assert "coldal-tui export-queue" in drawn
        assert "97 of 100 left" in drawn
        assert "farthest-point" in drawn
        assert "q quit" in drawn

    drive(queued, look, size)


def test_clusters_and_runs_are_beside_the_queue_where_there_is_room(queued: Path) -> None:
    async def look(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.pause()
        assert "k = 2, silhouette 0.75" in screen(app)
        await pilot.resize_terminal(*NARROW)
        await until(pilot, lambda: "k = 2, silhouette 0.75" not in screen(app))
        assert "97 of 100 left" in screen(app)

    drive(queued, look)


@pytest.mark.parametrize("size", [(20, 6), (40, 10), (300, 100)])
def test_any_size_of_terminal_is_survived(size: tuple[int, int], queued: Path) -> None:
    async def look(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("j")
        assert app.query_one(DataTable).cursor_row == 1

    drive(queued, look, size)


def test_an_untouched_project_says_how_to_begin(project: Path) -> None:
    async def look(app: ColdalApp, pilot: Pilot[None]) -> None:
        assert cells(app) == []
        assert "coldal-tui select" in text(app, "#next")
        await pilot.press("j", "k", "g", "G")

    drive(project, look)


def test_keys_move_and_stop_at_the_ends(queued: Path) -> None:
    async def move(app: ColdalApp, pilot: Pilot[None]) -> None:
        table = app.query_one(DataTable)
        seen = []
        for key in ("j", "j", "j", "k", "g", "k", "G", "up", "down"):
            await pilot.press(key)
            seen.append(table.cursor_row)
        assert seen == [1, 2, 2, 1, 0, 0, 2, 1, 2]

    drive(queued, move)


def test_a_change_by_another_connection_shows_soon(queued: Path) -> None:
    async def change(app: ColdalApp, pilot: Pilot[None]) -> None:
        with Project(queued) as other:
            other.store.update("queue", {"scan_id": "scan_1"}, status="exported", assignee="ana")
        await until(pilot, lambda: "1 out" in text(app, "#budget"), SOON_S)
        assert cells(app)[1] == ["0.2", "scan_1", "C1", "farthest-point", "exported", "ana"]

    drive(queued, change)


def test_the_cursor_stays_on_its_scan_when_rows_come_and_go(queued: Path) -> None:
    async def change(app: ColdalApp, pilot: Pilot[None]) -> None:
        table = app.query_one(DataTable)
        await pilot.press("j", "j")
        with Project(queued) as other:
            other.store.update("queue", {"scan_id": "scan_0"}, status="skipped")
        await until(pilot, lambda: table.row_count == 2)
        await pilot.pause()
        assert cells(app)[table.cursor_row][1] == "scan_2"

    drive(queued, change)


@pytest.mark.parametrize(
    ("change_to", "at"), [({"status": "queued"}, -1), ({"status": "queued", "pinned": 1}, 0)]
)
def test_the_cursor_stays_in_view_when_rows_come(
    change_to: dict[str, str | int], at: int, queued: Path
) -> None:
    with Project(queued) as opened, opened.store.transaction():
        add_to_queue(opened, [("scan_5", 500, "random", {})], status="skipped")
        row = opened.store.row("SELECT * FROM scans WHERE scan_id = 'scan_0'")
        assert row is not None
        for number in range(100):
            opened.store.insert("scans", **(row | {"scan_id": f"more_{number:03}"}))
            add_to_queue(opened, [(f"more_{number:03}", number + 10, "random", {})])

    async def change(app: ColdalApp, pilot: Pilot[None]) -> None:
        table = app.query_one(DataTable)
        await until(pilot, lambda: table.max_scroll_y > 0)
        table.move_cursor(row=60)
        before = cells(app)[60][1]
        with Project(queued) as other:
            other.store.update("queue", {"scan_id": "scan_5"}, **change_to)
        await until(pilot, lambda: cells(app)[at][1] == "scan_5")
        here = [row[1] for row in cells(app)].index(before)
        await until(pilot, lambda: table.cursor_row == here)
        await until(pilot, lambda: table.scroll_y < here < table.scroll_y + table.size.height)

    drive(queued, change)


def test_an_unchanged_project_is_not_drawn_again(
    queued: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait(app: ColdalApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: not app._reading)
        taken, drawn = [], []

        def take(project: Project) -> Snapshot:
            taken.append(1)
            return take_snapshot(project)

        monkeypatch.setattr("coldal_tui.tui.app.take_snapshot", take)
        monkeypatch.setattr(app, "_draw_head", lambda: drawn.append("head"))
        monkeypatch.setattr(app, "_draw_queue", lambda _: drawn.append("queue"))
        await until(pilot, lambda: len(taken) >= 2 and not app._reading)
        assert drawn == []

    drive(queued, wait)


def test_a_file_gone_bad_is_said_once_and_the_app_goes_on(queued: Path) -> None:
    async def spoil(app: ColdalApp, pilot: Pilot[None]) -> None:
        set_config(queued, "total = 100", "total = -1")
        await until(pilot, lambda: "can't be read" in text(app, "#head"))
        await pilot.pause(2.2)  # two more reads fail for the same reason
        told = [notice.message for notice in app._notifications]
        assert len(told) == 1
        assert "budget.total: -1 is not allowed" in told[0]
        await pilot.press("j")
        assert app.query_one(DataTable).cursor_row == 1
        set_config(queued, "total = -1", "total = 50")
        await until(pilot, lambda: "47 of 50 left" in text(app, "#budget"))
        assert "can't be read" not in text(app, "#head")

    drive(queued, spoil)


def test_a_project_that_vanishes_is_survived(queued: Path) -> None:
    async def vanish(app: ColdalApp, pilot: Pilot[None]) -> None:
        queued.rename(queued.with_name("away"))
        await until(pilot, lambda: "can't be read" in text(app, "#head"))
        queued.with_name("away").rename(queued)
        await until(pilot, lambda: "can't be read" not in text(app, "#head"))

    drive(queued, vanish)


def test_names_are_drawn_literally(queued: Path) -> None:
    with Project(queued) as opened:
        opened.store.update("queue", {"scan_id": "scan_0"}, assignee="[red]ana[/]\x1b[1m")

    async def look(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.pause()
        assert r"[red]ana[/]\x1b[1m" in screen(app)

    drive(queued, look)


def test_a_slow_read_is_left_to_finish(queued: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        started = []
        await until(pilot, lambda: not app._reading)
        monkeypatch.setattr(app, "_read", lambda: started.append(1))
        await pilot.press("r", "r", "r")
        assert len(started) == 1

    drive(queued, press)


@pytest.mark.parametrize("key", ["q", "ctrl+q"])
def test_q_quits_with_success(key: str, queued: Path) -> None:
    async def leave(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press(key)

    assert drive(queued, leave).return_code == 0


def test_escape_does_not_quit(queued: Path) -> None:
    async def escape(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert app.is_running

    drive(queued, escape)


def test_read_only_is_said(queued: Path) -> None:
    async def look(app: ColdalApp, pilot: Pilot[None]) -> None:
        assert text(app, "#head").endswith("read only")

    drive(queued, look, readonly=True)
