"""A widget that shows lines of text, and draws them again only when they differ."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static


class Drawing(Static):
    """Lines made elsewhere, to fit; ``draw`` them as often as you like.

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
