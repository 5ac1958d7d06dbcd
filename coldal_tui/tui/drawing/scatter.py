"""Scatter plots in cells: viewports, braille dots, density, the nearest point.

Pure functions on numpy arrays. A cell is two dots wide and four high, as in braille, and about
twice as high as wide, so that dots are square and one step of the view serves both axes. World
coordinates have y upwards, rows count downwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.int64]
Points = NDArray[np.float32]

WIDE, HIGH = 2, 4
"""Dots of a cell."""
BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint8)
"""Braille: the bit of each dot, top row first (Unicode 2800 to 28FF)."""
MARGIN = 1
"""Cells left free around the points when all of them are shown."""
CHUNK = 65_536
"""Points handled at a time, so that what is in between stays in the processor's cache."""


_LEAST_STEP = 1e-30
"""Points nearer to each other are in one place: single precision can't hold the scale."""


@dataclass(frozen=True)
class Viewport:
    """A window of ``columns`` x ``rows`` cells; ``step`` is the width of a dot in the world."""

    x: float
    y: float
    step: float
    columns: int
    rows: int

    @property
    def left(self) -> float:
        return self.x - self.columns * WIDE * self.step / 2

    @property
    def top(self) -> float:
        return self.y + self.rows * HIGH * self.step / 2

    def cells_of(self, xy: Points) -> tuple[Cells, Cells]:
        """Columns and rows of (N, 2) points; beyond the window they are negative or too large."""
        x, y = _dots(self, xy[:, 0], xy[:, 1])
        return np.floor(x / WIDE).astype(np.int64), np.floor(y / HIGH).astype(np.int64)

    def cell_of(self, xy: Points, n: int) -> tuple[int, int]:
        columns, rows = self.cells_of(xy[n : n + 1])
        return int(columns[0]), int(rows[0])

    def holds(self, column: int, row: int) -> bool:
        return 0 <= column < self.columns and 0 <= row < self.rows

    def centre_of(self, column: float, row: float) -> tuple[float, float]:
        """World coordinates of the middle of a cell."""
        return (
            self.left + (column + 0.5) * WIDE * self.step,
            self.top - (row + 0.5) * HIGH * self.step,
        )

    def panned(self, columns: float, rows: float) -> Viewport:
        """The window moved by this many cells to the right and down."""
        x, y = self.x + columns * WIDE * self.step, self.y - rows * HIGH * self.step
        return replace(self, x=x, y=y)

    def zoomed(self, factor: float, x: float, y: float) -> Viewport:
        """The window magnified by ``factor``; this world position stays fixed."""
        return replace(
            self,
            x=x + (self.x - x) / factor,
            y=y + (self.y - y) / factor,
            step=self.step / factor,
        )


def _dots(view: Viewport, x: Points, y: Points) -> tuple[Points, Points]:
    """Positions in dots from the window's upper left corner."""
    scale = np.float32(1 / view.step)
    return (x - np.float32(view.left)) * scale, (np.float32(view.top) - y) * scale


@dataclass(frozen=True)
class Bounds:
    """The smallest and largest coordinates."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def empty(self) -> bool:
        """Whether all points are at one place."""
        return self.left == self.right and self.bottom == self.top


def bounds_of(xy: Points) -> Bounds:
    """The bounds of (N, 2) points, N > 0."""
    x, y = xy[:, 0], xy[:, 1]
    return Bounds(float(x.min()), float(y.min()), float(x.max()), float(y.max()))


def _room(columns: int, rows: int) -> tuple[int, int]:
    """Dots across and down that the points may use, less a margin where there is room for one."""
    wide = max(1, columns - 2 * MARGIN if columns > 4 * MARGIN else columns) * WIDE
    tall = max(1, rows - 2 * MARGIN if rows > 4 * MARGIN else rows) * HIGH
    return wide, tall


def filling(bounds: Bounds, columns: int, rows: int) -> float:
    """The factor for y with which the points fill the window both ways; 1 for a line."""
    wide, tall = _room(columns, rows)
    width, height = bounds.right - bounds.left, bounds.top - bounds.bottom
    if width <= _LEAST_STEP or height <= _LEAST_STEP:
        return 1.0
    return (tall / height) / (wide / width)


def fit(bounds: Bounds, columns: int, rows: int) -> Viewport:
    """The window that shows all points, with a margin where there is room for one."""
    wide, tall = _room(columns, rows)
    # The last dot's far side is open: a point on it would be beyond.
    width, height = bounds.right - bounds.left, bounds.top - bounds.bottom
    step = max(width / wide, height / tall) * 1.0005
    x, y = bounds.left + width / 2, bounds.bottom + height / 2
    return Viewport(x, y, step if step > _LEAST_STEP else 1.0, columns, rows)


@dataclass(frozen=True, eq=False)
class Raster:
    """What is in a window of R x C cells.

    ``dots`` (4R, 2C) points on each dot; ``kinds`` (R, C, K) points of each kind in each cell.
    """

    dots: NDArray[np.int64]
    kinds: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Points in each cell, (R, C)."""
        return np.asarray(self.kinds.sum(axis=2))

    @cached_property
    def total(self) -> int:
        """Points in the window."""
        return int(self.dots.sum())


def rasterise(xy: Points, kind: NDArray[np.uint8], kinds: int, view: Viewport) -> Raster:
    """Count (N, 2) points by dot, and by cell and ``kind`` (N,), in one pass.

    Points beyond the window fall on a border of one cell that is cut off afterwards.
    """
    wide, tall = view.columns * WIDE + 2 * WIDE, view.rows * HIGH + 2 * HIGH
    bins = np.empty(len(xy), np.int64)
    for start in range(0, len(xy), CHUNK):
        part = slice(start, start + CHUNK)
        x, y = _dots(view, xy[part, 0], xy[part, 1])
        column = np.clip(x + WIDE, 0, wide - 1, out=x).astype(np.int64)
        row = np.clip(y + HIGH, 0, tall - 1, out=y).astype(np.int64)
        row *= wide
        row += column
        row *= kinds
        np.add(row, kind[part], out=bins[part])
    found = np.bincount(bins, minlength=tall * wide * kinds).reshape(tall, wide, kinds)
    inner = found[HIGH:-HIGH, WIDE:-WIDE]
    cells = inner.reshape(view.rows, HIGH, view.columns, WIDE, kinds).sum(axis=(1, 3))
    return Raster(inner.sum(axis=2), cells)


def _by_cell(dots: NDArray[np.int64]) -> NDArray[np.int64]:
    """(4R, 2C) as (R, C, 8), the dots of a cell row by row."""
    rows, columns = dots.shape[0] // HIGH, dots.shape[1] // WIDE
    parts: NDArray[np.int64] = dots.reshape(rows, HIGH, columns, WIDE).swapaxes(1, 2)
    return parts.reshape((rows, columns, HIGH * WIDE))


def braille(dots: NDArray[np.int64], most: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
    """The dot mask of each cell, (R, C): a dot where there is a point.

    With ``most`` (R, C), a cell has no more dots than that: those with the most points.
    """
    cells = _by_cell(dots)
    lit = cells > 0
    if most is not None:
        # Ties go to the dot that comes first in a spread-out order, so that no side is darker.
        spread = np.array([0, 5, 3, 6, 7, 2, 4, 1])
        order = np.argsort(-(cells * 8 + spread), axis=2)
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(8)[None, None, :], axis=2)
        lit &= rank < most[:, :, None]
    bits = np.where(lit, BITS.reshape(-1), 0)
    return np.asarray(bits.sum(axis=2), dtype=np.uint8)


def dominant(kinds: NDArray[np.int64]) -> NDArray[np.int64]:
    """The most frequent kind of each cell (the lower of equals), -1 for an empty cell.

    ``kinds`` counts the points of each kind: (rows, columns, kinds); returns (rows, columns).
    """
    return np.where(kinds.any(axis=2), kinds.argmax(axis=2), -1)


def mean_kind(kinds: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
    """The mean step of each cell, for kinds that are steps of a scale plus one for unknown.

    ``kinds`` counts the points of each kind: (rows, columns, kinds); returns (rows, columns).

    ``steps`` where no value is known, -1 in empty cells.
    """
    known = kinds[:, :, :steps]
    count = known.sum(axis=2)
    mean = (known * np.arange(steps)).sum(axis=2) / np.maximum(count, 1)
    step = np.where(count > 0, np.rint(mean).astype(np.int64), steps)
    return np.where(kinds.any(axis=2), step, -1)


@dataclass(frozen=True, eq=False)
class Density:
    """How crowded each cell is: ``level`` (R, C) from 0 to ``LEVELS`` - 1, and ``depth`` from 0
    (even: the levels need not be shown) to 1 (the crowded cells hold a hundred times as many).
    """

    level: NDArray[np.int64]
    depth: float


LEVELS = 6
EVEN, UNEVEN = 3.0, 60.0
"""Crowded over lonely cells: up to the first nothing is shaded, from the second on fully."""


def density(counts: NDArray[np.int64]) -> Density:
    """Levels on a logarithmic scale between the 5th and the 99th percentile of occupied cells.

    ``counts`` is (rows, columns).
    """
    occupied = counts[counts > 0]
    if not occupied.size:
        return Density(np.zeros_like(counts), 0.0)
    low, high = (max(1.0, float(v)) for v in np.percentile(occupied, [5, 99]))
    ratio = high / low
    if ratio <= EVEN:
        return Density(np.full_like(counts, LEVELS - 1), 0.0)
    share = np.log(np.maximum(counts, 1) / low) / math.log(ratio)
    level = np.clip((share * LEVELS).astype(np.int64), 0, LEVELS - 1)
    depth = math.log(ratio / EVEN) / math.log(UNEVEN / EVEN)
    return Density(level, min(1.0, depth))


def steps_of(
    values: NDArray[np.float32], steps: int
) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """Each value's step on a scale from the 2nd to the 98th percentile; ``steps`` for NaN.

    Returns the steps (N,) and the ends of the scale; both ends 0 where nothing is known.
    """
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(values), steps, np.uint8), (0.0, 0.0)
    low, high = (float(v) for v in np.percentile(values[known], [2, 98]))
    share = (np.where(known, values, low) - low) / ((high - low) or 1.0)
    step = np.clip((share * steps).astype(np.int64), 0, steps - 1)
    return np.where(known, step, steps).astype(np.uint8), (low, high)


def inside(xy: Points, view: Viewport, one: tuple[int, int], other: tuple[int, int]) -> Cells:
    """Indices of the points in the cells of a box between two corners, both included.

    ``xy`` is (N, 2); returns shape (M,).
    """
    columns, rows = view.cells_of(xy)
    left, right = sorted((one[0], other[0]))
    top, bottom = sorted((one[1], other[1]))
    held = (columns >= left) & (columns <= right) & (rows >= top) & (rows <= bottom)
    return np.flatnonzero(held)


def pick(xy: Points, view: Viewport, column: int, row: int, rank: NDArray[np.uint8]) -> int | None:
    """The point that a cell shows: of those in it the highest ``rank``, then the nearest to its
    middle; where the cell is empty, the nearest of all. None without points.

    ``xy`` is (N, 2), ``rank`` of shape (N,).
    """
    if not len(xy):
        return None
    columns, rows = view.cells_of(xy)
    here = np.flatnonzero((columns == column) & (rows == row))
    if here.size:
        here = here[rank[here] == rank[here].max()]
    x, y = view.centre_of(column, row)
    away = _squared(xy if not here.size else xy[here], x, y)
    n = int(away.argmin())
    return int(here[n]) if here.size else n


def _squared(xy: Points, x: float, y: float) -> NDArray[np.float32]:
    dx, dy = xy[:, 0] - np.float32(x), xy[:, 1] - np.float32(y)
    return np.asarray(dx * dx + dy * dy, dtype=np.float32)


def towards(
    xy: Points,
    view: Viewport,
    here: int,
    direction: tuple[int, int],
    rank: NDArray[np.uint8],
) -> int | None:
    """The nearest point in another cell in ``direction`` (columns, rows), one of them ±1.

    Looked for within 45 degrees first, then in all of that half; what is aside counts double.
    Of the points in the cell that is found: the highest ``rank``, then the nearest. None where
    there is no point in that direction.
    """
    away = np.abs(xy[:, 0] - xy[here, 0])
    np.maximum(away, np.abs(xy[:, 1] - xy[here, 1]), out=away)
    for columns in NEAR:
        near = np.flatnonzero(away <= np.float32(columns * WIDE * view.step))
        found = _towards(xy, near, view, here, direction, rank, cone=True)
        # A point beyond what was looked at may still be nearer than one in its corner.
        if found is not None and found[1] <= ((columns - 1) * WIDE) ** 2:
            return found[0]
    every = np.arange(len(xy))
    for cone in (True, False):
        found = _towards(xy, every, view, here, direction, rank, cone=cone)
        if found is not None:
            return found[0]
    return None


NEAR = (3, 12)
"""Columns around a point in which its neighbours are looked for first."""


def _towards(
    xy: Points,
    among: Cells,
    view: Viewport,
    here: int,
    direction: tuple[int, int],
    rank: NDArray[np.uint8],
    *,
    cone: bool,
) -> tuple[int, int] | None:
    """The point, and the squared distance of its cell."""
    columns, rows = view.cells_of(xy[among])
    column, row = view.cell_of(xy, here)
    dx, dy = (columns - column) * WIDE, (rows - row) * HIGH
    along = dx * direction[0] + dy * direction[1]
    across = np.abs(dx * direction[1] + dy * direction[0])
    ahead = np.flatnonzero((along > 0) & (across <= along) if cone else along > 0)
    if not ahead.size:
        return None
    far = along[ahead] ** 2 + 4 * across[ahead] ** 2
    least = int(far.min())
    best = among[ahead[far == least]]
    best = best[rank[best] == rank[best].max()]
    x, y = float(xy[here, 0]), float(xy[here, 1])
    return int(best[_squared(xy[best], x, y).argmin()]), least
