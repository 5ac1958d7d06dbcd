"""Turns a raster into characters and inks, in braille or ASCII, with marks and names on top.

``Canvas.text`` holds a character for each cell, ``Canvas.ink`` the number of its style; what the
numbers look like on this screen is the pane's to say. Pure functions on numpy arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from coldal_tui.tui.drawing.scatter import (
    LEVELS,
    Cells,
    Raster,
    braille,
    density,
    dominant,
    mean_kind,
)

BLANK = 0
ROOM = 4
"""Rows around a cell in which its cluster's name may be written."""
SPARSE = ".:"
"""The glyph for few points where more points are drawn as another glyph."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """(R, C) characters and ink. Ink 0 is empty; ``ink_of`` numbers the shades of the kinds;
    later numbers are those of marks, from ``marks`` on.
    """

    text: NDArray[np.str_]
    ink: NDArray[np.int64]
    marks: int
    depth: float

    def runs(self, row: int, *, over: tuple[int, int] | None = None) -> Iterator[tuple[str, int]]:
        """A row as pieces of text of one ink each; ``over``: a column with another mark's ink,
        its character as it is.
        """
        ink, letters = self.ink[row].copy(), self.text[row].tolist()
        if over is not None:
            ink[over[0]] = self.marks + over[1]
        text = "".join(letters)
        ends = [*(np.flatnonzero(np.diff(ink)) + 1).tolist(), len(ink)]
        start = 0
        for end in ends:
            yield text[start:end], int(ink[start])
            start = end

    def stamp(self, columns: Cells, rows: Cells, glyph: str, mark: int | Cells) -> None:
        """The same glyph in many cells, in one ink or (N,) inks; those outside are ignored."""
        high, wide = self.text.shape
        kept = (columns >= 0) & (columns < wide) & (rows >= 0) & (rows < high)
        self.text[rows[kept], columns[kept]] = glyph
        marks = np.broadcast_to(np.asarray(mark, np.int64), columns.shape)
        self.ink[rows[kept], columns[kept]] = self.marks + marks[kept]

    def write(self, column: int, row: int, words: str, ink: int) -> None:
        self.text[row, column : column + len(words)] = list(words)
        self.ink[row, column : column + len(words)] = ink


def ink_of(kind: int, level: int) -> int:
    """The ink of a shade: ``level`` from 0, the faintest, to ``LEVELS`` - 1."""
    return 1 + kind * LEVELS + level


def shades(ink: int) -> tuple[int, int]:
    """``(kind, level)`` of an ink; the inverse of ``ink_of``."""
    return divmod(ink - 1, LEVELS)


@dataclass(frozen=True)
class Manner:
    """How points are drawn.

    ``braille`` as dots, else as the kinds' ``glyphs``; ``scale`` for kinds that are steps of a
    scale with one more for unknown; ``thin`` shows density by the number of dots in a cell too.
    """

    braille: bool
    glyphs: tuple[str, ...]
    scale: bool = False
    thin: bool = False


def paint(raster: Raster, manner: Manner) -> Canvas:
    """Draw the points: their kind by colour or glyph, their number by shade or dots."""
    crowd = density(raster.counts)
    steps = len(manner.glyphs) - 1
    kind = mean_kind(raster.kinds, steps) if manner.scale else dominant(raster.kinds)
    if manner.braille:
        most = _fewer(crowd.level, crowd.depth) if manner.thin else None
        text = (braille(raster.dots, most).astype(np.uint32) + 0x2800).view("<U1")
        text = np.where(kind >= 0, text, " ")
    else:
        text = np.array([*manner.glyphs, " "])[kind]
        if not manner.scale and crowd.depth > 0:
            for level, glyph in enumerate(SPARSE):
                text[(kind >= 0) & (crowd.level == level)] = glyph
    ink = np.where(kind >= 0, 1 + kind * LEVELS + crowd.level, BLANK)
    return Canvas(text, ink, 1 + len(manner.glyphs) * LEVELS, crowd.depth)


def _fewer(level: NDArray[np.int64], depth: float) -> NDArray[np.int64]:
    """The most dots of a cell at each density level: all eight at the highest."""
    return 8 - np.rint((LEVELS - 1 - level) / (LEVELS - 1) * 7 * depth).astype(np.int64)


def name_clusters(
    canvas: Canvas,
    anchors: Sequence[tuple[int, int, int]],
    taken: NDArray[np.bool_],
    ink: int,
) -> None:
    """Write ``C1`` as near the cell of each ``(cluster, column, row)`` as there is room.

    ``taken`` (R, C): cells that must stay as they are, where there is another place. The name
    of cluster n has the ink ``ink + n``.
    """
    taken = taken.copy()
    high, wide = canvas.text.shape
    for cluster, column, row in anchors:
        words = f"C{cluster + 1}"
        near = [(column + right, row + down) for right, down in _around(len(words))]
        places = [at for at in near if 0 <= at[0] <= wide - len(words) and 0 <= at[1] < high]
        free = (at for at in places if not taken[at[1], at[0] : at[0] + len(words)].any())
        place = next(free, places[0] if places else None)
        if place is not None:
            canvas.write(*place, words, ink + cluster)
            taken[place[1], place[0] : place[0] + len(words)] = True


@lru_cache(8)
def _around(width: int) -> tuple[tuple[int, int], ...]:
    """Where a word may start beside a cell: the nearest first, right before left."""
    places = [
        (right, down)
        for down in range(-ROOM, ROOM + 1)
        for right in range(-width - 2 * ROOM, 2 * ROOM + 1)
        if down or not -width < right < 1
    ]
    # A cell is twice as high as wide; what counts is the middle of the word.
    return tuple(
        sorted(
            places,
            key=lambda place: (
                (place[0] + (width - 1) / 2) ** 2 + (2 * place[1]) ** 2,
                -place[0],
                place[1],
            ),
        )
    )


def outline(canvas: Canvas, box: tuple[int, int, int, int], lines: str, mark: int) -> None:
    """The border of a box of cells (left, top, right, bottom), both ends included.

    ``lines``: horizontal, vertical, and the four corners from the upper left clockwise.
    """
    left, top, right, bottom = box
    across, down, corners = lines[0], lines[1], lines[2:]
    columns, rows = np.arange(left, right + 1), np.arange(top, bottom + 1)
    for row in (top, bottom):
        canvas.stamp(columns, np.full_like(columns, row), across, mark)
    for column in (left, right):
        canvas.stamp(np.full_like(rows, column), rows, down, mark)
    places = ((left, top), (right, top), (right, bottom), (left, bottom))
    for (column, row), corner in zip(places, corners, strict=True):
        canvas.stamp(np.array([column]), np.array([row]), corner, mark)
