"""A scan as planes to draw: a single image, or slices of a volume along each axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from coldal_tui.imaging.image import ScanHeader
from coldal_tui.imaging.labelfile import IGNORE_LABEL
from coldal_tui.imaging.orientation import EdgeLetters, edge_letters, plane_names
from coldal_tui.imaging.picture import slice_view
from coldal_tui.project.views.scan_pixels import Boxed, Pixels
from coldal_tui.project.views.scan_view import Layer
from coldal_tui.tui.drawing.picture import (
    MOST_COLOURS,
    Drawing,
    Edges,
    Overlay,
    Style,
    class_colours,
    class_letters,
)
from coldal_tui.tui.drawing.picture_scaling import LabelLevels, Levels, label_levels, levels

_STACKED = 1.5
"""Volumes whose slices lie so much wider apart than their pixels open across that axis."""


@dataclass(frozen=True, eq=False)
class Plane:
    """One image with its overlays; ``spacing`` of rows and columns, in any unit."""

    base: Levels
    spacing: tuple[float, float]
    edges: EdgeLetters
    mask: LabelLevels | None
    prediction: LabelLevels | None
    entropy: Levels | None


@dataclass(frozen=True)
class Shown:
    """Which overlays are drawn, and how."""

    mask: bool = True
    prediction: bool = True
    entropy: bool = False
    style: Style = "outline"

    def toggled(self, layer: str) -> Shown:
        """A copy in which ``mask``, ``prediction`` or ``entropy`` is switched on or off."""
        return Shown(
            self.mask != (layer == "mask"),
            self.prediction != (layer == "prediction"),
            self.entropy != (layer == "entropy"),
            self.style,
        )


class Layered(Protocol):
    """The overlays of a ``ScanView``, or none."""

    @property
    def header(self) -> ScanHeader: ...
    @property
    def mask(self) -> Layer | None: ...
    @property
    def prediction(self) -> Layer | None: ...
    @property
    def entropy(self) -> Layer | None: ...


class Slices:
    """The planes of a scan whose pixels could be read."""

    def __init__(self, view: Layered, pixels: Pixels) -> None:
        self.view, self.pixels = view, pixels
        self._header = view.header
        self._spacing = tuple(
            size * step
            for size, step in zip(
                view.header.spacing or (1.0,) * len(pixels.strides), pixels.strides, strict=True
            )
        )
        self._names = plane_names(self._header) if self.volume else ("",)
        self.plane = lru_cache(maxsize=8)(self._plane)
        self.best = lru_cache(maxsize=3)(self._best)
        self._make_ready()

    def _make_ready(self) -> None:
        """Do the slow preparations here, in the thread that reads the scan."""
        if self.volume:
            for axis in self.axes:
                self.best(axis)
        else:
            self.plane(0, 0, 0)
        for layer in (self.view.mask, self.view.prediction):
            if layer is not None and layer.values is not None:
                _ = layer.values.present

    @property
    def volume(self) -> bool:
        return len(self._header.shape) == 3

    @property
    def channels(self) -> int:
        """The channels to choose from; colour counts as one."""
        return 1 if self.pixels.array.shape[-1] == 3 else int(self.pixels.array.shape[-1])

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes to slice along, the best first; none for a 2-D image."""
        if not self.volume:
            return ()
        first = self._first_axis()
        rest = [axis for axis in (2, 1, 0) if axis != first]
        return (first, *rest)

    def _first_axis(self) -> int:
        stack = int(np.argmax(self._spacing))
        others = [size for axis, size in enumerate(self._spacing) if axis != stack]
        if self._spacing[stack] > _STACKED * max(others):
            return stack
        return self._names.index("axial") if "axial" in self._names else 2

    @property
    def widest(self) -> float:
        """The largest ratio of width to height among its planes, along any axis."""
        if not self.volume:
            rows, columns = self.pixels.array.shape[:2]
            return float(columns * self._spacing[1] / (rows * self._spacing[0]))
        lengths = [
            size * step
            for size, step in zip(self.pixels.array.shape[:-1], self._spacing, strict=True)
        ]
        turned = [slice_view(self._header, axis) for axis in range(3)]
        return float(max(lengths[t.column_axis] / lengths[t.row_axis] for t in turned))

    def name(self, axis: int) -> str:
        """``axial``, ``coronal``, ``sagittal``, or ``across i`` where that is unknown."""
        return self._names[axis]

    def count(self, axis: int) -> int:
        return int(self.pixels.array.shape[axis]) if self.volume else 1

    def _best(self, axis: int) -> int:
        """The slice in the middle of the label, else of the prediction, else of the volume.

        Half of what is labelled lies before it: it always shows some.
        """
        for layer in (self.view.mask, self.view.prediction):
            if layer is not None and layer.values is not None:
                before = np.cumsum(layer.values.counts(axis))
                if before[-1]:
                    return int(np.searchsorted(before, before[-1] / 2))
        return self.count(axis) // 2

    def cross(self, axis: int, at: tuple[int, int, int]) -> tuple[float, float]:
        """Row and column, on the plane across ``axis``, of the voxel ``at``."""
        turned, shape = slice_view(self._header, axis), self.pixels.array.shape
        row, column = at[turned.row_axis], at[turned.column_axis]
        if turned.flip_rows:
            row = shape[turned.row_axis] - 1 - row
        if turned.flip_columns:
            column = shape[turned.column_axis] - 1 - column
        return float(row), float(column)

    def _plane(self, axis: int, index: int, channel: int) -> Plane:
        base = self.pixels.array
        if self.channels > 1:
            base = base[..., channel : channel + 1]
        if not self.volume:
            rows, columns = self._spacing
            edges = edge_letters(self._header)
        else:
            turned = slice_view(self._header, axis)
            # One slice first: turning a whole volume that lies otherwise in memory would copy it.
            slab = base[(slice(None),) * axis + (slice(index, index + 1),)]
            base = turned.displayed(slab, 0)
            rows, columns = self._spacing[turned.row_axis], self._spacing[turned.column_axis]
            edges = edge_letters(self._header, turned)
        return Plane(
            levels(base),
            (rows, columns),
            edges,
            self._labels(self.view.mask, axis, index),
            self._labels(self.view.prediction, axis, index),
            self._heat(self.view.entropy, axis, index),
        )

    def _labels(self, layer: Layer | None, axis: int, index: int) -> LabelLevels | None:
        if layer is None or layer.values is None:
            return None
        return label_levels(self._turned(layer.values, axis, index))

    def _heat(self, layer: Layer | None, axis: int, index: int) -> Levels | None:
        if layer is None or layer.values is None:
            return None
        return levels(self._turned(layer.values, axis, index))

    def _turned(self, values: Boxed, axis: int, index: int) -> NDArray[np.uint8]:
        if not self.volume:
            return values.whole()
        plane = np.expand_dims(values.plane(axis, index), axis)
        return slice_view(self._header, axis).displayed(plane, 0)

    def drawing(
        self,
        plane: Plane,
        shown: Shown,
        window: tuple[float, float] | None = None,
        channel: int = 0,
        cross: tuple[float, float] | None = None,
    ) -> Drawing:
        """What to draw of a plane. ``window`` is (black, white) in stored units, or the rule's."""
        overlays = []
        if plane.mask is not None and shown.mask:
            overlays.append(overlay(plane.mask, shown.style, predicted=False))
        if plane.prediction is not None and shown.prediction:
            overlays.append(overlay(plane.prediction, shown.style, predicted=True))
        heat = plane.entropy if shown.entropy else None
        return Drawing(plane.base, self._limits(window, channel), overlays, heat, cross)

    def _limits(
        self, window: tuple[float, float] | None, channel: int
    ) -> tuple[tuple[float, float], ...]:
        limits: Sequence[tuple[float, float]] = self.pixels.limits
        if self.channels > 1:
            limits = limits[channel : channel + 1]
        if window is not None:
            limits = [window] * len(limits)
        return tuple(self.pixels.in_units_of_array(low, high) for low, high in limits)


def overlay(labels: LabelLevels, style: Style, *, predicted: bool) -> Overlay:
    """A mask, or a prediction in its own colours and dashes."""
    side = int(predicted)
    held = labels.shares or np.flatnonzero(np.bincount(labels.labels.ravel(), minlength=256))
    numbers = {int(number) for number in held} - {0, IGNORE_LABEL}
    many = bool(numbers) and max(numbers) > MOST_COLOURS
    return Overlay(
        labels,
        {number: class_colours(number)[side] for number in range(1, 256)},
        {number: class_letters(number)[side] for number in range(1, 256)},
        style,
        dashed=predicted,
        numbers=frozenset(numbers) if many else frozenset(),
    )


def edges_of(plane: Plane) -> Edges:
    """The plane's letters, ready to draw."""
    letters = plane.edges
    return Edges(letters.left, letters.right, letters.top, letters.bottom)
