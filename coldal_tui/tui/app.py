"""The app: one screen that draws a project's snapshot, read off the UI thread."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.events import Resize
from textual.message import Message
from textual.widgets import DataTable, Footer, Static

from coldal_tui.project.project import Project
from coldal_tui.project.snapshot import Snapshot, take_snapshot
from coldal_tui.tui.drawing import (
    budget_line,
    budget_text,
    clusters_text,
    head_text,
    next_text,
    queue_columns,
    queue_rows,
    runs_text,
)
from coldal_tui.visible import visible

REFRESH_S = 1.0
NARROW = 100
"""Below so many columns the side panes give way to one line with the budget."""


class SnapshotTaken(Message):
    """A new picture of the project; replaces any older one that was not drawn yet."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, SnapshotTaken)


class ReadFailed(Message):
    """The project could not be read; the app goes on with what it has."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class ColdalApp(App[None]):
    """Budget, clusters, runs, the next step and the ranked queue of one project."""

    TITLE = "coldal-tui"
    CSS = """
    #head { width: 100%; height: 1; background: $panel; padding: 0 1; }
    #line { display: none; height: 1; padding: 0 1; }
    #side { width: 42; }
    #side Static { border: round $primary; padding: 0 1; height: auto; }
    #queue { border: round $primary; height: 1fr; }
    #next { height: auto; max-height: 4; padding: 0 1; }
    .narrow #side { display: none; }
    .narrow #line { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "down", show=False),
        Binding("k,up", "move(-1)", "up", show=False),
        Binding("g,home", "top", "first", show=False),
        Binding("G,end", "bottom", "last", show=False),
        Binding("r", "read", "read again"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(self, root: Path, *, readonly: bool = False) -> None:
        super().__init__()
        self._root = root
        self._readonly = readonly
        self._shown: Snapshot | None = None
        self._columns: tuple[str, ...] = ()
        self._rows: dict[str, tuple[Text, ...]] = {}
        self._reading = False
        self._trouble = ""

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        yield Static(id="line")
        with Horizontal():
            with VerticalScroll(id="side", can_focus=False):
                yield Static(id="budget")
                yield Static(id="clusters")
                yield Static(id="runs")
            table: DataTable[Text] = DataTable(id="queue", cursor_type="row", zebra_stripes=True)
            yield table
        yield Static(id="next")
        yield Footer()

    def on_mount(self) -> None:
        self.query_one("#budget", Static).border_title = "Budget"
        self.query_one("#clusters", Static).border_title = "Clusters"
        self.query_one("#runs", Static).border_title = "Runs on the validation scans"
        table = self.query_one(DataTable)
        table.border_title = "Queue"
        table.focus()
        self.action_read()
        self.set_interval(REFRESH_S, self.action_read)

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.width < NARROW, "narrow")

    def action_read(self) -> None:
        """Read the project anew, unless a read is still under way."""
        if not self._reading:
            self._reading = True
            self._read()

    @work(thread=True, group="snapshot", exit_on_error=False)
    def _read(self) -> None:
        try:
            with Project(self._root) as project:
                snapshot = take_snapshot(project)
        except Exception as error:  # shown on the screen; the next read may succeed
            self.post_message(ReadFailed(str(error) or type(error).__name__))
        else:
            self.post_message(SnapshotTaken(snapshot))

    def on_read_failed(self, message: ReadFailed) -> None:
        """Say it once, and mark the picture as old until a read succeeds."""
        self._reading = False
        if message.reason == self._trouble:
            return
        self._trouble = message.reason
        self.notify(visible(message.reason, keep="\n"), severity="error", markup=False, timeout=10)
        self._draw_head()

    def on_snapshot_taken(self, message: SnapshotTaken) -> None:
        """Draw what has changed; an unchanged project costs no redraw."""
        self._reading = False
        fresh, old = message.snapshot, self._shown
        mended, self._trouble = bool(self._trouble), ""
        if old is not None and replace(fresh, at=old.at) == old:
            if mended:
                self._draw_head()
            return
        self._shown = fresh
        self._draw_head()
        for name, text in (
            ("#line", budget_line(fresh)),
            ("#budget", budget_text(fresh)),
            ("#clusters", clusters_text(fresh)),
            ("#runs", runs_text(fresh)),
            ("#next", next_text(fresh)),
        ):
            self.query_one(name, Static).update(text)
        self._draw_queue(fresh)

    def _draw_head(self) -> None:
        head = self.query_one("#head", Static)
        if self._shown is None:
            head.update(Text(f"{self._root}: can't be read"))
        else:
            stale = bool(self._trouble)
            head.update(head_text(self._shown, readonly=self._readonly, stale=stale))

    def _draw_queue(self, snapshot: Snapshot) -> None:
        """Only changed cells are redrawn; the cursor stays on its scan, and in view."""
        columns = queue_columns(snapshot)
        rows = queue_rows(snapshot, columns)
        table = self.query_one(DataTable)
        old, position = list(self._rows), table.cursor_row
        here = old[position] if position < len(old) else None
        kept = [scan_id for scan_id in old if scan_id in rows]
        if columns == self._columns and kept == list(rows)[: len(kept)]:
            self._amend(table, rows)
        else:
            self._refill(table, columns, rows)
        self._columns, self._rows = columns, rows
        if list(rows) != old:
            row = list(rows).index(here) if here in rows else position
            table.move_cursor(row=row)

    def _amend(self, table: DataTable[Text], rows: dict[str, tuple[Text, ...]]) -> None:
        """Rows that left, cells that changed, rows that came at the end."""
        for scan_id, old in self._rows.items():
            if scan_id not in rows:
                table.remove_row(scan_id)
                continue
            for column, before, now in zip(self._columns, old, rows[scan_id], strict=True):
                if now != before:
                    table.update_cell(scan_id, column, now, update_width=True)
        for scan_id, cells in rows.items():
            if scan_id not in self._rows:
                table.add_row(*cells, key=scan_id)

    def _refill(
        self, table: DataTable[Text], columns: tuple[str, ...], rows: dict[str, tuple[Text, ...]]
    ) -> None:
        """All anew: the order or the columns changed."""
        top = table.scroll_y
        table.clear(columns=True)
        for column in columns:
            table.add_column(column, key=column)
        for scan_id, cells in rows.items():
            table.add_row(*cells, key=scan_id)
        table.scroll_to(y=top, animate=False, force=True)

    def action_move(self, rows: int) -> None:
        table = self.query_one(DataTable)
        table.move_cursor(row=table.cursor_row + rows)

    def action_top(self) -> None:
        self.query_one(DataTable).move_cursor(row=0)

    def action_bottom(self) -> None:
        table = self.query_one(DataTable)
        table.move_cursor(row=table.row_count - 1)
