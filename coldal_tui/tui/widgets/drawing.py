"""Widgets that show lines of text, and draw them again only when they differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

Paint = Callable[[int, int], Content]


class Drawing(Static):
    """Lines made elsewhere, to fit; as high as they are unless styled otherwise.

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
    """A picture that is made for whatever width and height it has; the layout gives them."""

    DEFAULT_CSS = "Painted { text-wrap: nowrap; text-overflow: clip; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._paint: Paint = lambda width, height: Content()
        self._painted = Content()

    def draw(self, paint: Paint) -> None:
        """Show what ``paint`` makes of a width and a height, now and in other sizes."""
        self._paint = paint
        if not paint(*self.content_size).is_same(self._painted):
            self.refresh()

    def render(self) -> Content:
        self._painted = self._paint(*self.content_size)
        return self._painted
