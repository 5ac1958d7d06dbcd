"""Small charts in text: sparklines, columns, and a curve with its spread. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from textual.content import Content

from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.drawing.styles import ACCENT, MUTED

LEVELS, PLAIN_LEVELS = "▁▂▃▄▅▆▇█", ".:-=+*#"
"""Of a column's last cell, with Unicode and without; the last fills the cell."""
POINT = {True: "●", False: "o"}
_BRAILLE = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


@dataclass(frozen=True)
class Point:
    """One point of a curve; ``low`` and ``high`` are the ends of its spread."""

    x: float
    y: float
    low: float
    high: float


def sparkline(
    values: Sequence[float], look: Look, width: int | None = None, *, zero: bool = False
) -> str:
    """One cell per value, scaled from the least value (``zero``: from 0 or below) to the greatest.

    With more values than ``width``, a cell shows the mean of its share of them.
    """
    values = _thinned(values, width) if width is not None else values
    levels = _levels(look)
    return "".join(levels[n] for n in _steps(values, len(levels) - 1, zero=zero))


def columns(values: Sequence[float], height: int, look: Look) -> list[str]:
    """Columns ``height`` cells high that stand on 0, or on the least where that is below 0; what
    is least is still visible. Lines from the top.
    """
    levels = _levels(look)
    units = [step + 1 for step in _steps(values, height * len(levels) - 1, zero=True)]
    return [
        "".join(_cell(unit - row * len(levels), levels) for unit in units)
        for row in reversed(range(height))
    ]


def _levels(look: Look) -> str:
    return PLAIN_LEVELS if look.name == "ascii" else LEVELS


def _cell(units: int, levels: str) -> str:
    return " " if units <= 0 else levels[min(units, len(levels)) - 1]


def _steps(values: Sequence[float], most: int, *, zero: bool) -> list[int]:
    """Each value as a step from 0 to ``most``, scaled from the least or 0; equal ones: middle."""
    if not values:
        return []
    low, high = min(*values, 0.0) if zero else min(values), max(values)
    if high <= low:
        return [most // 2] * len(values)
    return [round((value - low) / (high - low) * most) for value in values]


def _thinned(values: Sequence[float], width: int) -> list[float]:
    if len(values) <= width:
        return list(values)
    ends = [round(n * len(values) / width) for n in range(width + 1)]
    return [math.fsum(values[a:b]) / (b - a) for a, b in pairwise(ends)]


def curve(
    points: Sequence[Point],
    width: int,
    height: int,
    look: Look,
    *,
    digits: int = 2,
    limits: tuple[float, float] = (-math.inf, math.inf),
    x_word: str = "",
) -> list[Content]:
    """A line through ``points`` (by x), their spread, and both axes, in ``width`` by ``height``.

    The last line holds the values of x under their points, as many as there is room for, and
    ``x_word`` after the last. ``limits`` are values that y can't leave. Of points with the same
    x, which are drawn above each other, the line takes the last.
    """
    low, high = _y_range(points, limits, digits)
    names = [f"{value:.{digits}f}" for value in (high, (low + high) / 2, low)]
    margin = max(map(len, names)) + 1
    tail = f" {x_word}" if x_word else ""
    plot_width, rows = width - margin - max(1, len(tail)), height - 1
    if plot_width < 4 or rows < 2:
        return [Content()] * height
    canvas = _Canvas(plot_width, rows, look)
    to_x, to_y = _scales(points, low, high, canvas)
    for point in points:
        canvas.rise(to_x(point.x), to_y(point.low), to_y(point.high))
    path = list({point.x: point for point in sorted(points, key=lambda p: p.x)}.values())
    for one, other in pairwise(path):
        canvas.line(to_x(one.x), to_y(one.y), to_x(other.x), to_y(other.y))
    for point in points:
        canvas.point(to_x(point.x), to_y(point.y))
    labels = {0: names[0], rows - 1: names[2]}
    if rows >= 5:
        labels[(rows - 1) // 2] = names[1]
    drawn = [
        Content.assemble((labels.get(row, "").rjust(margin - 1) + " ", MUTED), canvas.row(row))
        for row in range(rows)
    ]
    places: dict[int, str] = {}
    for point in (path[-1], *path):
        places.setdefault(canvas.cell_of(to_x(point.x)), f"{point.x:,.0f}")
    axis = _x_axis(places, plot_width)
    return [*drawn, Content.styled(" " * margin + axis.rstrip() + tail, MUTED)]


def _y_range(
    points: Sequence[Point], limits: tuple[float, float], digits: int
) -> tuple[float, float]:
    """A range a little wider than the points and their spread, in round steps for the axis."""
    low, high = min(point.low for point in points), max(point.high for point in points)
    least = 2 * 10.0**-digits
    pad = max(0.08 * (high - low), (least - (high - low)) / 2, 0.0)
    step = 10.0**-digits
    low = math.floor((low - pad) / step + 1e-6) * step
    high = math.ceil((high + pad) / step - 1e-6) * step
    return max(low, limits[0]), min(high, limits[1])


def _scales(
    points: Sequence[Point], low: float, high: float, canvas: _Canvas
) -> tuple[Callable[[float], int], Callable[[float], int]]:
    """Scales from values to dots; y counts from the top. A single x is drawn in the middle."""
    xs = [point.x for point in points]
    first, last = min(xs), max(xs)
    edge = canvas.per_cell_x // 2

    def to_x(value: float) -> int:
        room = canvas.dots_x - 1 - 2 * edge
        part = (value - first) / (last - first) if last > first else 0.5
        return edge + round(part * room)

    def to_y(value: float) -> int:
        part = (min(max(value, low), high) - low) / (high - low) if high > low else 0.5
        return round((1 - part) * (canvas.dots_y - 1))

    return to_x, to_y


def _x_axis(places: dict[int, str], width: int) -> str:
    """Values under their points: the last always, the others from the left where there is room."""
    line = [" "] * width

    def start_of(cell: int, text: str) -> int:
        return max(0, min(cell - len(text) // 2, width - len(text)))

    order = sorted(places)
    free_from, last = 0, start_of(order[-1], places[order[-1]])
    for cell in order:
        text = places[cell]
        start = start_of(cell, text)
        ends = width if cell == order[-1] else last - 1
        if start >= free_from and start + len(text) <= ends:
            line[start : start + len(text)] = text
            free_from = start + len(text) + 1
    return "".join(line)


class _Canvas:
    """Dots of a chart: braille gives eight to a cell, plain text one."""

    def __init__(self, width: int, height: int, look: Look) -> None:
        self.width, self.height, self.fine = width, height, look.braille
        self.per_cell_x, self.per_cell_y = (2, 4) if self.fine else (1, 1)
        self.dots_x, self.dots_y = width * self.per_cell_x, height * self.per_cell_y
        self._lines = [[0] * width for _ in range(height)]
        self._rises = [[0] * width for _ in range(height)]
        self._points: set[tuple[int, int]] = set()

    def cell_of(self, x: int) -> int:
        return x // self.per_cell_x

    def line(self, x0: int, y0: int, x1: int, y1: int) -> None:
        count = max(abs(x1 - x0), abs(y1 - y0), 1)
        for n in range(count + 1):
            x, y = round(x0 + (x1 - x0) * n / count), round(y0 + (y1 - y0) * n / count)
            self._dot(self._lines, x, y)

    def rise(self, x: int, y0: int, y1: int) -> None:
        if y0 != y1:
            for y in range(min(y0, y1), max(y0, y1) + 1):
                self._dot(self._rises, x, y)

    def point(self, x: int, y: int) -> None:
        self._points.add((x // self.per_cell_x, y // self.per_cell_y))

    def _dot(self, layer: list[list[int]], x: int, y: int) -> None:
        bit = _BRAILLE[y % 4][x % 2] if self.fine else 1
        layer[y // self.per_cell_y][x // self.per_cell_x] |= bit

    def row(self, row: int) -> Content:
        """One row: the line in the accent colour, the spread muted; a cell with both shows both."""
        cells = (self._cell(x, row) for x in range(self.width))
        parts = groupby(cells, key=lambda cell: cell[1])
        return Content.assemble(*(("".join(c for c, _ in part), ink) for ink, part in parts))

    def _cell(self, x: int, y: int) -> tuple[str, str]:
        line, rise = self._lines[y][x], self._rises[y][x]
        if (x, y) in self._points:
            return POINT[self.fine], ACCENT
        if not line and not rise:
            return " ", ""
        ink = ACCENT if line else MUTED
        if self.fine:
            return chr(0x2800 + (line | rise)), ink
        return ("." if line else "|"), ink
