"""A table for any number of rows: only visible rows are drawn or kept.

A model defines the columns and the cells of a row; nothing is made per row::

    class Labels:
        columns = (
            Column("scan", "scan", 14, least=8, most=40, cut="middle"),
            Column("dice", "Dice", 4, align="right", priority=2),
            Column("state", "state", 12, priority=1),
        )

        def __init__(self, rows: Sequence[Label]) -> None:
            self.rows = rows

        @property
        def row_count(self) -> int:
            return len(self.rows)

        def key(self, row: int) -> str:
            return self.rows[row].scan_id

        def find(self, key: str) -> int | None:
            return next((n for n, row in enumerate(self.rows) if row.scan_id == key), None)

        def cells(self, row: int) -> Sequence[Cell]:
            label = self.rows[row]
            return (label.scan_id, f"{label.dice:.2f}", Text("● accepted", style="success"))


    class LabelsPane(TablePane):  # widgets/table_pane.py: the keys of a table, ready to use
        def compose(self) -> ComposeResult:
            yield BigTable()

        def show(self, view: View) -> None:
            self.table.set_model(Labels(rows))  # keeps cursor, marks and place; draws changes

A cell is a ``str`` (taken literally) or a ``Text``. Styles of a ``Text`` may name the theme's
colours: ``muted``, ``accent``, ``success``, ``warning``, ``error``, and ``bold``; the table
resolves them. Messages: ``Moved`` (the cursor is on another row), ``Opened`` (double click),
``SortAsked`` (click on a title), ``Marked``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from coldal_tui.tui.drawing.glyphs import UNICODE, Look
from coldal_tui.tui.widgets.columns import Column, Fit, fit_columns
from coldal_tui.tui.widgets.marks import Marks
from coldal_tui.tui.widgets.table_lines import LEAD, NAMED, LinePainter
from coldal_tui.tui.widgets.table_model import EMPTY, Cell, TableModel
from coldal_tui.tui.widgets.theme_styles import ThemeStyles

__all__ = ["BigTable", "Cell", "Column", "TableModel"]

KEPT_LINES = 512


class _TableMessage(Message):
    """From ``table``, about the row ``key``. None derives from another: each has its handlers."""

    def __init__(self, table: BigTable, key: str | None = None) -> None:
        super().__init__()
        self.table, self.key = table, key

    @property
    def control(self) -> BigTable:
        return self.table


class BigTable(ScrollView, can_focus=False):
    """Rows of a ``TableModel`` under a line of titles, with a cursor and marks.

    It takes no keys itself (see ``TablePane``); it looks focused while its pane is.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "bigtable--title",
        "bigtable--cursor",
        "bigtable--cursor-away",
        "bigtable--marked",
        *(f"bigtable--{name}" for name in NAMED),
    }
    DEFAULT_CSS = """
    BigTable {
        height: 1fr;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .bigtable--title { color: $text-muted; text-style: bold; }
        & > .bigtable--cursor { background: $primary 35%; text-style: bold; }
        & > .bigtable--cursor-away { background: $primary 15%; }
        & > .bigtable--marked { text-style: bold; }
        & > .bigtable--muted { color: $text-muted; }
        & > .bigtable--accent { color: $text-accent; }
        & > .bigtable--success { color: $text-success; }
        & > .bigtable--warning { color: $text-warning; }
        & > .bigtable--error { color: $text-error; }
        & > .bigtable--bold { text-style: bold; }
    }
    """

    class Moved(_TableMessage):
        """The cursor is on another row (``key`` None: there is none)."""

    class Opened(_TableMessage):
        """A row was clicked twice."""

    class SortAsked(_TableMessage):
        """A title was clicked; ``column`` is its key."""

        def __init__(self, table: BigTable, column: str) -> None:
            super().__init__(table)
            self.column = column

    class Marked(_TableMessage):
        """The marked rows have changed."""

    def __init__(
        self, model: TableModel | None = None, *, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._model: TableModel = model or EMPTY
        self._cursor = 0
        self._hidden = False
        self._marks = Marks()
        self._sort: tuple[str, bool] | None = None
        self._skip = 0
        self._fit = Fit((), before=False, after=False)
        self._lines: LRUCache[tuple[int, str, bool], Strip] = LRUCache(KEPT_LINES)
        self._drawn: dict[int, Strip] = {}
        self._style = ThemeStyles(self, "bigtable")
        self._painter = LinePainter(EMPTY.columns, self._fit, 0, UNICODE, self._style)

    # What it shows

    @property
    def model(self) -> TableModel:
        return self._model

    @property
    def row_count(self) -> int:
        return self._model.row_count

    @property
    def cursor(self) -> int:
        """The cursor's row; 0 in an empty table."""
        return self._cursor

    @property
    def current(self) -> str | None:
        """The key of the cursor's row."""
        return self._model.key(self._cursor) if self._cursor < self.row_count else None

    def key_at(self, row: int) -> str:
        return self._model.key(row)

    def find(self, key: str) -> int | None:
        """The row with this key."""
        return self._model.find(key)

    @property
    def page(self) -> int:
        """The number of visible rows."""
        return max(1, self.size.height - 1)

    def set_model(self, model: TableModel, *, keep: str | None = None) -> None:
        """Show another model: the cursor stays on its row's key, the picture stays still.

        ``keep`` names the key that the cursor should be on, instead. Only lines that come out
        different are drawn again.
        """
        before = self.current
        wanted = keep if keep is not None else before
        on_screen = self._cursor - round(self.scroll_y)
        columns_changed = tuple(model.columns) != tuple(self._model.columns)
        self._model = model
        row = model.find(wanted) if wanted is not None else None
        if row is None and before is not None and before != wanted:
            row = model.find(before)
        self._cursor = max(0, min(self._cursor if row is None else row, model.row_count - 1))
        self._lines.clear()
        if columns_changed:
            self._skip = 0
        self._measure()
        top = self._cursor - on_screen if 0 <= on_screen < self.page else round(self.scroll_y)
        self._scroll_to_row(top)
        self._show_cursor()
        self._redraw_changed()
        if self.current != before:
            self.post_message(self.Moved(self, self.current))

    def refresh_rows(self, keys: Iterable[str] | None = None) -> None:
        """Ask the model again for these rows (None: all that are on the screen)."""
        rows = None if keys is None else {self._model.find(key) for key in keys}
        for known in list(self._lines.keys()):
            if rows is None or known[0] in rows:
                self._lines.discard(known)
        self._redraw_changed()

    def show_sort(self, column: str | None, *, descending: bool = False) -> None:
        """Draw an arrow at the title of this column."""
        self._sort = None if column is None else (column, descending)
        self._redraw_changed()

    # The cursor

    def move(self, how: str) -> None:
        """``down``, ``up``, ``page-down``, ``page-up``, ``half-down``, ``half-up``, ``first``,
        ``last``, ``left`` or ``right``."""
        if how in ("left", "right"):
            self._sideways(1 if how == "right" else -1)
            return
        half = max(1, self.page // 2)
        by = {"down": 1, "up": -1, "half-down": half, "half-up": -half}
        by |= {"page-down": self.page, "page-up": -self.page}
        by |= {"first": -self.row_count, "last": self.row_count}
        if how.startswith(("page", "half")):
            # The whole picture moves, so that the cursor keeps its line on the screen.
            self._scroll_to_row(round(self.scroll_y) + by[how])
        self.move_to(self._cursor + by[how])

    def move_to(self, row: int) -> None:
        """Put the cursor on a row (the nearest there is) and bring it into view."""
        row = max(0, min(row, self.row_count - 1))
        old, self._cursor = self._cursor, row
        self._show_cursor()
        if row == old:
            return
        if self.ranging:
            self._marks_changed()
        else:
            self._refresh_row(old)
            self._refresh_row(row)
        self.post_message(self.Moved(self, self.current))

    def go_to(self, key: str) -> bool:
        """Put the cursor on the row with this key, without ``Moved``; False when there is none."""
        row = self._model.find(key)
        if row is None:
            return False
        if row != self._cursor:
            with self.prevent(self.Moved):
                self.move_to(row)
        return True

    # Marks

    @property
    def marked(self) -> list[str]:
        """Keys of marked rows that the model has now, in its order."""
        return self._marks.listed(self._model, self._cursor)

    @property
    def ranging(self) -> bool:
        """Whether a range is being marked."""
        return self._marks.ranging

    def chosen(self) -> list[str]:
        """The rows for an action: the marked ones, else the cursor's if it is visible."""
        return self.marked or ([] if self.current is None or self._hidden else [self.current])

    def toggle_mark(self) -> None:
        """Mark or unmark the cursor's row and go one down; an open range is finished."""
        if self.ranging:
            self.toggle_range()
        elif self.current is not None:
            self._marks.toggle(self.current)
            self._marks_changed()
            self.move("down")

    def toggle_range(self) -> None:
        """Start a range at the cursor, or mark the open range."""
        if self.ranging:
            self._marks.keep_range(self._model, self._cursor)
        elif self.current is not None:
            self._marks.begin_range(self.current)
        self._marks_changed()

    def mark(self, keys: Iterable[str]) -> bool:
        """Mark exactly these keys; returns whether that changed anything."""
        changed = self._marks.set(keys)
        if changed:
            self._marks_changed()
        return changed

    def invert_marks(self) -> None:
        """Invert the marks of the model's rows."""
        marked = set(self.marked)
        everything = map(self._model.key, range(self.row_count))
        self.mark([key for key in everything if key not in marked])

    def _marks_changed(self) -> None:
        self._redraw_changed()
        self.post_message(self.Marked(self))

    # Drawing

    @property
    def look(self) -> Look:
        found = getattr(self.app, "look", UNICODE)
        return found if isinstance(found, Look) else UNICODE

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._style.clear()
        self._lines.clear()
        self._drawn.clear()

    def on_mount(self) -> None:
        self._measure()

    def on_resize(self, event: events.Resize) -> None:
        self._lines.clear()
        self._measure()
        self._show_cursor()
        self.refresh()

    @property
    def _width(self) -> int:
        """Cells of a line, without the scrollbar if there is one."""
        return self.size.width - (self.row_count + 1 > self.size.height)

    def _measure(self) -> None:
        columns, width = self._model.columns, self._width
        room = max(2, width - LEAD)
        self._fit = fit_columns(columns, room, self._skip)
        if self._fit.after:
            # A sign at the end of the titles says that there is more.
            self._fit = fit_columns(columns, room - 1, self._skip)
        self._painter = LinePainter(columns, self._fit, width, self.look, self._style)
        self.virtual_size = Size(self._width, self.row_count + 1)

    def _sideways(self, by: int) -> None:
        if (by > 0 and not self._fit.after) or (by < 0 and not self._skip):
            return
        self._skip += by
        self._lines.clear()
        self._measure()
        self._redraw_changed()

    def render_line(self, y: int) -> Strip:
        strip = self._strip(y)
        self._drawn[y] = strip
        return strip

    def _strip(self, y: int) -> Strip:
        if y == 0:
            return self._painter.title(self._sort)
        row = round(self.scroll_y) + y - 1
        if not 0 <= row < self.row_count:
            return Strip.blank(self._width, self._style(""))
        marked = self._marks.holds(self._model, self._cursor, row)
        here = row == self._cursor and not self._hidden
        cursor = "" if not here else "cursor" if self._in_use else "cursor-away"
        known = self._lines.get((row, cursor, marked))
        if known is None:
            base = self._style("")
            base += self._style("marked") if marked else Style.null()
            base += self._style(cursor) if cursor else Style.null()
            cells = self._model.cells(row)
            known = self._painter.row(cells, base, here=bool(cursor), marked=marked)
            self._lines.set((row, cursor, marked), known)
        return known

    @property
    def _in_use(self) -> bool:
        """Whether the table or its pane has the focus."""
        focused = self.screen.focused
        return focused is not None and focused in self.ancestors_with_self

    def hide_cursor(self, hidden: bool) -> None:
        """Hide the cursor because no row shows the current scan; or show it again."""
        if hidden != self._hidden:
            self._hidden = hidden
            self._refresh_row(self._cursor)

    def refresh_cursor(self) -> None:
        """Redraw the cursor's row after a change of focus."""
        self._refresh_row(self._cursor)

    def _scroll_to_row(self, top: int) -> None:
        top = max(0, min(top, self.row_count - self.page))
        if top != round(self.scroll_y):
            self.scroll_to(y=top, animate=False, force=True)

    def _show_cursor(self) -> None:
        top = round(self.scroll_y)
        if self._cursor < top:
            self._scroll_to_row(self._cursor)
        elif self._cursor >= top + self.page:
            self._scroll_to_row(self._cursor - self.page + 1)

    def _refresh_row(self, row: int) -> None:
        y = row - round(self.scroll_y) + 1
        if 1 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def _redraw_changed(self) -> None:
        """Refresh only the lines that would look different."""
        if not self.is_mounted:
            return
        for y in range(self.size.height):
            if self._drawn.get(y) != self._strip(y):
                self.refresh(Region(0, y, self.size.width, 1))

    # The mouse

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is None:
            return
        event.stop()
        if at.y == 0:
            column = self._column_at(at.x)
            if column is not None:
                self.post_message(self.SortAsked(self, column))
            return
        row = round(self.scroll_y) + at.y - 1
        if row < self.row_count:
            self.move_to(row)
            if event.chain == 2:
                self.post_message(self.Opened(self, self.current))

    def _column_at(self, x: int) -> str | None:
        for place in self._fit.placed:
            if place.x <= x - LEAD <= place.x + place.width:
                return self._model.columns[place.index].key
        return None
