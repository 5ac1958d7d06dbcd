"""The lines around the panes, typed and clicked on; one current scan on all panes."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input, Static

from coldal_tui.project.project import Project
from coldal_tui.project.queue.actions import assign
from coldal_tui.tui.loop.exchange_dialogs import ExportWindow
from coldal_tui.tui.map.pane import MapPane
from coldal_tui.tui.queue.pane import QueuePane
from coldal_tui.tui.queue.why import Why
from coldal_tui.tui.shell.app import ColdalApp
from coldal_tui.tui.shell.command_line import CommandLine, one_line
from coldal_tui.tui.widgets.dialogs import Confirm, Reading
from coldal_tui.tui.widgets.filter_line import FilterLine
from coldal_tui.tui.widgets.key_line import KeyLine
from tests.support.overlays import add_masks, square
from tests.support.pane_app import screen, until
from tests.support.small_projects import add_to_queue
from tests.tui.shell.test_app import NARROW, WIDE, drive, focused, shown


def test_the_line_of_the_next_step_can_be_clicked(queued: Path) -> None:
    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.click("#next", offset=(8, 0))
        await until(pilot, lambda: isinstance(app.screen, ExportWindow))

    drive(queued, steps)


def test_a_click_on_retry_asks_and_a_press_does_not(queued: Path, tmp_path: Path) -> None:
    with Project(queued) as project:
        add_masks(project, tmp_path / "bad", {"scan_4": square(rows=(2, 5), columns=(2, 5))[:6]})

    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("5")
        line = app.query_one(KeyLine)
        await until(pilot, lambda: any(one.name == "labels.retry" for *_, one in line._spans))
        start = next(start for start, _, one in line._spans if one.name == "labels.retry")
        await pilot.click(KeyLine, offset=(start + 1, 0))
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "retry?" in screen(app)
        await pilot.press("n")
        await until(pilot, lambda: not app.screen.is_modal)
        await pilot.press("r")
        await until(pilot, lambda: any("mask" in note.message for note in app._notifications))

    drive(queued, steps)


def test_the_line_for_commands_lies_over_the_keys_and_moves_nothing(queued: Path) -> None:
    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        before = app.query_one(QueuePane).region, app.query_one("#next", Static).region
        await pilot.press("colon", *"why")
        await until(pilot, lambda: app.query_one(CommandLine).region.area > 0)
        assert app.query_one(CommandLine).region == app.query_one(KeyLine).region
        assert (app.query_one(QueuePane).region, app.query_one("#next", Static).region) == before
        assert screen(app).splitlines()[-1].startswith(" why")

    drive(queued, steps)
    drive(queued, steps, NARROW)


def test_what_the_command_line_refuses_is_told_in_one_line(queued: Path) -> None:
    usage = [
        "Usage: coldal-tui queue [OPTIONS]", "Try 'coldal-tui queue --help' for help.", "",
        "Error: No such option '--foo'.",
    ]  # fmt: skip
    assert one_line(usage) == "No such option '--foo'."
    assert one_line(["Error: no such scan: p9", "  → scans are named in the queue"]) == (
        "no such scan: p9 → scans are named in the queue"
    )

    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("colon", *"queue --foo", "enter")
        await until(pilot, lambda: bool(app._notifications))
        (told,) = [note.message for note in app._notifications]
        assert told.startswith("No such option '--foo'")
        assert "\n" not in told
        assert not isinstance(app.screen, Reading)

    drive(queued, steps)


def test_the_filter_lets_no_key_through_and_tab_completes(queued: Path) -> None:
    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.query_one(QueuePane).table.row_count == 3)
        here = app.here
        await pilot.press("slash")
        box = app.query_one(QueuePane).query_one(FilterLine).query_one(Input)
        for key in ("pagedown", "shift+tab", "ctrl+r", "f5", "up", "ctrl+x"):
            await pilot.press(key)
        assert (focused(app), shown(app)[0], app.here) == ("queue", "queue", here)
        await pilot.press(*"rol")
        await until(pilot, lambda: box._suggestion == "role:")
        await pilot.press("tab")
        assert box.value == "role:"
        for key in ("x", "n", "q", "question_mark", "1", "2"):
            await pilot.press(key)
        assert box.value == "role:xnq?12"
        assert shown(app) == ("queue",)
        assert app.query_one(QueuePane).query_one(FilterLine).is_open
        assert not app.screen.is_modal

    drive(queued, steps, NARROW)


def test_after_a_round_was_picked_elsewhere_all_panes_tell_of_one_scan(queued: Path) -> None:
    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        queue, lands = app.query_one(QueuePane), app.query_one(MapPane)
        await until(pilot, lambda: app.here == "scan_0")
        await pilot.press("j")
        await until(pilot, lambda: app.here == "scan_1")
        with Project(queued) as other:
            known = other.store.row("SELECT * FROM rounds WHERE round = 0")
            other.store.insert("rounds", **(dict(known) | {"round": 1}))
            other.store.execute("UPDATE queue SET status = 'labelled' WHERE round = 0")
            add_to_queue(other, [("scan_4", 1, "acquired", {"entropy": 0.5})], round=1)
            assign(other, ["scan_4"], "zoe")  # notes the change, as select does
        await until(pilot, lambda: len(app.view.snapshot.rounds) == 2 if app.view else False)
        await until(pilot, lambda: queue.table.find("scan_4") is not None)
        await pilot.pause()
        assert app.here is not None
        await until(pilot, lambda: app.here in str(app.query_one(Why).content))
        assert lands.wanted == app.here
        lit = None if queue.table._hidden else queue.table.current
        assert lit in (None, app.here)

    drive(queued, steps)


def test_from_120_columns_home_has_the_current_scan_beside_the_map(queued: Path) -> None:
    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        preview = app.panes.made["preview"]
        assert "preview" in shown(app)
        await until(pilot, lambda: app.here == "scan_0")
        await pilot.press("j")
        await until(pilot, lambda: "scan_1" in str(preview.border_title))
        places = {name: app.panes.made[name].region for name in ("map", "preview", "queue")}
        assert places["map"].right == places["preview"].x
        assert places["preview"].bottom == places["queue"].y
        await pilot.press("tab")
        assert focused(app) != "preview"
        await pilot.click(preview)
        await until(pilot, lambda: focused(app) == "scan")
        await pilot.press("0")
        await pilot.resize_terminal(200, 60)
        await until(pilot, lambda: "scan" in shown(app) and "preview" not in shown(app))

    drive(queued, steps, WIDE)
