"""Widgets that show lines of text and redraw only changed ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

Paint = Callable[[int, int], Content]


class Drawing(Static):
    """Shows lines made elsewhere; as high as they are unless styled otherwise.

    With ``wraps`` it is a message that takes the lines it needs.
    """

    DEFAULT_CSS = """
    Drawing { text-wrap: nowrap; text-overflow: clip; }
    Drawing.-wraps { text-wrap: wrap; }
    """

    def __init__(self, *, id: str | None = None, wraps: bool = False) -> None:
        super().__init__(id=id, classes="-wraps" if wraps else None)
        self._lines = Content()

    def draw(self, rows: Sequence[Content] | Content) -> None:
        content = rows if isinstance(rows, Content) else Content("\n").join(rows)
        if content.is_same(self._lines):
            return
        taller = content.plain.count("\n") != self._lines.plain.count("\n")
        self._lines = content
        self.update(content, layout=taller)


class Painted(Widget):
    """Shows content drawn for the width and height that the layout gives."""

    DEFAULT_CSS = "Painted { text-wrap: nowrap; text-overflow: clip; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._paint: Paint = lambda width, height: Content()
        self._painted = Content()

    def draw(self, paint: Paint) -> None:
        """Show the result of ``paint`` for the current size, and again after each resize."""
        self._paint = paint
        if not paint(*self.content_size).is_same(self._painted):
            self.refresh()

    def render(self) -> Content:
        self._painted = self._paint(*self.content_size)
        return self._painted
