"""The view of a scan: slice, zoom, window, and the arithmetic of these."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace

from coldal_tui.imaging.intensity import CT_WINDOW, WINDOWS
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.drawing.picture import View
from coldal_tui.tui.drawing.picture_scaling import Frame
from coldal_tui.tui.drawing.plane_slices import Slices

ZOOM_STEP, ZOOM_MOST = 1.5, 64.0
REMEMBERED = 64
"""Scans whose slice and zoom are remembered."""


@dataclass(frozen=True)
class Eye:
    """One view of a scan. ``window`` is (black, white) in stored units; None: the default rule."""

    axis: int = 0
    index: int = 0
    channel: int = 0
    view: View = field(default_factory=View)
    window: tuple[float, float] | None = None

    def on_slice(self, slices: Slices, index: int) -> Eye:
        """The view at slice ``index``, or the nearest slice."""
        return replace(self, index=max(0, min(index, slices.count(self.axis) - 1)))

    def across(self, slices: Slices, axis: int) -> Eye:
        """The best slice along another axis, at zoom 1."""
        return replace(self, axis=axis, index=slices.best(axis), view=View())

    def zoomed(self, factor: float) -> Eye:
        zoom = min(ZOOM_MOST, max(1.0, self.view.zoom * factor))
        return replace(self, view=View(zoom, self.view.centre) if zoom > 1 else View())

    def panned(self, frame: Frame, down: float, across: float) -> Eye:
        return replace(self, view=self.view.panned(frame, down, across))

    def shifted(self, slices: Slices, *, width: float = 1.0, level: float = 0.0) -> Eye:
        """The window made ``width`` times as wide, its level moved by ``level`` of its width."""
        low, high = self.limits(slices)
        middle = (low + high) / 2 + level * (high - low)
        half = (high - low) / 2 * width
        return replace(self, window=(middle - half, middle + half))

    def limits(self, slices: Slices) -> tuple[float, float]:
        """The black and white values, in stored units."""
        if self.window is not None:
            return self.window
        limits = slices.pixels.limits
        return limits[self.channel if slices.channels > 1 else 0]


class Memory:
    """The last view of each scan; a window chosen for a CT is kept for the next CT."""

    def __init__(self, plane: str = "") -> None:
        self.plane = plane
        """The plane that was chosen last; the next volume opens in it."""
        self._eyes: OrderedDict[str, Eye] = OrderedDict()
        self._ct: tuple[float, float] | None = None

    def keep(self, scan_id: str, slices: Slices, eye: Eye) -> None:
        self._eyes[scan_id] = eye
        self._eyes.move_to_end(scan_id)
        if len(self._eyes) > REMEMBERED:
            self._eyes.popitem(last=False)
        if slices.pixels.rule == CT_WINDOW:
            self._ct = eye.window

    def eye(self, scan_id: str, slices: Slices) -> Eye:
        """The view of a scan: its last one, else its best slice."""
        window = self._ct if slices.pixels.rule == CT_WINDOW else None
        known = self._eyes.get(scan_id)
        if known is not None:
            eye = replace(known, channel=min(known.channel, slices.channels - 1))
            if slices.pixels.rule == CT_WINDOW:
                eye = replace(eye, window=window)
            return eye.on_slice(slices, known.index) if slices.volume else eye
        if not slices.volume:
            return Eye(window=window)
        named = [axis for axis in slices.axes if slices.name(axis) == self.plane]
        axis = (named or list(slices.axes))[0]
        return Eye(axis, slices.best(axis), window=window)


def window_choices(slices: Slices) -> list[tuple[str, str]]:
    """The windows to choose from, as ``(key, words)``."""
    if slices.pixels.rule == CT_WINDOW:
        return [
            (name, f"{name.replace('-', ' '):12} W {width:,.0f}  L {level:,.0f}")
            for name, (width, level) in WINDOWS.items()
        ]
    return [
        ("auto", "automatic"),
        ("full", "everything, from the darkest to the brightest value"),
        ("dark", "the darker half, brightened"),
        ("bright", "the brighter half"),
    ]


def chosen_window(slices: Slices, key: str) -> tuple[float, float] | None:
    """(black, white) of a choice; None for the rule's own."""
    if key in WINDOWS:
        width, level = WINDOWS[key]
        return level - width / 2, level + width / 2
    low, high = Eye().limits(slices)
    if key == "full":
        pixels = slices.pixels
        least, most = float(pixels.array.min()), float(pixels.array.max())
        return least * pixels.scale + pixels.offset, most * pixels.scale + pixels.offset
    if key == "dark":
        return low, (low + high) / 2
    if key == "bright":
        return (low + high) / 2, high
    return None


def position_words(slices: Slices, eye: Eye, look: Look) -> str:
    """``axial 17/35 · W 400 L 40 · 2.2x``: what differs from the default view."""
    words = []
    if slices.volume:
        words.append(f"{slices.name(eye.axis)} {eye.index + 1}/{slices.count(eye.axis)}")
    if slices.channels > 1:
        words.append(f"channel {eye.channel + 1}/{slices.channels}")
    if eye.window is not None or slices.pixels.rule == CT_WINDOW:
        low, high = eye.limits(slices)
        words.append(f"W {_short(high - low)} L {_short((low + high) / 2)}")
    if eye.view.zoom > 1:
        words.append(f"{eye.view.zoom:.1f}x")
    if max(slices.pixels.strides) > 1:
        words.append("thinned out")
    return f" {look.dot} ".join(words)


def _short(value: float) -> str:
    if abs(value) >= 100 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.2g}" if abs(value) < 1 else f"{value:.1f}"
