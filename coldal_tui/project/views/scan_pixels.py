"""Reduces a scan's pixels for the screen, and caches the last ones within a size limit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from coldal_tui.imaging.image import ScanImage
from coldal_tui.imaging.intensity import limits_of, rule_of
from coldal_tui.imaging.intensity_choice import BY_FILE, IntensityChoice

T = TypeVar("T")

MOST_BYTES = 160 << 20
"""What one scan's pixels may take; beyond it first shades go, then every second voxel."""
_WINDOWS_KEPT = 16
"""How many default windows wide the range of kept values is: room to move the window in."""


@dataclass(frozen=True, eq=False)
class Pixels:
    """Pixels for display, ``grid + (channels,)`` of 8 or 16 bits; stored = scale · v + offset.

    ``limits`` are the initial black and white levels, per channel, in stored units, by the rule
    ``rule``. ``strides``: every how many voxels are kept, per grid axis (1: all).
    """

    array: NDArray[Any]
    scale: float
    offset: float
    limits: tuple[tuple[float, float], ...]
    rule: str
    strides: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return int(self.array.nbytes)

    def in_units_of_array(self, low: float, high: float) -> tuple[float, float]:
        """Stored intensities as values of ``array``."""
        return (low - self.offset) / self.scale, (high - self.offset) / self.scale


def pixels_of(
    image: ScanImage, most_bytes: int = MOST_BYTES, how: IntensityChoice = BY_FILE
) -> Pixels:
    """Reduce a scan to what a screen can show; ``how`` is the project's intensity rule.

    Integers of 8 and 16 bits stay as they are; other types become 16 bits over at least 16 default
    windows (or minimum to maximum, if that is less). Scans above ``most_bytes`` are kept in 8 bits,
    then in every second, third, … voxel of the longest axes.
    """
    array, modality = image.array, image.header.modality
    rule, shown = rule_of(array, modality, how), limits_of(array, modality, how)
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    strides = _strides(array.shape[:-1], int(array.shape[-1]), most_bytes)
    array = array[tuple(slice(None, None, step) for step in strides)]
    two_bytes = array.size * 2 <= most_bytes
    small = array.dtype.itemsize == 1 or (array.dtype.itemsize == 2 and two_bytes)
    if array.dtype.kind in "iu" and small:
        kept, scale, offset = array, 1.0, 0.0
    else:
        kept, scale, offset = _quantised(array, shown, np.uint16 if two_bytes else np.uint8)
    # A copy: a view would keep the whole array in memory.
    return Pixels(_owned(kept), scale, offset, shown, rule, strides)


def _owned(array: NDArray[Any]) -> NDArray[Any]:
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native.copy(order="K") if native.base is not None else native


def _strides(shape: Sequence[int], channels: int, most_bytes: int) -> tuple[int, ...]:
    steps = [1] * len(shape)

    def sizes() -> list[int]:
        return [-(-size // step) for size, step in zip(shape, steps, strict=True)]

    while int(np.prod(sizes())) * channels > most_bytes:
        longest = max(sizes())
        steps = [
            step + 1 if size * 2 > longest else step
            for step, size in zip(steps, sizes(), strict=True)
        ]
    return tuple(steps)


def _quantised(
    array: NDArray[Any], shown: tuple[tuple[float, float], ...], kind: type[Any]
) -> tuple[NDArray[Any], float, float]:
    """``array`` quantised over the range in which windows can move."""
    low, high = min(pair[0] for pair in shown), max(pair[1] for pair in shown)
    bounds = [_finite_bounds(array[..., channel]) for channel in range(array.shape[-1])]
    least, most = min(b[0] for b in bounds), max(b[1] for b in bounds)
    room = (high - low) * (_WINDOWS_KEPT - 1) / 2
    least, most = max(least, low - room), min(most, high + room)
    steps = int(np.iinfo(kind).max)
    scale = (most - least) / steps if most > least else 1.0
    out = np.empty(array.shape, kind, order="F" if array.flags.f_contiguous else "C")
    # Slab by slab, so that the wide copy is never as large as the scan.
    axis = int(np.argmax(array.shape[:-1]))
    for start in range(0, array.shape[axis], 32):
        part = (slice(None),) * axis + (slice(start, start + 32),)
        values = np.nan_to_num(array[part].astype(np.float64), nan=least, posinf=most, neginf=least)
        out[part] = np.rint((np.clip(values, least, most) - least) / scale).astype(kind)
    return out, scale, least


def _finite_bounds(values: NDArray[Any]) -> tuple[float, float]:
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.all():
            values = values[finite]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Boxed:
    """A uint8 map of ``shape``, cropped to its non-zero ``box`` with the corner ``start``."""

    shape: tuple[int, ...]
    start: tuple[int, ...]
    box: NDArray[np.uint8]

    @property
    def nbytes(self) -> int:
        return int(self.box.nbytes)

    def whole(self) -> NDArray[np.uint8]:
        full = np.zeros(self.shape, np.uint8)
        full[self._slices()] = self.box
        return full

    def plane(self, axis: int, index: int) -> NDArray[np.uint8]:
        """The slice across ``axis`` of a volume, its other axes in order."""
        left = tuple(size for n, size in enumerate(self.shape) if n != axis)
        full = np.zeros(left, np.uint8)
        inside = index - self.start[axis]
        if 0 <= inside < self.box.shape[axis]:
            slices = self._slices()
            full[slices[:axis] + slices[axis + 1 :]] = self.box[(slice(None),) * axis + (inside,)]
        return full

    @cached_property
    def present(self) -> tuple[int, ...]:
        """Its values except 0."""
        held = np.flatnonzero(np.bincount(self.box.ravel(), minlength=256))
        return tuple(int(value) for value in held if value)

    def counts(self, axis: int) -> NDArray[np.int64]:
        """The number of non-zero voxels in each slice across ``axis``."""
        found = np.zeros(self.shape[axis], np.int64)
        others = tuple(n for n in range(len(self.shape)) if n != axis)
        found[self._slices()[axis]] = np.count_nonzero(self.box, axis=others)
        return found

    def _slices(self) -> tuple[slice, ...]:
        return tuple(
            slice(first, first + size)
            for first, size in zip(self.start, self.box.shape, strict=True)
        )


def boxed(labels: NDArray[np.uint8]) -> Boxed:
    """Crop ``labels`` to its non-zero box.

    ``labels`` is (rows, columns) or (i, j, k).
    """
    start, box = [], labels
    for axis in range(labels.ndim):
        others = tuple(n for n in range(labels.ndim) if n != axis)
        used = np.flatnonzero(box.any(axis=others))
        first, last = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 0)
        start.append(first)
        box = box[(slice(None),) * axis + (slice(first, last),)]
    return Boxed(labels.shape, tuple(start), box.copy())


class ViewCache:
    """A cache of the last reads, limited in bytes; thread-safe."""

    def __init__(self, most_bytes: int = 256 << 20) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, kind: str, files: Sequence[str | Path], make: Callable[[], T]) -> T:
        """The result of ``make`` for these files, cached as long as they don't change.

        The result must have ``nbytes``. Raises what ``make`` raises.
        """
        key = (kind, *map(_signature, files))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return cast(T, self._kept[key])
        made = make()
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > 1 and self.nbytes > self._most:
                self._kept.popitem(last=False)
        return made

    @property
    def nbytes(self) -> int:
        return sum(value.nbytes for value in self._kept.values())


def _signature(file: str | Path) -> tuple[str, int, int]:
    try:
        status = Path(file).stat()
    except OSError:
        return str(file), 0, 0
    return str(file), status.st_mtime_ns, status.st_size
