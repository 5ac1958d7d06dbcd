"""The scan pane: the picture with mask, prediction and entropy over it, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from coldal_tui.errors import ColdalError
from coldal_tui.project.labels.agreement import dice_of_classes
from coldal_tui.project.project import Project
from coldal_tui.project.views.scan_pixels import ViewCache
from coldal_tui.project.views.scan_view import ScanView, Trouble, read_scan_view
from coldal_tui.tui.drawing.plane_slices import Slices, edges_of
from coldal_tui.tui.drawing.styles import MUTED
from coldal_tui.tui.drawing.viewport import position_words
from coldal_tui.tui.pane import View, local_now
from coldal_tui.tui.scan.keys import ScanKeys
from coldal_tui.tui.scan.text import facts_text, legend_text, trouble_text
from coldal_tui.tui.widgets.graphics import picture_view, why_no_graphics
from coldal_tui.tui.widgets.picture import Picture, PictureView
from coldal_tui.visible import visible

DEBOUNCE_S, NOTE_AFTER_S = 0.12, 0.2
BESIDE, BELOW = 68, 26
"""Columns from which facts may stand beside the picture; rows from which they may stand below."""
FACTS_LEAST, FACTS_MOST, FACTS_LOW = 26, 44, 8
"""Columns of the facts beside a picture; rows of those below it."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scan as a thread has made it ready to be drawn."""

    view: ScanView
    slices: Slices | None
    agreement: str


class ScanPane(ScanKeys, can_focus=True):
    """Follows the current scan; the newest request wins, and none holds up the keys."""

    number: ClassVar[int] = 4
    title: ClassVar[str] = "Scan"
    DEFAULT_CSS = """
    ScanPane {
        layout: horizontal;
        & > #scan-picture { width: 1fr; height: 1fr; }
        & #scan-note { height: 1fr; padding: 1 2; display: none; }
        & #scan-legend { height: 1; padding: 0 1; display: none; }
        & > #scan-facts { height: 1fr; padding: 0 0 0 1; scrollbar-size-vertical: 1; }
        &.-noted #scan-note { display: block; }
        &.-noted PictureView, &.-noted #scan-legend { display: none; }
        &.-below { layout: vertical; }
        &.-below > #scan-facts { width: 1fr; padding: 0 1; }
        &.-bare > #scan-facts { display: none; }
        &.-facts > #scan-picture { display: none; }
        &.-facts > #scan-facts { width: 1fr; padding: 0 1; }
    }
    """

    def __init__(
        self, *, graphics: bool = False, clock: Callable[[], datetime] = local_now
    ) -> None:
        super().__init__(id="scan")
        self._clock = clock
        self._graphics = graphics
        self._cache = ViewCache()
        self._ready: Prepared | None = None
        self._timer: Timer | None = None
        self._note_timer: Timer | None = None
        self._asked: object = None
        self._news: object = None
        self.border_title = Content(self.title)

    def compose(self) -> ComposeResult:
        with Vertical(id="scan-picture"):
            yield picture_view(self._graphics)
            yield Static(id="scan-note")
            yield Static(id="scan-legend")
        with VerticalScroll(id="scan-facts", can_focus=False):
            yield Static()

    def on_mount(self) -> None:
        reason = why_no_graphics() if self._graphics else ""
        if reason:
            self.services.tell(reason)

    # What it follows

    def show(self, view: View) -> None:
        """Read the scan anew where something about it, or about runs, has changed."""
        snapshot = view.snapshot
        jobs = tuple((job.job_id, job.status) for job in snapshot.jobs)
        runs = tuple(run.run_id for run in snapshot.runs)
        self._news = (snapshot.labels, snapshot.quarantined, runs, jobs, snapshot.scans)
        self._fetch()

    def go_to(self, scan_id: str | None) -> None:
        if scan_id == self._wanted:
            return
        self._wanted = scan_id
        if self._timer is not None:
            self._timer.stop()
            self._timer = self.set_timer(DEBOUNCE_S, self._rested)
        else:
            # The first move is answered at once, those that follow close on it when they end.
            self._fetch()
            self._timer = self.set_timer(DEBOUNCE_S, self._rested)

    def _rested(self) -> None:
        self._timer = None
        self._fetch()

    def catch_up(self) -> None:
        self._fetch()

    def looked_away(self) -> None:
        self._stop_note()

    def _fetch(self) -> None:
        """Ask for the wanted scan, unless it has been asked for since the last change."""
        wanted = self._wanted
        queue = self.services.view.snapshot.queue if self.services.view is not None else ()
        item = next((item for item in queue if item.scan_id == wanted), None)
        asked = (wanted, item, self._news)
        if not self.seen or self._asked == asked:
            return
        self._asked = asked
        if wanted is None:
            self._arrive_nothing()
            return
        self._stop_note()
        if self._ready is None or self._ready.view.scan_id != wanted:
            self._note_timer = self.set_timer(NOTE_AFTER_S, self._say_reading)
        cache = self._cache
        self.services.read(
            "scan", lambda project: prepare(project, wanted, cache), self._arrive, self._fail
        )

    def _say_reading(self) -> None:
        self._note_timer = None
        self.border_title = self._titled(self._wanted or "")
        self._say(Content.styled(f"reading {visible(self._wanted or '')}", MUTED))
        self.border_subtitle = None

    def _stop_note(self) -> None:
        if self._note_timer is not None:
            self._note_timer.stop()
            self._note_timer = None

    def _arrive(self, ready: Prepared) -> None:
        if ready.view.scan_id != self._wanted:
            return
        self._stop_note()
        same = self._ready is not None and self._ready.view.scan_id == ready.view.scan_id
        self._ready, self._seen_id = ready, ready.view.scan_id
        if ready.slices is not None:
            self._eye = self._memory.eye(ready.view.scan_id, ready.slices)
        if not same:
            self.query_one("#scan-facts", VerticalScroll).scroll_home(animate=False)
            self._arrange()
        self._draw()

    def _arrive_nothing(self) -> None:
        self._ready = None
        self._draw()

    def _fail(self, error: Exception) -> None:
        self._stop_note()
        self._ready = None
        self.border_title = self._titled(self._wanted or "")
        self.border_subtitle = None
        told = error if isinstance(error, ColdalError) else None
        trouble = Trouble(told.what, told.remedy or "") if told else Trouble(str(error))
        self._say(trouble_text(trouble, self._wanted or "", self.look, self._note_width))
        self.query_one("#scan-facts Static", Static).update("")

    # What it draws

    def _titled(self, scan_id: str) -> Content:
        return Content.assemble((self.title, ""), (f"  {visible(scan_id)}" if scan_id else "", ""))

    def on_resize(self, event: events.Resize) -> None:
        self._arrange()
        self._draw()

    @property
    def _roomy(self) -> bool:
        return self._place != "instead"

    def _rearrange(self) -> None:
        self._arrange()
        self.call_after_refresh(self._draw)

    def _arrange(self) -> None:
        """Facts beside, below or in place of the picture."""
        place = self._place
        details = self._details[place != "instead"]
        self.set_class(place == "below", "-below")
        self.set_class(not details, "-bare")
        self.set_class(details and place == "instead", "-facts")
        facts = self.query_one("#scan-facts")
        facts.styles.width = facts.styles.height = None
        if place == "beside":
            facts.styles.width = self._facts_columns
        elif place == "below":
            facts.styles.height = self._facts_rows

    @property
    def _place(self) -> str:
        """Where the facts leave the picture most room: ``beside`` it, ``below``, or ``instead``."""
        width, height = self.size.width, self.size.height
        beside = min(height, (width - FACTS_LEAST) / self._widest / 2) if width >= BESIDE else 0
        below = min(height - FACTS_LOW, width / self._widest / 2) if height >= BELOW else 0
        if not beside and not below:
            return "instead"
        return "beside" if beside >= below else "below"

    @property
    def _widest(self) -> float:
        return self.slices.widest if self.slices is not None else 1.0

    @property
    def _facts_width(self) -> int:
        """Columns that a line of facts has."""
        return (self._facts_columns if self._place == "beside" else self.size.width - 1) - 2

    @property
    def _facts_columns(self) -> int:
        """As much as the picture leaves over, beside it."""
        picture = round(2 * self.size.height * self._widest)
        return max(FACTS_LEAST, min(FACTS_MOST, self.size.width - picture - 1))

    @property
    def _facts_rows(self) -> int:
        """As much as the picture and its legend leave over, below them."""
        picture = round(self.size.width / self._widest / 2) + 1
        return max(FACTS_LOW, self.size.height - picture)

    @property
    def _note_width(self) -> int:
        beside = self._place == "beside" and not self.has_class("-bare")
        return max(16, self.size.width - (self._facts_width if beside else 0) - 6)

    def _draw(self) -> None:
        if not self.is_mounted or not self.size.area:
            return
        self.refresh_bindings()
        ready = self._ready
        facts = self.query_one("#scan-facts Static", Static)
        if ready is None:
            if self._wanted is None:
                self._say_nothing_chosen()
                facts.update("")
            return
        view = ready.view
        self.border_title = self._titled(view.scan_id)
        facts.update(
            facts_text(
                view.facts,
                self.look,
                self._facts_width,
                self._clock(),
                agreement=ready.agreement,
            )
        )
        if ready.slices is None:
            trouble = view.trouble or Trouble("there are no pixels")
            self.border_subtitle = None
            self._say(trouble_text(trouble, str(view.facts.path), self.look, self._note_width))
        else:
            self._draw_picture(ready.slices)

    def _say_nothing_chosen(self) -> None:
        self.border_title = Content(self.title)
        self.border_subtitle = None
        queued = self.services.view is not None and bool(self.services.view.snapshot.queue)
        hint = "press . for the first of the queue" if queued else "press n: it picks the first"
        self._say(
            Content.assemble(
                ("no scan chosen\n\n", "bold"),
                ("move in the queue or on the map, or ", MUTED),
                (hint, MUTED),
            )
        )

    def _say(self, text: Content) -> None:
        """Words in the picture's place."""
        self.query_one("#scan-note", Static).update(text)
        self.add_class("-noted")

    @property
    def slices(self) -> Slices | None:
        return self._ready.slices if self._ready is not None else None

    def _draw_picture(self, slices: Slices) -> None:
        if self._ready is None:
            return
        self.remove_class("-noted")
        eye, picture = self._eye, self.query_one(PictureView)
        plane = slices.plane(eye.axis, eye.index, eye.channel)
        drawing = slices.drawing(plane, self._shown, eye.window, eye.channel)
        legend = self.query_one("#scan-legend", Static)
        width = max(10, self.query_one("#scan-picture").size.width - 2)
        words = legend_text(self._ready.view, plane, self._shown, picture.mode, self.look, width)
        legend.display = bool(words.plain)
        if legend.content != words:
            legend.update(words)
        subtitle = position_words(slices, eye, self.look)
        self.border_subtitle = Content(subtitle) if subtitle else None
        picture.show(Picture(drawing, plane.spacing, edges_of(plane), eye.view))

    # What is the same on return

    def state(self) -> dict[str, Any]:
        return {
            "mask": self._shown.mask,
            "prediction": self._shown.prediction,
            "entropy": self._shown.entropy,
            "tint": self._shown.style == "tint",
            "plane": self._memory.plane,
            "details": [self._details[True], self._details[False]],
        }

    def restore(self, state: dict[str, Any]) -> None:
        for name in ("mask", "prediction", "entropy"):
            if isinstance(state.get(name), bool) and state[name] != getattr(self._shown, name):
                self._shown = self._shown.toggled(name)
        if state.get("tint") is True:
            self._shown = replace(self._shown, style="tint")
        if isinstance(state.get("plane"), str):
            self._memory.plane = state["plane"]
        details = state.get("details")
        if isinstance(details, list) and [type(one) for one in details] == [bool, bool]:
            self._details = {True: details[0], False: details[1]}
        if self.is_mounted:
            self._arrange()
            self._draw()


def prepare(project: Project, scan_id: str, cache: ViewCache) -> Prepared:
    """Read a scan and make it ready to be drawn; for a thread."""
    view = read_scan_view(project, scan_id, cache)
    slices = Slices(view, view.pixels) if view.pixels is not None else None
    return Prepared(view, slices, _agreement(view))


def _agreement(view: ScanView) -> str:
    """Dice of prediction and label, where both are there whole."""
    mask, predicted = view.mask, view.prediction
    if mask is None or predicted is None or mask.values is None or predicted.values is None:
        return ""
    if view.pixels is not None and max(view.pixels.strides) > 1:
        return ""
    names = view.facts.classes
    found = dice_of_classes(predicted.values.whole(), mask.values.whole(), names)
    if len(names) == 1:
        return f"Dice {found[names[0]]:.2f}"
    return "Dice " + ", ".join(f"{name} {value:.2f}" for name, value in found.items())
