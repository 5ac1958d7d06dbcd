"""The keys of the scan pane: slices, planes, overlays, window, zoom, next scan in the queue."""

from __future__ import annotations

from textual.binding import BindingType

from coldal_tui.tui.verbs import bind

SCAN_KEYS: list[BindingType] = [
    bind("plane", "axis", "plane", id="scan.plane", show=True),
    bind("overlay", "overlay('mask')", "mask", id="scan.mask", show=True),
    bind("prediction", "overlay('prediction')", "prediction", id="scan.prediction", show=True),
    bind("uncertainty", "overlay('entropy')", "uncertainty", id="scan.entropy", show=True),
    bind("windows", "windows", "window", id="scan.window", show=True),
    bind("details", "details", "details", id="scan.details", show=True),
    bind("next", "next(1)", "next", id="scan.next", show=True),
    bind("previous", "next(-1)", "scan before", id="scan.previous"),
    bind("style", "style", "outline or tint", id="scan.style"),
    bind("down", "slice(1)", "next slice", id="scan.down"),
    bind("step-on", "slice(1)", "next slice", id="scan.down"),
    bind("up", "slice(-1)", "slice before", id="scan.up"),
    bind("step-back", "slice(-1)", "slice before", id="scan.up"),
    bind("page-down", "slice(10)", "10 slices on", id="scan.page-down"),
    bind("page-up", "slice(-10)", "10 slices back", id="scan.page-up"),
    bind("first", "edge(0)", "first slice", id="scan.first"),
    bind("last", "edge(1)", "last slice", id="scan.last"),
    bind("half-down", "scroll(8)", "details down", id="scan.details-down"),
    bind("half-up", "scroll(-8)", "details up", id="scan.details-up"),
    bind("more-contrast", "width(0.8)", id="scan.narrower"),
    bind("less-contrast", "width(1.25)", id="scan.wider"),
    bind("brighter", "level(-0.1)", id="scan.brighter"),
    bind("darker", "level(0.1)", id="scan.darker"),
    bind("auto-window", "auto", id="scan.auto"),
    bind("zoom-in", "zoom(1)", id="scan.zoom-in"),
    bind("zoom-out", "zoom(-1)", id="scan.zoom-out"),
    bind("pan-left", "pan(0,-1)", "pan left", id="scan.pan-left"),
    bind("left", "pan(0,-1)", "pan left", id="scan.pan-left"),
    bind("pan-right", "pan(0,1)", "pan right", id="scan.pan-right"),
    bind("right", "pan(0,1)", "pan right", id="scan.pan-right"),
    bind("pan-up", "pan(-1,0)", id="scan.pan-up"),
    bind("pan-down", "pan(1,0)", id="scan.pan-down"),
    bind("fit", "fit", id="scan.fit"),
    bind("colour", "channel", "next channel", id="scan.channel"),
]
