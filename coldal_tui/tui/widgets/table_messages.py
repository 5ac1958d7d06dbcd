"""What a big table tells its pane; none derives from another, so each has handlers of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from coldal_tui.tui.widgets.table import BigTable


class _Told(Message):
    def __init__(self, table: BigTable) -> None:
        super().__init__()
        self.table = table

    @property
    def control(self) -> BigTable:
        return self.table


class Moved(_Told, namespace="big_table"):
    """The cursor is on another row (``key`` None: there is none)."""

    def __init__(self, table: BigTable, key: str | None) -> None:
        super().__init__(table)
        self.key = key


class Opened(_Told, namespace="big_table"):
    """A row was clicked twice."""

    def __init__(self, table: BigTable, key: str | None) -> None:
        super().__init__(table)
        self.key = key


class SortAsked(_Told, namespace="big_table"):
    """A title was clicked."""

    def __init__(self, table: BigTable, column: str) -> None:
        super().__init__(table)
        self.column = column


class Marked(_Told, namespace="big_table"):
    """Other rows are marked now."""
