"""The big table: what is drawn, what is drawn again, cursor, marks, columns, the mouse."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from rich.text import Text
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from coldal_tui.tui.widgets.columns import fit_columns
from coldal_tui.tui.widgets.table import BigTable, Cell, Column

COLUMNS = (
    Column("rank", "#", 7, align="right"),
    Column("scan", "scan", 12, least=6, most=20, cut="middle"),
    Column("cluster", "cluster", 7, least=3, priority=2, short="cl"),
    Column("dice", "Dice", 5, align="right", priority=3),
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
