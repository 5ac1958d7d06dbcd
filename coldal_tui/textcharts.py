"""Charts as text, for the command line and the app: sparklines, columns, bars, line charts.

Pure functions that return characters without colour. Lines are drawn by plotext, which no other
module uses. ``plain`` asks for ASCII alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Literal

LEVELS, PLAIN_LEVELS = "▁▂▃▄▅▆▇█", ".:-=+*#"
"""Of a column's last cell, with Unicode and without; the last fills the cell."""
EIGHTHS = "▏▎▍▌▋▊▉█"
MARKS, PLAIN_MARKS = "●■▲◆+x*#%@", "ox+*#%@&$="
"""Of the points of a line chart's series, in their order."""

_PLAIN_FRAME = str.maketrans({"─": "-", "│": "|"} | dict.fromkeys("┌┐└┘├┤┬┴┼", "+"))

Ink = Literal["axis", "line", "spread", "none"]
"""What a part of a curve shows, for whoever gives it a colour."""
Row = list[tuple[str, Ink]]
Dot = tuple[int, int]


@dataclass(frozen=True)
class Point:
    """One point of a curve; ``low`` and ``high`` are the ends of its spread."""

    x: float
    y: float
    low: float
    high: float


def sparkline(
    values: Sequence[float], width: int | None = None, *, plain: bool = False, zero: bool = False
) -> str:
    """One cell per value, scaled from the least value (``zero``: from 0 or below) to the greatest.

    With more values than ``width``, a cell shows the mean of its share of them.
    """
    values = _thinned(values, width) if width is not None else values
    levels = _levels(plain)
    return "".join(levels[n] for n in _steps(values, len(levels) - 1, zero=zero))


def columns(values: Sequence[float], height: int, *, plain: bool = False) -> list[str]:
    """Columns ``height`` cells high that stand on 0, or on the least where that is below 0; what
    is least is still visible. Lines from the top.
    """
    levels = _levels(plain)
    units = [step + 1 for step in _steps(values, height * len(levels) - 1, zero=True)]
    return [
        "".join(_cell(unit - row * len(levels), levels) for unit in units)
        for row in reversed(range(height))
    ]


def bar(fraction: float, width: int, parts: str = EIGHTHS) -> str:
    """``width`` cells, filled to ``fraction`` (0 to 1); ``parts`` of a cell, the full one last."""
    steps = len(parts)
    units = round(max(0.0, min(1.0, fraction)) * width * steps)
    whole, part = divmod(units, steps)
    text = parts[-1] * whole + (parts[part - 1] if part else "")
    return text.ljust(width)


def _levels(plain: bool) -> str:
    return PLAIN_LEVELS if plain else LEVELS


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


def line_chart(
    x: Sequence[float],
    series: Sequence[Sequence[float]],
    width: int,
    height: int,
    *,
    plain: bool = False,
) -> list[str]:
    """Lines over one ``x`` in a frame with both axes; a mark (``marks``) at each series' points."""
    figure = _figure(width, height)
    figure.ruler("x").ticks(list(x))
    for values in series:
        line = figure.signal(list(x), list(values), marker="." if plain else "braille")
        figure.draw(line.lines())
    for mark, values in zip(marks(len(series), plain=plain), series, strict=True):
        figure.draw(figure.signal(list(x), list(values), marker=mark))
    rows = _text(figure)
    return [row.translate(_PLAIN_FRAME) for row in rows] if plain else rows


def marks(count: int, *, plain: bool = False) -> list[str]:
    """The marks of ``count`` series; they begin anew when there are no more."""
    known = PLAIN_MARKS if plain else MARKS
    return [known[n % len(known)] for n in range(count)]


def curve(
    points: Sequence[Point],
    width: int,
    height: int,
    *,
    plain: bool = False,
    digits: int = 2,
    limits: tuple[float, float] = (-math.inf, math.inf),
    x_word: str = "",
) -> list[Row]:
    """A line through ``points`` (by x), their spread, and both axes, in ``width`` by ``height``.

    The last line holds the values of x under their points, as many as there is room for, and
    ``x_word`` after the last. ``limits`` are values that y can't leave. Of points with the same
    x, which are drawn above each other, the line takes the last. Where there is no room for a
    chart, the lines are empty.
    """
    low, high = _y_range(points, limits, digits)
    names = [f"{value:.{digits}f}" for value in (high, (low + high) / 2, low)]
    margin = max(map(len, names)) + 1
    tail = f" {x_word}" if x_word else ""
    grid = _Grid(width - margin - max(1, len(tail)), height - 1, plain)
    if grid.width < 4 or grid.height < 2:
        return [[] for _ in range(height)]
    to_x, to_y = _scales(points, low, high, grid)
    rises = [((to_x(p.x), to_y(p.low)), (to_x(p.x), to_y(p.high))) for p in points]
    path = list({point.x: point for point in sorted(points, key=lambda p: p.x)}.values())
    lines = list(pairwise((to_x(point.x), to_y(point.y)) for point in path))
    dots = [(to_x(point.x), to_y(point.y)) for point in points]
    drawn = grid.rows(lines, [rise for rise in rises if rise[0] != rise[1]], dots)
    labels = {0: names[0], grid.height - 1: names[2]}
    if grid.height >= 5:
        labels[(grid.height - 1) // 2] = names[1]
    rows: list[Row] = [
        [(labels.get(n, "").rjust(margin - 1) + " ", "axis"), *cells]
        for n, cells in enumerate(drawn)
    ]
    places: dict[int, str] = {}
    for point in (path[-1], *path):
        places.setdefault(to_x(point.x) // grid.per_cell_x, f"{point.x:,.0f}")
    axis = _x_axis(places, grid.width)
    return [*rows, [(" " * margin + axis.rstrip() + tail, "axis")]]


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
    points: Sequence[Point], low: float, high: float, grid: _Grid
) -> tuple[Callable[[float], int], Callable[[float], int]]:
    """Scales from values to dots; y counts from the top. A single x is drawn in the middle."""
    xs = [point.x for point in points]
    first, last = min(xs), max(xs)
    edge = grid.per_cell_x // 2

    def to_x(value: float) -> int:
        room = grid.dots_x - 1 - 2 * edge
        part = (value - first) / (last - first) if last > first else 0.5
        return edge + round(part * room)

    def to_y(value: float) -> int:
        part = (min(max(value, low), high) - low) / (high - low) if high > low else 0.5
        return round((1 - part) * (grid.dots_y - 1))

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


class _Grid:
    """The dots of a curve: braille has two by four in a cell, plain text one."""

    def __init__(self, width: int, height: int, plain: bool) -> None:
        self.width, self.height, self.plain = width, height, plain
        self.per_cell_x, self.per_cell_y = (1, 1) if plain else (2, 4)
        self.dots_x, self.dots_y = width * self.per_cell_x, height * self.per_cell_y

    def rows(
        self,
        lines: Sequence[tuple[Dot, Dot]],
        rises: Sequence[tuple[Dot, Dot]],
        points: Sequence[Dot],
    ) -> list[Row]:
        """Points above lines above the spread; where line and spread meet, a cell of both."""
        over = self._layer(lines, "." if self.plain else "braille")
        under = self._layer(rises, "|" if self.plain else "braille")
        marked = {(x // self.per_cell_x, y // self.per_cell_y) for x, y in points}
        found: list[Row] = []
        for y, (line, spread) in enumerate(zip(over, under, strict=True)):
            cells = [
                (marks(1, plain=self.plain)[0], "line") if (x, y) in marked else self._both(*both)
                for x, both in enumerate(zip(line, spread, strict=True))
            ]
            parts = groupby(cells, key=lambda cell: cell[1])
            found.append([("".join(text for text, _ in part), ink) for ink, part in parts])
        return found

    def _both(self, line: str, spread: str) -> tuple[str, Ink]:
        if line == " ":
            return spread, "none" if spread == " " else "spread"
        if self.plain or spread == " ":
            return line, "line"
        return chr(ord(line) | ord(spread)), "line"

    def _layer(self, segments: Sequence[tuple[Dot, Dot]], marker: str) -> list[str]:
        """Segments between dots, drawn by plotext without frame, rulers and margin."""
        if not segments:
            return [" " * self.width] * self.height
        figure = _figure(self.width, self.height)
        figure.axes(active=False)
        both = figure.ruler("both", "both")
        both.frequency(0)
        # From the outer edge of the first dot to that of the last: each dot keeps its place.
        both.alignment(lim="edge")
        figure.ruler("x", "both").lim(-0.5, self.dots_x - 0.5)
        figure.ruler("y", "both").lim(-0.5, self.dots_y - 0.5)
        for (x0, y0), (x1, y1) in segments:
            # plotext counts y from the bottom.
            ys = (self.dots_y - 1 - y0, self.dots_y - 1 - y1)
            figure.draw(figure.segment((x0, x1), ys, marker=marker))
        rows = [row.ljust(self.width) for row in _text(figure)]
        return [*rows, *[" " * self.width] * (self.height - len(rows))]


def _figure(width: int, height: int) -> Any:
    """plotext's figure, of which there is one, emptied."""
    import plotext

    figure = plotext.figure
    # By default a chart is cut to the terminal's size, and to 80 by 22 where there is none.
    plotext.terminal.limit(False, False)
    figure.clear()
    # Without colours: marks tell series apart on every terminal and in a file.
    figure.theme("colorless")
    figure.plot_size(width, height)
    figure.legend(active=False)
    return figure


def _text(figure: Any) -> list[str]:
    import plotext

    text: str = plotext.uncolorize(figure.build())
    return text.rstrip("\n").split("\n")
