"""Groups the points of a map, so that a pick updates only the groups it can change.

Greedy selection needs each point's distance to the nearest pick. A new pick changes it only nearby:
a group is skipped when its rectangle is farther away than all its points' current distances. The
distance to the rectangle is computed with the same operations as the distances to the points;
float64 rounds monotonically, so it never exceeds theirs and no change is missed: the results equal
those of a loop over all points, bit for bit. (Bucketed farthest-point sampling: Han et al. 2023,
"QuickFPS", IEEE TCAD.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coldal_tui.selection.pool import Floats, Floats64, Indices, Mask

WORTH = 2_048
"""Points from which groups pay."""
_SMALLEST, _LARGEST = 32, 1_024


class Buckets:
    """(N, 2) points in ``len(self.ids)`` groups of equal size, with their distances to picks.

    ``places`` (groups, size) are rows of the points, ascending in each group; padding in the last
    group repeats a point there. ``ids`` are their indices. ``gap`` (groups, size) is the distance
    to the nearest pick, -1 for a removed point; ``source`` is that pick. ``reach`` (groups,) is at
    least every gap of the group, ``largest`` at least those of its open points.
    """

    def __init__(self, points: Floats, gap: Floats64, source: Indices, ids: Indices) -> None:
        """Group ``points``; the other arrays are (N,) and copied.

        ``gap``: distances so far. ``source``: the picks that they refer to. ``ids``: the points'
        indices, ascending.
        """
        columns = np.array(points.T, np.float64, order="C")
        self.places = places = _grouped(columns.T)
        self.x, self.y = columns[0][places], columns[1][places]
        # A pick less the lower edge of a group, and the upper edge less the pick, are one sum.
        low = [self.x.min(axis=1), self.y.min(axis=1)]
        high = [self.x.max(axis=1), self.y.max(axis=1)]
        self._edges = np.stack([low, np.negative(high)])
        self.gap, self.source, self.ids = gap[places], source[places], ids[places]
        repeated = np.zeros(places.shape, np.bool_)
        repeated[:, 1:] = places[:, 1:] == places[:, :-1]
        self.gap[repeated] = -1.0
        self.reach: Floats64 = self.gap.max(axis=1)
        self.largest = self.reach.copy()
        self.first: Indices = np.full(len(self.ids), -1, dtype=np.int64)
        """(groups,) column of the first point with the largest gap, where ``top`` looked."""
        self._rows = np.arange(len(self.ids)) * places.shape[1]
        self._open: Mask | None = None

    def top(self, open_: Mask) -> tuple[float, int, int]:
        """Largest gap of an open point, its group and column; ties to the lowest id.

        The gap is -1 when no point is left. ``open_`` (N,) bool: as long as the same array is
        handed in, its points may close but not open.
        """
        if open_ is not self._open:
            self._open = open_
            self.refresh(np.arange(len(self.ids)), open_)
        while True:
            gap = float(self.largest.max())
            if gap < 0.0:
                return -1.0, 0, 0
            groups = (self.largest == gap).nonzero()[0]
            if len(groups) == 1:
                group = int(groups[0])
                column = int(self.first[group])
                if open_[self.ids[group, column]]:
                    return gap, group, column
            ids = self.ids[groups, self.first[groups]]
            shut = ~open_[ids]
            if not shut.any():
                nth = int(ids.argmin())
                group = int(groups[nth])
                return gap, group, int(self.first[group])
            self.refresh(groups[shut], open_)

    def refresh(self, groups: Indices, open_: Mask) -> None:
        """Find again the open point with the largest gap in some groups."""
        gap = np.where(open_[self.ids[groups]], self.gap[groups], -1.0)
        first = gap.argmax(axis=1)
        self.first[groups] = first
        self.largest[groups] = gap[np.arange(len(groups)), first]

    def take(self, group: int, column: int, open_: Mask) -> None:
        """Pick a point: its gap no longer counts, and those of the points near it shrink."""
        alone = self.reach[group] <= 0.0  # then no pick is near enough to look at the group again
        self.gap[group, column] = -1.0
        x, y = float(self.x[group, column]), float(self.y[group, column])
        self.near(x, y, int(self.ids[group, column]))
        if alone:
            self.refresh(np.array([group]), open_)

    def near(self, x: float, y: float, source: int) -> Indices:
        """Add a pick at (x, y); return the groups whose gaps it changed or may have changed."""
        beyond = self._edges + np.array([[[-x], [-y]], [[x], [y]]])
        away = np.maximum(beyond[0], beyond[1])
        np.maximum(away, 0.0, out=away)
        away *= away
        groups: Indices = (np.sqrt(away[0] + away[1]) < self.reach).nonzero()[0]
        dx, dy = self.x[groups], self.y[groups]
        dx -= x
        dy -= y
        dx *= dx
        dy *= dy
        dx += dy
        fresh = np.sqrt(dx, out=dx)
        gap = self.gap[groups]
        closer = fresh < gap
        np.copyto(gap, fresh, where=closer)
        self.gap[groups] = gap
        of = self.source[groups]
        np.copyto(of, source, where=closer)
        self.source[groups] = of
        first = gap.argmax(axis=1)
        self.first[groups] = first
        at = self._rows[: len(groups)] + first
        self.reach[groups] = self.largest[groups] = gap.ravel()[at]
        return groups


def _grouped(points: Floats64) -> Indices:
    """(groups, size) indices: strips with about equal counts along x, cut into groups along y."""
    count = len(points)
    size = int(np.clip(np.sqrt(count) * 0.7, _SMALLEST, _LARGEST))
    groups = -(-count // size)
    columns = max(1, round(np.sqrt(groups)))
    strip = -(-groups // columns) * size
    strips = np.empty(count, np.uint16)
    strips[np.argsort(_steps(points[:, 0]), kind="stable")] = np.arange(count) // strip
    by_y = np.argsort(_steps(points[:, 1]), kind="stable")
    order = by_y[np.argsort(strips[by_y], kind="stable")].astype(np.int64)
    filled = np.concatenate([order, np.full(groups * size - count, order[-1])])
    return np.sort(filled.reshape(groups, size), axis=1)


def _steps(values: Floats64) -> NDArray[np.uint16]:
    """Values quantised to 65,536 steps over their range, which numpy sorts in linear time."""
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return np.zeros(len(values), np.uint16)
    return ((values / 2 - low / 2) / (high / 2 - low / 2) * 65_535).astype(np.uint16)
