"""The lines of the map pane as strips, cached until their content changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip
from textual.widget import Widget

from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.map.ink import Inks
from coldal_tui.tui.map.legend import Part
from coldal_tui.tui.map.model import MARKS, MapModel


class MapLines:
    """Draws lines for ``widget``, whose component classes ``map--NAME`` give the styles."""

    def __init__(self, widget: Widget, names: Sequence[str]) -> None:
        self._widget, self._names = widget, tuple(names)
        self._strips: dict[int, Strip] = {}
        self._below: Sequence[Sequence[Part]] | None = None
        self._inks: Inks | None = None

    def clear(self) -> None:
        """All lines have changed, styles included."""
        self._strips.clear()
        self._below = self._inks = None

    def restyle(self) -> None:
        """Only styles have changed."""
        self._strips.clear()
        self._inks = None

    def clear_rows(self, rows: Iterable[int]) -> None:
        """These lines have changed."""
        for row in rows:
            self._strips.pop(row, None)

    def clear_below(self, top: int) -> None:
        """The lines below the map, from row ``top`` on, have changed."""
        self._below = None
        self.clear_rows([row for row in self._strips if row >= top])

    def line(
        self, y: int, model: MapModel, look: Look, below: Callable[[], Sequence[Sequence[Part]]]
    ) -> Strip:
        """Row ``y`` of the map, or of the lines ``below`` it."""
        found = self._strips.get(y)
        if found is None:
            found = self._strips[y] = self._drawn(y, model, look, below)
        return found

    def _drawn(
        self, y: int, model: MapModel, look: Look, below: Callable[[], Sequence[Sequence[Part]]]
    ) -> Strip:
        width, rows = self._widget.size.width, model.view.rows
        inks = self._drawn_inks(model, look)
        if y >= rows:
            if self._below is None:
                self._below = below()
            parts = self._below[y - rows : y - rows + 1]
            segments = [Segment(text, inks.style(ink)) for line in parts for text, ink in line]
            return Strip(segments).adjust_cell_length(width, self._widget.rich_style)
        here = model.cell_of_cursor()
        over = (here[0], MARKS.index("here")) if here and here[1] == y else None
        runs = model.canvas.runs(y, over=over)
        return Strip([Segment(text, inks.style(ink)) for text, ink in runs], width)

    def _drawn_inks(self, model: MapModel, look: Look) -> Inks:
        if self._inks is None:
            canvas, widget = model.canvas, self._widget
            self._inks = Inks(
                colouring=model.colouring,
                depth=canvas.depth,
                marks=canvas.marks,
                base=widget.rich_style,
                background=widget.background_colors[1].rgb,
                named=self._named(),
                look=look,
                colourless=model.colourless,
                few_colours=widget.app.console.color_system == "256",
            )
        return self._inks

    def _named(self) -> Mapping[str, Style]:
        widget = self._widget
        named = {name: widget.get_component_rich_style(f"map--{name}") for name in self._names}
        if widget.app.no_color:
            named["here"] += Style(reverse=True)
        return named

    def centred(self, y: int, lines: Sequence[tuple[str, str]]) -> Strip:
        """Row ``y`` of centred words, each with the name of its style."""
        widget = self._widget
        width = widget.size.width
        top = max(0, (widget.size.height - len(lines)) // 2)
        if not top <= y < top + len(lines):
            return Strip.blank(width, widget.rich_style)
        words, name = lines[y - top]
        text = Text(words)
        text.truncate(width, overflow="ellipsis")
        left = " " * ((width - text.cell_len) // 2)
        style = widget.get_component_rich_style(f"map--{name}")
        strip = Strip([Segment(left, widget.rich_style), Segment(text.plain, style)])
        return strip.adjust_cell_length(width, widget.rich_style)
