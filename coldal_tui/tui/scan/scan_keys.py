"""The keys of the scan pane: slices, planes, overlays, window, zoom, next scan in the queue."""

from __future__ import annotations

from textual.binding import Binding, BindingType

SCAN_KEYS: list[BindingType] = [
    Binding("t", "axis", "plane", id="scan.plane"),
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
