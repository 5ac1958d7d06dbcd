"""The view settings of a scan: slice, plane, window, zoom, channel, overlays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from coldal_tui.tui.drawing.plane_slices import Shown, Slices
from coldal_tui.tui.drawing.viewport import ZOOM_STEP, Eye, Memory, chosen_window

OVERLAYS = ("mask", "prediction", "entropy")


class ScanLook:
    """The visible scan and its view settings; ``draw`` is called after each change.

    A scan that was seen before gets its last settings.
    """

    def __init__(self, draw: Callable[[Slices], None]) -> None:
        self._draw = draw
        self._memory = Memory()
        self._scan_id = ""
        self.slices: Slices | None = None
        """The scan's pixels; None where they could not be read."""
        self.eye = Eye()
        self.shown = Shown()

    def take(self, scan_id: str, slices: Slices | None) -> None:
        """Switch to another scan, or to the same one read again; the caller draws it."""
        self._scan_id, self.slices = scan_id, slices
        if slices is not None:
            self.eye = self._memory.eye(scan_id, slices)

    def drop(self) -> None:
        """Show no scan."""
        self.slices = None

    @property
    def volume(self) -> bool:
        """Whether there are slices to page through."""
        return self.slices is not None and self.slices.volume

    def has(self, overlay: str) -> bool:
        """Whether the scan has this overlay."""
        return self.slices is not None and getattr(self.slices.view, overlay) is not None

    def _use(self, eye: Eye) -> None:
        slices = self.slices
        if slices is not None and eye != self.eye:
            self.eye = eye
            self._memory.keep(self._scan_id, slices, eye)
            self._draw(slices)

    def _show(self, shown: Shown) -> None:
        self.shown = shown
        if self.slices is not None:
            self._draw(self.slices)

    def step(self, by: int) -> None:
        """Move by ``by`` slices."""
        if self.slices is not None:
            self._use(self.eye.on_slice(self.slices, self.eye.index + by))

    def edge(self, *, last: bool) -> None:
        """Go to the first or the last slice."""
        if self.slices is not None:
            end = self.slices.count(self.eye.axis) if last else 0
            self._use(self.eye.on_slice(self.slices, end))

    def turn(self) -> None:
        """Switch to the next plane of a volume."""
        slices = self.slices
        if slices is not None and slices.volume:
            axes = slices.axes
            axis = axes[(axes.index(self.eye.axis) + 1) % len(axes)]
            self._memory.plane = slices.name(axis)
            self._use(self.eye.across(slices, axis))

    def next_channel(self) -> None:
        if self.slices is not None:
            channel = (self.eye.channel + 1) % self.slices.channels
            self._use(replace(self.eye, channel=channel, window=None))

    def toggle(self, overlay: str) -> None:
        self._show(self.shown.toggled(overlay))

    def toggle_tint(self) -> None:
        """Switch between outlines and tints."""
        tinted = self.shown.style == "tint"
        self._show(replace(self.shown, style="outline" if tinted else "tint"))

    def widen(self, factor: float) -> None:
        """Widen the window of grey values, for less contrast."""
        if self.slices is not None:
            self._use(self.eye.shifted(self.slices, width=factor))

    def shift_level(self, share: float) -> None:
        """Move the window by a share of its width."""
        if self.slices is not None:
            self._use(self.eye.shifted(self.slices, level=share))

    def use_window(self, key: str) -> None:
        """Use a window by its key in ``window_choices``."""
        if self.slices is not None:
            self._use(replace(self.eye, window=chosen_window(self.slices, key)))

    def auto_window(self) -> None:
        self._use(replace(self.eye, window=None))

    def zoom(self, steps: int) -> None:
        self._use(self.eye.zoomed(ZOOM_STEP**steps))

    def pan(self, frame: Any, down: float, across: float) -> None:
        """Pan by shares of ``frame``, the visible part of the image."""
        self._use(self.eye.panned(frame, down, across))

    def fit(self) -> None:
        self._use(replace(self.eye, view=Eye().view))

    def state(self) -> dict[str, Any]:
        """The settings to restore in the next session (JSON types only)."""
        shown = {name: getattr(self.shown, name) for name in OVERLAYS}
        return {**shown, "tint": self.shown.style == "tint", "plane": self._memory.plane}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a ``state``; ignores invalid parts and draws nothing."""
        for name in OVERLAYS:
            if isinstance(state.get(name), bool) and state[name] != getattr(self.shown, name):
                self.shown = self.shown.toggled(name)
        if state.get("tint") is True:
            self.shown = replace(self.shown, style="tint")
        if isinstance(state.get("plane"), str):
            self._memory.plane = state["plane"]
