"""The labels pane: quarantined masks, labels by model disagreement, and all that came back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from coldal_tui.project.inbox import ReturnedFile
from coldal_tui.project.labels.agreement import Agreement, read_agreements
from coldal_tui.project.labels.quality import LabelCheck, check_labels
from coldal_tui.project.project import Project
from coldal_tui.project.views.label_view import (
    LabelLine,
    LabelView,
    WaitingLine,
    read_label_view,
)
from coldal_tui.project.views.scan_pixels import ViewCache
from coldal_tui.tui.drawing.viewport import ZOOM_STEP
from coldal_tui.tui.labels.compare import label_sides, waiting_sides
from coldal_tui.tui.labels.decisions import Deciding
from coldal_tui.tui.labels.rows import (
    INBOX,
    LABELS,
    ORDERS,
    QUARANTINE,
    InboxRows,
    LabelRows,
    WaitingRows,
    file_name,
    inbox_details,
    label_details,
    nothing_text,
    switch_text,
    waiting_details,
)
from coldal_tui.tui.pane import View
from coldal_tui.tui.verbs import bind
from coldal_tui.tui.widgets.seen import WhileSeen
from coldal_tui.tui.widgets.side_by_side import Compare, Side
from coldal_tui.tui.widgets.table import BigTable
from coldal_tui.tui.widgets.table_pane import TablePane
from coldal_tui.visible import visible

LISTS = (QUARANTINE, LABELS, INBOX)
DEBOUNCE_S = 0.12
COMPARING = ("slice", "turn", "tint", "zoom", "pan", "fit", "leave")
CHANGING = ("retry", "retry_all", "confirm_empty", "accept", "reject")
PAN = 0.25


class LabelsPane(WhileSeen, TablePane, can_focus=True):
    """Three lists (``a`` switches); enter compares two images side by side."""

    number: ClassVar[int] = 5
    title: ClassVar[str] = "5 Labels"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("open", "open", "compare", id="labels.open", show=True),
        bind("list", "switch", "other list", id="labels.switch", show=True),
        bind("accept", "accept", "accept", id="labels.accept", show=True),
        bind("retry", "retry", "retry", id="labels.retry", show=True),
        bind("confirm-empty", "confirm_empty", "empty", id="labels.confirm-empty", show=True),
        bind("reject", "reject", "reject", id="labels.reject", show=True),
        bind("retry-all", "retry_all", id="labels.retry-all"),
        bind("sort", "order", "another order", id="labels.order"),
        bind("style", "tint", "outlines or tints", id="labels.tint"),
        bind("step-on", "slice(1)", "next slice", id="labels.slice-down"),
        bind("step-back", "slice(-1)", "slice before", id="labels.slice-up"),
        bind("plane", "turn", id="labels.plane"),
        bind("zoom-in", "zoom(1)", id="labels.zoom-in"),
        bind("zoom-out", "zoom(-1)", id="labels.zoom-out"),
        bind("pan-left", "pan(0,-1)", id="labels.pan-left"),
        bind("pan-right", "pan(0,1)", id="labels.pan-right"),
        bind("pan-up", "pan(-1,0)", id="labels.pan-up"),
        bind("pan-down", "pan(1,0)", id="labels.pan-down"),
        bind("fit", "fit", id="labels.fit"),
        bind("back", "leave", "back to the list", id="labels.leave"),
    ]
    DEFAULT_CSS = """
    LabelsPane {
        layout: vertical;
        & > #labels-switch {
            height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis;
        }
        & > BigTable { height: 1fr; }
        & > #labels-details { height: auto; max-height: 50%; padding: 0 1; border-top: blank; }
        & > #labels-nothing { height: 1fr; padding: 1 2; display: none; }
        & > Compare { display: none; }
        &.-nothing > #labels-nothing { display: block; }
        &.-nothing > BigTable, &.-nothing > #labels-details { display: none; }
        &.-comparing > Compare { display: block; }
        &.-comparing > BigTable, &.-comparing > #labels-details { display: none; }
        &.-comparing > #labels-switch, &.-comparing > #labels-nothing { display: none; }
    }
    """

    def __init__(self, *, graphics: str = "") -> None:
        super().__init__(id="labels")
        self._graphics = graphics
        self._cache = ViewCache(most_bytes=128 << 20)
        self._known = LabelView((), ())
        self._read = False
        self._agreements: dict[str, Agreement] = {}
        self._checks: dict[str, LabelCheck] = {}
        self._list = ""
        self._order = ORDERS[0]
        self._here: str | None = None
        self._news: object = None
        self._asked: object = None
        self._timer: Timer | None = None
        self.border_title = Content(self.title)

    def compose(self) -> ComposeResult:
        yield Static(id="labels-switch")
        yield BigTable()
        yield Static(id="labels-details")
        yield Static(id="labels-nothing")
        yield Compare(graphics=self._graphics)

    # What it shows

    def show(self, view: View) -> None:
        snapshot = view.snapshot
        runs = tuple(run.run_id for run in snapshot.runs)
        done = sum(job.status == "done" for job in snapshot.jobs)
        newest = max((job.job_id for job in snapshot.jobs), default=0)
        self._news = (snapshot.labels, snapshot.quarantined, snapshot.returned, runs, done, newest)
        self._fetch()

    def catch_up(self) -> None:
        self._fetch()

    def _fetch(self, *, anew: bool = False) -> None:
        if self.seen and (anew or self._asked != self._news):
            self._asked = self._news
            self.services.read("labels", read_label_view, self._listed)

    def _listed(self, known: LabelView) -> None:
        changed = known != self._known or not self._read
        self._known, self._read = known, True
        if not self._list:
            self._list = QUARANTINE if known.waiting else LABELS
        if changed:
            self._draw()
        keep = not self.services.readonly
        self.services.read(
            "labels.agreement", lambda project: read_agreements(project, keep=keep), self._agreed
        )

    def _agreed(self, found: dict[str, Agreement]) -> None:
        if found != self._agreements:
            self._agreements = found
            self._draw()
        keep = not self.services.readonly
        self.services.read(
            "labels.check",
            lambda project: check_labels(
                project, agreements=found, keep=keep, stop=lambda: not self.is_running
            ),
            self._were_checked,
        )

    def _were_checked(self, found: list[LabelCheck]) -> None:
        checks = {check.scan_id: check for check in found}
        if checks != self._checks:
            self._checks = checks
            self._draw()

    @property
    def here(self) -> str:
        """The visible list."""
        return self._list or LABELS

    def _draw(self) -> None:
        if not self.is_mounted or not self._read:
            return
        waiting, labels = self._known.waiting, self._known.labels
        if self.here == QUARANTINE:
            model: Any = WaitingRows(waiting, self.look)
        elif self.here == INBOX:
            model = InboxRows(self._known.returned, self.look)
        else:
            model = LabelRows(labels, self._agreements, self._order, self.look, self._checks)
        self.set_class(not model.row_count, "-nothing")
        if not model.row_count:
            self._stop_comparing()
            arrivals = "press e to hand scans out, and i to take the masks back"
            nothing = self.query_one("#labels-nothing", Static)
            nothing.update(nothing_text(self.here, arrivals))
        self.table.set_model(model)
        self._draw_words()
        self.refresh_bindings()

    def _draw_words(self) -> None:
        if not self._read:
            return
        known = self._known
        counts = len(known.waiting), len(known.labels), len(known.returned)
        switch = switch_text(self.here, *counts, self._order, self.look)
        self.query_one("#labels-switch", Static).update(switch)
        self.query_one("#labels-details", Static).update(self._details)

    @property
    def _details(self) -> Content:
        width = max(20, self.size.width - 3)
        if self.here == INBOX:
            return inbox_details(self._returned, self._known.returned, width)
        line = self.current
        if isinstance(line, WaitingLine):
            return waiting_details(line, width, self.look)
        if line is not None:
            known = self._agreements.get(line.scan_id), self._checks.get(line.scan_id)
            return label_details(line, known[0], width, self.look, known[1])
        return Content("")

    def on_resize(self, event: events.Resize) -> None:
        self._draw_words()

    @property
    def current(self) -> LabelLine | WaitingLine | None:
        """The label or mask under the cursor; none in the inbox, where nothing is decided."""
        key = None if self.here == INBOX else self.table.current
        return None if key is None else self._find(key)

    @property
    def _returned(self) -> ReturnedFile | None:
        """The returned file under the cursor."""
        key = self.table.current if self.here == INBOX else None
        return next((one for one in self._known.returned if str(one.number) == key), None)

    def _find(self, key: str) -> LabelLine | WaitingLine | None:
        lines: Sequence[LabelLine | WaitingLine]
        lines = self._known.waiting if self.here == QUARANTINE else self._known.labels
        return next((line for line in lines if _key(line) == key), None)

    @on(BigTable.Moved)
    def _moved(self, message: BigTable.Moved) -> None:
        message.stop()
        self.query_one("#labels-details", Static).update(self._details)
        line = self.current or self._returned
        if line is not None and line.scan_id is not None:
            self._here = line.scan_id
            self.post_message(self.Chosen(self, line.scan_id))
        if self.comparing:
            self._compare_soon()

    @on(BigTable.Opened)
    def _opened(self, message: BigTable.Opened) -> None:
        message.stop()
        self.action_open()

    def go_to(self, scan_id: str | None) -> None:
        self._here = scan_id
        if scan_id is None or not self.is_mounted:
            return
        key: str | None = scan_id
        if self.here != LABELS:
            lines = self._known.waiting if self.here == QUARANTINE else self._known.returned
            key = next((str(one.number) for one in lines if one.scan_id == scan_id), None)
        if key is not None and self.table.go_to(key):
            self.query_one("#labels-details", Static).update(self._details)
            if self.comparing:
                self._compare_soon()

    # Side by side

    @property
    def comparing(self) -> bool:
        return self.has_class("-comparing")

    def action_open(self) -> None:
        """Open the comparison first; from there, the scan pane."""
        returned, line = self._returned, self.current
        if returned is not None and returned.scan_id is not None:
            self.post_message(self.Opened(returned.scan_id))
        if line is None:
            return
        if not self.comparing:
            self.add_class("-comparing")
            self.refresh_bindings()
            self._compare()
        elif line.scan_id is not None:
            self.post_message(self.Opened(line.scan_id))

    def action_leave(self) -> None:
        self._stop_comparing()

    def _stop_comparing(self) -> None:
        self.remove_class("-comparing")
        self._title_and_place()
        self.refresh_bindings()

    def _compare_soon(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(DEBOUNCE_S, self._compare)

    def _compare(self) -> None:
        line, cache = self.current, self._cache
        if line is None or not self.comparing:
            return
        agreement = self._agreements.get(line.scan_id or "")

        def read(project: Project) -> tuple[Side, Side]:
            if isinstance(line, WaitingLine):
                return waiting_sides(project, line, cache)
            return label_sides(project, line, agreement, cache)

        def draw(sides: tuple[Side, Side]) -> None:
            if self.comparing and self.current is line:
                compare = self.query_one(Compare)
                compare.show(line.scan_id or _key(line), *sides, self._details)
                self._title_and_place()

        self.services.read("labels.compare", read, draw)

    def _title_and_place(self) -> None:
        line, place = self.current, self.query_one(Compare).place
        if not self.comparing or line is None:
            self.border_title, self.border_subtitle = Content(self.title), None
            return
        name = line.scan_id or file_name(line.source)
        self.border_title = Content.assemble((f"{self.title}  {visible(name)}", ""))
        row = f"{self.table.cursor + 1} of {self.table.row_count:,}"
        words = [row, *([place] if place else []), "esc back"]
        self.border_subtitle = Content(f" {self.look.dot} ".join(words))

    # What its keys do

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in COMPARING:
            return self.comparing
        if action == "order":
            return self.here == LABELS and not self.comparing
        if action in ("accept", "retry", "retry_all", "confirm_empty"):
            if self.here != QUARANTINE or not self._known.waiting:
                return False
            return None if self.services.readonly else True
        if action == "reject":
            if self.current is None:
                return False
            return None if self.services.readonly else True
        return True

    def action_move(self, how: str) -> None:
        """In a volume, page keys change the slice; left and right move the images."""
        compare = self.query_one(Compare)
        if self.comparing and how in ("left", "right"):
            compare.pan(0, PAN if how == "right" else -PAN)
        elif self.comparing and compare.volume and how.startswith("page"):
            self.action_slice(10 if how == "page-down" else -10)
        else:
            super().action_move(how)

    def action_switch(self) -> None:
        self._list = LISTS[(LISTS.index(self.here) + 1) % len(LISTS)]
        self.table.mark(())
        self._stop_comparing()
        self._draw()
        self.go_to(self._here)

    def action_order(self) -> None:
        """Change the order of the labels."""
        self._order = ORDERS[(ORDERS.index(self._order) + 1) % len(ORDERS)]
        self._draw()

    def action_tint(self) -> None:
        """In a comparison, switch between outlines and tints."""
        self.query_one(Compare).tint()

    def action_slice(self, by: int) -> None:
        self.query_one(Compare).slice(by)
        self._title_and_place()

    def action_turn(self) -> None:
        self.query_one(Compare).turn()
        self._title_and_place()

    def action_zoom(self, steps: int) -> None:
        self.query_one(Compare).zoom(ZOOM_STEP**steps)

    def action_pan(self, down: int, across: int) -> None:
        self.query_one(Compare).pan(down * PAN, across * PAN)

    def action_fit(self) -> None:
        self.query_one(Compare).fit()

    @property
    def _deciding(self) -> Deciding:
        return Deciding(self.services, self._here)

    def _chosen(self) -> list[LabelLine | WaitingLine]:
        found = (self._find(key) for key in self.table.chosen())
        return [line for line in found if line is not None]

    def _waiting(self) -> list[WaitingLine]:
        return [line for line in self._chosen() if isinstance(line, WaitingLine)]

    def action_retry(self) -> None:
        self._deciding.retry(self._waiting())

    def action_retry_all(self) -> None:
        self._deciding.retry(self._known.waiting)

    def action_confirm_empty(self) -> None:
        self._deciding.confirm_empty(self._waiting())

    def action_accept(self) -> None:
        if self._waiting():
            self._deciding.accept(self._waiting())

    def action_reject(self) -> None:
        if self.here == QUARANTINE:
            if self._waiting():
                self._deciding.reject_masks(self._waiting())
        elif self._chosen():
            self._deciding.reject_labels([str(line.scan_id) for line in self._chosen()])

    # What is the same on return

    def state(self) -> dict[str, Any]:
        return {"list": self._list, "order": self._order}

    def restore(self, state: dict[str, Any]) -> None:
        if state.get("list") in LISTS:
            self._list = state["list"]
        if state.get("order") in ORDERS:
            self._order = state["order"]
        self._draw()


def _key(line: LabelLine | WaitingLine) -> str:
    return str(line.number) if isinstance(line, WaitingLine) else line.scan_id
