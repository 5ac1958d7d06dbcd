"""Scales a part of an image to screen pixels: area mean to shrink, nearest pixel to enlarge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGE = 500_000
"""Planes of more numbers get halvings, so that drawing never has to touch all of them."""
_ENOUGH = 200_000


@dataclass(frozen=True)
class Frame:
    """Which part of a picture of ``shape`` lies on ``height`` × ``width`` pixels of the screen.

    Pixel ``r`` of the screen shows the picture's rows ``top + r * down`` to ``top + (r+1) * down``
    and so on for columns; what lies outside the picture stays blank.
    """

    shape: tuple[int, int]
    height: int
    width: int
    top: float
    left: float
    down: float
    across: float

    def reduced(self, factor: int, shape: tuple[int, int]) -> Frame:
        """The same part of a picture that was shrunk ``factor`` times to ``shape``."""
        return Frame(
            shape,
            self.height,
            self.width,
            self.top / factor,
            self.left / factor,
            self.down / factor,
            self.across / factor,
        )

    def inside(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which rows and columns of the screen lie on the picture (by their centres)."""
        return (
            _axis(self.top, self.down, self.height, self.shape[0])[2],
            _axis(self.left, self.across, self.width, self.shape[1])[2],
        )


def fit(
    shape: tuple[int, int],
    spacing: tuple[float, float],
    height: int,
    width: int,
    *,
    tall: float = 1.0,
    zoom: float = 1.0,
    centre: tuple[float, float] = (0.5, 0.5),
) -> Frame:
    """The frame that shows an image as large as possible, magnified by ``zoom``.

    Parameters
    ----------
    shape : rows and columns of the picture.
    spacing : their distances, in any unit; the picture is stretched so that lengths are true.
    height, width : pixels of the screen.
    tall : how much taller than wide a pixel of the screen is.
    zoom : 1 shows the whole picture.
    centre : the point to be in the middle, as shares of rows and columns; the picture never
        leaves the screen further than it has to.
    """
    tallness, wideness = shape[0] * spacing[0] / tall, shape[1] * spacing[1]
    scale = min(height / tallness, width / wideness) * zoom
    down, across = tall / (scale * spacing[0]), 1 / (scale * spacing[1])
    return Frame(
        shape,
        height,
        width,
        top=_start(shape[0], height * down, centre[0]),
        left=_start(shape[1], width * across, centre[1]),
        down=down,
        across=across,
    )


def _start(size: int, seen: float, centre: float) -> float:
    if seen >= size:
        return (size - seen) / 2
    return min(max(centre * size - seen / 2, 0.0), size - seen)


@dataclass(frozen=True, eq=False)
class Levels:
    """A plane ``(H, W, C)`` of integers, and its halvings; number n is shrunk by 2ⁿ."""

    planes: tuple[NDArray[Any], ...]

    @property
    def shape(self) -> tuple[int, int]:
        return self.planes[0].shape[0], self.planes[0].shape[1]


def levels(plane: NDArray[Any]) -> Levels:
    """``plane`` ``(H, W)`` or ``(H, W, C)`` with the halvings needed to draw it fast."""
    plane = plane[..., np.newaxis] if plane.ndim == 2 else plane
    planes = [plane]
    if plane.size > LARGE:
        while min(planes[-1].shape[:2]) > 1 and planes[-1].size > _ENOUGH:
            planes.append(_halved(planes[-1]))
    return Levels(tuple(planes))


def _halved(plane: NDArray[Any]) -> NDArray[Any]:
    """Means of 2 × 2 pixels, rounded down; an odd last row or column is left out."""
    even = plane[: plane.shape[0] // 2 * 2, : plane.shape[1] // 2 * 2]
    sums = even[0::2, 0::2].astype(_sum_type(plane.dtype))
    for part in (even[1::2, 0::2], even[0::2, 1::2], even[1::2, 1::2]):
        sums += part
    return (sums // 4).astype(plane.dtype)


def sample(source: Levels, frame: Frame) -> NDArray[np.float32]:
    """What each pixel of the screen shows: ``(height, width, C)`` float32, 0 outside."""
    number = _level(frame, len(source.planes))
    plane = source.planes[number]
    shape = (int(plane.shape[0]), int(plane.shape[1]))
    return _sampled(plane, frame.reduced(2**number, shape) if number else frame)


def _level(frame: Frame, count: int) -> int:
    """The smallest level that has at least one pixel per screen pixel."""
    steps = min(frame.down, frame.across)
    return min(count - 1, max(0, int(np.floor(np.log2(max(steps, 1.0))))))


def _sampled(plane: NDArray[Any], frame: Frame) -> NDArray[np.float32]:
    low_r, high_r, in_r = _axis(frame.top, frame.down, frame.height, frame.shape[0])
    low_c, high_c, in_c = _axis(frame.left, frame.across, frame.width, frame.shape[1])
    out = np.zeros((frame.height, frame.width, plane.shape[2]), np.float32)
    if in_r.any() and in_c.any():
        rows = _reduced(plane, low_r[in_r], high_r[in_r], 0)
        out[np.ix_(in_r, in_c)] = _reduced(rows, low_c[in_c], high_c[in_c], 1)
    return out


def _axis(
    start: float, step: float, count: int, size: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """First and last-but-one source pixel of each pixel of the screen, and whether it has any."""
    middle = np.floor(start + step * (np.arange(count) + 0.5)).astype(np.intp)
    inside = (middle >= 0) & (middle < size)
    if step <= 1:
        return middle, middle + 1, inside
    edges = np.clip(np.rint(start + step * np.arange(count + 1)), 0, size).astype(np.intp)
    low = np.minimum(edges[:-1], size - 1)
    return low, np.maximum(edges[1:], low + 1), inside


def _reduced(
    plane: NDArray[Any], low: NDArray[np.intp], high: NDArray[np.intp], axis: int
) -> NDArray[Any]:
    """Means of ``plane[low[n]:high[n]]`` along ``axis``; the pieces follow one another."""
    if (high - low == 1).all():
        return plane.take(low, axis=axis)
    first, last = int(low[0]), int(high[-1])
    part = plane[first:last] if axis == 0 else plane[:, first:last]
    sums = np.add.reduceat(part, low - first, axis=axis, dtype=_sum_type(part.dtype))
    count = np.diff(np.append(low, last)).astype(np.float32)
    return sums / count.reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))


def _sum_type(dtype: np.dtype[Any]) -> type[Any]:
    if dtype.kind == "f":
        return np.float32
    return np.int32 if dtype.itemsize <= 2 else np.int64


@dataclass(frozen=True, eq=False)
class LabelLevels:
    """A label map ``(H, W)`` uint8, and for a large one the share of each class in its halvings.

    ``shares[c]`` are levels of ``255 * (labels == c)``.
    """

    labels: NDArray[np.uint8]
    shares: dict[int, Levels]


def label_levels(labels: NDArray[np.uint8]) -> LabelLevels:
    """A label map, ready to be drawn fast.

    The label map is (rows, columns) uint8.
    """
    if labels.size <= LARGE:
        return LabelLevels(labels, {})
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=256))
    return LabelLevels(
        labels,
        {int(c): levels((labels == c).view(np.uint8) * np.uint8(255)) for c in present if c},
    )


def coverage(source: LabelLevels, frame: Frame) -> dict[int, NDArray[np.float32]]:
    """How much of each pixel of the screen a class covers: ``{class: (height, width)}`` 0 to 1.

    Classes that the frame does not show, and the background, are left out.
    """
    found: dict[int, NDArray[np.float32]] = {}
    if source.shares:
        for number, share in source.shares.items():
            found[number] = sample(share, frame)[..., 0] / np.float32(255)
    else:
        part, inner = _cut(source.labels, frame)
        present = np.flatnonzero(np.bincount(part.ravel(), minlength=256))
        for number in (int(c) for c in present if c):
            found[number] = _sampled((part == number)[..., np.newaxis].view(np.uint8), inner)[
                ..., 0
            ]
    return {number: share for number, share in found.items() if share.any()}


def _cut(labels: NDArray[np.uint8], frame: Frame) -> tuple[NDArray[np.uint8], Frame]:
    """The rows and columns that the frame shows, and the frame on them."""
    rows = _span(frame.top, frame.down * frame.height, labels.shape[0])
    columns = _span(frame.left, frame.across * frame.width, labels.shape[1])
    part = labels[rows[0] : rows[1], columns[0] : columns[1]]
    inner = Frame(
        (part.shape[0], part.shape[1]),
        frame.height,
        frame.width,
        frame.top - rows[0],
        frame.left - columns[0],
        frame.down,
        frame.across,
    )
    return part, inner


def _span(start: float, length: float, size: int) -> tuple[int, int]:
    low = min(max(int(np.floor(start)) - 1, 0), size - 1)
    return low, max(low + 1, min(size, int(np.ceil(start + length)) + 1))
