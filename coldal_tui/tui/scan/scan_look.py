"""How a scan is looked at: slice, plane, window, zoom, channel and overlays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from coldal_tui.tui.drawing.plane_slices import Shown, Slices
from coldal_tui.tui.drawing.viewport import ZOOM_STEP, Eye, Memory, chosen_window

OVERLAYS = ("mask", "prediction", "entropy")


class ScanLook:
    """The scan that is shown and how; ``draw`` is called after each change. Scans that were
    looked at before are seen as they were left.
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
        """Another scan, or the same one read again; the caller draws it."""
        self._scan_id, self.slices = scan_id, slices
        if slices is not None:
            self.eye = self._memory.eye(scan_id, slices)

    def drop(self) -> None:
        """No scan."""
        self.slices = None

    @property
    def volume(self) -> bool:
        """Whether there are slices to go through."""
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
        """``by`` slices on."""
        if self.slices is not None:
            self._use(self.eye.on_slice(self.slices, self.eye.index + by))

    def edge(self, *, last: bool) -> None:
        """To the first or the last slice."""
        if self.slices is not None:
            end = self.slices.count(self.eye.axis) if last else 0
            self._use(self.eye.on_slice(self.slices, end))

    def turn(self) -> None:
        """To the next plane of a volume."""
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
        """Outlines or tints."""
        tinted = self.shown.style == "tint"
        self._show(replace(self.shown, style="outline" if tinted else "tint"))

    def widen(self, factor: float) -> None:
        """A wider window of grey values: less contrast."""
        if self.slices is not None:
            self._use(self.eye.shifted(self.slices, width=factor))

    def shift_level(self, share: float) -> None:
        """Move the window by a share of its width."""
        if self.slices is not None:
            self._use(self.eye.shifted(self.slices, level=share))

    def use_window(self, key: str) -> None:
        """A window by its key among ``window_choices``."""
        if self.slices is not None:
            self._use(replace(self.eye, window=chosen_window(self.slices, key)))

    def auto_window(self) -> None:
        self._use(replace(self.eye, window=None))

    def zoom(self, steps: int) -> None:
        self._use(self.eye.zoomed(ZOOM_STEP**steps))

    def pan(self, frame: Any, down: float, across: float) -> None:
        """By shares of ``frame``, the part of the picture that is in view."""
        self._use(self.eye.panned(frame, down, across))

    def fit(self) -> None:
        self._use(replace(self.eye, view=Eye().view))

    def state(self) -> dict[str, Any]:
        """What should be the same on return (JSON types only)."""
        shown = {name: getattr(self.shown, name) for name in OVERLAYS}
        return {**shown, "tint": self.shown.style == "tint", "plane": self._memory.plane}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a ``state``; ignores what is unfit, and draws nothing."""
        for name in OVERLAYS:
            if isinstance(state.get(name), bool) and state[name] != getattr(self.shown, name):
                self.shown = self.shown.toggled(name)
        if state.get("tint") is True:
            self.shown = replace(self.shown, style="tint")
        if isinstance(state.get("plane"), str):
            self._memory.plane = state["plane"]
