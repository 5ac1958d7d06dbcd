"""The state of the map without a screen: viewport, cursor, what to draw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.project.views.map_view import STATUSES, MapView
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.drawing.scatter import (
    Cells,
    Points,
    Raster,
    Viewport,
    bounds_of,
    filling,
    fit,
    inside,
    pick,
    rasterise,
    towards,
)
from coldal_tui.tui.drawing.scatter_cells import (
    BLANK,
    Canvas,
    Manner,
    name_clusters,
    outline,
    paint,
)
from coldal_tui.tui.map.colouring import CLUSTER, Colouring

MARKS = ("labelled", "exported", "queued", "same", "medoid", "box", "here")
"""Marks on the map, each above those before it; ``same``: has the name of the one under the
cursor. Names of clusters are written in the marks after these."""
STATES = ("labelled", "exported", "queued")
MOST_ZOOM = 4096.0
FEW_CELLS, STILL_FEW_CELLS, AGAIN_FEW_CELLS = 3, 2, 4
"""Points are few when there are so many cells for each of them. Those that were few stay so a
little longer, those that were many as well: a row less does not change how a map is drawn.
"""
MOST_STRETCH = 8.0
"""How much higher or flatter than it is a map is drawn at most, to fill its pane."""
FARTHEST = 0.15
"""How near the edge, as a share of the window, the cursor may come by moving."""

Cell = tuple[int, int]
"""Column and row."""


@dataclass(frozen=True)
class Box:
    """A selection box by two corners, both included; ``done`` once it is fixed."""

    one: Cell
    other: Cell
    done: bool = False

    @property
    def sides(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom."""
        left, right = sorted((self.one[0], self.other[0]))
        top, bottom = sorted((self.one[1], self.other[1]))
        return left, top, right, bottom


class MapModel:
    """One map in a viewport of cells; ``canvas`` is redrawn only after a change."""

    def __init__(self, look: Look, map_view: MapView, colouring: Colouring) -> None:
        self.look = look
        self.map_view = map_view
        self.colouring = colouring
        self.here: int | None = None
        self.zoom = 1.0
        self.box: Box | None = None
        self.glyphs: bool | None = None
        """Points as glyphs rather than dots; None: where there are few of them."""
        self.marks = True
        self.colourless = False
        self._points: Points = np.empty((0, 2), np.float32)
        self._stretch = 1.0
        self._few: bool | None = None
        self._rank: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._marked: dict[str, NDArray[np.int64]] = {}
        self._centre: tuple[float, float] | None = None
        self._size = (0, 0)
        self._view: Viewport | None = None
        self._raster: Raster | None = None
        self._canvas: Canvas | None = None
        self.show(map_view, colouring)

    # What it shows

    def show(self, map_view: MapView, colouring: Colouring) -> None:
        """Show a newer state of the same map; the view and the cursor's scan stay."""
        here = None if self.here is None else self.map_view.scan_ids[self.here]
        if self.map_view.map_id != map_view.map_id:
            self.fit_all()
            self._few = None
        self._fill(map_view)
        self._view = None
        self.map_view = map_view
        self.here = None if here is None else map_view.index.get(here)
        self._marked = {
            name: np.flatnonzero(map_view.status == STATUSES.index(name)) for name in STATES
        }
        self._marked["medoid"] = map_view.medoids
        self._rank = np.zeros(len(map_view), np.uint8)
        for rank, name in enumerate(MARKS):
            if name in self._marked:
                self._rank[self._marked[name]] = rank + 1
        self.recolour(colouring)

    def _fill(self, map_view: MapView) -> None:
        """Stretch the y axis so that the points fill the window: t-SNE axes have no unit."""
        before, self._stretch = self._stretch, 1.0
        bounds = bounds_of(map_view.xy)
        columns, rows = self._size
        if columns and rows:
            self._stretch = min(MOST_STRETCH, max(1 / MOST_STRETCH, filling(bounds, columns, rows)))
        self._points = np.asfortranarray(map_view.xy * np.array([1.0, self._stretch], np.float32))
        self.bounds = bounds_of(self._points)
        if self._centre is not None:
            self._centre = (self._centre[0], self._centre[1] * self._stretch / before)

    def recolour(self, colouring: Colouring) -> None:
        self.colouring = colouring
        self._changed(raster=True)

    def resize(self, columns: int, rows: int) -> None:
        if (columns, rows) != self._size:
            self._size = (columns, rows)
            self._fill(self.map_view)
            self.box = None
            self._changed(view=True)

    def toggle_glyphs(self) -> None:
        """Switch between dots and glyphs, or back to the automatic choice."""
        self.glyphs = self.in_dots if self.glyphs is None else None
        self._changed()

    def toggle_marks(self) -> None:
        self.marks = not self.marks
        self._changed()

    def _changed(self, *, view: bool = False, raster: bool = False) -> None:
        self._canvas = None
        if view or raster:
            self._raster = None
        if view:
            self._view = None

    # Where it looks

    @property
    def view(self) -> Viewport:
        """The current window; at zoom 1 the whole map."""
        if self._view is None:
            columns, rows = self._size
            whole = fit(self.bounds, max(1, columns), max(1, rows))
            x, y = (whole.x, whole.y) if self._centre is None else self._centre
            self._view = replace(whole, x=x, y=y, step=whole.step / self.zoom)
        return self._view

    def fit_all(self) -> None:
        self._look_at(None, 1.0)

    def _look_at(self, centre: tuple[float, float] | None, zoom: float) -> None:
        self._centre, self.zoom = centre, zoom
        if self.box is not None:
            self.box = None
        self._changed(view=True)

    def zoom_by(self, factor: float, at: Cell | None = None) -> None:
        """Zoom around a cell; default: the cursor, else the middle."""
        zoom = min(MOST_ZOOM, self.zoom * factor)
        if zoom < 1.01:
            self.fit_all()
            return
        place = self.view.x, self.view.y
        if at is not None:
            place = self.view.centre_of(*at)
        elif self.here is not None and self.cell_of_cursor() is not None:
            place = self._place_of(self.here)
        moved = self.view.zoomed(zoom / self.zoom, *place)
        self._look_at(self._kept_near(moved), zoom)

    def zoom_to(self, sides: tuple[int, int, int, int]) -> None:
        """Zoom in until a box of cells fills the window."""
        left, top, right, bottom = sides
        view = self.view
        factor = min(view.columns / (right - left + 1), view.rows / (bottom - top + 1))
        zoom = min(MOST_ZOOM, self.zoom * factor)
        self._look_at(view.centre_of((left + right) / 2, (top + bottom) / 2), zoom)

    def pan(self, columns: float, rows: float) -> None:
        self._look_at(self._kept_near(self.view.panned(columns, rows)), self.zoom)

    def _kept_near(self, view: Viewport) -> tuple[float, float]:
        """The middle of a window, limited to the bounds of the points."""
        x = min(max(view.x, self.bounds.left), self.bounds.right)
        y = min(max(view.y, self.bounds.bottom), self.bounds.top)
        return x, y

    def look_back(self, zoom: float, x: float, y: float) -> None:
        """Restore the view of an earlier session: its zoom and centre."""
        self._look_at((x, y) if zoom > 1 else None, min(MOST_ZOOM, max(1.0, zoom)))

    # From one session to the next

    def state(self) -> dict[str, Any]:
        """The view and the way of drawing points (JSON types only)."""
        view = self.view
        place = {"zoom": self.zoom, "x": view.x, "y": view.y / self._stretch}
        return {"map": self.map_view.map_id, **place, "glyphs": self.glyphs, "marks": self.marks}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore an earlier session's view of this map; invalid values are ignored."""
        if isinstance(state.get("glyphs"), bool):
            self.glyphs = state["glyphs"]
        if state.get("marks") is False:
            self.toggle_marks()
        place = [state.get(key) for key in ("zoom", "x", "y")]
        if state.get("map") == self.map_view.map_id and all(_is_number(value) for value in place):
            zoom, x, y = (float(value) for value in place if value is not None)
            self.look_back(zoom, x, y * self._stretch)

    # The cursor

    def marked(self) -> dict[str, int]:
        """The number of scans with each mark."""
        counts = {name: len(rows) for name, rows in self._marked.items()}
        return counts | {"same": len(self.same())}

    def after(self, rows: Sequence[int], by: int) -> int:
        """The row ``by`` places after the cursor's in ``rows``; the first if it is in none."""
        here = (-1 if by > 0 else 0) if self.here not in rows else rows.index(self.here)
        return rows[(here + by) % len(rows)]

    def _place_of(self, n: int) -> tuple[float, float]:
        return float(self._points[n, 0]), float(self._points[n, 1])

    def cell_of(self, n: int) -> Cell:
        return self.view.cell_of(self._points, n)

    def cell_of_cursor(self) -> Cell | None:
        """The cell of the cursor; None when it is outside the window."""
        if self.here is None:
            return None
        cell = self.cell_of(self.here)
        return cell if self.view.holds(*cell) else None

    def go_to(self, n: int | None) -> None:
        """Put the cursor on a scan. A scan beyond the window or, magnified, at its edge is
        brought into it.
        """
        before, self.here = self.here, n
        if self.colouring.codes is not None and before != n:
            self._changed()
        if n is None:
            return
        column, row = self.cell_of(n)
        if not self.view.holds(column, row):
            over = (_beyond(column, self.view.columns), _beyond(row, self.view.rows))
            near = abs(over[0]) < self.view.columns / 2 and abs(over[1]) < self.view.rows / 2
            moved = self._kept_near(self.view.panned(*over)) if near else self._place_of(n)
            self._look_at(moved, self.zoom)

    def beside(self, direction: Cell) -> int | None:
        """The scan that one cursor step leads to; None where there is none.

        Without a cursor in view it is the scan in the middle.
        """
        if self.here is None or self.cell_of_cursor() is None:
            return self.at((self.view.columns // 2, self.view.rows // 2))
        return towards(self._points, self.view, self.here, direction, self._rank)

    def at(self, cell: Cell) -> int | None:
        """The scan that a cell shows, else the nearest to it."""
        return pick(self._points, self.view, *cell, self._rank)

    def others_here(self) -> int:
        """The other scans in the cursor's cell."""
        cell = self.cell_of_cursor()
        if cell is None:
            return 0
        return int(self.raster.kinds[cell[1], cell[0]].sum()) - 1

    def in_view(self) -> int:
        return self.raster.total

    # The box

    def start_box(self, at: Cell | None = None) -> None:
        middle = (self.view.columns // 2, self.view.rows // 2)
        corner = at or self.cell_of_cursor() or middle
        self.box = Box(corner, corner)
        self._changed()

    def stretch_by(self, by: Cell) -> bool:
        """Move the corner of the open box by cells; returns whether one is open."""
        if self.box is None or self.box.done:
            return False
        self.stretch((self.box.other[0] + by[0], self.box.other[1] + by[1]))
        return True

    def stretch(self, to: Cell) -> None:
        """Move the box's second corner, within the window."""
        if self.box is not None and not self.box.done:
            column = min(max(to[0], 0), self.view.columns - 1)
            row = min(max(to[1], 0), self.view.rows - 1)
            self.box = replace(self.box, other=(column, row))
            self._changed()

    def finish_box(self) -> None:
        if self.box is not None:
            self.box = replace(self.box, done=True)

    def drop_box(self) -> None:
        self.box = None
        self._changed()

    def boxed(self) -> Cells:
        """Indices of the scans in the box."""
        if self.box is None:
            return np.empty(0, np.int64)
        return inside(self._points, self.view, self.box.one, self.box.other)

    # The picture

    @property
    def raster(self) -> Raster:
        if self._raster is None:
            kinds = len(self.colouring.kinds)
            self._raster = rasterise(self._points, self.colouring.of, kinds, self.view)
        return self._raster

    @property
    def in_dots(self) -> bool:
        """Whether points are braille dots. Few are glyphs; without colours dots can't tell
        kinds apart, only clusters have their names written beside them.
        """
        if not self.look.braille:
            return False
        if self.glyphs is not None:
            return not self.glyphs
        return not self._are_few() and (self.colouring.name == CLUSTER or not self.colourless)

    def _are_few(self) -> bool:
        cells = {None: FEW_CELLS, True: STILL_FEW_CELLS, False: AGAIN_FEW_CELLS}[self._few]
        self._few = self.in_view() * cells <= self.view.columns * self.view.rows
        return self._few

    @property
    def painted(self) -> bool:
        """Whether the canvas is unchanged since it was last drawn."""
        return self._canvas is not None

    @property
    def canvas(self) -> Canvas:
        """Points, marks, names of clusters and the box; all but the cursor."""
        if self._canvas is None:
            self._canvas = self._painted()
        return self._canvas

    def _painted(self) -> Canvas:
        colouring = self.colouring
        scale = colouring.ends is not None
        manner = Manner(
            braille=self.in_dots,
            glyphs=tuple(kind.glyph for kind in colouring.kinds),
            scale=scale,
            thin=scale or self.colourless,
        )
        canvas = paint(self.raster, manner)
        taken = self._mark(canvas) if self.marks else np.zeros(canvas.ink.shape, np.bool_)
        if colouring.name == CLUSTER:
            if self._are_few():
                # None of them may vanish behind a name.
                taken = np.asarray(canvas.ink != BLANK)
            name_clusters(canvas, self._anchors(), taken, canvas.marks + len(MARKS))
        if self.box is not None:
            lines = "─│┌┐┘└" if self.look.braille else "-|++++"
            outline(canvas, self.box.sides, lines, MARKS.index("box"))
        return canvas

    def _mark(self, canvas: Canvas) -> NDArray[np.bool_]:
        """Draw the marks; returns the cells that have one."""
        look = self.look
        glyphs = {name: look.state(name) for name in STATES}
        glyphs |= {"medoid": look.medoid, "same": look.mark}
        marked = self._marked | {"same": self.same()}
        cluster = self.map_view.cluster.astype(np.int64)
        for mark, name in enumerate(MARKS):
            if name in marked and len(marked[name]):
                found = marked[name]
                inks: Cells = np.full(len(found), mark)
                if self.colouring.name == CLUSTER:
                    # The shape tells the status, the colour the cluster.
                    inks = np.where(cluster[found] >= 0, len(MARKS) + cluster[found], mark)
                columns, rows = self.view.cells_of(self._points[found])
                canvas.stamp(columns, rows, glyphs[name], inks)
        return np.asarray(canvas.ink >= canvas.marks)

    def same(self) -> NDArray[np.int64]:
        """Scans that share the name of the cursor's scan, if that name has no colour of its own."""
        colouring, here = self.colouring, self.here
        if colouring.codes is None or here is None or colouring.of[here] != colouring.rest:
            return np.empty(0, np.int64)
        return np.flatnonzero(colouring.codes == colouring.codes[here])

    def _anchors(self) -> list[tuple[int, int, int]]:
        """``(cluster, column, row)``: its medoid if that is in view, else where it is densest."""
        map_view = self.map_view
        anchors: dict[int, tuple[int, int, int]] = {}
        for n in map_view.medoids.tolist():
            cell, cluster = self.cell_of(n), int(map_view.cluster[n])
            if cluster >= 0 and self.view.holds(*cell):
                anchors.setdefault(cluster, (cluster, *cell))
        kinds = self.raster.kinds
        for cluster in range(kinds.shape[2] - 1):
            counts: NDArray[Any] = kinds[:, :, cluster]
            if cluster not in anchors and counts.any():
                row, column = np.unravel_index(int(counts.argmax()), counts.shape)
                anchors[cluster] = (cluster, int(column), int(row))
        return [anchors[cluster] for cluster in sorted(anchors)]


def _beyond(place: int, size: int) -> float:
    """How many cells to pan so that ``place`` is not at the edge."""
    edge = int(size * FARTHEST)
    return min(place - edge, 0) + max(place - (size - 1 - edge), 0)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
