"""Lines of a table as strips of styled text: titles, and rows with cursor and mark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from coldal_tui.redaction import NAME_KEYS, named
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.widgets.columns import Column, Fit
from coldal_tui.tui.widgets.table_model import Cell
from coldal_tui.visible import visible

LEAD = 2
"""Cells before the first column: the cursor's glyph and the mark."""
NAMED = ("muted", "accent", "success", "warning", "error", "bold")
"""Styles that a cell may name; the theme says what they look like."""


@dataclass(frozen=True)
class LinePainter:
    """Draws lines ``width`` cells wide. ``style`` finds a style of the theme by name ("": plain).

    A value wider than its column is cut with the look's ellipsis; control characters in it are
    shown, not obeyed.
    """

    columns: Sequence[Column]
    fit: Fit
    width: int
    look: Look
    style: Callable[[str], Style]

    def title(self, sort: tuple[str, bool] | None) -> Strip:
        """The titles; ``sort`` is the sorted column's key and whether it is descending."""
        style = self.style("") + self.style("title")
        more_left, more_right, up, down = "‹›↑↓" if self.look.braille else "<>^v"
        segments = [Segment((more_left if self.fit.before else " ").ljust(LEAD), style)]
        at = 0
        for place in self.fit.placed:
            column, arrow = self.columns[place.index], ""
            if sort is not None and sort[0] == column.key:
                arrow = down if sort[1] else up
            text = self._title_of(column, place.width - len(arrow)) + arrow
            pad = " " * (place.width - cell_len(text))
            text = pad + text if column.align == "right" else text + pad
            segments.append(Segment(" " * (place.x - at) + text, style))
            at = place.x + place.width
        line = Strip(segments).adjust_cell_length(self.width, style)
        if not self.fit.after:
            return line
        return Strip.join([line.crop(0, self.width - 1), Strip([Segment(more_right, style)], 1)])

    def _title_of(self, column: Column, room: int) -> str:
        title = column.title if cell_len(column.title) <= room else column.short or column.title
        return fitted(title, room, "end", self.look.ellipsis)

    def row(self, cells: Sequence[Cell], base: Style, *, here: bool, marked: bool) -> Strip:
        """A row: the cursor's glyph and the mark, then the cells on ``base``."""
        lead = (self.look.cursor if here else " ") + (self.look.mark if marked else " ")
        segments = [Segment(lead, base + self.style("accent"))]
        plain: list[str] = []  # runs of plain text become one segment: fewer are drawn faster
        at = 0
        for place in self.fit.placed:
            plain.append(" " * (place.x - at))
            cell, column = cells[place.index], self.columns[place.index]
            text = cell if isinstance(cell, str) else cell.plain
            show = named if column.key in NAME_KEYS else visible
            shown = fitted(show(text), place.width, column.cut, self.look.ellipsis)
            pad = " " * (place.width - (len(shown) if shown.isascii() else cell_len(shown)))
            if column.align == "right":
                plain.append(pad)
            if isinstance(cell, str):
                plain.append(shown)
            else:
                segments.append(Segment("".join(plain), base))
                segments += self._styled(cell, shown, base)
                plain = []
            if column.align == "left":
                plain.append(pad)
            at = place.x + place.width
        plain.append(" " * (self.width - LEAD - at))
        segments.append(Segment("".join(plain), base))
        if at > self.width - LEAD:
            return Strip(segments).adjust_cell_length(self.width, base)
        return Strip(segments, self.width)

    def _styled(self, cell: Text, shown: str, base: Style) -> list[Segment]:
        """A styled cell without padding; a shortened one keeps the style of the whole."""
        whole = base + self._named(cell.style)
        if not cell.spans or shown != cell.plain:
            return [Segment(shown, whole)]
        segments = []
        edges = {0, len(cell), *(edge for s in cell.spans for edge in (s.start, s.end))}
        for start, end in pairwise(sorted(edges)):
            style = whole
            for span in cell.spans:
                if span.start <= start and end <= span.end:
                    style += self._named(span.style)
            segments.append(Segment(shown[start:end], style))
        return segments

    def _named(self, style: str | Style) -> Style:
        if isinstance(style, Style):
            return style
        if style in NAMED:
            return self.style(style)
        found = Style.null()
        for word in style.split():
            found += self.style(word) if word in NAMED else Style.parse(word)
        return found


def fitted(text: str, width: int, cut: str, ellipsis: str) -> str:
    """``text`` in at most ``width`` cells, with an ellipsis where something was left out.

    ``cut`` is ``middle`` or ``end``.
    """
    if (len(text) if text.isascii() else cell_len(text)) <= width:
        return text
    if width <= 1:
        return ellipsis[: max(width, 0)]
    tail = (width - 1) // 2 if cut == "middle" else 0
    end = _prefix(text[::-1], tail)[::-1] if tail else ""
    return _prefix(text, width - 1 - tail) + ellipsis + end


def _prefix(text: str, width: int) -> str:
    used = 0
    for n, character in enumerate(text):
        used += cell_len(character)
        if used > width:
            return text[:n]
    return text
