"""The keys of the map pane."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from coldal_tui.tui.map.model import Cell

WAYS: dict[str, Cell] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
STEP_KEYS = {"left": "h,left", "right": "l,right", "up": "k,up", "down": "j,down"}
PAN_KEYS = {
    "left": "H,shift+left",
    "right": "L,shift+right",
    "up": "K,shift+up,pageup",
    "down": "J,shift+down,pagedown",
}


def _four(action: str, keys: dict[str, str], words: str) -> list[BindingType]:
    return [
        Binding(key, f"{action}('{way}')", f"{words} {way}", show=False, id=f"map.{action}.{way}")
        for way, key in keys.items()
    ]


MAP_KEYS: list[BindingType] = [
    *_four("step", STEP_KEYS, "scan"),
    *_four("pan", PAN_KEYS, "pan"),
    Binding("enter", "open", "open", id="map.open"),
    Binding("c", "colour", "colour", id="map.colour"),
    Binding("C", "colours", "colour by", show=False, id="map.colours"),
    Binding("b", "box", "box", id="map.box"),
    Binding(">,],=", "zoom(1)", "zoom", key_display="< >", id="map.zoom_in"),
    Binding("<,[,-", "zoom(-1)", "zoom out", show=False, id="map.zoom_out"),
    Binding("f", "fit", "fit", id="map.fit"),
    Binding("m", "next('medoid', 1)", "medoid", id="map.medoid"),
    Binding("M", "next('medoid', -1)", "medoid before", show=False, id="map.medoid_before"),
    Binding("o", "next('queued', 1)", "queued", id="map.queued"),
    Binding("O", "next('queued', -1)", "queued before", show=False, id="map.queued_before"),
    Binding("d", "glyphs", "dots or glyphs", show=False, id="map.glyphs"),
    Binding("t", "marks", "marks on or off", show=False, id="map.marks"),
    Binding("escape", "leave_box", "leave the box", show=False, id="map.leave_box"),
]
