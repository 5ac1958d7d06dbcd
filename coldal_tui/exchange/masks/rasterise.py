"""Rasterises outlines by the rules of their tools, and combines drawings to one mask."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import MaskLayer, MaskPixels, ScanTarget
from coldal_tui.exchange.masks.picture_size import check_picture_size
from coldal_tui.exchange.masks.rle import check_size
from coldal_tui.exchange.name_meanings import NameMeanings
from coldal_tui.imaging.labelfile import BACKGROUND

MOST_POINTS = 250_000
"""Maximum number of points of one outline."""

MOST_LAYERS = 64
_FAR = 1e6
_REACH = 4
"""Points further away than this many picture sizes are invalid."""

_EDGE = 1.0
"""Pixels by which an outline may leave a picture whose size is not stated."""

_FINE = 5
"""COCO samples an outline at fifths of a pixel."""

_BLOCK = 1 << 21
_LONGEST = 1 << 26
"""Maximum length of one outline, in fifths of a pixel."""


@dataclass(frozen=True)
class Patch:
    """A part of a picture: the first pixel of ``drawn`` is at ``row``, ``column``."""

    drawn: NDArray[np.bool_]
    row: int = 0
    column: int = 0


def read_points(values: Any, reach: float = _FAR) -> NDArray[np.float64]:
    """The points of an outline, ``(n, 2)`` of x and y.

    ``values`` are pairs, or alternating x and y; none may exceed ``reach``.

    Raises
    ------
    ImageError : not numbers, not finite, far away, or too many (``damaged``).
    """
    if isinstance(values, Sequence) and len(values) > 2 * MOST_POINTS:
        raise _bad(f"an outline has {len(values)} points")
    try:
        points = np.array(values, dtype=np.float64)
        points = points.reshape(-1, 2)
    except (TypeError, ValueError, OverflowError) as error:
        raise _bad("an outline is no list of points") from error
    if len(points) > MOST_POINTS:
        raise _bad(f"an outline has {len(points)} points")
    if not np.isfinite(points).all():
        raise _bad("an outline has a point that is no number")
    if points.size and np.abs(points).max() > reach:
        raise _bad("an outline has a point far outside the picture")
    return points


def fill_polygon(points: NDArray[np.float64], rows: int, columns: int) -> Patch | None:
    """The pixels inside an outline, by the rule of COCO, CVAT and Label Studio's COCO export.

    The rule of the COCO API (``rleFrPoly``): the outline is sampled at fifths of a pixel, and
    crosses a column at the column's centre; a pixel is inside if its centre is, by the even-odd
    rule. None if nothing is inside.

    Parameters
    ----------
    points : ``(n, 2)`` of x and y, with the picture's corner at (0, 0); closed automatically.

    Raises
    ------
    ImageError : the outline is too long.
    """
    if len(points) < 3:
        return None
    scaled = np.trunc(_FINE * points + 0.5).astype(np.int64)
    crossings = list(_crossings(scaled, rows, columns))
    column = np.concatenate([c for c, _ in crossings]) if crossings else np.zeros(0, np.int64)
    if not column.size:
        return None
    row = np.concatenate([r for _, r in crossings])
    left, top = int(column.min()), int(row.min())
    width, height = int(column.max()) - left + 1, int(row.max()) - top
    if height < 1:
        return None
    toggles = np.zeros((height + 1, width), dtype=np.uint8)
    np.bitwise_xor.at(toggles, (row - top, column - left), 1)
    inside = np.bitwise_xor.accumulate(toggles, axis=0)[:height].astype(bool)
    return Patch(inside, top, left)


def _crossings(
    scaled: NDArray[np.int64], rows: int, columns: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Columns that the outline crosses, and the first row after each crossing."""
    start, end = scaled, np.roll(scaled, -1, axis=0)
    reach = np.abs(end - start)
    steps = reach.max(axis=1)
    if int(steps.sum()) > _LONGEST:
        raise _bad("an outline is longer than any that fits the picture")
    # Start at the end with the smaller coordinate, so that both directions round equally.
    flat = reach[:, 0] >= reach[:, 1]
    major = np.where(flat, 0, 1)
    index = np.arange(len(start))
    swap = start[index, major] > end[index, major]
    low, high = np.where(swap[:, None], end, start), np.where(swap[:, None], start, end)
    minor = 1 - major
    slope = (high - low)[index, minor] / np.maximum(steps, 1)
    block = np.cumsum(steps + 1) // _BLOCK
    for part in np.split(index, np.flatnonzero(np.diff(block)) + 1):
        # The points on either side of each step along the edge.
        edge = np.repeat(part, steps[part])
        ahead = np.cumsum(steps[part]) - steps[part]
        step = np.arange(len(edge)) - np.repeat(ahead, steps[part])
        along = low[edge, major[edge]] + step
        across, beyond = (
            np.trunc(low[edge, minor[edge]] + slope[edge] * at + 0.5).astype(np.int64)
            for at in (step, step + 1)
        )
        is_flat = flat[edge]
        x, next_x = np.where(is_flat, along, across), np.where(is_flat, along + 1, beyond)
        y, next_y = np.where(is_flat, across, along), np.where(is_flat, beyond, along + 1)
        smaller = np.minimum(x, next_x)
        column, rest = np.divmod(smaller - (_FINE // 2), _FINE)
        found = (x != next_x) & (rest == 0) & (column >= 0) & (column < columns)
        height = (np.minimum(y, next_y)[found] + 0.5) / _FINE - 0.5
        yield column[found], np.ceil(np.clip(height, 0, rows)).astype(np.int64)


def fill_ellipse(
    centre: tuple[float, float],
    radii: tuple[float, float],
    angle: float,
    rows: int,
    columns: int,
) -> Patch | None:
    """Pixels whose centres lie in an ellipse, rotated clockwise by ``angle`` degrees."""
    (x, y), (a, b) = read_points([centre]).tolist()[0], read_points([radii]).tolist()[0]
    if not math.isfinite(angle):
        raise _bad("an ellipse is turned by something that is no number")
    reach = max(a, b)
    left, right = max(0, math.floor(x - reach)), min(columns, math.ceil(x + reach))
    top, bottom = max(0, math.floor(y - reach)), min(rows, math.ceil(y + reach))
    if min(a, b) <= 0 or left >= right or top >= bottom:
        return None
    dx = np.arange(left, right)[None, :] + 0.5 - x
    dy = np.arange(top, bottom)[:, None] + 0.5 - y
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    inside = ((dx * cos + dy * sin) / a) ** 2 + ((dy * cos - dx * sin) / b) ** 2 <= 1
    return Patch(inside, top, left)


@dataclass
class Canvas:
    """Drawings of classes on one picture.

    Drawings of one class are joined; overlapping classes are kept in separate layers: the project's
    class order decides later, not the drawing order. Only a drawing on a higher level
    (``on_level``) always covers a lower one. A drawing of background erases earlier drawings: this
    is how tools without holes make them. ``sized`` is False where the file states no size of the
    picture: then points outside mean that it was drawn on another one.
    """

    rows: int
    columns: int
    notes: list[str] = field(default_factory=list)
    meanings: NameMeanings | None = None
    sized: bool = True
    _level: int = 0
    _numbers: dict[str, int] = field(default_factory=dict)
    _layers: list[_Layer] = field(default_factory=list)
    _cut: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.rows, self.columns = check_size(self.rows, self.columns)

    @classmethod
    def onto(cls, target: ScanTarget, rows: Any, columns: Any, turned: int = 0) -> Canvas:
        """A canvas of the size that the file states, which must be the scan's size.

        If the file states none, the scan's size is used; if the tool had ``turned`` the picture by
        a right angle, the sides may be swapped. Checking before drawing limits memory to the scan's
        size.

        Raises
        ------
        ImageError : as ``check_size`` and ``check_picture_size``.
        """
        if rows is None and columns is None and len(target.shape) == 2:
            return cls(*target.shape, meanings=target.meanings, sized=False)
        size = check_size(rows, columns)
        fits = size[::-1] if turned % 180 == 90 and size[::-1] == target.shape else size
        check_picture_size(target, *fits)
        return cls(*size, meanings=target.meanings)

    def points(self, values: Any) -> NDArray[np.float64]:
        """The points of an outline on this picture.

        Raises
        ------
        ImageError : as ``read_points``; ``wrong-size`` if they leave a picture whose size the file
            does not state.
        """
        points = read_points(values, _REACH * max(self.rows, self.columns))
        if not self.sized and points.size:
            x, y = points.max(axis=0).tolist()
            if x > self.columns + _EDGE or y > self.rows + _EDGE or points.min() < -_EDGE:
                raise ImageError(
                    f"an outline reaches x = {x:g}, y = {y:g}; the image has {self.columns}×"
                    f"{self.rows} pixels (width×height), and the file does not state another size",
                    remedy="Draw it on the image at its own size, and export it from there.",
                    code="wrong-size",
                )
        return points

    def polygon(self, name: str, points: Any) -> None:
        """Draw an outline by COCO's rule. Raises ImageError."""
        self.patch(name, fill_polygon(self.points(points), self.rows, self.columns))

    def outlines(self, name: str, paths: Sequence[Any]) -> None:
        """Draw several outlines as one shape: where two overlap is a hole."""
        found = [fill_polygon(self.points(path), self.rows, self.columns) for path in paths]
        patches = [one for one in found if one is not None]
        if len(patches) < 2:
            self.patch(name, patches[0] if patches else None)
            return
        top, left = min(one.row for one in patches), min(one.column for one in patches)
        height = max(one.row + one.drawn.shape[0] for one in patches) - top
        width = max(one.column + one.drawn.shape[1] for one in patches) - left
        inside = np.zeros((height, width), dtype=bool)
        for one in patches:
            row, column = one.row - top, one.column - left
            rows, columns = one.drawn.shape
            inside[row : row + rows, column : column + columns] ^= one.drawn
        self.patch(name, Patch(inside, top, left))

    def patch(self, name: str, patch: Patch | None) -> None:
        """Draw pixels of a class; those outside the picture are cut off."""
        number = self._numbers.setdefault(name, len(self._numbers) + 1)
        if number > np.iinfo(np.uint16).max:
            raise _bad("it has more classes than a mask can hold")
        if patch is None:
            return
        top, left = max(patch.row, 0), max(patch.column, 0)
        drawn = patch.drawn[
            top - patch.row : self.rows - patch.row,
            left - patch.column : self.columns - patch.column,
        ]
        if drawn.size and drawn.any():
            region = slice(top, top + drawn.shape[0]), slice(left, left + drawn.shape[1])
            if self.meanings is not None and self.meanings.said(name) == BACKGROUND:
                self._take_away(drawn, region)
            else:
                self._draw(number, drawn, region)

    def on_level(self, level: int) -> None:
        """Continue drawing on this level of the file's order; levels never decrease."""
        if level != self._level and self._layers:
            self._lower()
        self._level = level

    def _lower(self) -> None:
        """Merge the highest level into the one below if they don't overlap."""
        levels = sorted({layer.level for layer in self._layers})
        if len(levels) < 2:
            return
        below = [layer for layer in self._layers if layer.level == levels[-2]]
        top = [layer for layer in self._layers if layer.level == levels[-1]]
        if any(_overlap(one.array, other.array) for one in top for other in below):
            return
        for one in top:
            self._layers.remove(one)
        for one in top[: len(below)]:
            np.maximum(below[top.index(one)].array, one.array, out=below[top.index(one)].array)
        self._layers += [_Layer(one.array, levels[-2]) for one in top[len(below) :]]

    def _draw(self, number: int, drawn: NDArray[np.bool_], region: tuple[slice, slice]) -> None:
        for layer in self._layers:
            there = layer.array[region][drawn]
            if layer.level == self._level and not ((there != 0) & (there != number)).any():
                layer.array[region][drawn] = number
                return
        if len(self._layers) >= MOST_LAYERS:
            raise _bad(f"more than {MOST_LAYERS} classes overlap in one place")
        layer = _Layer(np.zeros((self.rows, self.columns), np.uint16), self._level)
        layer.array[region][drawn] = number
        self._layers.append(layer)

    def _take_away(self, drawn: NDArray[np.bool_], region: tuple[slice, slice]) -> None:
        """Erase earlier drawings with background."""
        names = {number: name for name, number in self._numbers.items()}
        for layer in self._layers:
            values, counts = np.unique(layer.array[region][drawn], return_counts=True)
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                if value:
                    self._cut[names[value]] += count
            layer.array[region][drawn] = 0

    def pixels(self, turned: int = 0) -> MaskPixels:
        """The mask, with class names as given, and layers for overlapping drawings."""
        names = {number: name for name, number in self._numbers.items()}
        empty = _Layer(np.zeros((self.rows, self.columns), dtype=np.uint16), 0)
        first, *further = sorted(self._layers, key=lambda layer: layer.level) or [empty]
        levels = sorted({layer.level for layer in self._layers})
        notes = [*self.notes]
        if self._cut:
            words = ", ".join(f"{count} pixels of {name!r}" for name, count in self._cut.items())
            notes.append(f"drawings of background took away {words}")
        left = {number for layer in self._layers for number in np.unique(layer.array).tolist()}
        gone = [name for name in self._cut if self._numbers[name] not in left]
        return MaskPixels(
            first.array,
            "rows",
            names=names,
            notes=tuple(notes),
            layers=tuple(
                MaskLayer(layer.array, names, levels.index(layer.level)) for layer in further
            ),
            numbered=False,
            turned=turned,
            warnings=tuple(f"nothing is left of {n!r}: background covers it" for n in gone),
        )


@dataclass(frozen=True, eq=False)
class _Layer:
    """Class numbers on the whole picture, ``(rows, columns)``, and their level."""

    array: NDArray[np.uint16]
    level: int


def _overlap(one: NDArray[np.uint16], other: NDArray[np.uint16]) -> bool:
    """Whether two drawings give one pixel to different classes."""
    return bool(((one != 0) & (other != 0) & (one != other)).any())


def _bad(what: str) -> ImageError:
    return ImageError(what, remedy="Draw or export it again.", code="damaged")
