"""What the map pane shows: the model's canvas line by line, the legend and the scan here."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.segment import Segment
from rich.text import Text
from textual.geometry import Region
from textual.strip import Strip

from coldal_tui.project.views.map_view import (
    PATIENT,
    STATUSES,
    Column,
    Scene,
    column_names,
    read_column,
)
from coldal_tui.project.views.snapshot import QueueItem
from coldal_tui.tui.map.colouring import CLUSTER, ENTROPY, STATUS, colour_by, title_of
from coldal_tui.tui.map.ink import Inks
from coldal_tui.tui.map.legend import (
    EVERYTHING,
    MARK,
    MUTED,
    About,
    Entry,
    Part,
    about_line,
    empty_lines,
    fitting,
    kind_entries,
    legend_line,
    length,
    map_subtitle,
    map_title,
    mark_entries,
)
from coldal_tui.tui.map.model import MARKS, Cell, MapModel
from coldal_tui.tui.map.selection import counts_text
from coldal_tui.tui.pane import Pane, View
from coldal_tui.visible import visible

LEGEND_FROM, LEGENDS_FROM = 7, 14
"""Rows of the pane from which there is one line of legend, and two."""
IN_SCENE = (CLUSTER, STATUS, ENTROPY)
"""Colourings that need no column."""


class DrawnMap(Pane, can_focus=True):
    """Points by density and colour, marks on top, a legend, a line about the scan here.

    Lines are kept until what they show changes; a moving cursor draws two rows anew.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "map--plain",
        "map--muted",
        "map--mark",
        "map--here",
        "map--box",
    }
    DEFAULT_CSS = """
    DrawnMap {
        & > .map--plain { color: $foreground; }
        & > .map--muted { color: $foreground 60%; }
        & > .map--mark { color: $foreground; text-style: bold; }
        & > .map--here { color: auto; background: $accent; text-style: bold; }
        & > .map--box { color: $accent; text-style: bold; }
    }
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.shown: View | None = None
        self.model: MapModel | None = None
        """None before there is a map."""
        self.colour = CLUSTER
        self.known: tuple[str, ...] = ()
        """Columns that the map can be coloured by."""
        self.wanted: str | None = None
        """The scan that the app is at; it may be one that isn't on the map."""
        self._columns: dict[str, Column] = {}
        self._read_for: tuple[Any, ...] = ()
        self._items: dict[str, QueueItem] | None = None
        self._inks: Inks | None = None
        self._strips: dict[int, Strip] = {}
        self._below: list[list[Part]] | None = None

    # What it is shown

    def show(self, view: View) -> None:
        old, self.shown = self.shown, view
        queue_changed = old is None or old.snapshot.queue != view.snapshot.queue
        if queue_changed:
            self._items = None
        scene = view.scene
        if scene is None or not len(scene):
            if self.model is not None or old is None or _told(old) != _told(view):
                self.model = None
                self.redraw()
            return
        if self.model is None or scene is not self.model.scene:
            self._take(scene)
        elif queue_changed:
            self._redraw_below()
        self._read_columns(view, scene)

    def _take(self, scene: Scene) -> None:
        model = self.model
        old = None if model is None else model.scene
        if old is None or (old.map_id, len(old)) != (scene.map_id, len(scene)):
            self._columns.clear()
        colouring = colour_by(self.colour, scene, self.look, self._columns.get(self.colour))
        if model is None:
            model = self.model = MapModel(self.look, scene, colouring)
            model.colourless = self.app.no_color
            self.took_first_map(model)
        else:
            model.show(scene, colouring)
        if self.wanted is not None:
            model.here = scene.index.get(self.wanted)
        self.redraw()

    def took_first_map(self, model: MapModel) -> None:
        """There is a map for the first time."""

    def _read_columns(self, view: View, scene: Scene) -> None:
        """Facts that aren't in the scene: read again only when they may be others."""
        seen = view.snapshot
        measured = sum(job.kind == "evaluate" and job.status == "done" for job in seen.jobs)
        key = (scene.map_id, seen.scans, seen.patients, len(seen.runs), measured)
        if key == self._read_for:
            return
        self._read_for = key
        self.services.read("map.names", column_names, self._know)
        if seen.patients < seen.usable:
            self.want(PATIENT)
        if self.colour not in (PATIENT, *IN_SCENE):
            self.want(self.colour)

    def _know(self, names: tuple[str, ...]) -> None:
        self.known = names

    def want(self, name: str) -> None:
        """Have a column read; what it says is shown when it comes."""
        if self.model is not None:
            scene = self.model.scene
            key = "map.patient" if name == PATIENT else "map.column"
            self.services.read(key, lambda project: read_column(project, scene, name), self._have)

    def _have(self, column: Column) -> None:
        """A column has come; one of an older map is passed over."""
        if self.model is None or len(column) != len(self.model.scene):
            return
        if column.same(self._columns.get(column.name)):
            return
        self._columns[column.name] = column
        if column.name == self.colour:
            if not column.known:
                self.colour = CLUSTER
                self.services.tell(f"no scan on this map has a {title_of(column.name)}")
            self.recolour()
        else:
            self._redraw_below()

    def recolour(self) -> None:
        """Colour by ``colour``; by a column that isn't there yet as soon as it is."""
        column = self._columns.get(self.colour)
        if self.model is None:
            return
        if self.colour not in IN_SCENE and column is None:
            self.want(self.colour)
            return
        self.model.recolour(colour_by(self.colour, self.model.scene, self.look, column))
        self.redraw()

    # When it is drawn anew

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._inks = None
        self._strips.clear()

    def on_resize(self) -> None:
        self.redraw()

    def redraw(self) -> None:
        """All of it."""
        self._strips.clear()
        self._below = None
        self._inks = None
        if self.model is not None and self.size.width:
            below = len(self._legend_groups()) + (self.size.height > 3)
            self.model.resize(self.size.width, max(1, self.size.height - below))
        self._say_titles()
        self.refresh()

    def redraw_cursor(self, *cells: Cell | None) -> None:
        """After the cursor has moved between these cells; all where marks depend on it."""
        if self.model is None or not self.model.painted:
            self.redraw()
            return
        for _, row in filter(None, cells):
            self._strips.pop(row, None)
            self.refresh(Region(0, row, self.size.width, 1))
        self._redraw_below()

    def _redraw_below(self) -> None:
        if self.model is not None:
            self._below = None
            top, height = self.model.view.rows, self.size.height
            for y in range(top, height):
                self._strips.pop(y, None)
            self.refresh(Region(0, top, self.size.width, height - top))

    def _say_titles(self) -> None:
        model, width = self.model, self.size.width
        encoder = "" if self.shown is None else self.shown.snapshot.encoder
        scene = None if model is None else model.scene
        colour = CLUSTER if model is None else model.colouring.name
        self.border_title = Text(map_title(scene, encoder, title_of(colour), width))
        told = ""
        if model is not None and width:
            boxed = model.box is not None
            told = counts_text(model.scene, model.boxed()) if boxed else _subtitle(model)
        self.border_subtitle = Text(told)

    # Lines

    def render_line(self, y: int) -> Strip:
        found = self._strips.get(y)
        if found is None:
            found = self._strips[y] = self._line(y)
        return found

    def _line(self, y: int) -> Strip:
        model = self.model
        if model is None:
            return self._empty_line(y)
        inks, rows = self._drawn_inks(model), model.view.rows
        if y >= rows:
            if self._below is None:
                self._below = self._lines_below(model)
            parts = self._below[y - rows : y - rows + 1]
            segments = [Segment(text, inks.style(ink)) for line in parts for text, ink in line]
            return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)
        here = model.cell_of_cursor()
        over = [(here[0], self.look.here, MARKS.index("here"))] if here and here[1] == y else []
        runs = model.canvas.runs(y, *over)
        return Strip([Segment(text, inks.style(ink)) for text, ink in runs], self.size.width)

    def _legend_groups(self) -> list[list[Entry]]:
        """The entries of each line of legend there is room for."""
        model, height = self.model, self.size.height
        if model is None or height < LEGEND_FROM:
            return []
        kinds = kind_entries(model.colouring, self.look, not model.in_dots)
        marked = model.marked() if model.marks else {}
        marks = mark_entries(marked, model.colouring, self.look) if marked else []
        together = [*kinds, *marks]
        whole = length(fitting(together, EVERYTHING, self.look))
        if height < LEGENDS_FROM or whole <= self.size.width or not marks:
            return [together]
        return [kinds, marks]

    def _lines_below(self, model: MapModel) -> list[list[Part]]:
        width = self.size.width
        lines = [legend_line(group, width, self.look) for group in self._legend_groups()]
        return [*lines, self._about(model, width)]

    def _about(self, model: MapModel, width: int) -> list[Part]:
        n, scene = model.here, model.scene
        if model.box is not None:
            return [("arrows size the box, b or enter says what can be done with it", MUTED)]
        if n is None:
            if self.wanted is not None:
                return [(visible(self.wanted), MARK), (" is not on this map", MUTED)]
            return [("arrows or a click choose a scan", MUTED)]
        cluster = int(scene.cluster[n])
        scan_id = scene.scan_ids[n]
        about = About(
            scan_id=scan_id,
            cluster=cluster if cluster >= 0 else None,
            status=STATUSES[scene.status[n]],
            item=self.items().get(scan_id),
            facts=self._facts(scene, n),
            others=model.others_here(),
        )
        return about_line(about, width, self.look)

    def items(self) -> dict[str, QueueItem]:
        """The queue's items by their scans."""
        if self._items is None:
            queue = () if self.shown is None else self.shown.snapshot.queue
            self._items = {item.scan_id: item for item in queue}
        return self._items

    def _facts(self, scene: Scene, n: int) -> tuple[tuple[str, str], ...]:
        facts = []
        entropy = float(scene.entropy[n])
        if entropy == entropy:
            facts.append(("H", f"{entropy:.2f}"))
        for name in dict.fromkeys((self.colour, PATIENT)):
            column = self._columns.get(name)
            value = None if column is None else column.text(n)
            if value is not None:
                facts.append((title_of(name), value))
        return tuple(facts)

    def _drawn_inks(self, model: MapModel) -> Inks:
        if self._inks is None:
            canvas = model.canvas
            self._inks = Inks(
                colouring=model.colouring,
                depth=canvas.depth,
                marks=canvas.marks,
                base=self.rich_style,
                background=self.background_colors[1].rgb,
                named={
                    name.removeprefix("map--"): self.get_component_rich_style(name)
                    for name in self.COMPONENT_CLASSES
                },
                look=self.look,
                colourless=model.colourless,
                few_colours=self.app.console.color_system == "256",
            )
        return self._inks

    def _empty_line(self, y: int) -> Strip:
        lines = [] if self.shown is None else empty_lines(self.shown.snapshot)
        top = max(0, (self.size.height - len(lines)) // 2)
        if not top <= y < top + len(lines):
            return Strip.blank(self.size.width, self.rich_style)
        words, name = lines[y - top]
        text = Text(words)
        text.truncate(self.size.width, overflow="ellipsis")
        left = " " * ((self.size.width - text.cell_len) // 2)
        style = self.get_component_rich_style(f"map--{name}")
        strip = Strip([Segment(left, self.rich_style), Segment(text.plain, style)])
        return strip.adjust_cell_length(self.size.width, self.rich_style)


def _subtitle(model: MapModel) -> str:
    count, shown = len(model.scene), model.in_view()
    return map_subtitle(count, shown, model.zoom, one_point=model.bounds.empty)


def _told(view: View) -> object:
    """What the words in place of a map depend on."""
    return view.snapshot.next, [(job.kind, job.status, job.fraction) for job in view.snapshot.jobs]
