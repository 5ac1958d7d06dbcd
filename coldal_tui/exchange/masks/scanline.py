"""Rasterises polygons: a pixel is inside if its centre is (even-odd rule)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_ON_EDGE = 1e-3
"""A centre closer to an edge than this (in pixels) counts as on it."""

_BLOCK = 1 << 19
"""Number of edge-row crossings processed at once: a ring may have a million points."""

_Edges = tuple[NDArray[np.float64], NDArray[np.float64]]


def fill_rings(
    rings: Sequence[NDArray[np.float64]], shape: tuple[int, int], *, edges_inside: bool = False
) -> NDArray[np.bool_]:
    """The pixels inside closed rings; nested rings are holes (XOR).

    Parameters
    ----------
    rings : each ``(n, 2)`` of (x, y) in pixels, closed automatically; the centre of the pixel in
        column c and row r lies at (c, r).
    shape : ``(columns, rows)`` of the result.
    edges_inside : whether centres on an outline count as inside, also on the outline of a hole.
        Otherwise only those on the left and top edges do, so that neighbours don't overlap.
    """
    columns, rows = shape
    starts, ends = _edges(rings)
    low, high = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    # An edge includes its upper end but not its lower end, so that rings have no gaps.
    first = np.clip(np.ceil(low), 0, rows).astype(np.intp)
    last = np.clip(np.ceil(high), 0, rows).astype(np.intp)
    toggles = np.zeros(rows * (columns + 1), dtype=np.int64)
    for row, x in _at_rows(starts, ends, first, last):
        column = np.clip(np.ceil(x), 0, columns).astype(np.intp)
        toggles += np.bincount(row * (columns + 1) + column, minlength=toggles.size)
    inside = np.cumsum(toggles.reshape(rows, -1)[:, :columns], axis=1) % 2 == 1
    if edges_inside:
        _draw_edges(inside, starts, ends)
    return np.asarray(inside.T)


def _edges(rings: Sequence[NDArray[np.float64]]) -> _Edges:
    """Start and end points ``(E, 2)`` of all edges."""
    starts = np.concatenate([np.zeros((0, 2)), *rings])
    ends = np.concatenate([np.zeros((0, 2)), *(np.roll(ring, -1, axis=0) for ring in rings)])
    return starts, ends


def _at_rows(
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    first: NDArray[np.intp],
    last: NDArray[np.intp],
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Yield row and x of every edge at its rows ``first`` to ``last`` (exclusive), in blocks."""
    counts = np.maximum(last - first, 0)
    block = np.cumsum(counts) // _BLOCK
    for part in np.split(np.arange(len(starts)), np.flatnonzero(np.diff(block)) + 1):
        edge = np.repeat(part, counts[part])
        ahead = np.cumsum(counts[part]) - counts[part]
        row = first[edge] + np.arange(len(edge)) - np.repeat(ahead, counts[part])
        (x0, y0), (x1, y1) = starts[edge].T, ends[edge].T
        height = np.where(y1 == y0, 1.0, y1 - y0)
        yield row, x0 + (x1 - x0) * np.clip((row - y0) / height, 0.0, 1.0)


def _draw_edges(
    inside: NDArray[np.bool_], starts: NDArray[np.float64], ends: NDArray[np.float64]
) -> None:
    """Set the pixels whose centres lie on an edge; ``inside`` is ``(rows, columns)``."""
    rows, columns = inside.shape
    low, high = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    first = np.clip(np.ceil(low - _ON_EDGE), 0, rows).astype(np.intp)
    last = np.clip(np.floor(high + _ON_EDGE) + 1, first, rows).astype(np.intp)
    level = high - low <= _ON_EDGE
    for row, x in _at_rows(starts, ends, first, np.where(level, first, last)):
        column = np.rint(x)
        hit = (np.abs(x - column) <= _ON_EDGE) & (column >= 0) & (column < columns)
        inside[row[hit], column[hit].astype(np.intp)] = True
    for number in np.flatnonzero(level & (last > first)):
        left, right = sorted((starts[number, 0], ends[number, 0]))
        start = max(int(np.ceil(left - _ON_EDGE)), 0)
        inside[first[number], start : max(int(np.floor(right + _ON_EDGE)) + 1, start)] = True
