"""Curves over label counts as shapes, which a writer turns into SVG or PNG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]

WIDTH, HEIGHT = 720, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 24, 44, 54
_LEGEND_LINE = 18
INK, FAINT = "#222222", "#d9d9d9"
# Okabe and Ito's colours, distinguishable with any colour vision; random is black.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8a6d00")
_MARKERS: tuple[Literal["circle", "square", "triangle", "diamond"], ...] = (
    "circle",
    "square",
    "triangle",
    "diamond",
)


@dataclass(frozen=True)
class Line:
    points: tuple[Point, ...]
    colour: str
    width: float = 1.0
    dashed: bool = False


@dataclass(frozen=True)
class Marker:
    """The marker of a series: its shape distinguishes it, too, not only its colour."""

    at: Point
    shape: Literal["circle", "square", "triangle", "diamond"]
    colour: str
    filled: bool = True

    def corners(self, size: float = 4.5) -> tuple[Point, ...]:
        """The outline of a marker with corners; of a circle, the ends of its diameter."""
        x, y = self.at
        if self.shape == "square":
            half = size * 0.9
            around: list[Point] = [(-half, -half), (half, -half), (half, half), (-half, half)]
        elif self.shape == "triangle":
            around = [(0, -size * 1.1), (size * 1.05, size * 0.85), (-size * 1.05, size * 0.85)]
        elif self.shape == "diamond":
            around = [(0, -size * 1.2), (size * 1.2, 0), (0, size * 1.2), (-size * 1.2, 0)]
        else:
            around = [(-size, -size), (size, size)]
        return tuple((x + dx, y + dy) for dx, dy in around)


@dataclass(frozen=True)
class Text:
    at: Point
    words: str
    anchor: Anchor = "middle"
    size: int = 12
    upright: bool = False
    """Turned to read from bottom to top."""


Shape = Line | Marker | Text


@dataclass(frozen=True)
class Picture:
    width: int
    height: int
    shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class Series:
    """A named curve; each point is (x, mean, low, high)."""

    name: str
    points: tuple[tuple[float, float, float, float], ...]


def series_of(group: dict[str, Any], measure: str) -> list[Series]:
    """The curves of a group's arms: Dice, HD or HD95 with their intervals."""
    found = []
    for arm in group["arms"]:
        stats = [(point["labels"], point.get(measure)) for point in arm["points"]]
        points = tuple(
            (float(labels), stat["mean"], stat["low"], stat["high"])
            for labels, stat in stats
            if stat is not None and None not in stat.values()
        )
        found.append(Series(arm["arm"], points))
    return found


def differences_of(group: dict[str, Any]) -> list[Series]:
    """Each arm's Dice minus that of random, with the interval that its verdict is based on."""
    found = []
    for arm in group["arms"]:
        stats = [(point["labels"], point.get("minus_random")) for point in arm["points"]]
        points = tuple(
            (float(labels), stat["mean"], stat["low"], stat["high"])
            for labels, stat in stats
            if stat is not None and stat["low"] is not None
        )
        if points:
            found.append(Series(arm["arm"], points))
    return found


def draw(
    curves: Sequence[Series], title: str, y_label: str, *, level: tuple[str, float] | None = None
) -> Picture:
    """Curves with intervals over label counts; ``level`` is a named dashed line."""
    x_values = sorted({point[0] for one in curves for point in one.points})
    y_values = [value for one in curves for point in one.points for value in point[1:]]
    if level is not None:
        y_values.append(level[1])
    if not x_values or not y_values:
        return Picture(WIDTH, HEIGHT, (Text((WIDTH / 2, HEIGHT / 2), "nothing to draw"),))
    names = [one.name for one in curves] + ([level[0]] if level is not None else [])
    bottom = _BOTTOM + _LEGEND_LINE * math.ceil(len(names) / 3)
    ticks = _ticks(min(y_values), max(y_values))
    frame = _Frame(x_values, ticks, bottom)
    shapes: list[Shape] = [Text((WIDTH / 2, 24), title, size=15)]
    shapes += _axes(frame, x_values, ticks, y_label, bottom)
    if level is not None:
        y = frame.y(level[1])
        shapes.append(Line(((_LEFT, y), (WIDTH - _RIGHT, y)), INK, 1.0, dashed=True))
    for number, one in enumerate(curves):
        shapes += _curve(frame, one, number, len(curves), style_of(curves, number))
    for number, name in enumerate(names):
        shapes += _legend(name, number, style_of(curves, number), bottom, number >= len(curves))
    return Picture(WIDTH, HEIGHT + bottom - _BOTTOM, tuple(shapes))


@dataclass(frozen=True)
class Style:
    colour: str
    shape: Literal["circle", "square", "triangle", "diamond"]
    dashed: bool
    filled: bool


def style_of(curves: Sequence[Series], number: int) -> Style:
    """Random is black and dashed; the others take colours and shapes in turn."""
    if number < len(curves) and curves[number].name == "random":
        return Style(INK, "circle", dashed=True, filled=False)
    place = sum(one.name != "random" for one in curves[:number])
    colour = _COLOURS[place % len(_COLOURS)]
    # Seven colours and four shapes distinguish 28 arms.
    return Style(colour, _MARKERS[place % len(_MARKERS)], dashed=False, filled=True)


class _Frame:
    """Converts values to positions in the picture."""

    def __init__(self, x_values: Sequence[float], ticks: Sequence[float], bottom: int) -> None:
        self._x = (x_values[0], x_values[-1])
        self._y = (ticks[0], ticks[-1])
        self.floor = HEIGHT - _BOTTOM

    def x(self, value: float) -> float:
        low, high = self._x
        room = WIDTH - _LEFT - _RIGHT
        inset = 36.0
        part = 0.5 if high == low else (value - low) / (high - low)
        return _LEFT + inset + part * (room - 2 * inset)

    def y(self, value: float) -> float:
        low, high = self._y
        return self.floor - (value - low) / (high - low) * (self.floor - _TOP)


def _axes(
    frame: _Frame, x_values: Sequence[float], ticks: Sequence[float], y_label: str, bottom: int
) -> list[Shape]:
    shapes: list[Shape] = []
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    for tick in ticks:
        y = frame.y(tick)
        shapes.append(Line(((_LEFT, y), (WIDTH - _RIGHT, y)), FAINT, 1.0))
        shapes.append(Text((_LEFT - 8, y + 4), f"{tick:.{digits}f}", "end"))
    shapes.append(Line(((_LEFT, _TOP), (_LEFT, frame.floor)), INK, 1.0))
    shapes.append(Line(((_LEFT, frame.floor), (WIDTH - _RIGHT, frame.floor)), INK, 1.0))
    for value in x_values:
        x = frame.x(value)
        shapes.append(Line(((x, frame.floor), (x, frame.floor + 5)), INK, 1.0))
        shapes.append(Text((x, frame.floor + 19), f"{value:g}"))
    shapes.append(Text(((_LEFT + WIDTH - _RIGHT) / 2, frame.floor + 38), "labels"))
    shapes.append(Text((20, (_TOP + frame.floor) / 2), y_label, upright=True))
    return shapes


def _curve(frame: _Frame, one: Series, number: int, count: int, style: Style) -> list[Shape]:
    # Draw intervals at the same label count side by side.
    aside = (number - (count - 1) / 2) * 7
    shapes: list[Shape] = []
    places = []
    for x_value, mean, low, high in one.points:
        x = frame.x(x_value) + aside
        places.append((x, frame.y(mean)))
        ends = (frame.y(low), frame.y(high))
        shapes.append(Line(((x, ends[0]), (x, ends[1])), style.colour, 1.2))
        shapes += [Line(((x - 3, y), (x + 3, y)), style.colour, 1.2) for y in ends]
    shapes.append(Line(tuple(places), style.colour, 1.8, style.dashed))
    shapes += [Marker(at, style.shape, style.colour, style.filled) for at in places]
    return shapes


def _legend(name: str, number: int, style: Style, bottom: int, level: bool) -> list[Shape]:
    row, column = divmod(number, 3)
    x = _LEFT + column * (WIDTH - _LEFT - _RIGHT) / 3
    y = HEIGHT - 4 + row * _LEGEND_LINE
    if level:
        return [
            Line(((x, y), (x + 26, y)), INK, 1.0, dashed=True),
            Text((x + 32, y + 4), name, "start"),
        ]
    return [
        Line(((x, y), (x + 26, y)), style.colour, 1.8, style.dashed),
        Marker((x + 13, y), style.shape, style.colour, style.filled),
        Text((x + 32, y + 4), name, "start"),
    ]


def _ticks(low: float, high: float) -> list[float]:
    """Four to nine round values from below the least to above the greatest."""
    width = max(high - low, 1e-3)
    step = 10 ** math.floor(math.log10(width / 4))
    step *= next(one for one in (1, 2, 5, 10) if width / (step * one) <= 7)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [n * step for n in range(first, max(last, first + 1) + 1)]
