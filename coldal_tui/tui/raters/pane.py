"""The raters pane: how much each person drew, how alike people draw, and how each one errs."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from coldal_tui.project.labels.raters.rater_figures import Figures, read_figures
from coldal_tui.tui.pane import View
from coldal_tui.tui.raters.rows import RaterRows, open_words, person_text
from coldal_tui.tui.verbs import bind
from coldal_tui.tui.widgets.drawing import Drawing
from coldal_tui.tui.widgets.seen import WhileSeen
from coldal_tui.tui.widgets.table import BigTable
from coldal_tui.tui.widgets.table_model import EMPTY
from coldal_tui.tui.widgets.table_pane import TablePane

SCROLLS = {"page-down": 1.0, "half-down": 0.5, "half-up": -0.5, "page-up": -1.0}
NOBODY = (
    "no drawing has a known author yet: hand scans out to named people (e), some to several of "
    "them; what comes back is compared here"
)


class RatersPane(WhileSeen, TablePane):
    """One row per person; below, the current person's agreement and habits."""

    number: ClassVar[int] = 8
    title: ClassVar[str] = "8 Raters"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("open", "pick", "their scans", id="raters.pick", show=True),
    ]
    DEFAULT_CSS = """
    RatersPane {
        layout: vertical;
        & > BigTable { height: 4; }
        & > #rater { height: 1fr; padding: 0 1; border-top: solid $primary 50%; }
        &.-ascii > #rater { border-top: ascii $primary 50%; }
        & > #no-raters { height: 1fr; padding: 0 1; color: $foreground-muted; }
    }
    """

    class Picked(Message):
        """Sent when only this person's scans are to be shown."""

        def __init__(self, person: str) -> None:
            super().__init__()
            self.person = person

    def __init__(self) -> None:
        super().__init__(id="raters")
        self._news: object = None
        self._asked: object = None
        self._figures: Figures | None = None
        self._wanted: str | None = None
        self.border_title = Content(self.title)

    def compose(self) -> ComposeResult:
        yield BigTable()
        with VerticalScroll(id="rater", can_focus=False):
            yield Static(id="rater-text")
        yield Drawing(id="no-raters", wraps=True)

    def on_mount(self) -> None:
        self.set_class(self.look.name == "ascii", "-ascii")

    # What is shown

    def show(self, view: View) -> None:
        """Compare again when drawings came in, or what is said of shared scans changed."""
        snapshot = view.snapshot
        backs = tuple((item.scan_id, item.back) for item in snapshot.queue if item.back)
        self._news = (snapshot.labels, snapshot.returned, snapshot.quarantined, backs)
        if self.seen:
            self.catch_up()

    def catch_up(self) -> None:
        if self._news is None or self._news == self._asked:
            return
        self._asked = self._news
        if self._figures is None:
            self._say("comparing drawings …")
        keep = not self.services.readonly
        work = partial(read_figures, keep=keep)
        self.services.read("raters", work, self._compared, self._failed)

    def _failed(self, error: Exception) -> None:
        self._figures = None
        self._say(str(error) or type(error).__name__)

    def _say(self, words: str) -> None:
        self.query_one("#no-raters", Drawing).draw(Content(words))
        self._place(people=0)

    def _compared(self, found: Figures) -> None:
        self._figures = found
        if self.is_mounted:
            self._draw()

    def _place(self, *, people: int) -> None:
        self.query_one("#no-raters").display = not people
        self.query_one("#rater").display = bool(people)
        self.table.display = bool(people)
        # A heading and the people, and at least half of the pane for what is said of one.
        self.table.styles.height = max(3, min(people + 1, self.content_size.height // 2))

    def on_resize(self, event: events.Resize) -> None:
        if self._figures is not None:
            self._draw()

    def _draw(self) -> None:
        found = self._figures
        if found is None:
            return
        self.border_subtitle = Content(open_words(found)) or None
        if not found.people:
            self.border_title = Content(self.title)
            self.table.set_model(EMPTY)
            self._say(NOBODY)
            return
        count = len(found.people)
        people = "1 person" if count == 1 else f"{count:,} people"
        self.border_title = Content(f"{self.title}  {people}")
        self._place(people=len(found.people))
        with self.prevent(BigTable.Moved):
            self.table.set_model(RaterRows(found.people, self.look), keep=self._wanted)
        self._wanted = None
        self._tell()

    def _tell(self) -> None:
        current = self.table.current
        if self._figures is not None and current is not None:
            self.query_one("#rater-text", Static).update(person_text(self._figures, current))

    @on(BigTable.Moved)
    def _moved(self, message: BigTable.Moved) -> None:
        message.stop()
        self._tell()
        self.query_one("#rater", VerticalScroll).scroll_home(animate=False)

    # What its keys do

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """People can't be marked."""
        return action not in ("mark", "range", "invert")

    def action_move(self, how: str) -> None:
        """Pages are those of the text; rows are few."""
        box = self.query_one("#rater", VerticalScroll)
        if how in SCROLLS:
            lines = round(SCROLLS[how] * box.size.height)
            box.scroll_relative(y=lines, animate=False)
        else:
            self.table.move(how)

    def action_pick(self) -> None:
        if self.table.current is not None and self.table.display:
            self.post_message(self.Picked(self.table.current))

    def on_big_table_opened(self, message: BigTable.Opened) -> None:
        message.stop()
        self.action_pick()

    def state(self) -> dict[str, Any]:
        return {"person": self.table.current} if self.is_mounted else {}

    def restore(self, state: dict[str, Any]) -> None:
        wanted = state.get("person")
        self._wanted = wanted if isinstance(wanted, str) else None
