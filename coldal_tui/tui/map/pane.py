"""The map pane: every scan as a point, found, marked and chosen by where it lies."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from coldal_tui.project.views.map_view import META
from coldal_tui.tui.map import selection as selection
from coldal_tui.tui.map.canvas import DrawnMap
from coldal_tui.tui.map.colouring import CLUSTER, colouring_names, title_of
from coldal_tui.tui.map.model import Cell, MapModel

ZOOM = 1.5
PAN = 0.25
"""The part of the window that one press of a panning key moves it by."""
STRIDE: Cell = (8, 4)
"""The cells that it moves the corner of a box by."""
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


class MapPane(DrawnMap):
    """Moves from scan to scan, zooms, colours, selects by a box; ``DrawnMap`` draws it."""

    number = 2
    title = "Map"
    BINDINGS: ClassVar[list[BindingType]] = [
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

    class Selected(Message):
        """Only these scans are to be shown in the queue."""

        def __init__(self, scan_ids: tuple[str, ...]) -> None:
            super().__init__()
            self.scan_ids = scan_ids

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._restored: dict[str, Any] = {}
        self._pressed: Cell | None = None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape is the app's unless there is a box to leave; without a map nothing is to do."""
        if action == "leave_box":
            return self.model is not None and self.model.box is not None
        if action in ("open", "colour", "colours", "box", "zoom", "fit", "next"):
            return True if self.model is not None else None
        return True

    # The cursor

    def go_to(self, scan_id: str | None) -> None:
        known, self.wanted = scan_id == self.wanted, scan_id
        model = self.model
        if model is not None:
            n = None if scan_id is None else model.scene.index.get(scan_id)
            if not known or n != model.here:
                self._move_to(n)

    def _move_to(self, n: int | None) -> None:
        model = self.model
        if model is not None:
            before = model.cell_of_cursor()
            model.go_to(n)
            self.redraw_cursor(before, model.cell_of_cursor())

    def _choose(self, n: int) -> None:
        """The cursor by a key or the mouse: the other panes follow."""
        if self.model is not None:
            self.wanted = self.model.scene.scan_ids[n]
            self._move_to(n)
            self.post_message(self.Chosen(self, self.wanted))

    def action_step(self, way: str) -> None:
        model = self.model
        if model is None:
            return
        if self._stretch(WAYS[way]):
            return
        found = model.beside(WAYS[way])
        if found is not None:
            self._choose(found)

    def _stretch(self, by: Cell) -> bool:
        """Move the corner of the box that is being made; whether there is one."""
        model = self.model
        if model is None or model.box is None or model.box.done:
            return False
        model.stretch((model.box.other[0] + by[0], model.box.other[1] + by[1]))
        self.redraw()
        return True

    def action_next(self, what: str, by: int) -> None:
        """The medoid or queued scan after this one; the first when this is none."""
        model = self.model
        if model is None:
            return
        rows = model.scene.medoids.tolist() if what == "medoid" else self._queued(model)
        if not rows:
            self.services.tell("no medoid yet" if what == "medoid" else "nothing is queued")
            return
        first = -1 if by > 0 else 0
        here = first if model.here is None or model.here not in rows else rows.index(model.here)
        self._choose(rows[(here + by) % len(rows)])

    def _queued(self, model: MapModel) -> list[int]:
        index = model.scene.index
        items = self.items().values()
        return [index[i.scan_id] for i in items if i.status == "queued" and i.scan_id in index]

    def action_open(self) -> None:
        model = self.model
        if model is None:
            return
        if model.box is not None:
            self.action_box()
        elif model.here is not None:
            self.post_message(self.Opened(model.scene.scan_ids[model.here]))

    # The window and the colours

    def action_pan(self, way: str) -> None:
        right, down = WAYS[way]
        if self._stretch((right * STRIDE[0], down * STRIDE[1])):
            return
        if self.model is not None:
            view = self.model.view
            self.model.pan(right * view.columns * PAN, down * view.rows * PAN)
            self.redraw()

    def action_zoom(self, steps: int) -> None:
        self._zoom(ZOOM**steps, None)

    def _zoom(self, factor: float, at: Cell | None) -> None:
        if self.model is not None:
            self.model.zoom_by(factor, at)
            self.redraw()

    def action_fit(self) -> None:
        if self.model is not None:
            self.model.fit_all()
            self.redraw()

    def action_glyphs(self) -> None:
        if self.model is not None:
            self.model.toggle_glyphs()
            self.redraw()

    def action_marks(self) -> None:
        if self.model is not None:
            self.model.toggle_marks()
            self.redraw()

    def action_colour(self) -> None:
        """The next of the colourings that every project has."""
        if self.model is not None:
            plain = [name for name in self.known if not name.startswith(META)]
            names = colouring_names(self.model.scene, plain)
            place = names.index(self.colour) + 1 if self.colour in names else 0
            self._colour_by(names[place % len(names)])

    def action_colours(self) -> None:
        if self.model is not None:
            names = colouring_names(self.model.scene, self.known)
            options = [(name, title_of(name)) for name in names]
            self.services.choose("Colour the map by", options, self._colour_by)

    def _colour_by(self, name: str) -> None:
        self.colour = name
        self.recolour()

    # The box

    def action_box(self) -> None:
        model = self.model
        if model is None:
            return
        if model.box is None:
            model.start_box()
            self.redraw()
            return
        model.finish_box()
        rows = model.boxed()
        if not len(rows):
            self.action_leave_box()
            self.services.tell("no scan lies in the box")
            return
        options = selection.choices(model.scene, rows, readonly=self.services.readonly)
        words = selection.counts_text(model.scene, rows)
        self.services.choose(words, options, lambda key: self._act(key, rows))

    def _act(self, key: str, rows: NDArray[np.int64]) -> None:
        model = self.model
        if model is None or model.box is None:
            return
        scene, sides = model.scene, model.box.sides
        self.action_leave_box()
        if key == selection.ZOOM:
            model.zoom_to(sides)
            self.redraw()
        elif key == selection.SHOW:
            queued = selection.of_status(scene, rows, selection.IN_QUEUE)
            self.post_message(self.Selected(tuple(queued)))
        else:
            selection.act(self.services, scene, rows, key)

    def action_leave_box(self) -> None:
        if self.model is not None:
            self.model.drop_box()
            self.redraw()

    # The mouse

    def _cell_at(self, event: events.MouseEvent) -> Cell | None:
        """The map's cell under the mouse; None beside it."""
        offset = event.get_content_offset(self)
        if offset is None or self.model is None or not self.model.view.holds(*offset):
            return None
        return offset.x, offset.y

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if event.button == 1:
            self._pressed = self._cell_at(event)
            if self._pressed is not None:
                self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        model, start = self.model, self._pressed
        if model is None or start is None:
            return
        offset = event.get_content_offset_capture(self)
        here = (offset.x, offset.y)
        if here == start and model.box is None:
            return
        if model.box is None or model.box.done or model.box.one != start:
            model.start_box(start)
        model.stretch(here)
        self.redraw()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        self.release_mouse()
        model, start = self.model, self._pressed
        self._pressed = None
        if model is None or start is None:
            return
        if model.box is not None and model.box.one == start and not model.box.done:
            self.action_box()
            return
        found = model.at(start)
        if found is not None:
            self._choose(found)

    def on_click(self, event: events.Click) -> None:
        if event.chain == 2 and self._cell_at(event) is not None:
            self.action_open()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._zoom(ZOOM, self._cell_at(event))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._zoom(1 / ZOOM, self._cell_at(event))

    # From one session to the next

    def state(self) -> dict[str, Any]:
        model = self.model
        if model is None:
            return dict(self._restored)
        view = model.view
        return {
            "map": model.scene.map_id,
            "zoom": model.zoom,
            "x": view.x,
            "y": view.y,
            "colour": self.colour,
            "scan": self.wanted,
            "glyphs": model.glyphs,
            "marks": model.marks,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._restored = state
        colour = state.get("colour")
        self.colour = colour if isinstance(colour, str) and colour else CLUSTER
        scan_id = state.get("scan")
        if isinstance(scan_id, str) and self.wanted is None:
            self.wanted = scan_id
        if self.model is not None:
            self.took_first_map(self.model)
            self.go_to(self.wanted)
            self.recolour()

    def took_first_map(self, model: MapModel) -> None:
        """Look where the last session looked, if it was at this map."""
        state = self._restored
        if isinstance(state.get("glyphs"), bool):
            model.glyphs = state["glyphs"]
        if state.get("marks") is False:
            model.toggle_marks()
        place = [state.get(key) for key in ("zoom", "x", "y")]
        if state.get("map") == model.scene.map_id and all(_is_number(value) for value in place):
            zoom, x, y = (float(value) for value in place if value is not None)
            model.look_back(zoom, x, y)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
