"""The runs pane: metrics of each run, its worst scans, and a comparison of two runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content

from coldal_tui.project.enough.estimate import Enough, read_enough
from coldal_tui.project.measuring import KINDS
from coldal_tui.project.views.coverage import first_picks
from coldal_tui.project.views.run_view import (
    Comparison,
    RunMeasures,
    ScanScore,
    SplitState,
    read_comparison,
    read_measures,
    read_scores,
)
from coldal_tui.project.views.snapshot import RunState
from coldal_tui.tui.pane import Pane, View
from coldal_tui.tui.runs.rows import PairRows, RunRows, ScanRows
from coldal_tui.tui.runs.text import (
    class_line,
    comparison_heading,
    curve_content,
    enough_content,
    run_heading,
)
from coldal_tui.tui.verbs import bind
from coldal_tui.tui.widgets.drawing import Drawing, Painted
from coldal_tui.tui.widgets.seen import WhileSeen
from coldal_tui.tui.widgets.table import BigTable
from coldal_tui.tui.widgets.table_model import EMPTY, TableModel
from coldal_tui.tui.widgets.table_pane import TablePane

BOTH_WIDTH, CURVE_WIDTH = 72, 30
MEASURING = ("evaluate", "crossfit", "train")
"""Kinds of jobs after which a run may have another measure."""
ENOUGH_HEIGHT = 12
"""Lines of the pane from which on it says whether the labels are enough."""
LEAST_SCANS = 7
"""Lines that the scans keep before classes are listed above them: the runs' table has them too."""


_Asked = tuple[RunState | None, str | None, SplitState | None]
"""What the scans below belong to: a run, the run it is compared with, a split."""


class _Listing(BigTable):
    """One of the pane's two tables: only that which has the keys looks focused."""

    def __init__(self, *, id: str, in_turn: bool) -> None:
        super().__init__(id=id)
        self.in_turn = in_turn

    @property
    def _in_use(self) -> bool:
        return self.in_turn and super()._in_use


class RunsPane(WhileSeen, TablePane):
    """Lists runs, and below them the scans of the selected run and the learning curve.

    ``enter`` goes from a run to its scans and from a scan to its picture; ``h`` and ``escape`` go
    back. ``space`` marks the run with which others are then compared.
    """

    number: ClassVar[int] = 6
    title: ClassVar[str] = "6 Runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("open", "open", "open", id="runs.open", show=True),
        bind("mark", "mark", "compare", id="runs.compare", show=True),
        bind("list", "split", "measured on", id="runs.split", show=True),
        bind("details", "curve", "curve", id="runs.curve", show=True),
        bind("back", "leave_scans", "back to the runs", id="runs.back"),
    ]
    DEFAULT_CSS = """
    RunsPane {
        layout: vertical;
        & > #runs-table { height: 4; }
        & > #run-enough { height: auto; padding: 0 2; }
        & > #run-below { height: 1fr; border-top: solid $primary 50%; }
        &.-ascii > #run-below { border-top: ascii $primary 50%; }
        & #run-scans { width: 1fr; height: 1fr; }
        & #run-heading { height: auto; padding: 0 0 0 2; }
        & #run-curve { width: 1fr; height: 1fr; padding: 0 1; }
        & > #no-runs { height: 1fr; padding: 0 1; color: $foreground-muted; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="runs")
        self._view: View | None = None
        self._measures: dict[str, RunMeasures] = {}
        self._asked: object = None
        self._asked_scans: object = None
        self._split: str | None = None
        self._base: str | None = None
        self._wanted: str | None = None
        self._curve = False
        self._in_scans = False
        self._enough: Enough | None = None
        self._heading: Callable[[int], list[Content]] = lambda width: []
        self.border_title = Content(self.title)

    def compose(self) -> ComposeResult:
        yield _Listing(id="runs-table", in_turn=True)
        yield Drawing(id="run-enough", wraps=True)
        with Horizontal(id="run-below"):
            with Vertical(id="run-scans"):
                yield Drawing(id="run-heading")
                yield _Listing(id="scans-table", in_turn=False)
            yield Painted(id="run-curve")
        yield Drawing(id="no-runs", wraps=True)

    def on_mount(self) -> None:
        self.set_class(self.look.name == "ascii", "-ascii")

    @property
    def runs(self) -> _Listing:
        return self.query_one("#runs-table", _Listing)

    @property
    def scans(self) -> _Listing:
        return self.query_one("#scans-table", _Listing)

    @property
    def table(self) -> BigTable:
        return self.scans if self._in_scans else self.runs

    # What it shows

    def show(self, view: View) -> None:
        self._view = view
        if self.seen:
            self.catch_up()

    def catch_up(self) -> None:
        view = self._view
        if view is None:
            return
        self._draw_runs(view)
        snapshot, map_view = view.snapshot, view.map_view
        picks = first_picks(snapshot.queue)
        evaluated = [j.job_id for j in snapshot.jobs if j.kind in MEASURING and j.status == "done"]
        asked = (snapshot.runs, evaluated, map_view.map_id if map_view else None, picks)
        if asked == self._asked:
            return
        self._asked = asked
        self.services.read("runs.enough", read_enough, self._answered)
        work = partial(read_measures, runs=snapshot.runs, map_view=map_view, picks=picks)
        self.services.read("runs", work, self._measured)

    def _measured(self, measures: dict[str, RunMeasures]) -> None:
        if measures != self._measures and self._view is not None:
            self._measures = measures
            self._asked_scans = None
            self._draw_runs(self._view)

    def _answered(self, enough: Enough | None) -> None:
        if enough != self._enough:
            self._enough = enough
            self._draw_enough()

    def _draw_enough(self) -> None:
        """The line "Enough?", where the pane is high enough to keep the scans below it."""
        if not self.is_mounted:
            return
        place = self.query_one("#run-enough", Drawing)
        shown = self._enough is not None and self.content_size.height >= ENOUGH_HEIGHT
        place.display = shown
        if self._enough is not None and shown:
            place.draw(enough_content(self._enough, self.look))

    def _draw_runs(self, view: View) -> None:
        snapshot = view.snapshot
        if not self.is_mounted:
            return
        empty = self.query_one("#no-runs", Drawing)
        empty.display = not snapshot.runs
        self.query_one("#run-enough").display = False
        self.runs.display = self.query_one("#run-below").display = bool(snapshot.runs)
        count = len(snapshot.runs)
        self.border_title = Content(f"{self.title}  {count:,}" if count else self.title)
        if not snapshot.runs:
            self.runs.set_model(EMPTY)
            empty.draw(Content(f"no run yet: {(snapshot.then or snapshot.next).text}"))
            return
        if self._base not in {run.run_id for run in snapshot.runs}:
            self._base = None
        self._place()
        self._draw_enough()
        self.runs.set_model(RunRows(snapshot.runs, self._measures, self.look), keep=self._wanted)
        self._wanted = None
        self.runs.mark([] if self._base is None else [self._base])
        self._draw_curve()
        self._ask_scans()

    def _place(self) -> None:
        """Set heights and widths; without room for both, show either the curve or the scans."""
        width, height = self.content_size
        count = len(self._view.snapshot.runs) if self._view else 0
        self.runs.styles.height = max(2, min(count + 1, max(4, height // 3)))
        both = width >= BOTH_WIDTH
        scans, curve = self.query_one("#run-scans"), self.query_one("#run-curve")
        scans.display = both or not self._curve
        curve.display = both or self._curve
        curve.styles.width = max(CURVE_WIDTH, round(0.42 * width)) if both else "1fr"

    def on_resize(self, event: events.Resize) -> None:
        if self._view is not None and self.seen and self._view.snapshot.runs:
            self._place()
            self._draw_enough()
            self.call_after_refresh(self._draw_heading)

    def _draw_curve(self) -> None:
        if self._view is not None:
            paint = partial(curve_content, self._view.snapshot.runs, self._measures, self.look)
            self.query_one("#run-curve", Painted).draw(paint)

    # The scans of a run

    @property
    def _run(self) -> RunState | None:
        runs = self._view.snapshot.runs if self._view else ()
        return next((run for run in runs if run.run_id == self.runs.current), None)

    def _splits(self) -> list[SplitState]:
        known = self._measures.get(self.runs.current or "")
        if known is None:
            return []
        return list(known.splits)

    def _split_state(self) -> SplitState | None:
        """The requested split, or the one this run has instead."""
        splits = self._splits()
        exact = next((state for state in splits if state.split == self._split), None)
        if exact is not None or not splits:
            return exact
        return splits[0] if self._split is None or self._split in KINDS else splits[-1]

    def _ask_scans(self) -> None:
        """Request the scans below if another run, split or comparison is wanted."""
        run, state = self._run, self._split_state()
        base = self._base if run is not None and self._base != run.run_id else None
        asked = (run, base, state)
        if run is None or run.run_id not in self._measures or asked == self._asked_scans:
            return
        self._asked_scans = asked
        if state is None:
            self._show_scans(asked, ())
        elif base is None:
            work = partial(read_scores, run_id=run.run_id, split=state.split)
            self.services.read("runs.scans", work, partial(self._show_scans, asked))
        else:
            compare = partial(read_comparison, before=base, after=run.run_id, split=state.split)
            self.services.read("runs.scans", compare, partial(self._show_pairs, asked))

    def _show_scans(self, asked: _Asked, scores: tuple[ScanScore, ...]) -> None:
        run, _, state = asked
        if asked != self._asked_scans or run is None:
            return

        def heading(width: int) -> list[Content]:
            rows = run_heading(run, state, self.look, width)
            if state is None or state != self._splits()[0]:
                return rows
            classes = class_line(run, self.look, width)
            room = self.query_one("#run-scans").content_size.height - len(rows) - len(classes)
            return rows + classes if room >= LEAST_SCANS else rows

        self._show(heading, ScanRows(scores, self.look) if scores else EMPTY)

    def _show_pairs(self, asked: _Asked, found: tuple[str, Comparison | None]) -> None:
        run, base, state = asked
        if asked != self._asked_scans or run is None or base is None or state is None:
            return
        after, split, comparison = run.run_id, state.split, found[1]

        def heading(width: int) -> list[Content]:
            return comparison_heading(base, after, split, comparison, self.look, width)

        self._show(heading, PairRows(comparison, self.look) if comparison else EMPTY)

    def _show(self, heading: Callable[[int], list[Content]], model: TableModel) -> None:
        self._heading = heading
        self._draw_heading()
        self.scans.set_model(model)
        if not model.row_count and self._in_scans:
            self._turn(False)

    def _draw_heading(self) -> None:
        """Draw the heading in as many lines as this width needs."""
        place = self.query_one("#run-heading", Drawing)
        if place.content_size.width:
            place.draw(self._heading(place.content_size.width))

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("range", "invert"):
            return False
        if not self.is_mounted or self._view is None:
            return True
        if action == "split":
            return len(self._splits()) > 1
        if action == "curve":
            return self.content_size.width < BOTH_WIDTH
        if action == "mark":
            return not self._in_scans and self.runs.row_count > 1
        if action == "leave_scans":
            return self._in_scans
        return True

    def on_big_table_moved(self, message: BigTable.Moved) -> None:
        message.stop()
        if message.table is self.runs:
            self._ask_scans()
            self.refresh_bindings()
        elif self._in_scans and message.key is not None:
            self._choose(message.key)

    def on_big_table_marked(self, message: BigTable.Marked) -> None:
        message.stop()

    def on_big_table_opened(self, message: BigTable.Opened) -> None:
        message.stop()
        self._turn(message.table is self.scans)
        self.action_open()

    def action_move(self, how: str) -> None:
        if how == "left" and self._in_scans:
            self.action_leave_scans()
        else:
            super().action_move(how)

    def action_open(self) -> None:
        if not self._in_scans:
            if self.scans.row_count and self.query_one("#run-scans").display:
                self._turn(True)
                self._choose(self.scans.current or "")
        elif self.scans.current is None:
            return
        elif self._is_known(self.scans.current):
            self.post_message(Pane.Opened(self.scans.current))
        else:
            self.services.tell("this scan is not in the project: it was only evaluated on")

    def _choose(self, scan_id: str) -> None:
        if self._is_known(scan_id):
            self.post_message(Pane.Chosen(self, scan_id))

    def _is_known(self, scan_id: str) -> bool:
        model = self.scans.model
        return isinstance(model, (ScanRows, PairRows)) and model.known(scan_id)

    def action_leave_scans(self) -> None:
        self._turn(False)

    def _turn(self, to_scans: bool) -> None:
        """Give the keys to the other table."""
        self._in_scans = to_scans
        for table in (self.runs, self.scans):
            table.in_turn = table is self.table
            table.refresh_rows()
        self.refresh_bindings()

    def action_mark(self) -> None:
        """Compare with the run under the cursor from now on; on the same run, stop."""
        current = self.runs.current
        self._base = None if current == self._base else current
        self.runs.mark([] if self._base is None else [self._base])
        self._ask_scans()

    def action_split(self) -> None:
        splits = [state.split for state in self._splits()]
        state = self._split_state()
        at = splits.index(state.split) if state else -1
        self._split = splits[(at + 1) % len(splits)]
        self._ask_scans()

    def action_curve(self) -> None:
        self._curve = not self._curve
        if self._curve:
            self._turn(False)
        self._place()

    def go_to(self, scan_id: str | None) -> None:
        if scan_id is not None and self.is_mounted:
            self.scans.go_to(scan_id)

    def state(self) -> dict[str, Any]:
        run = self.runs.current if self.is_mounted else None
        return {"run": run, "base": self._base, "split": self._split, "curve": self._curve}

    def restore(self, state: dict[str, Any]) -> None:
        run, base, split = (state.get(name) for name in ("run", "base", "split"))
        self._wanted = run if isinstance(run, str) else None
        self._base = base if isinstance(base, str) else None
        self._split = split if isinstance(split, str) else None
        self._curve = state.get("curve") is True
