"""A pane with one table, and the keys that all tables share."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from coldal_tui.tui.pane import Pane
from coldal_tui.tui.widgets.table import BigTable


def _move(keys: str, how: str) -> Binding:
    words = {"page-down": "a page down", "page-up": "a page up", "half-down": "half a page down"}
    words |= {"half-up": "half a page up", "left": "columns left", "right": "columns right"}
    words |= {"first": "first row", "last": "last row", "down": "down", "up": "up"}
    return Binding(keys, f"move('{how}')", words[how], show=False, id=f"move.{how}")


class TablePane(Pane, can_focus=True):
    """A pane with a ``BigTable``; the pane has the focus and moves the table's cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        _move("j,down", "down"),
        _move("k,up", "up"),
        _move("pagedown", "page-down"),
        _move("pageup", "page-up"),
        _move("ctrl+d", "half-down"),
        _move("ctrl+u", "half-up"),
        _move("g,home", "first"),
        _move("G,end", "last"),
        _move("h,left", "left"),
        _move("l,right", "right"),
        Binding("space", "mark", "mark", show=False, id="mark.row"),
        Binding("v", "range", "mark a range", show=False, id="mark.range"),
        Binding("asterisk", "invert", "invert marks", show=False, id="mark.invert"),
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
