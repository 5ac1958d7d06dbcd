"""The keys of the scan pane: slices, planes, overlays, window, zoom, the next of the queue."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from coldal_tui.tui.drawing.plane_slices import Shown, Slices
from coldal_tui.tui.drawing.viewport import ZOOM_STEP, Eye, Memory, chosen_window, window_choices
from coldal_tui.tui.pane import Pane
from coldal_tui.tui.widgets.picture import PictureView
from coldal_tui.tui.widgets.seen import WhileSeen

PAN = 0.25


class ScanKeys(WhileSeen, Pane):
    """How a scan is looked at, and the keys that change it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "axis", "plane", id="scan.plane"),
        Binding("m", "overlay('mask')", "mask", id="scan.mask"),
        Binding("p", "overlay('prediction')", "prediction", id="scan.prediction"),
        Binding("u", "overlay('entropy')", "uncertainty", id="scan.entropy"),
        Binding("v", "windows", "window", id="scan.window"),
        Binding("d", "details", "details", id="scan.details"),
        Binding("full_stop", "next(1)", "next", key_display=".", id="scan.next"),
        Binding("comma", "next(-1)", "scan before", show=False, id="scan.previous"),
        Binding("o", "style", "outline or tint", show=False, id="scan.style"),
        Binding("j,down,]", "slice(1)", "next slice", show=False, id="scan.down"),
        Binding("k,up,[", "slice(-1)", "slice before", show=False, id="scan.up"),
        Binding("pagedown", "slice(10)", "10 slices on", show=False, id="scan.page-down"),
        Binding("pageup", "slice(-10)", "10 slices back", show=False, id="scan.page-up"),
        Binding("g,home", "edge(0)", "first slice", show=False, id="scan.first"),
        Binding("G,end", "edge(1)", "last slice", show=False, id="scan.last"),
        Binding("ctrl+d", "scroll(8)", "details down", show=False, id="scan.details-down"),
        Binding("ctrl+u", "scroll(-8)", "details up", show=False, id="scan.details-up"),
        Binding("w", "width(0.8)", "more contrast", show=False, id="scan.narrower"),
        Binding("W", "width(1.25)", "less contrast", show=False, id="scan.wider"),
        Binding("b", "level(-0.1)", "brighter", show=False, id="scan.brighter"),
        Binding("B", "level(0.1)", "darker", show=False, id="scan.darker"),
        Binding("a", "auto", "automatic window", show=False, id="scan.auto"),
        Binding(">,=", "zoom(1)", "zoom in", show=False, id="scan.zoom-in"),
        Binding("<,-", "zoom(-1)", "zoom out", show=False, id="scan.zoom-out"),
        Binding("H,h,left", "pan(0,-1)", "pan left", show=False, id="scan.pan-left"),
        Binding("L,l,right", "pan(0,1)", "pan right", show=False, id="scan.pan-right"),
        Binding("K", "pan(-1,0)", "pan up", show=False, id="scan.pan-up"),
        Binding("J", "pan(1,0)", "pan down", show=False, id="scan.pan-down"),
        Binding("f", "fit", "fit", show=False, id="scan.fit"),
        Binding("c", "channel", "next channel", show=False, id="scan.channel"),
    ]

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._wanted: str | None = None
        self._seen_id = ""
        """The scan that is shown; ``_wanted`` may be the next, on its way."""
        self._eye = Eye()
        self._shown = Shown()
        self._memory = Memory()
        self._details: dict[bool, bool] = {True: True, False: False}
        """Whether details are shown: where there is room beside the picture, and where not."""

    @property
    @abstractmethod
    def slices(self) -> Slices | None:
        """The scan that is shown, where it could be read."""

    @abstractmethod
    def _draw_picture(self, slices: Slices) -> None:
        """Draw the picture anew."""

    @property
    @abstractmethod
    def _roomy(self) -> bool:
        """Whether there is room for details beside or below the picture."""

    @abstractmethod
    def _rearrange(self) -> None:
        """Give picture and facts their places, and draw them anew."""

    def _look_with(self, eye: Eye) -> None:
        slices = self.slices
        if slices is not None and eye != self._eye:
            self._eye = eye
            self._memory.keep(self._seen_id, slices, eye)
            self._draw_picture(slices)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        slices = self.slices
        if action == "axis":
            return slices is not None and slices.volume
        if action == "channel":
            return slices is not None and slices.channels > 1
        if action == "overlay":
            return slices is not None and getattr(slices.view, str(parameters[0])) is not None
        if action in ("windows", "width", "level", "auto", "zoom", "pan", "fit", "style"):
            return slices is not None
        if action == "next":
            return bool(self._queued())
        return True

    def action_slice(self, by: int) -> None:
        """Through a volume; where there is nothing to go through, the facts are scrolled."""
        slices = self.slices
        if slices is None or not slices.volume or self.has_class("-facts"):
            self.action_scroll(by)
        else:
            self._look_with(self._eye.on_slice(slices, self._eye.index + by))

    def action_edge(self, end: int) -> None:
        slices = self.slices
        if slices is None or not slices.volume or self.has_class("-facts"):
            facts = self.query_one("#scan-facts", VerticalScroll)
            (facts.scroll_end if end else facts.scroll_home)(animate=False)
        else:
            self._look_with(self._eye.on_slice(slices, slices.count(self._eye.axis) if end else 0))

    def action_scroll(self, by: int) -> None:
        facts = self.query_one("#scan-facts", VerticalScroll)
        facts.scroll_relative(y=by, animate=False)

    def action_axis(self) -> None:
        slices = self.slices
        if slices is not None and slices.volume:
            axes = slices.axes
            axis = axes[(axes.index(self._eye.axis) + 1) % len(axes)]
            self._memory.plane = slices.name(axis)
            self._look_with(self._eye.across(slices, axis))

    def action_channel(self) -> None:
        slices = self.slices
        if slices is not None:
            channel = (self._eye.channel + 1) % slices.channels
            self._look_with(replace(self._eye, channel=channel, window=None))

    def action_overlay(self, layer: str) -> None:
        self._show(self._shown.toggled(layer))

    def action_style(self) -> None:
        tinted = self._shown.style == "tint"
        self._show(replace(self._shown, style="outline" if tinted else "tint"))

    def _show(self, shown: Shown) -> None:
        self._shown = shown
        if self.slices is not None:
            self._draw_picture(self.slices)

    def action_width(self, factor: float) -> None:
        if self.slices is not None:
            self._look_with(self._eye.shifted(self.slices, width=factor))

    def action_level(self, share: float) -> None:
        if self.slices is not None:
            self._look_with(self._eye.shifted(self.slices, level=share))

    def action_auto(self) -> None:
        self._look_with(replace(self._eye, window=None))

    def action_windows(self) -> None:
        slices = self.slices
        if slices is None:
            return

        def chosen(key: str) -> None:
            if self.slices is slices:
                self._look_with(replace(self._eye, window=chosen_window(slices, key)))

        self.services.choose("window", window_choices(slices), chosen)

    def action_zoom(self, steps: int) -> None:
        self._look_with(self._eye.zoomed(ZOOM_STEP**steps))

    def action_pan(self, down: int, across: int) -> None:
        frame = self.query_one(PictureView).frame
        if frame is not None:
            self._look_with(self._eye.panned(frame, down * PAN, across * PAN))

    def action_fit(self) -> None:
        self._look_with(replace(self._eye, view=Eye().view))

    def action_details(self) -> None:
        self._details[self._roomy] = not self._details[self._roomy]
        self._rearrange()

    def _queued(self) -> list[str]:
        view = self.services.view
        if view is None:
            return []
        return [i.scan_id for i in view.snapshot.queue if i.status != "skipped"]

    def action_next(self, by: int) -> None:
        """The next scan of the queue; of one that is not in it, the first."""
        queued = self._queued()
        if not queued:
            return
        if self._wanted in queued:
            place = queued.index(self._wanted) + by
            if not 0 <= place < len(queued):
                self.services.tell("the queue ends here" if by > 0 else "the queue begins here")
                return
        else:
            place = 0 if by > 0 else len(queued) - 1
        self.go_to(queued[place])
        self.post_message(self.Chosen(self, queued[place]))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._scrolled(event, 1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._scrolled(event, -1)

    def _scrolled(self, event: events.MouseEvent, by: int) -> None:
        """The wheel goes through slices, over the picture."""
        slices = self.slices
        over = self.query_one("#scan-picture").region.contains(event.screen_x, event.screen_y)
        if slices is not None and slices.volume and over:
            event.stop()
            self.action_slice(by)
