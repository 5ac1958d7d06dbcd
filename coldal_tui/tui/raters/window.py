"""The window of disputes: scans that people drew differently, both outlines, and the decision."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from coldal_tui.project.labels.raters.adjudication import (
    CONSENSUS,
    Dispute,
    adjudicate,
    list_disputes,
)
from coldal_tui.project.project import Project
from coldal_tui.project.views.dispute_view import DrawnView, read_drawn_views
from coldal_tui.project.views.scan_pixels import ViewCache
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.drawing.plane_slices import Shown, Slices
from coldal_tui.tui.pane import Services
from coldal_tui.tui.verbs import bind
from coldal_tui.tui.widgets.columns import Column
from coldal_tui.tui.widgets.side_by_side import Compare, Side
from coldal_tui.tui.widgets.table import BigTable
from coldal_tui.tui.widgets.table_model import Cell
from coldal_tui.visible import visible

_DRAWN = Shown(mask=True, prediction=False)
KEYS = "Y which one counts · a another pair · T send to a third person · ] [ slice · t plane"


class DisputeRows:
    """Disputed scans, the largest dispute first."""

    columns: Sequence[Column] = (
        Column("scan", "scan", 24, least=10, most=44, cut="middle"),
        Column("size", "differing", 10, align="right"),
        Column("dice", "Dice", 5, align="right"),
        Column("people", "drawn by", 26, least=12, most=60),
        Column("label", "label now", 12, least=6, most=24, priority=2),
    )

    def __init__(self, disputes: Sequence[Dispute], look: Look) -> None:
        self._disputes, self._look = disputes, look
        self._rows = {one.scan_id: n for n, one in enumerate(disputes)}

    @property
    def row_count(self) -> int:
        return len(self._disputes)

    def key(self, row: int) -> str:
        return self._disputes[row].scan_id

    def find(self, key: str) -> int | None:
        return self._rows.get(key)

    def cells(self, row: int) -> Sequence[Cell]:
        one, dash = self._disputes[row], Text(self._look.dash, style="muted")
        sent = f" (sent to {', '.join(one.sent_to)})" if one.sent_to else ""
        return (
            visible(one.scan_id),
            dash if one.differing is None else f"{one.differing:,}",
            dash if one.dice is None else f"{one.dice:.2f}",
            visible(", ".join(one.people) + sent),
            visible(one.label_by) if one.label_by else "none",
        )


class DisputesWindow(ModalScreen[None]):
    """Choose a scan with the arrows; two drawings lie side by side; keys decide."""

    DEFAULT_CSS = """
    DisputesWindow { align: center middle; }
    DisputesWindow > Vertical { width: 98%; height: 96%; border: round $accent;
        background: $surface; padding: 0 1; }
    DisputesWindow BigTable { height: 30%; min-height: 4; }
    DisputesWindow #disputes-keys { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("back", "close", "back", id="disputes.back", show=True),
        bind("quit", "close", "back", id="disputes.back"),
        bind("down", "move(1)", "down", id="disputes.down"),
        bind("up", "move(-1)", "up", id="disputes.up"),
        bind("accept", "accept", "which one counts", id="disputes.accept", show=True),
        bind("list", "pair", "another pair", id="disputes.pair", show=True),
        bind("assign", "send", "send to a third person", id="disputes.send", show=True),
        bind("step-on", "slice(1)", "next slice", id="disputes.slice-down"),
        bind("step-back", "slice(-1)", "slice before", id="disputes.slice-up"),
        bind("plane", "turn", "plane", id="disputes.plane"),
        bind("style", "tint", "outlines or tints", id="disputes.tint"),
    ]

    def __init__(self, services: Services, *, graphics: str = "") -> None:
        super().__init__()
        self._services, self._graphics = services, graphics
        self._cache = ViewCache(most_bytes=128 << 20)
        self._disputes: list[Dispute] = []
        self._views: list[DrawnView] = []
        self._pair = 0

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content("Disputes")
            box.border_subtitle = Content("esc back")
            yield BigTable()
            yield Compare(graphics=self._graphics)
            yield Static(Content(KEYS), id="disputes-keys")

    def on_mount(self) -> None:
        self._fetch()

    def _fetch(self) -> None:
        keep = not self._services.readonly
        self._services.read(
            "disputes", lambda project: list_disputes(project, keep=keep), self._listed
        )

    def _listed(self, found: list[Dispute]) -> None:
        if not self.is_mounted:
            return
        self._disputes = found
        self.query_one(BigTable).set_model(DisputeRows(found, self._services.look))
        if not found:
            words = "nothing is in dispute"
            side = Side("", None, Shown(), words)
            self.query_one(Compare).show("", side, side, Content(words))
        else:
            self._look_at()

    @property
    def current(self) -> Dispute | None:
        """The scan under the cursor."""
        key = self.query_one(BigTable).current
        return next((one for one in self._disputes if one.scan_id == key), None)

    @on(BigTable.Moved)
    def _moved(self, message: BigTable.Moved) -> None:
        message.stop()
        self._look_at()

    def _look_at(self) -> None:
        here = self.current
        if here is None:
            return

        def draw(found: list[DrawnView]) -> None:
            if self.is_mounted and self.current == here:
                self._views, self._pair = found, 0
                self._draw()

        self._services.read(
            "disputes.views",
            lambda project: read_drawn_views(project, here.scan_id, self._cache),
            draw,
        )

    def _sides(self) -> tuple[int, int]:
        """The numbers of the drawings left and right."""
        count = len(self._views)
        pairs = [(a, b) for a in range(count) for b in range(a + 1, count)] or [(0, 0)]
        return pairs[self._pair % len(pairs)]

    def _draw(self) -> None:
        here = self.current
        if here is None or not self._views:
            return
        left, right = (_side(self._views, n) for n in self._sides())
        size = "" if here.differing is None else f"{here.differing:,} pixels or voxels differ"
        label = f"label now: {here.label_by}" if here.label_by else "no label yet"
        facts = Content(visible(f"{here.scan_id}   {size}   {label}"))
        self.query_one(Compare).show(here.scan_id, left, right, facts)

    # What its keys do

    def action_close(self) -> None:
        self.dismiss(None)

    def action_move(self, by: int) -> None:
        table = self.query_one(BigTable)
        row = min(max(0, table.cursor + by), len(self._disputes) - 1)
        if self._disputes:
            table.go_to(self._disputes[row].scan_id)
            self._look_at()

    def action_pair(self) -> None:
        self._pair += 1
        self._draw()

    def action_slice(self, by: int) -> None:
        self.query_one(Compare).slice(by)

    def action_turn(self) -> None:
        self.query_one(Compare).turn()

    def action_tint(self) -> None:
        self.query_one(Compare).tint()

    def action_accept(self) -> None:
        """Choose the drawing that becomes the label, or the consensus of all."""
        here = self.current
        if here is None or not self._views:
            return
        sides = zip(("left", "right"), dict.fromkeys(self._sides()), strict=False)
        options = [
            (self._views[n].author, f"{side}: {visible(self._views[n].author)}")
            for side, n in sides
        ]
        options.append((CONSENSUS, "the consensus of all"))
        self._services.choose(f"which one counts for {here.scan_id}?", options, self._decide)

    def _decide(self, pick: str) -> None:
        here = self.current
        if here is None:
            return

        def work(project: Project) -> str:
            done = adjudicate(project, [here.scan_id], pick)
            return f"{here.scan_id}: the label is {done[here.scan_id]} (z takes it back)"

        self._services.change("adjudicate", work, self._fetch)

    def action_send(self) -> None:
        here = self.current
        if here is None:
            return
        self._services.ask(
            f"send {visible(here.scan_id)} to a third person",
            "whom? The export holds the scan and the drawings without names.",
            partial(self._send, here.scan_id),
        )

    def _send(self, scan_id: str, person: str) -> None:
        def work(project: Project) -> str:
            from coldal_tui.project.export.third_person import export_disputes

            report = export_disputes(project, [scan_id], person)
            return f"exported for {person.strip()}: {report.folder}"

        if person.strip():
            self._services.change("send", work, self._fetch)


def _side(views: Sequence[DrawnView], number: int) -> Side:
    one = views[number]
    title = visible(f"{chr(ord('A') + number)}  {one.author}")
    layer = one.view.mask
    if layer is not None and layer.trouble is not None:
        return Side(title, None, _DRAWN, visible(layer.trouble.what))
    if one.view.pixels is None:
        trouble = one.view.trouble
        return Side(title, None, _DRAWN, visible(trouble.what) if trouble else "")
    return Side(title, Slices(one.view, one.view.pixels), _DRAWN)
