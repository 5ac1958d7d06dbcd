"""Marked rows, by key, and the range being selected from an anchor."""

from __future__ import annotations

from collections.abc import Iterable

from coldal_tui.tui.widgets.table_model import TableModel


class Marks:
    """Marked keys. Marks stay while a filter hides their rows."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._anchor: str | None = None

    @property
    def ranging(self) -> bool:
        """Whether a range is being selected."""
        return self._anchor is not None

    def range(self, model: TableModel, cursor: int) -> range:
        """The rows from the anchor to the cursor, both included."""
        start = None if self._anchor is None else model.find(self._anchor)
        if start is None or not model.row_count:
            return range(0)
        return range(min(start, cursor), max(start, cursor) + 1)

    def holds(self, model: TableModel, cursor: int, row: int) -> bool:
        if self._keys and model.key(row) in self._keys:
            return True
        return self.ranging and row in self.range(model, cursor)

    def listed(self, model: TableModel, cursor: int) -> list[str]:
        """The marked keys that the model has, in model order."""
        rows = {row for key in self._keys if (row := model.find(key)) is not None}
        rows.update(self.range(model, cursor))
        return [model.key(row) for row in sorted(rows)]

    def toggle(self, key: str) -> None:
        self._keys ^= {key}

    def begin_range(self, key: str) -> None:
        self._anchor = key

    def keep_range(self, model: TableModel, cursor: int) -> None:
        """Turn the range into marks."""
        self._keys.update(model.key(row) for row in self.range(model, cursor))
        self._anchor = None

    def set(self, keys: Iterable[str]) -> bool:
        """Mark exactly these keys; returns whether that changed anything."""
        before, ranging = self._keys, self.ranging
        self._keys, self._anchor = set(keys), None
        return ranging or before != self._keys
