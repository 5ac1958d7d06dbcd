"""The scan pane: the image with mask, prediction and entropy, and facts about the scan."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from coldal_tui.errors import ColdalError
from coldal_tui.project.views.scan_pixels import ViewCache
from coldal_tui.project.views.scan_view import Trouble
from coldal_tui.tui.drawing.picture import MOST_COLOURS
from coldal_tui.tui.drawing.plane_slices import Slices, edges_of
from coldal_tui.tui.drawing.styles import MUTED
from coldal_tui.tui.drawing.viewport import Eye, position_words, window_choices
from coldal_tui.tui.pane import Pane, View, local_now
from coldal_tui.tui.scan.facts_place import FactsPlace
from coldal_tui.tui.scan.overlay_legend import Legend, legend_entries
from coldal_tui.tui.scan.planes import ROOM, OtherPlanes, voxel_of
from coldal_tui.tui.scan.prepared import Prepared, prepare
from coldal_tui.tui.scan.scan_keys import SCAN_KEYS
from coldal_tui.tui.scan.scan_look import ScanLook
from coldal_tui.tui.scan.text import facts_text, trouble_text
from coldal_tui.tui.widgets.graphics import picture_view, why_no_graphics
from coldal_tui.tui.widgets.picture import Picture, PictureView
from coldal_tui.tui.widgets.seen import WhileSeen
from coldal_tui.visible import visible

DEBOUNCE_S, NOTE_AFTER_S = 0.12, 0.2
PAN = 0.25
"""The share of the view that one press of a panning key moves it by."""


class ScanPane(WhileSeen, Pane, can_focus=True):
    """Shows the current scan. Reads in a thread, and only the newest request is drawn."""

    number: ClassVar[int] = 4
    title: ClassVar[str] = "4 Scan"
    BINDINGS: ClassVar[list[BindingType]] = SCAN_KEYS
    bare: ClassVar[bool] = False
    """Whether the picture stands alone, whatever room there is."""
    DEFAULT_CSS = """
    ScanPane {
        layout: horizontal;
        & > #scan-picture { width: 1fr; height: 1fr; }
        & #scan-pictures { height: 1fr; }
        & #scan-note { height: 1fr; padding: 1 2; display: none; }
        & #scan-legend { height: auto; max-height: 3; padding: 0 1; display: none;
            scrollbar-size-vertical: 1; }
        & > #scan-facts { height: 1fr; padding: 0 0 0 1; scrollbar-size-vertical: 1; }
        &.-noted #scan-note { display: block; }
        &.-noted #scan-pictures, &.-noted #scan-legend { display: none; }
        &.-planes #scan-planes { display: block; }
        &.-below { layout: vertical; }
        &.-below > #scan-facts { width: 1fr; padding: 0 1; }
        &.-bare > #scan-facts { display: none; }
        &.-facts > #scan-picture { display: none; }
        &.-facts > #scan-facts { width: 1fr; padding: 0 1; }
    }
    """

    def __init__(self, *, graphics: str = "", clock: Callable[[], datetime] = local_now) -> None:
        super().__init__(id="preview" if self.bare else "scan")
        self._clock = clock
        self._graphics = graphics
        self._cache = ViewCache()
        self._look = ScanLook(self._draw_picture)
        self.wanted: str | None = None
        """The scan that the app is at; what is shown may still be the one before."""
        self._details: dict[bool, bool] = {True: True, False: False}
        """Whether details are shown: with room beside the image, and without."""
        self._ready: Prepared | None = None
        self._timer: Timer | None = None
        self._note_timer: Timer | None = None
        self._asked: object = None
        self._news: object = None
        self.border_title = Content(self.title)

    def compose(self) -> ComposeResult:
        with Vertical(id="scan-picture"):
            with Horizontal(id="scan-pictures"):
                yield picture_view(self._graphics, id="scan-main")
                yield OtherPlanes(self._graphics)
            yield Static(id="scan-note")
            with VerticalScroll(id="scan-legend", can_focus=False):
                yield Legend()
        with VerticalScroll(id="scan-facts", can_focus=False):
            yield Static()

    def on_mount(self) -> None:
        reason = why_no_graphics() if self._graphics else ""
        if reason:
            self.services.tell(reason)

    # What it follows

    def show(self, view: View) -> None:
        """Read the scan again if its data or the runs have changed."""
        snapshot = view.snapshot
        jobs = tuple((job.job_id, job.status) for job in snapshot.jobs)
        runs = tuple(run.run_id for run in snapshot.runs)
        self._news = (snapshot.labels, snapshot.quarantined, runs, jobs, snapshot.scans)
        self._fetch()

    def go_to(self, scan_id: str | None) -> None:
        if scan_id == self.wanted:
            return
        self.wanted = scan_id
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
        """Request the current scan, unless it was requested since the last change."""
        wanted = self.wanted
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
        self.border_title = self._titled(self.wanted or "")
        self._say(Content.styled(f"reading {visible(self.wanted or '')}", MUTED))
        self.border_subtitle = None

    def _stop_note(self) -> None:
        if self._note_timer is not None:
            self._note_timer.stop()
            self._note_timer = None

    def _arrive(self, ready: Prepared) -> None:
        if ready.view.scan_id != self.wanted:
            # Whoever comes back to this scan must ask for it once more.
            self._asked = None
            return
        self._stop_note()
        same = self._ready is not None and self._ready.view.scan_id == ready.view.scan_id
        self._ready = ready
        self._look.take(ready.view.scan_id, ready.slices)
        if not same:
            self.query_one("#scan-facts", VerticalScroll).scroll_home(animate=False)
            self._arrange()
        self._draw()

    def _forget(self) -> None:
        self._ready = None
        self._look.drop()

    def _arrive_nothing(self) -> None:
        self._forget()
        self._draw()

    def _fail(self, error: Exception) -> None:
        self._stop_note()
        self._forget()
        self.border_title = self._titled(self.wanted or "")
        self.border_subtitle = None
        told = error if isinstance(error, ColdalError) else None
        trouble = Trouble(told.what, told.remedy or "") if told else Trouble(str(error))
        self._say(trouble_text(trouble, self.wanted or "", self.look, self._note_width))
        self.query_one("#scan-facts Static", Static).update("")

    # What it draws

    def _titled(self, scan_id: str) -> Content:
        return Content.assemble((self.title, ""), (f"  {visible(scan_id)}" if scan_id else "", ""))

    def on_resize(self, event: events.Resize) -> None:
        self._arrange()
        self._draw()

    @property
    def _place(self) -> FactsPlace:
        slices = self._look.slices
        return FactsPlace(*self.size, slices.widest if slices is not None else 1.0)

    def _arrange(self) -> None:
        """Place the facts beside, below or instead of the image."""
        place, name = self._place, self._place.name
        details = self._details[name != "instead"] and not self.bare
        self.set_class(name == "below", "-below")
        self.set_class(not details, "-bare")
        self.set_class(details and name == "instead", "-facts")
        facts = self.query_one("#scan-facts")
        facts.styles.width = facts.styles.height = None
        if name == "beside":
            facts.styles.width = place.columns
        elif name == "below":
            facts.styles.height = place.rows

    @property
    def _note_width(self) -> int:
        return self._place.note(bare=self.has_class("-bare"))

    def _draw(self) -> None:
        if not self.is_mounted or not self.size.area:
            return
        self.refresh_bindings()
        ready = self._ready
        facts = self.query_one("#scan-facts Static", Static)
        if ready is None:
            if self.wanted is None:
                self._say_nothing_chosen()
                facts.update("")
            return
        view = ready.view
        self.border_title = self._titled(view.scan_id)
        facts.update(
            facts_text(
                view.facts,
                self.look,
                self._place.line,
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
        """Show text instead of the image."""
        self.query_one("#scan-note", Static).update(text)
        self.add_class("-noted")

    @property
    def eye(self) -> Eye:
        """The view of the scan."""
        return self._look.eye

    def _draw_picture(self, slices: Slices) -> None:
        if self._ready is None:
            return
        self.remove_class("-noted")
        eye, picture = self._look.eye, self._main
        plane = slices.plane(eye.axis, eye.index, eye.channel)
        shown, cross = self._look.shown, None
        width, height = self.query_one("#scan-picture").size
        planes = slices.volume and width >= ROOM[0] and height >= ROOM[1]
        if planes != self.has_class("-planes"):
            self.set_class(planes, "-planes")
        if planes:
            self.query_one(OtherPlanes).show(slices, eye, shown)
            cross = slices.cross(eye.axis, voxel_of(slices, eye))
        drawing = slices.drawing(plane, shown, eye.window, eye.channel, cross)
        legend = self.query_one("#scan-legend", VerticalScroll)
        view = self._ready.view
        groups = legend_entries(view, plane, shown, picture.mode)
        legend.display = bool(groups)
        many = len(view.facts.classes) > MOST_COLOURS
        legend.query_one(Legend).show(groups, self.look, many=many)
        subtitle = position_words(slices, eye, self.look)
        self.border_subtitle = Content(subtitle) if subtitle else None
        picture.show(Picture(drawing, plane.spacing, edges_of(plane), eye.view))

    @property
    def _main(self) -> PictureView:
        return self.query_one("#scan-main", PictureView)

    # What its keys do

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        look = self._look
        if action == "axis":
            return look.volume
        if action == "channel":
            return look.slices is not None and look.slices.channels > 1
        if action == "overlay":
            return look.has(str(parameters[0]))
        if action in ("windows", "width", "level", "auto", "zoom", "pan", "fit", "style"):
            return look.slices is not None
        if action == "next":
            return bool(self._queued())
        return True

    @property
    def _pages(self) -> bool:
        """Whether there are slices to page through; if not, page keys scroll the facts."""
        return self._look.volume and not self.has_class("-facts")

    def action_slice(self, by: int) -> None:
        if self._pages:
            self._look.step(by)
        else:
            self.action_scroll(by)

    def action_edge(self, end: int) -> None:
        facts = self.query_one("#scan-facts", VerticalScroll)
        if self._pages:
            self._look.edge(last=bool(end))
        else:
            (facts.scroll_end if end else facts.scroll_home)(animate=False)

    def action_scroll(self, by: int) -> None:
        facts = self.query_one("#scan-facts", VerticalScroll)
        facts.scroll_relative(y=by, animate=False)
        # A legend of many classes shows three lines at a time.
        legend = self.query_one("#scan-legend", VerticalScroll)
        legend.scroll_relative(y=2 if by > 0 else -2, animate=False)

    def action_axis(self) -> None:
        self._look.turn()

    def action_channel(self) -> None:
        self._look.next_channel()

    def action_overlay(self, name: str) -> None:
        self._look.toggle(name)

    def action_style(self) -> None:
        self._look.toggle_tint()

    def action_width(self, factor: float) -> None:
        self._look.widen(factor)

    def action_level(self, share: float) -> None:
        self._look.shift_level(share)

    def action_auto(self) -> None:
        self._look.auto_window()

    def action_windows(self) -> None:
        slices = self._look.slices
        if slices is None:
            return

        def chosen(key: str) -> None:
            if self._look.slices is slices:
                self._look.use_window(key)

        self.services.choose("window", window_choices(slices), chosen)

    def action_zoom(self, steps: int) -> None:
        self._look.zoom(steps)

    def action_pan(self, down: int, across: int) -> None:
        frame = self._main.frame
        if frame is not None:
            self._look.pan(frame, down * PAN, across * PAN)

    def action_fit(self) -> None:
        self._look.fit()

    def action_details(self) -> None:
        roomy = self._place.name != "instead"
        self._details[roomy] = not self._details[roomy]
        self._arrange()
        self.call_after_refresh(self._draw)

    def _queued(self) -> list[str]:
        view = self.services.view
        if view is None:
            return []
        return [i.scan_id for i in view.snapshot.queue if i.status != "skipped"]

    def action_next(self, by: int) -> None:
        """Go to the next scan of the queue; from a scan outside the queue, to the first."""
        queued = self._queued()
        if not queued:
            return
        if self.wanted in queued:
            place = queued.index(self.wanted) + by
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
        """The mouse wheel over the image changes the slice."""
        over = self.query_one("#scan-picture").region.contains(event.screen_x, event.screen_y)
        if self._look.volume and over:
            event.stop()
            self.action_slice(by)

    # What is the same on return

    def state(self) -> dict[str, Any]:
        return {**self._look.state(), "details": [self._details[True], self._details[False]]}

    def restore(self, state: dict[str, Any]) -> None:
        self._look.restore(state)
        details = state.get("details")
        if isinstance(details, list) and [type(one) for one in details] == [bool, bool]:
            self._details = {True: details[0], False: details[1]}
        if self.is_mounted:
            self._arrange()
            self._draw()
