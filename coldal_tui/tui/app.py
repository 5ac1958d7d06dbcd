"""The app: one screen that draws a project's snapshot, read off the UI thread."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import DataTable, Footer, Static

from coldal_tui.errors import ColdalError
from coldal_tui.project.project import Project
from coldal_tui.project.snapshot import Snapshot, take_snapshot
from coldal_tui.tui.drawing import budget_text, clusters_text, head_text, next_text, queue_rows

REFRESH_S = 1.0
QUEUE_COLUMNS = ("#", "scan", "cluster", "role", "H", "D", "S", "status", "to")


class SnapshotTaken(Message):
    """A new picture of the project; replaces any older one that was not drawn yet."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, SnapshotTaken)


class ReadFailed(Message):
    """The project could not be read; the app goes on with what it has."""

    def __init__(self, error: ColdalError) -> None:
        super().__init__()
        self.error = error


class ColdalApp(App[None]):
    """Budget, clusters, the next step and the ranked queue of one project."""

    TITLE = "coldal-tui"
    CSS = """
    #head { height: 1; background: $panel; padding: 0 1; }
    #side { width: 42; }
    #side Static { border: round $primary; padding: 0 1; height: auto; }
    #queue { border: round $primary; height: 1fr; }
    #next { height: 2; padding: 0 1; }
    .narrow #side { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "down", show=False),
        Binding("k,up", "move(-1)", "up", show=False),
        Binding("r", "read", "read again"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(self, root: Path, *, readonly: bool = False) -> None:
        super().__init__()
        self._root = root
        self._readonly = readonly
        self._shown: Snapshot | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        with Horizontal():
            with Vertical(id="side"):
                yield Static(id="budget")
                yield Static(id="clusters")
            table: DataTable[Text] = DataTable(id="queue", cursor_type="row", zebra_stripes=True)
            yield table
        yield Static(id="next")
        yield Footer()

    def on_mount(self) -> None:
        self.query_one("#budget", Static).border_title = "Budget"
        self.query_one("#clusters", Static).border_title = "Clusters"
        table = self.query_one(DataTable)
        table.border_title = "Queue"
        table.add_columns(*QUEUE_COLUMNS)
        self.action_read()
        self.set_interval(REFRESH_S, self.action_read)

    def on_resize(self) -> None:
        self.set_class(self.size.width < 100, "narrow")

    def action_read(self) -> None:
        """Read the project anew; a read still under way is left to finish."""
        self._read()

    @work(thread=True, exclusive=True, group="snapshot", exit_on_error=False)
    def _read(self) -> None:
        try:
            with Project(self._root) as project:
                self.post_message(SnapshotTaken(take_snapshot(project)))
        except ColdalError as error:
            self.post_message(ReadFailed(error))

    def on_read_failed(self, message: ReadFailed) -> None:
        self.notify(str(message.error), severity="error", markup=False, timeout=10)

    def on_snapshot_taken(self, message: SnapshotTaken) -> None:
        """Draw what has changed; an unchanged project costs no redraw."""
        fresh = message.snapshot
        if self._shown is not None and replace(fresh, at=self._shown.at) == self._shown:
            return
        self._shown = fresh
        self.query_one("#head", Static).update(head_text(fresh, readonly=self._readonly))
        self.query_one("#budget", Static).update(budget_text(fresh))
        self.query_one("#clusters", Static).update(clusters_text(fresh))
        self.query_one("#next", Static).update(next_text(fresh))
        table = self.query_one(DataTable)
        row = table.cursor_row
        table.clear()
        for cells in queue_rows(fresh):
            table.add_row(*cells)
        table.move_cursor(row=row)
        table.focus()

    def action_move(self, rows: int) -> None:
        table = self.query_one(DataTable)
        table.move_cursor(row=table.cursor_row + rows)
