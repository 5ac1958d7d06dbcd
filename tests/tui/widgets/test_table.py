"""The big table: what is drawn, what is drawn again, cursor, marks, columns, the mouse."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from rich.text import Text
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from coldal_tui.tui.drawing.glyphs import UNICODE
from coldal_tui.tui.widgets.columns import fit_columns
from coldal_tui.tui.widgets.table import BigTable, Cell, Column
from coldal_tui.tui.widgets.table_lines import fitted

COLUMNS = (
    Column("rank", "#", 7, align="right"),
    Column("scan", "scan", 12, least=6, most=20, cut="middle"),
    Column("cluster", "cluster", 7, least=3, priority=2, short="cl"),
    Column("dice", "Dice", 5, align="right", priority=5),
    Column("status", "status", 10, priority=1),
)


class Numbered:
    """Rows ``first`` to ``last``, whose key is their number."""

    columns = COLUMNS

    def __init__(self, numbers: Sequence[int], dice: dict[int, str] | None = None) -> None:
        self.numbers = numbers
        self.dice = dice or {}
        self.asked: list[int] = []

    @property
    def row_count(self) -> int:
        return len(self.numbers)

    def key(self, row: int) -> str:
        return str(self.numbers[row])

    def find(self, key: str) -> int | None:
        try:
            return self.numbers.index(int(key))
        except ValueError:
            return None

    def cells(self, row: int) -> Sequence[Cell]:
        self.asked.append(row)
        number = self.numbers[row]
        status = Text("● ready", style="success")
        return (f"{number:,}", f"scan_{number}", "C3", self.dice.get(number, ".50"), status)


class TableApp(App[None]):
    def __init__(self, model: Numbered) -> None:
        super().__init__()
        self.table = BigTable(model)
        self.moved: list[str | None] = []
        self.opened: list[str | None] = []
        self.sorts: list[str] = []

    def compose(self) -> ComposeResult:
        yield self.table

    def on_big_table_moved(self, message: BigTable.Moved) -> None:
        self.moved.append(message.key)

    def on_big_table_opened(self, message: BigTable.Opened) -> None:
        self.opened.append(message.key)

    def on_big_table_sort_asked(self, message: BigTable.SortAsked) -> None:
        self.sorts.append(message.column)


Steps = Callable[[TableApp, Pilot[None]], Awaitable[None]]


def run(model: Numbered, steps: Steps, size: tuple[int, int] = (60, 11)) -> TableApp:
    app = TableApp(model)

    async def session() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await steps(app, pilot)

    asyncio.run(session())
    return app


def lines(app: TableApp) -> list[str]:
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


def test_a_million_rows_ask_only_for_those_on_the_screen() -> None:
    model = Numbered(range(1_000_000))

    async def steps(app: TableApp, pilot: Pilot[None]) -> None:
        assert lines(app)[0].split() == ["#", "scan", "cluster", "Dice", "status"]
        assert sorted(set(model.asked)) == list(range(10))
        model.asked.clear()
        app.table.move("page-down")
        await pilot.pause()
        assert sorted(set(model.asked)) == list(range(10, 20))
        app.table.move("last")
        await pilot.pause()
        assert lines(app)[-1].split() == ["▸", "999,999", "scan_999999", "C3", ".50", "●", "ready"]

    run(model, steps)


def test_a_step_of_the_cursor_draws_two_lines() -> None:
    drawn: list[int] = []

    async def steps(app: TableApp, pilot: Pilot[None]) -> None:
        own = app.table.render_line
        app.table.render_line = lambda y: (drawn.append(y), own(y))[1]  # type: ignore[method-assign]
        app.table.move("down")
        await pilot.pause()
        assert drawn == [1, 2]

    run(Numbered(range(50)), steps)


def test_only_lines_that_differ_are_drawn_when_the_model_is_another() -> None:
    drawn: list[int] = []

    async def steps(app: TableApp, pilot: Pilot[None]) -> None:
        own = app.table.render_line
        app.table.render_line = lambda y: (drawn.append(y), own(y))[1]  # type: ignore[method-assign]
        app.table.set_model(Numbered(range(50)))
        await pilot.pause()
        assert drawn == []
        app.table.set_model(Numbered(range(50), {4: ".93"}))
        await pilot.pause()
        assert drawn == [5]

    run(Numbered(range(50)), steps)


def test_nothing_is_drawn_while_nothing_changes() -> None:
    drawn: list[int] = []

    async def steps(app: TableApp, pilot: Pilot[None]) -> None:
        own = app.table.render_line
        app.table.render_line = lambda y: (drawn.append(y), own(y))[1]  # type: ignore[method-assign]
        app.table.move("up")
        app.table.go_to("0")
        app.table.mark(())
        app.table.show_sort(None)
        app.table.refresh_rows()
        await pilot.pause()
        assert drawn == []

    run(Numbered(range(50)), steps)


def test_the_cursor_stays_on_its_row_and_the_picture_still() -> None:
    async def steps(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.move_to(25)
        await pilot.pause()
        before = [line[:50] for line in lines(app)[1:]]
        app.table.set_model(Numbered([*range(-7, 0), *range(50)]))
        await pilot.pause()
        assert app.table.current == "25"
        assert [line[:50] for line in lines(app)[1:]] == before
        assert app.moved == ["25"]

    run(Numbered(range(50)), steps)


def test_a_row_that_is_gone_leaves_the_cursor_in_its_place() -> None:
    async def steps(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.move_to(3)
        app.table.set_model(Numbered([0, 1, 2, 4, 5]))
        await pilot.pause()
        assert app.table.current == "4"
        app.table.set_model(Numbered([0, 1]))
        await pilot.pause()
        assert app.table.current == "1"
        app.table.set_model(Numbered([]))
        await pilot.pause()
        assert app.table.current is None
        assert app.moved == ["3", "4", "1", None]

    run(Numbered(range(6)), steps)


MOVES = {
    "down": 31,
    "up": 29,
    "page-down": 40,
    "page-up": 20,
    "half-down": 35,
    "half-up": 25,
    "first": 0,
    "last": 99,
}


@pytest.mark.parametrize("how", MOVES)
def test_moves(how: str) -> None:
    async def steps(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.move_to(30)
        app.table.move(how)
        await pilot.pause()
        assert app.table.cursor == MOVES[how]
        assert any(line.startswith("▸") for line in lines(app))

    run(Numbered(range(100)), steps)


def test_no_move_leaves_the_table() -> None:
    async def steps(app: TableApp, pilot: Pilot[None]) -> None:
        for how in ("up", "page-up", "left"):
            app.table.move(how)
        assert app.table.cursor == 0
        app.table.move("page-down")
        app.table.move("page-down")
        assert app.table.cursor == 11

    run(Numbered(range(12)), steps)


def test_an_empty_table_takes_all_keys() -> None:
    async def steps(app: TableApp, pilot: Pilot[None]) -> None:
        for how in (*MOVES, "left", "right"):
            app.table.move(how)
        app.table.toggle_mark()
        app.table.toggle_range()
        app.table.invert_marks()
        await pilot.pause()
        assert (app.table.current, app.table.marked, app.table.chosen()) == (None, [], [])

    run(Numbered([]), steps)


def test_marks_go_with_their_rows_and_outlast_a_filter() -> None:
    async def steps(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.toggle_mark()
        app.table.move_to(4)
        app.table.toggle_mark()
        await pilot.pause()
        assert [n for n, line in enumerate(lines(app)) if "✓" in line] == [1, 5]
        app.table.set_model(Numbered([4, 5, 6]))
        assert app.table.marked == ["4"]
        app.table.set_model(Numbered(range(10)))
        assert app.table.marked == ["0", "4"]
        app.table.move_to(4)
        app.table.toggle_mark()
        assert app.table.chosen() == ["0"]
        app.table.mark(())
        assert app.table.chosen() == ["5"]

    run(Numbered(range(10)), steps)


def test_a_range_follows_the_cursor_until_it_is_kept() -> None:
    async def steps(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.move_to(6)
        app.table.toggle_range()
        app.table.move_to(3)
        assert app.table.marked == ["3", "4", "5", "6"]
        app.table.move_to(8)
        assert (app.table.marked, app.table.ranging) == (["6", "7", "8"], True)
        app.table.toggle_range()
        app.table.move_to(0)
        assert (app.table.marked, app.table.ranging) == (["6", "7", "8"], False)
        app.table.invert_marks()
        assert app.table.marked == ["0", "1", "2", "3", "4", "5", "9"]

    run(Numbered(range(10)), steps)


def test_the_mouse_chooses_opens_sorts_and_scrolls() -> None:
    async def steps(app: TableApp, pilot: Pilot[None]) -> None:
        await pilot.click(BigTable, offset=(10, 4))
        assert app.table.current == "3"
        await pilot.click(BigTable, offset=(10, 6), times=2)
        assert app.opened == ["5"]
        await pilot.click(BigTable, offset=(50, 0))
        assert app.sorts == ["status"]
        app.table.scroll_down(animate=False)
        await pilot.pause()
        assert "scan_1 " in lines(app)[1]
        assert app.table.current == "5"

    run(Numbered(range(50)), steps)


def test_a_click_below_the_rows_does_nothing() -> None:
    async def steps(app: TableApp, pilot: Pilot[None]) -> None:
        await pilot.click(BigTable, offset=(10, 8))
        assert app.table.current == "0"

    run(Numbered(range(3)), steps)


def test_the_sorted_column_has_an_arrow() -> None:
    async def steps(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.show_sort("dice", descending=True)
        await pilot.pause()
        assert "Dice↓" in lines(app)[0]
        app.table.show_sort("cluster")
        await pilot.pause()
        assert "cl↑" in lines(app)[0]

    run(Numbered(range(3)), steps)


def test_names_from_outside_are_shown_literally() -> None:
    class Bad(Numbered):
        def cells(self, row: int) -> Sequence[Cell]:
            return ("[b]1", "\x1b[2J", Text("\x1b]0;x", "success"), "\n", "")

    async def steps(app: TableApp, pilot: Pilot[None]) -> None:
        assert lines(app)[1].split() == ["▸", "[b]1", r"\x1b[2J", r"\x1b]0…", r"\n"]

    run(Bad(range(1)), steps)


def test_a_screen_that_shrinks_and_grows_shows_the_same_again() -> None:
    async def steps(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.move_to(30)
        await pilot.pause()
        before = lines(app)
        await pilot.resize_terminal(24, 5)
        await pilot.pause()
        assert lines(app)[0].split() == ["#", "scan", "›"]
        assert any("▸" in line and "30" in line for line in lines(app))
        await pilot.resize_terminal(60, 11)
        await pilot.pause()
        assert lines(app)[0] == before[0]
        assert any("▸" in line and "30" in line for line in lines(app))

    run(Numbered(range(50)), steps)


def keys(columns: Sequence[Column], width: int, skip: int = 0) -> str:
    fit = fit_columns(columns, width, skip)
    return " ".join(columns[place.index].key for place in fit.placed)


def test_the_least_important_column_leaves_first() -> None:
    assert keys(COLUMNS, 60) == "rank scan cluster dice status"
    assert keys(COLUMNS, 45) == "rank scan cluster dice status"
    assert keys(COLUMNS, 44) == "rank scan cluster status"
    assert keys(COLUMNS, 29) == "rank scan cluster status"
    assert keys(COLUMNS, 28) == "rank scan status"
    assert keys(COLUMNS, 24) == "rank scan"
    assert keys(COLUMNS, 10) == "rank scan"


def test_only_an_essential_column_squeezes_others() -> None:
    def widths(width: int) -> dict[str, int]:
        placed = fit_columns(COLUMNS, width).placed
        return {COLUMNS[place.index].key: place.width for place in placed}

    assert widths(45) == {"rank": 7, "scan": 12, "cluster": 7, "dice": 5, "status": 10}
    assert widths(29) == {"rank": 7, "scan": 6, "cluster": 3, "status": 10}
    assert widths(33) == {"rank": 7, "scan": 10, "cluster": 3, "status": 10}


@pytest.mark.parametrize("width", range(4, 90))
def test_columns_never_overlap_nor_leave_the_screen(width: int) -> None:
    fit = fit_columns(COLUMNS, width)
    end = -1
    for place in fit.placed:
        assert place.x > end
        end = place.x + place.width
    assert end <= width
    assert fit.after == (len(fit.placed) < len(COLUMNS))


def test_room_that_is_left_goes_to_who_can_use_it() -> None:
    widths = [place.width for place in fit_columns(COLUMNS, 90).placed]
    assert widths == [7, 20, 7, 5, 10]


def test_sideways_the_first_columns_make_room_for_the_last() -> None:
    assert keys(COLUMNS, 28, skip=1) == "rank scan dice"
    assert keys(COLUMNS, 28, skip=2) == "rank scan status"
    fit = fit_columns(COLUMNS, 28, skip=1)
    assert (fit.before, fit.after) == (True, True)


def test_sideways_on_the_screen() -> None:
    async def steps(app: TableApp, pilot: Pilot[None]) -> None:
        assert "Dice" not in lines(app)[0]
        app.table.move("right")
        await pilot.pause()
        assert "Dice" in lines(app)[0]
        assert lines(app)[0].startswith("‹")
        app.table.move("left")
        await pilot.pause()
        assert "Dice" not in lines(app)[0]

    run(Numbered(range(3)), steps, size=(40, 8))


FITTED = {
    ("abcdef", 6, "end"): "abcdef",
    ("abcdef", 5, "end"): "abcd…",
    ("abcdef", 5, "middle"): "ab…ef",
    ("abcdef", 4, "middle"): "ab…f",
    ("abcdef", 1, "middle"): "…",
    ("abcdef", 0, "end"): "",
    ("日本語の名前", 7, "end"): "日本語…",
    ("日本語の名前", 7, "middle"): "日…前",
}


@pytest.mark.parametrize("case", FITTED)
def test_a_long_value_is_cut(case: tuple[str, int, str]) -> None:
    assert fitted(*case, UNICODE.ellipsis) == FITTED[case]
