"""The whole app driven by real keys: panes, changes from outside, errors, what is remembered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Input, Static

from coldal_tui.errors import ColdalError
from coldal_tui.project import history
from coldal_tui.project.job_rows import get_job
from coldal_tui.project.project import Project
from coldal_tui.project.queue.actions import assign
from coldal_tui.project.views.snapshot import Snapshot, take_snapshot
from coldal_tui.scheduler.queue import submit
from coldal_tui.tui.drawing.glyphs import ASCII
from coldal_tui.tui.loop.exchange_dialogs import ExportWindow, ImportWindow
from coldal_tui.tui.loop.first_queue import FirstQueueWindow
from coldal_tui.tui.queue.pane import QueuePane
from coldal_tui.tui.queue.why import Why
from coldal_tui.tui.shell.app import ColdalApp
from coldal_tui.tui.shell.command_line import CommandLine
from coldal_tui.tui.shell.news import News
from coldal_tui.tui.shell.pane_manager import PANES
from coldal_tui.tui.shell.session_state import Memory
from coldal_tui.tui.widgets.dialogs import Ask, Choose, Confirm, Reading
from coldal_tui.tui.widgets.key_line import KeyHint, KeyLine
from tests.support.pane_app import screen, until
from tests.support.small_projects import set_config

Drive = Callable[[ColdalApp, Pilot[None]], Awaitable[None]]
WIDE, NARROW = (120, 40), (80, 24)
SOON_S = 2.0
"""A change made elsewhere must be on the screen by then."""


def drive(
    root: Path, steps: Drive, size: tuple[int, int] = WIDE, home: Path | None = None, **options: Any
) -> ColdalApp:
    """Run ``steps`` on the app; ``home`` keeps what it remembers."""
    folder = home or root.parent / "home"
    app = ColdalApp(root, memory=Memory(root, folder / "state", folder / "config"), **options)

    async def session() -> None:
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.view is not None and len(app.panes.made) == len(PANES))
            await pilot.pause()
            await steps(app, pilot)

    asyncio.run(session())
    return app


def shown(app: ColdalApp) -> tuple[str, ...]:
    return tuple(name for name, pane in app.panes.made.items() if pane.display)


def focused(app: ColdalApp) -> str | None:
    pane = app.panes.focused
    return None if pane is None else pane.id


# --- what is on the screen


def test_the_first_rows_wait_for_no_count_of_scans(
    queued: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = threading.Event()

    def slowly(project: Project) -> Snapshot:
        counted.wait(60)
        return take_snapshot(project)

    monkeypatch.setattr("coldal_tui.tui.shell.reader.take_snapshot", slowly)
    folder = queued.parent / "home"
    app = ColdalApp(queued, memory=Memory(queued, folder / "state", folder / "config"))

    async def session() -> None:
        async with app.run_test(size=WIDE) as pilot:
            await until(pilot, lambda: "scan_0" in screen(app))
            assert app.view is None
            first = app.here
            await pilot.press("down")
            await until(pilot, lambda: app.here != first)
            kept = app.here
            counted.set()
            await until(pilot, lambda: app.view is not None and len(app.panes.made) == len(PANES))
            await pilot.pause()
            assert app.here == kept

    asyncio.run(session())


@pytest.mark.parametrize("size", [WIDE, NARROW, (60, 16), (200, 60)])
def test_the_project_the_queue_and_the_next_step_are_there(
    size: tuple[int, int], queued: Path
) -> None:
    async def look(app: ColdalApp, pilot: Pilot[None]) -> None:
        drawn = screen(app)
        if size[1] > 16:  # a low screen has its lines for the pane
            assert "lungs" in drawn.splitlines()[0]
        assert "hand 3 queued scans to labelers" in drawn
        assert "scan_0" in drawn

    drive(queued, look, size)


def test_wide_screens_show_panes_together_and_small_ones_one(queued: Path) -> None:
    async def look(app: ColdalApp, pilot: Pilot[None]) -> None:
        assert {*shown(app)} == {"budget", "clusters", "curve", "map", "preview", "queue"}
        await pilot.resize_terminal(*NARROW)
        await until(pilot, lambda: shown(app) == ("queue",))
        assert "2 Map" in screen(app)
        await pilot.resize_terminal(200, 60)
        await until(pilot, lambda: {"scan", "jobs"} <= {*shown(app)})

    drive(queued, look)


def test_resizing_to_almost_nothing_and_back_changes_no_view(queued: Path) -> None:
    async def look(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        before, here = shown(app), focused(app)
        for size in ((60, 16), (20, 6), (300, 100), WIDE):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        await until(pilot, lambda: shown(app) == before)
        assert focused(app) == here

    drive(queued, look)


@pytest.mark.parametrize("size", [(20, 6), (40, 10), (300, 100)])
def test_any_size_of_terminal_is_survived(size: tuple[int, int], queued: Path) -> None:
    async def look(app: ColdalApp, pilot: Pilot[None]) -> None:
        for key in ("j", "2", "3", "4", "5", "6", "7", "0", "question_mark", "escape", "colon"):
            await pilot.press(key)
        await pilot.pause()

    drive(queued, look, size)


def test_an_untouched_project_says_how_to_begin(project: Path) -> None:
    async def look(app: ColdalApp, pilot: Pilot[None]) -> None:
        assert "embed 6 scans and pick the first queue" in screen(app)
        for key in ("j", "k", "g", "G", "2", "3", "4", "5", "6", "7", "1"):
            await pilot.press(key)
        await pilot.pause()

    drive(project, look)


def test_ascii_needs_nothing_beyond_ascii(queued: Path) -> None:
    async def look(app: ColdalApp, pilot: Pilot[None]) -> None:
        for key in ("0", "2", "3", "6", "7", "1"):
            await pilot.press(key)
            await pilot.pause()
            strange = {c for c in screen(app) if ord(c) > 127} - {"·", "…", "–", "→", "α", "−"}
            assert strange == set()

    drive(queued, look, look=ASCII)


def test_names_are_drawn_literally(queued: Path) -> None:
    with Project(queued) as opened:
        opened.store.update("queue", {"scan_id": "scan_0"}, assignee="[red]an[/]\x1b[1m")

    async def look(app: ColdalApp, pilot: Pilot[None]) -> None:
        assert r"[red]an[/]\x1b[1m" in screen(app)

    drive(queued, look, (200, 60))


# --- moving between panes


def test_numbers_bring_panes_up_and_escape_goes_back(queued: Path) -> None:
    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        home = shown(app)
        await pilot.press("2")
        assert (shown(app), focused(app)) == (home, "map")
        await pilot.press("4")
        assert (shown(app), focused(app)) == (("scan",), "scan")
        await pilot.press("7")
        assert shown(app) == ("jobs",)
        await pilot.press("escape")
        assert (shown(app), focused(app)) == (home, "queue")
        await pilot.press("escape", "escape")
        assert app.is_running

    drive(queued, press)


def test_plus_zooms_the_pane_in_focus_and_back(queued: Path) -> None:
    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        home = shown(app)
        await pilot.press("2", "plus")
        assert {*shown(app)} == {"map", "scan"}
        await pilot.press("plus")
        assert (shown(app), focused(app)) == (home, "map")

    drive(queued, press)


def test_tab_goes_round_the_panes(queued: Path) -> None:
    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        seen = []
        for _ in range(8):
            seen.append(shown(app))
            await pilot.press("tab")
        assert [name for (name,) in seen] == [
            "queue", "map", "clusters", "scan", "labels", "runs", "jobs", "raters",
        ]  # fmt: skip
        assert shown(app) == ("queue",)
        await pilot.press("shift+tab")
        assert shown(app) == ("raters",)

    drive(queued, press, NARROW)


def test_the_current_scan_is_the_same_everywhere(queued: Path) -> None:
    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("j")
        await until(pilot, lambda: app.here == "scan_1")
        await pilot.press("enter")
        await until(pilot, lambda: shown(app) == ("scan",))
        await until(pilot, lambda: "scan_1" in screen(app))

    drive(queued, press, NARROW)


# --- news


def test_a_change_by_another_connection_shows_soon(queued: Path) -> None:
    async def change(app: ColdalApp, pilot: Pilot[None]) -> None:
        with Project(queued) as other:
            assign(other, ["scan_1"], "zoe")
        await until(pilot, lambda: "zoe" in screen(app), SOON_S)

    drive(queued, change)


def test_an_unchanged_project_is_not_drawn_again(queued: Path) -> None:
    async def wait(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.pause(1.0)
        drawn: list[str] = []
        for pane in app.panes.made.values():
            pane.show = lambda view: drawn.append("pane")  # type: ignore[method-assign]
        refreshed = app._compositor_refreshes = []  # type: ignore[attr-defined]
        display = app._display

        def counted(*given: Any) -> None:
            refreshed.append(given)
            display(*given)

        app._display = counted  # type: ignore[method-assign]
        await asyncio.sleep(2.5)
        assert drawn == []
        assert refreshed == []

    drive(queued, wait)


def test_a_file_gone_bad_is_said_once_and_the_app_goes_on(queued: Path) -> None:
    async def spoil(app: ColdalApp, pilot: Pilot[None]) -> None:
        set_config(queued, "total = 100", "total = -1")
        await until(pilot, lambda: "can't be read" in screen(app))
        await pilot.pause(2.2)  # two more looks fail for the same reason
        told = [n.message for n in app._notifications if "budget.total" in n.message]
        assert len(told) == 1
        await pilot.press("j")
        set_config(queued, "total = -1", "total = 50")
        await until(pilot, lambda: "can't be read" not in screen(app))
        assert "0/50" in screen(app)

    drive(queued, spoil)


def test_a_project_that_vanishes_is_survived(queued: Path) -> None:
    async def vanish(app: ColdalApp, pilot: Pilot[None]) -> None:
        away = queued.with_name("away")
        queued.rename(away)
        await until(pilot, lambda: "can't be read" in screen(app))
        away.rename(queued)
        await until(pilot, lambda: "can't be read" not in screen(app))

    drive(queued, vanish)


# --- changing things


def test_undo_takes_back_what_was_done_elsewhere(queued: Path) -> None:
    with Project(queued) as opened:
        assign(opened, ["scan_0"], "zoe")
        done = history.next_undo(opened)

    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "zoe" in screen(app))
        await pilot.press("z")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.pause()
        question = screen(app)
        for words in (done["summary"], f"just now, by {done['who']}", "y take back"):
            assert words in question
        await pilot.press("y")
        await until(pilot, lambda: app.view.snapshot.queue[0].assignee is None)
        await pilot.press("Z")
        await until(pilot, lambda: app.view.snapshot.queue[0].assignee == "zoe")

    drive(queued, press, (200, 60))


def test_undo_held_down_asks_once_and_takes_nothing_back(queued: Path) -> None:
    with Project(queued) as opened:
        assign(opened, ["scan_0"], "zoe")
        before = opened.store.value("SELECT count(*) FROM audit")

    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press(*"zzz")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press(*"zzz")
        await pilot.press("n")
        await until(pilot, lambda: not app.screen.is_modal and not app.services.tasks.busy)
        await pilot.pause()
        assert not app.screen.is_modal

    drive(queued, press)
    with Project(queued, readonly=True) as opened:
        assert opened.store.value("SELECT count(*) FROM audit") == before


def test_undo_takes_back_only_the_action_it_asked_about(queued: Path) -> None:
    with Project(queued) as opened:
        assign(opened, ["scan_0"], "zoe")

    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("z")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        with Project(queued) as elsewhere:
            assign(elsewhere, ["scan_1"], "ben")
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, Reading))
        await pilot.pause()
        assert "has meanwhile done something else" in screen(app)

    drive(queued, press)
    with Project(queued, readonly=True) as opened:
        assert opened.store.value("SELECT count(*) FROM queue WHERE assignee IS NOT NULL") == 2


def test_with_nothing_to_take_back_undo_says_so(queued: Path) -> None:
    with Project(queued) as opened:
        opened.store.execute("UPDATE audit SET changes = NULL")

    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("z")
        await until(pilot, lambda: isinstance(app.screen, Reading))
        await pilot.pause()
        assert "there is nothing to take back" in screen(app)

    drive(queued, press)


def test_an_error_is_a_dialog_with_what_where_and_what_to_do(queued: Path) -> None:
    def fail(project: Project) -> None:
        raise ColdalError("the disk is full", where="/data", remedy="free space")

    async def break_it(app: ColdalApp, pilot: Pilot[None]) -> None:
        app.services.change("write", fail)
        await until(pilot, lambda: isinstance(app.screen, Reading))
        await pilot.pause()
        drawn = screen(app)
        for words in ("the disk is full", "/data", "free space", "app.log"):
            assert words in drawn
        await pilot.press("escape")
        assert not isinstance(app.screen, Reading)

    drive(queued, break_it)


def test_a_defect_is_a_dialog_too_and_the_app_lives(queued: Path) -> None:
    def fail(project: Project) -> None:
        raise KeyError("oops")

    async def break_it(app: ColdalApp, pilot: Pilot[None]) -> None:
        app.services.change("write", fail)
        await until(pilot, lambda: isinstance(app.screen, Reading))
        await pilot.pause()
        assert "KeyError" in screen(app)
        await pilot.press("escape", "j")
        assert app.is_running

    drive(queued, break_it)


def test_a_read_only_app_changes_nothing(queued: Path) -> None:
    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        assert "read only" in screen(app).splitlines()[0]
        for key in ("n", "e", "i", "z", "x", "p", "t", "o", "J", "K"):
            await pilot.press(key)
            await pilot.pause()
            assert not isinstance(app.screen, (Ask, Choose, Confirm, ExportWindow, ImportWindow))
        app.services.change("write", lambda project: project.store.execute("DELETE FROM queue"))
        await pilot.pause(0.3)
        with Project(queued, readonly=True) as opened:
            assert opened.store.value("SELECT count(*) FROM queue") == 3
            assert opened.store.value("SELECT count(*) FROM audit WHERE action != 'index'") == 0

    drive(queued, press, readonly=True)


def test_n_offers_the_next_step(queued: Path) -> None:
    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, ExportWindow))
        await pilot.press("escape")
        assert not isinstance(app.screen, ExportWindow)

    drive(queued, press)


def test_n_shows_the_log_of_a_failed_job_then_offers_the_step_again(project: Path) -> None:
    with Project(project) as opened:
        number = submit(opened, "embed")
        folder = get_job(opened, number).folder
        folder.log.parent.mkdir(parents=True, exist_ok=True)
        folder.log.write_text("Traceback: the card is gone\n", "utf-8")
        error = {"what": "no CUDA device"}
        opened.store.update("jobs", {"job_id": number}, status="failed", error=error,
            ended_at=opened.store.now())  # fmt: skip

    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        assert "embed failed: no CUDA device   n: its log" in screen(app)
        assert "✗ embed 1 failed" in screen(app).splitlines()[0]
        await pilot.press("n")
        await until(pilot, lambda: "the card is gone" in screen(app))
        await until(pilot, lambda: "next: embed 6 scans and pick the first queue" in screen(app))
        assert "failed" not in screen(app).splitlines()[0]
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, FirstQueueWindow))

    drive(project, press)


def test_refused_files_are_listed_by_reason(project: Path) -> None:
    with Project(project) as opened:
        for name in ("a.dcm", "b.dcm"):
            opened.store.insert(
                "problems", rel_path=name, kind="refused", code="x", reason="no pixels"
            )

    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        assert "2 refused (F)" in screen(app).splitlines()[0]
        assert "2 files refused: F" in screen(app)
        await pilot.press("F")
        await until(pilot, lambda: "refused: no pixels  2" in screen(app))
        assert "a.dcm" in screen(app)

    drive(project, press)


def test_export_and_import_from_the_keyboard(queued: Path) -> None:
    from PIL import Image

    masks = queued / "incoming"
    masks.mkdir()

    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportWindow))
        await pilot.press("2", "tab", *"ana", "enter")
        await until(pilot, lambda: "1 queued" in _budget_words(app))
        for number in (0, 1):
            mask = Image.new("L", (8, 8))
            mask.paste(1, (2, 2, 5, 5))
            mask.save(masks / f"scan_{number}.png")
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, ImportWindow))
        window = app.screen
        assert "exports/" in window.query_one("#path", Input).value  # what came last
        window.query_one("#path", Input).value = ""
        await pilot.press(*"incoming", "enter")
        await until(pilot, lambda: "would be accepted: 2 masks" in screen(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.view is not None and app.view.snapshot.labels == 2)

    drive(queued, press)


def _budget_words(app: ColdalApp) -> str:
    budget = app.view.snapshot.budget if app.view else None
    return f"{budget.queued} queued" if budget else ""


# --- help, command line, palette, keys, themes


def test_a_command_is_typed_run_and_remembered(queued: Path) -> None:
    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("colon", *"queue assign scan_0 --to zoe", "enter")
        await until(pilot, lambda: "zoe" in screen(app))
        await pilot.press("colon", "up")
        line = app.query_one("#command", Input)
        assert line.value == "queue assign scan_0 --to zoe"
        await pilot.press("escape")
        assert focused(app) == "queue"

    drive(queued, press, (200, 60))


def test_a_long_answer_opens_a_window(queued: Path) -> None:
    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("colon", *"status", "enter")
        await until(pilot, lambda: isinstance(app.screen, Reading))
        await until(pilot, lambda: "silhouette" in screen(app))

    drive(queued, press)


def test_own_words_of_the_command_line(queued: Path) -> None:
    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("colon", *"theme light", "enter")
        await pilot.pause()
        assert app.theme == "light"
        await pilot.press("colon", *"pane jobs", "enter")
        assert shown(app) == ("jobs",)
        await pilot.press("colon", *"goto scan_2", "enter")
        await until(pilot, lambda: app.here == "scan_2")
        await pilot.press("colon", *"nonsense", "enter")
        await until(pilot, lambda: any("nonsense" in n.message for n in app._notifications))
        await pilot.press("colon", *"q", "enter")
        await until(pilot, lambda: not app.is_running)

    drive(queued, press)


def test_the_list_of_all_that_can_be_done_finds_a_pane(queued: Path) -> None:
    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+p")
        await until(pilot, lambda: app.screen.is_modal and isinstance(app.focused, Input))
        await pilot.press(*"runs")
        await pilot.press("enter")
        await until(pilot, lambda: shown(app) == ("runs",))

    drive(queued, press)


def test_keys_can_be_remapped_in_a_file(queued: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "config").mkdir(parents=True)
    (home / "config" / "keys.toml").write_text(
        '[keys]\n"app.map" = "f9"\n"app.nothing" = "y"\n"queue.skip" = "e"\n'
    )

    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        assert any("app.nothing" in n.message for n in app._notifications)
        hides = "e is queue.skip in queue and hides app.export"
        assert any(hides in n.message for n in app._notifications)
        await pilot.press("f9")
        assert focused(app) == "map"

    drive(queued, press, home=home)


def test_news_after_the_widgets_are_gone_are_no_error(queued: Path) -> None:
    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        view = app.services.view
        assert view is not None
        await app.query_one(Why).remove()
        app.on_news(News(view))
        app.on_news(News(ColdalError("gone")))

    drive(queued, press)


# --- remembering


def test_the_view_is_the_same_on_return(queued: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"

    async def leave(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("j", "j")
        await until(pilot, lambda: app.here == "scan_2")
        await pilot.press("6", "colon", *"theme light", "enter")
        await pilot.press("q")

    async def come_back(app: ColdalApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.here == "scan_2")
        assert shown(app) == ("runs",)
        assert app.theme == "light"
        assert app.query_one(CommandLine).history == ["theme light"]

    drive(queued, leave, home=home)
    drive(queued, come_back, home=home)


@pytest.mark.parametrize("pane", ["1", "6"])
def test_the_current_scan_survives_rows_that_come_at_once(
    pane: str, queued: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows put their own cursor on the first scan where none is wanted."""
    home = tmp_path / "home"

    async def leave(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("j", "j")
        await until(pilot, lambda: app.here == "scan_2")
        await pilot.press(pane, "q")

    async def come_back(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.pause()
        assert app.here == "scan_2"
        await pilot.press("1")
        await until(pilot, lambda: app.query_one("#queue", QueuePane).table.current == "scan_2")

    drive(queued, leave, home=home)
    mount = Widget.mount

    async def mounted(self: Widget, *widgets: Widget, **where: Any) -> None:
        await mount(self, *widgets, **where)
        await asyncio.sleep(0.5)  # time for the rows to come

    monkeypatch.setattr(Widget, "mount", mounted)
    drive(queued, come_back, home=home)


def test_a_kill_loses_a_second_of_the_view_at_most(queued: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"

    async def die(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("j")
        await until(pilot, lambda: app.memory.load().get("here") == "scan_1", 5.0)

    drive(queued, die, home=home)


@pytest.mark.parametrize("damage", ["{", '{"panes": 3, "zoomed": 7, "history": 1, "theme": []}'])
def test_a_damaged_memory_is_no_obstacle(queued: Path, tmp_path: Path, damage: str) -> None:
    home = tmp_path / "home"
    memory = Memory(queued, home / "state", home / "config")
    memory.save({})
    memory.view_file.write_text(damage)

    async def look(app: ColdalApp, pilot: Pilot[None]) -> None:
        assert "scan_0" in screen(app)

    drive(queued, look, home=home)


def test_the_names_of_panes_can_be_clicked(queued: Path) -> None:
    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        names = str(app.query_one("#tabs", Static).content)
        await pilot.click("#tabs", offset=(names.index("6 Runs") + 1, 0))
        await until(pilot, lambda: focused(app) == "runs")

    drive(queued, steps, NARROW)
    drive(queued, steps, WIDE)


def test_a_click_on_a_key_that_changes_data_asks_first(queued: Path) -> None:
    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        line = app.query_one(KeyLine)
        line._spans = [(0, 10, KeyHint("r", "retry", "r", "labels.retry", at_once=True))]
        await pilot.click(KeyLine, offset=(3, 0))
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("n")

    drive(queued, steps)


def test_ctrl_c_says_how_to_leave(queued: Path) -> None:
    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+c")
        await until(pilot, lambda: bool(app._notifications))
        assert [note.message for note in app._notifications] == ["q quits; jobs go on"]
        assert app.is_running

    drive(queued, steps)
