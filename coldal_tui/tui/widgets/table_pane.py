"""A pane with one table, and the keys that all tables share."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from coldal_tui.tui.pane import Pane
from coldal_tui.tui.verbs import bind
from coldal_tui.tui.widgets.table import BigTable


def _move(how: str) -> Binding:
    words = {"page-down": "a page down", "page-up": "a page up", "half-down": "half a page down"}
    words |= {"half-up": "half a page up", "left": "columns left", "right": "columns right"}
    words |= {"first": "first row", "last": "last row", "down": "down", "up": "up"}
    return bind(how, f"move('{how}')", words[how], id=f"move.{how}")


class TablePane(Pane, can_focus=True):
    """A pane with a ``BigTable``; the pane has the focus and moves the table's cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        _move("down"),
        _move("up"),
        _move("page-down"),
        _move("page-up"),
        _move("half-down"),
        _move("half-up"),
        _move("first"),
        _move("last"),
        _move("left"),
        _move("right"),
        bind("mark", "mark", "mark", id="mark.row"),
        bind("range", "range", "mark a range", id="mark.range"),
        bind("invert", "invert", id="mark.invert"),
    ]

    @property
    def table(self) -> BigTable:
        return self.query_one(BigTable)

    def on_focus(self) -> None:
        self.table.refresh_cursor()

    def on_blur(self) -> None:
        self.table.refresh_cursor()

    def action_move(self, how: str) -> None:
        self.table.move(how)

    def action_mark(self) -> None:
        self.table.toggle_mark()

    def action_range(self) -> None:
        self.table.toggle_range()

    def action_invert(self) -> None:
        self.table.invert_marks()
