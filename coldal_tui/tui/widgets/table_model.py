"""The protocol of a table's data: columns, rows by number, and a stable key per row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rich.text import Text

from coldal_tui.tui.widgets.columns import Column

Cell = str | Text


class TableModel(Protocol):
    """The data of a table. ``key`` identifies a row permanently, for cursor and marks."""

    @property
    def columns(self) -> Sequence[Column]: ...

    @property
    def row_count(self) -> int: ...

    def key(self, row: int) -> str: ...

    def find(self, key: str) -> int | None:
        """The row with this key; None if there is none (any more)."""

    def cells(self, row: int) -> Sequence[Cell]:
        """The cells of a row, one for each of ``columns``."""


class _Empty:
    columns: tuple[Column, ...] = ()
    row_count = 0

    def key(self, row: int) -> str:
        raise IndexError(row)

    def find(self, key: str) -> int | None:
        return None

    def cells(self, row: int) -> Sequence[Cell]:
        raise IndexError(row)


EMPTY: TableModel = _Empty()
"""The model of a table that has nothing to show yet."""
