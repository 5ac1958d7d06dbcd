"""The keys of the map pane."""

from __future__ import annotations

from textual.binding import BindingType

from coldal_tui.tui.map.model import Cell
from coldal_tui.tui.verbs import bind

WAYS: dict[str, Cell] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}

MAP_KEYS: list[BindingType] = [
    *(bind(way, f"step('{way}')", f"scan {way}", id=f"map.step.{way}") for way in WAYS),
    *(bind(f"pan-{way}", f"pan('{way}')", id=f"map.pan.{way}") for way in WAYS),
    bind("page-up", "pan('up')", "pan up", id="map.pan.up"),
    bind("page-down", "pan('down')", "pan down", id="map.pan.down"),
    bind("open", "open", "open", id="map.open", show=True),
    bind("colour", "colour", "colour", id="map.colour", show=True),
    bind("colours", "colours", "colour by", id="map.colours"),
    bind("range", "box", "box", id="map.box", show=True),
    bind("zoom-in", "zoom(1)", "zoom", id="map.zoom_in", show=True, display="< >"),
    bind("zoom-out", "zoom(-1)", "zoom out", id="map.zoom_out"),
    bind("fit", "fit", "fit", id="map.fit", show=True),
    bind("next", "next('queued', 1)", "queued", id="map.queued", show=True),
    bind("previous", "next('queued', -1)", "queued before", id="map.queued_before"),
    bind("medoid", "next('medoid', 1)", "medoid", id="map.medoid", show=True),
    bind("medoid-before", "next('medoid', -1)", "medoid before", id="map.medoid_before"),
    bind("style", "glyphs", "dots or glyphs", id="map.glyphs"),
    bind("overlay", "marks", "marks on or off", id="map.marks"),
    bind("back", "leave_box", "leave the box", id="map.leave_box"),
]
