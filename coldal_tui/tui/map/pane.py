"""The map pane: every scan is a point that can be found, marked and selected."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from rich.text import Text
from textual import events
from textual.binding import BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from coldal_tui.project.views.map_view import META, Column, MapView
from coldal_tui.project.views.snapshot import QueueItem
from coldal_tui.tui.map import selection
from coldal_tui.tui.map.colouring import CLUSTER, colour_by, colouring_names, title_of
from coldal_tui.tui.map.legend import (
    MARK,
    MUTED,
    Part,
    about_line,
    empty_lines,
    legend_groups,
    legend_line,
    map_titles,
)
from coldal_tui.tui.map.map_columns import IN_SCENE, MapColumns, about_scan
from coldal_tui.tui.map.map_keys import MAP_KEYS, WAYS
from coldal_tui.tui.map.map_lines import MapLines
from coldal_tui.tui.map.model import Cell, MapModel
from coldal_tui.tui.pane import Pane, View
from coldal_tui.visible import visible

ZOOM = 1.5
PAN = 0.25
"""The part of the window that one press of a panning key moves it by."""
STRIDE: Cell = (8, 4)
"""The cells that it moves the corner of a box by."""
STYLES = ("plain", "muted", "mark", "here", "box")


class MapPane(Pane, can_focus=True):
    """Points by density and colour, marks on top, a legend, a line about the scan here.

    A cursor move redraws only two rows and the lines below.
    """

    number = 2
    title = "2 Map"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"map--{name}" for name in STYLES}
    DEFAULT_CSS = """
    MapPane {
        & > .map--plain { color: $foreground; }
        & > .map--muted { color: $foreground 60%; }
        & > .map--mark { color: $foreground; text-style: bold; }
        & > .map--here { color: auto; background: $accent; text-style: bold; }
        & > .map--box { color: $accent; text-style: bold; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = MAP_KEYS

    class Selected(Message):
        """Sent when only these scans are to be shown in the queue."""

        def __init__(self, scan_ids: tuple[str, ...]) -> None:
            super().__init__()
            self.scan_ids = scan_ids

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.shown: View | None = None
        self.model: MapModel | None = None
        """None before there is a map."""
        self.colour = CLUSTER
        self.wanted: str | None = None
        """The scan that the app is at; it may be one that isn't on the map."""
        self._columns = MapColumns(self._arrived)
        self._lines = MapLines(self, STYLES)
        self._items: dict[str, QueueItem] = {}
        self._restored: dict[str, Any] = {}
        self._pressed: Cell | None = None

    @property
    def known(self) -> tuple[str, ...]:
        """The columns that the map can be coloured by."""
        return self._columns.names

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape acts here only while a box is open; without a map no key does."""
        if action == "leave_box":
            return self.model is not None and self.model.box is not None
        if action in ("open", "colour", "colours", "box", "zoom", "fit", "next"):
            return True if self.model is not None else None
        return True

    # What it shows

    def show(self, view: View) -> None:
        old, self.shown = self.shown, view
        queue_changed = old is None or old.snapshot.queue != view.snapshot.queue
        if queue_changed:
            self._items = {item.scan_id: item for item in view.snapshot.queue}
        map_view = view.map_view
        if map_view is None or not len(map_view):
            if self.model is not None or old is None or _told(old) != _told(view):
                self.model = None
                self.redraw()
            return
        if self.model is None or map_view is not self.model.map_view:
            self._take(map_view)
        elif queue_changed:
            self._redraw_below()
        self._columns.follow(self.services, view, self.colour)

    def _take(self, map_view: MapView) -> None:
        model = self.model
        self._columns.use(map_view)
        colouring = colour_by(self.colour, map_view, self.look, self._columns.get(self.colour))
        if model is None:
            model = self.model = MapModel(self.look, map_view, colouring)
            model.colourless = self.app.no_color
            model.restore(self._restored)
        else:
            model.show(map_view, colouring)
        if self.wanted is not None:
            model.here = map_view.index.get(self.wanted)
        self.redraw()

    def _arrived(self, column: Column) -> None:
        if column.name != self.colour:
            self._redraw_below()
            return
        if not column.known:
            self.colour = CLUSTER
            self.services.tell(f"no scan on this map has a {title_of(column.name)}")
        self.recolour()

    def recolour(self) -> None:
        """Colour by ``colour``; a column that is not loaded yet follows when it is."""
        column = self._columns.get(self.colour)
        if self.model is None:
            return
        if self.colour not in IN_SCENE and column is None:
            self._columns.want(self.services, self.colour)
            return
        self.model.recolour(colour_by(self.colour, self.model.map_view, self.look, column))
        self.redraw()

    # Redrawing

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._lines.restyle()

    def on_resize(self) -> None:
        self.redraw()

    def redraw(self) -> None:
        """Redraw everything."""
        self._lines.clear()
        width, height = self.size
        if self.model is not None and width:
            below = len(legend_groups(self.model, width, height, self.look)) + (height > 3)
            self.model.resize(width, max(1, height - below))
        self._say_titles()
        self.refresh()

    def redraw_cursor(self, *cells: Cell | None) -> None:
        """Redraw after a cursor move between these cells; everything if marks depend on it."""
        if self.model is None or not self.model.painted:
            self.redraw()
            return
        rows = [row for _, row in filter(None, cells)]
        self._lines.clear_rows(rows)
        for row in rows:
            self.refresh(Region(0, row, self.size.width, 1))
        self._redraw_below()

    def _redraw_below(self) -> None:
        if self.model is not None:
            top, height = self.model.view.rows, self.size.height
            self._lines.clear_below(top)
            self.refresh(Region(0, top, self.size.width, height - top))

    def _say_titles(self) -> None:
        encoder = "" if self.shown is None else self.shown.snapshot.encoder
        title, subtitle = map_titles(self.model, encoder, self.size.width)
        self.border_title, self.border_subtitle = Text(title), Text(subtitle)

    def render_line(self, y: int) -> Strip:
        model = self.model
        if model is None:
            lines = [] if self.shown is None else empty_lines(self.shown.snapshot)
            return self._lines.centred(y, [(words, str(name)) for words, name in lines])
        return self._lines.line(y, model, self.look, self._below)

    def _below(self) -> list[list[Part]]:
        model, (width, height) = self.model, self.size
        if model is None:
            return []
        groups = legend_groups(model, width, height, self.look)
        lines = [legend_line(group, width, self.look) for group in groups]
        return [*lines, self._about(model, width)]

    def _about(self, model: MapModel, width: int) -> list[Part]:
        if model.box is not None:
            return [("arrows size the box, v or enter says what can be done with it", MUTED)]
        if model.here is None and self.wanted is not None:
            return [(visible(self.wanted), MARK), (" is not on this map", MUTED)]
        if model.here is None:
            return [("arrows or a click choose a scan", MUTED)]
        about = about_scan(model, model.here, self._items, self._columns, self.colour)
        return about_line(about, width, self.look)

    # The cursor

    def go_to(self, scan_id: str | None) -> None:
        known, self.wanted = scan_id == self.wanted, scan_id
        model = self.model
        if model is not None:
            n = None if scan_id is None else model.map_view.index.get(scan_id)
            if not known or n != model.here:
                self._move_to(n)

    def _move_to(self, n: int | None) -> None:
        model = self.model
        if model is not None:
            before = model.cell_of_cursor()
            model.go_to(n)
            self.redraw_cursor(before, model.cell_of_cursor())

    def _choose(self, n: int) -> None:
        """Move the cursor by key or mouse; the other panes follow."""
        if self.model is not None:
            self.wanted = self.model.map_view.scan_ids[n]
            self._move_to(n)
            self.post_message(self.Chosen(self, self.wanted))

    def action_step(self, way: str) -> None:
        model = self.model
        if model is None or self._stretch(WAYS[way]):
            return
        found = model.beside(WAYS[way])
        if found is not None:
            self._choose(found)

    def _stretch(self, by: Cell) -> bool:
        """Move the corner of the open box; returns whether one is open."""
        if self.model is None or not self.model.stretch_by(by):
            return False
        self.redraw()
        return True

    def action_next(self, what: str, by: int) -> None:
        """Go to the next medoid or queued scan, or the first."""
        model = self.model
        if model is None:
            return
        index, queued = (
            model.map_view.index,
            (i for i in self._items.values() if i.status == "queued"),
        )
        rows = model.map_view.medoids.tolist()
        if what == "queued":
            rows = [index[item.scan_id] for item in queued if item.scan_id in index]
        if not rows:
            self.services.tell("no medoid yet" if what == "medoid" else "nothing is queued")
            return
        self._choose(model.after(rows, by))

    def action_open(self) -> None:
        model = self.model
        if model is None:
            return
        if model.box is not None:
            self.action_box()
        elif model.here is not None:
            self.post_message(self.Opened(model.map_view.scan_ids[model.here]))

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
        """Switch to the next of the standard colourings."""
        if self.model is not None:
            plain = [name for name in self.known if not name.startswith(META)]
            names = colouring_names(self.model.map_view, plain)
            place = names.index(self.colour) + 1 if self.colour in names else 0
            self._colour_by(names[place % len(names)])

    def action_colours(self) -> None:
        if self.model is not None:
            names = colouring_names(self.model.map_view, self.known)
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
        options = selection.choices(model.map_view, rows, readonly=self.services.readonly)
        words = selection.counts_text(model.map_view, rows)
        self.services.choose(words, options, lambda key: self._act(key, rows))

    def _act(self, key: str, rows: NDArray[np.int64]) -> None:
        model = self.model
        if model is None or model.box is None:
            return
        map_view, sides = model.map_view, model.box.sides
        self.action_leave_box()
        if key == selection.ZOOM:
            model.zoom_to(sides)
            self.redraw()
        elif key == selection.SHOW:
            queued = selection.of_status(map_view, rows, selection.IN_QUEUE)
            self.post_message(self.Selected(tuple(queued)))
        else:
            selection.act(self.services, map_view, rows, key)

    def action_leave_box(self) -> None:
        if self.model is not None:
            self.model.drop_box()
            self.redraw()

    # The mouse

    def _cell_at(self, event: events.MouseEvent) -> Cell | None:
        """The map's cell under the mouse; None outside the map."""
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
        return {**model.state(), "colour": self.colour, "scan": self.wanted}

    def restore(self, state: dict[str, Any]) -> None:
        self._restored = state
        colour = state.get("colour")
        self.colour = colour if isinstance(colour, str) and colour else CLUSTER
        scan_id = state.get("scan")
        if isinstance(scan_id, str) and self.wanted is None:
            self.wanted = scan_id
        if self.model is not None:
            self.model.restore(state)
            self.go_to(self.wanted)
            self.recolour()


def _told(view: View) -> object:
    """The values on which the text in place of a map depends."""
    return view.snapshot.next, [(job.kind, job.status, job.fraction) for job in view.snapshot.jobs]
