"""One list of all that can be done: three columns, search, and what enter runs."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input

from coldal_tui.tui.shell.app import ColdalApp
from coldal_tui.tui.shell.help import Entry
from coldal_tui.tui.shell.help_window import EntryGrid, HelpWindow, grid_of, matching
from coldal_tui.tui.widgets.dialogs import Ask
from tests.support.pane_app import screen, until
from tests.tui.shell.test_app import NARROW, drive, focused


def opened(app: ColdalApp) -> bool:
    """Whether the list is there and takes what is typed."""
    return isinstance(app.screen, HelpWindow) and isinstance(app.focused, Input)


def nothing() -> None:
    """What a living entry does here."""


KEYS = [
    Entry("in queue", "enter", "open", nothing),
    Entry("in queue", "x", "skip", nothing),
    Entry("in queue", "T", "assign", None),
    Entry("in queue", "A", "α", nothing),
    Entry("everywhere", "e", "export", nothing),
    Entry("everywhere", "q", "quit", nothing),
]


def test_entries_read_down_in_three_columns_under_their_titles() -> None:
    lines = grid_of(KEYS, 60).lines
    names = [line.title or tuple(one.key for one in line.cells) for line in lines]
    assert names == ["in queue", ("enter", "T"), ("x", "A"), "everywhere", ("e", "q")]


def test_there_are_fewer_columns_where_words_would_be_cut() -> None:
    # The widest entry is "T     assign": 12 cells, 2 between columns.
    first = [grid_of(KEYS, width).lines[1] for width in (12, 26, 40)]
    assert [(len(line.cells), line.column) for line in first] == [(1, 14), (2, 14), (2, 14)]


def test_the_cursor_goes_to_keys_that_work_now_alone() -> None:
    assert grid_of(KEYS, 60).live() == [(1, 0), (2, 0), (2, 1), (4, 0), (4, 1)]


def test_words_find_entries_and_a_key_finds_itself_first() -> None:
    assert [one.words for one in matching(KEYS, "QUEUE sk")] == ["skip"]
    assert next(one.words for one in matching(KEYS, "e")) == "export"
    assert [one.words for one in matching(KEYS, "x")] == ["skip", "export"]
    assert matching(KEYS, "") == KEYS
    assert matching(KEYS, "nonsense") == []


def test_the_pane_in_focus_comes_first_and_the_key_that_opened_it_closes_it(queued: Path) -> None:
    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await until(pilot, lambda: opened(app) and "in queue" in screen(app))
        drawn = screen(app)
        assert drawn.index("in queue") < drawn.index("everywhere")
        assert any("x" in line and "skip" in line for line in drawn.splitlines())
        await pilot.press("question_mark")
        await until(pilot, lambda: not app.screen.is_modal)
        await pilot.press("2", "ctrl+p")
        await until(pilot, lambda: opened(app) and "in map" in screen(app))
        await pilot.press("ctrl+p")
        await until(pilot, lambda: not app.screen.is_modal)
        assert focused(app) == "map"

    drive(queued, press)
    drive(queued, press, NARROW, queued.parent / "narrow")


def test_enter_runs_what_was_searched_on_the_pane_that_had_the_keys(queued: Path) -> None:
    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await until(pilot, lambda: opened(app))
        await pilot.press(*"skip")
        grid = app.screen.query_one(EntryGrid)
        await until(
            pilot,
            lambda: (
                [line.title for line in grid.grid.lines if line.title]
                == ["in queue", "the command line"]
            ),
        )
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        assert "Skip scan_0" in screen(app)

    drive(queued, press)


def test_arrows_and_a_click_choose(queued: Path) -> None:
    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await until(pilot, lambda: opened(app))
        grid = app.screen.query_one(EntryGrid)
        await until(pilot, lambda: grid.current is not None)
        assert grid.current is not None
        assert grid.current.words == "open"
        await pilot.press("right", "down", "left", "up")
        assert grid.current.words == "open"
        await pilot.press("down")
        assert grid.current.words != "open"
        await pilot.press(*"colour-blind")
        await until(pilot, lambda: "themes" not in screen(app) and len(grid.grid.lines) == 2)
        await pilot.click(EntryGrid, offset=(2, 1))
        await until(pilot, lambda: app.theme == "colour-blind")

    drive(queued, press)


def test_what_does_not_work_now_is_listed_without_light(queued: Path) -> None:
    async def press(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await until(pilot, lambda: opened(app))
        grid = app.screen.query_one(EntryGrid)
        await until(pilot, lambda: bool(grid.grid.lines))
        cells = [one for line in grid.grid.lines for one in line.cells]
        dead = {one.words for one in cells if one.does is None}
        assert {"skip", "assign", "export"} <= dead  # read only
        assert {"open", "filter"}.isdisjoint(dead)

    drive(queued, press, readonly=True)
