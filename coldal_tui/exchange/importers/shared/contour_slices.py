"""Places the contours of a structure on a scan's slices, and interpolates between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.masks.scanline import fill_rings
from coldal_tui.imaging.geometry import Triple

OFF_PLANE = 0.25
"""How far from a slice's plane a contour may lie, in slices: planning systems round positions."""

OFF_GRID = 1.0
"""How far a contour may leave the grid, in voxels: a body outline may touch the last voxel."""

MOSTLY = 0.5
"""Share of a structure's area that must lie on the scan."""

WIDEST_STEP = 4
"""Largest step in slices between two contours that is interpolated."""

Ring = NDArray[np.float64]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Placed:
    """Rings ``(n, 2)`` of (i, j) by slice, and numbers of contours cut or left out."""

    rings: Mapping[int, list[Ring]]
    cut: int = 0
    outside: int = 0


def place(rings: Sequence[Ring], shape: Triple, name: str, *, wanted: bool) -> Placed:
    """Assign rings ``(n, 3)`` in voxels to slices; every ring lies in one slice's plane.

    ``wanted`` : the structure becomes a label, so it must lie on the scan.

    Raises
    ------
    ImageError : a contour of a wanted structure lies between slices, or most of its area is outside
        the scan (``geometry``).
    """
    groups: dict[int, list[Ring]] = {}
    cut = outside = 0
    whole = held = 0.0
    fault = ""
    for ring in rings:
        k = round(float(ring[:, 2].mean()))
        stray = float(np.abs(ring[:, 2] - k).max())
        flat = ring[:, :2]
        if stray > OFF_PLANE:
            if wanted:
                raise _misplaced(name, f"lies between the scan's slices ({stray:.2f} slices off)")
            outside += 1
            continue
        area = _area(flat)
        whole += area
        beyond = float(np.maximum(-flat, flat - (np.array(shape[:2]) - 1)).max())
        if not 0 <= k < shape[2]:
            fault = fault or f"lies on slice {k + 1}; the scan has {shape[2]}"
            outside += 1
            continue
        if beyond <= OFF_GRID:
            held += area
            groups.setdefault(k, []).append(flat)
            continue
        fault = fault or f"reaches {beyond:.0f} voxels beyond the scan"
        inside = filled([flat], _box([flat], shape))
        held += min(float(inside.sum()), area)
        if inside.any():
            groups.setdefault(k, []).append(flat)
        cut += bool(inside.any())
        outside += not inside.any()
    if wanted and fault and held < MOSTLY * whole:
        raise _misplaced(name, fault)
    return Placed(groups, cut, outside)


def _misplaced(name: str, what: str) -> ImageError:
    return ImageError(
        f"a contour of {name!r} {what}",
        remedy="Check that it was drawn on this series, and not on a reformatted one; or leave "
        f"the structure out with --map '{name}=background'.",
        code="geometry",
    )


def _area(ring: Ring) -> float:
    """The area that a ring encloses, in pixels (shoelace formula)."""
    x, y = ring[:, 0], ring[:, 1]
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _box(rings: Sequence[Ring], shape: Triple) -> Box:
    """The rings' bounding box on the scan: first and end column, first and end row."""
    points = np.concatenate(rings)
    low = np.maximum(np.floor(points.min(axis=0)), 0)
    high = np.minimum(np.ceil(points.max(axis=0)) + 1, shape[:2])
    return int(low[0]), int(high[0]), int(low[1]), int(high[1])


def filled(rings: Sequence[Ring], box: Box) -> NDArray[np.bool_]:
    """The pixels ``(columns, rows)`` of a box that lie inside or on rings."""
    left, right, top, bottom = box
    size = max(right - left, 0), max(bottom - top, 0)
    if min(size) < 1:
        return np.zeros(size, dtype=bool)
    corner = np.array([left, top])
    return fill_rings([ring - corner for ring in rings], size, edges_inside=True)


@dataclass
class Slices:
    """A structure slice by slice: drawn from contours, interpolated between if reliable.

    Contours on every n-th slice (n is the usual distance between them, at most ``WIDEST_STEP``)
    count as sparse: the slices between two of them are interpolated if both have the same number of
    outlines and overlap. Any other gap stays empty and is reported.
    """

    placed: Placed
    shape: Triple
    spacing: tuple[float, float]
    between: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)

    def drawn(self) -> Iterator[tuple[int, Box, NDArray[np.bool_]]]:
        """Slice, box, and the pixels ``(columns, rows)`` inside it."""
        rings = self.placed.rings
        numbers = sorted(rings)
        for k in numbers:
            box = _box(rings[k], self.shape)
            yield k, box, filled(rings[k], box)
        steps = Counter(b - a for a, b in pairwise(numbers))
        usual = max(steps, key=lambda step: (steps[step], -step), default=1)
        for a, b in pairwise(numbers):
            if b - a == 1:
                continue
            if b - a == usual <= WIDEST_STEP and len(rings[a]) == len(rings[b]):
                box = _box([*rings[a], *rings[b]], self.shape)
                ends = filled(rings[a], box), filled(rings[b], box)
                if (ends[0] & ends[1]).any():
                    self.between += b - a - 1
                    for k in range(a + 1, b):
                        yield k, box, _blend(*ends, (k - a) / (b - a), self.spacing)
                    continue
            self.gaps.append((a, b))


def _blend(
    first: NDArray[np.bool_], last: NDArray[np.bool_], part: float, spacing: tuple[float, float]
) -> NDArray[np.bool_]:
    """Interpolate shapes by signed distance (Raya and Udupa 1990, IEEE TMI 9:32)."""
    distance = (1 - part) * _signed(first, spacing) + part * _signed(last, spacing)
    return np.asarray(distance > 0)


def _signed(mask: NDArray[np.bool_], spacing: tuple[float, float]) -> NDArray[np.float64]:
    """Signed distance in mm to the mask's border, which is midway between pixels; inside > 0."""
    from scipy import ndimage

    padded = np.pad(mask, 1)
    inside = ndimage.distance_transform_edt(padded, sampling=spacing)
    outside = ndimage.distance_transform_edt(~padded, sampling=spacing)
    half = min(spacing) / 2
    signed = np.where(padded, inside - half, half - outside)
    return np.asarray(signed[1:-1, 1:-1])
