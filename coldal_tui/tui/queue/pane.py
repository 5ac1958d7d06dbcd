"""The queue pane: the queue or all scans, filtered, sorted, with actions on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from coldal_tui.errors import ColdalError
from coldal_tui.project.queue.rerank import Bench, Reranked
from coldal_tui.project.views.queue_table import SCOPES, ScanTable, Scope, read_queue_table
from coldal_tui.tui.pane import Pane, View
from coldal_tui.tui.queue.alpha_preview import preview
from coldal_tui.tui.queue.alpha_trial import AlphaTrial
from coldal_tui.tui.queue.changes import QueueChanges
from coldal_tui.tui.queue.columns import QueueModel, Rows, Sort, columns_of
from coldal_tui.tui.queue.filter import complete
from coldal_tui.tui.queue.queue_keys import QUEUE_KEYS
from coldal_tui.tui.queue.row_choice import SCOPE_WORDS, RowChoice, no_rows_text, queue_title
from coldal_tui.tui.queue.why import full_text, read_facts
from coldal_tui.tui.widgets.alpha_line import AlphaLine
from coldal_tui.tui.widgets.dialogs import Reading
from coldal_tui.tui.widgets.filter_line import FilterLine
from coldal_tui.tui.widgets.table import BigTable
from coldal_tui.tui.widgets.table_pane import TablePane
from coldal_tui.visible import visible

AT_ONCE = 5_000
"""Up to so many rows are filtered and sorted on the spot; more in a thread."""
BEST_FIRST = ("entropy", "diversity", "score")
"""Columns of which people want the largest first."""
CHANGES = ("skip", "exclude", "pin", "assign", "reopen", "shift")
NOT_IN_TRIAL = (*CHANGES, "filter", "sort", "reverse", "scope", "mark", "alpha")


class QueuePane(TablePane):
    """Pane 1. While α moves, the rows are a preview; enter applies it."""

    number: ClassVar[int] = 1
    title: ClassVar[str] = "1 Queue"
    DEFAULT_CSS = """
    QueuePane {
        layout: vertical;
        & > BigTable { height: 1fr; }
        & > #queue-empty { height: 1fr; padding: 1 2; display: none; color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = QUEUE_KEYS

    def __init__(self) -> None:
        super().__init__(id="queue")
        self._view: View | None = None
        self._whole: ScanTable | None = None
        self._scope: Scope = "open"
        self._choice = RowChoice()
        self._kept = ""
        self._wanted: str | None = None
        self._problem = ""
        self._widening = False
        self._titles: tuple[str, str] = ("", "")
        self.line = AlphaLine()
        self._trial = AlphaTrial(
            self.line, begun=self.refresh_bindings, ranked=self._show_trial, left=self._trial_left
        )
        self.border_title = Text(SCOPE_WORDS["open"])

    def compose(self) -> ComposeResult:
        yield BigTable()
        yield Static(id="queue-empty")
        yield FilterLine(self._completed)
        yield self.line

    # What is shown

    def begin(self) -> None:
        """Read the rows before there is a view: they need not wait for a large project's counts.

        If it fails, so does the app's reader, which tells it. ``go_to`` comes before it.
        """
        self._load(failed=lambda _: None)

    def show(self, view: View) -> None:
        self._view = view
        self._load()

    def _load(self, failed: Callable[[Exception], None] | None = None) -> None:
        work = partial(read_queue_table, scope=self._scope, known=self._whole)
        self.services.read("queue.table", work, self._loaded, failed)

    def _loaded(self, table: ScanTable) -> None:
        if table.scope == self._scope and table is not self._whole:
            self._whole = table
            self._arrange()
            self._trial.queue_changed(self.services)
        elif self._whole is not None and not len(self._whole):
            self._show_empty()

    def _arrange(self, *, typing: bool = False) -> None:
        """Filter and sort the rows, in a thread if there are many."""
        table = self._whole
        if table is None or self._trial.active:
            return
        work = partial(self._choice.rows, table, typing=typing)
        if len(table) > AT_ONCE:
            then = partial(self._present, table)
            self.services.read("queue.rows", lambda _: work(), then, self._unfit)
            return
        try:
            rows = work()
        except ColdalError as error:
            self._unfit(error)
        else:
            self._present(table, rows)

    def _unfit(self, error: Exception) -> None:
        """Show a filter's error: as a hint while it is typed, otherwise instead of rows."""
        self._problem = error.what if isinstance(error, ColdalError) else str(error)
        line = self.query_one(FilterLine)
        if line.is_open:
            remedy = error.remedy if isinstance(error, ColdalError) else None
            line.hint(f"{self._problem}; {remedy}" if remedy else self._problem, error=True)
        elif self._whole is not None:
            self._present(self._whole, np.empty(0, np.int64), problem=self._problem)

    def _present(self, table: ScanTable, rows: Rows, *, problem: str = "") -> None:
        if table is not self._whole:
            return
        if self._widening and not len(rows) and self._scope != "all":
            self._to_scope(SCOPES[SCOPES.index(self._scope) + 1])
            return
        self._widening = False
        self._problem = problem
        model = QueueModel(table, rows, self.look, columns_of(table))
        self.show_rows(model)

    def show_rows(self, model: QueueModel) -> None:
        """Show rows, with the cursor on its former or the wanted row."""
        wanted = self._wanted
        keep = wanted if wanted is not None and model.find(wanted) is not None else None
        if wanted is not None and keep is None:
            # Another pane is on a scan that is not here: the cursor must not lead it away.
            with self.table.prevent(BigTable.Moved):
                self.table.set_model(model)
            self.table.hide_cursor(True)
        else:
            self.table.set_model(model, keep=keep)
            self._wanted = None
            self.table.hide_cursor(False)
        sort = self._choice.sort
        self.table.show_sort(None if sort.is_rank else sort.column, descending=sort.descending)
        line = self.query_one(FilterLine)
        if line.is_open and not self._problem:
            line.hint(f"{model.row_count:,} of {len(model.table):,}")
        self._show_empty()
        self._show_titles()

    def _show_empty(self) -> None:
        """Show what to do when there are no rows."""
        empty = self.query_one("#queue-empty", Static)
        is_empty = self._whole is not None and not self.table.row_count
        if empty.display != is_empty:
            self.table.display, empty.display = not is_empty, is_empty
            self.refresh_bindings()  # the footer greys what can't be done to no rows
        if is_empty:
            snapshot = self._view.snapshot if self._view else None
            empty.update(Text(no_rows_text(snapshot, self._choice, self._problem)))

    def _show_titles(self) -> None:
        titles = self._title(), self._subtitle()
        if titles != self._titles:
            self._titles = titles
            self.border_title, self.border_subtitle = Text(titles[0]), Text(titles[1])

    def _title(self) -> str:
        if self._trial.active:
            return self._trial.title()
        there = None if self._whole is None else len(self._whole)
        shown, columns = self.table.row_count, self.table.model.columns
        return queue_title(self._scope, self._choice, shown, there, columns)

    def _subtitle(self) -> str:
        if self._trial.active:
            return self._trial.subtitle()
        if self._problem:
            return visible(self._problem)
        marked = len(self.table.marked)
        if self._wanted is not None and self.table.row_count and not marked:
            return f"{visible(self._wanted)} is in none of these rows"
        if self.table.ranging:
            return f"range of {marked:,}: v keeps it"
        return f"{marked:,} marked" if marked else ""

    # The current scan

    @on(BigTable.Moved)
    def _moved(self, message: BigTable.Moved) -> None:
        message.stop()
        self._wanted = None
        self.table.hide_cursor(False)
        self._show_titles()
        self.post_message(Pane.Chosen(self, message.key))

    @on(BigTable.Opened)
    def _double_clicked(self, message: BigTable.Opened) -> None:
        message.stop()
        self.action_open()

    @on(BigTable.Marked)
    def _marked(self, message: BigTable.Marked) -> None:
        message.stop()
        self._show_titles()

    def go_to(self, scan_id: str | None) -> None:
        """Move to a scan; if no row has it, hide the cursor."""
        if scan_id is None:
            return
        found = self.is_mounted and self.table.go_to(scan_id)
        self._wanted = None if found else scan_id
        if self.is_mounted:
            self.table.hide_cursor(not found)
            self._show_titles()

    @property
    def current(self) -> str | None:
        """The app's current scan, whether a row shows it or not."""
        return self._wanted or self.table.current

    def action_open(self) -> None:
        if self.current is not None:
            self.post_message(Pane.Opened(self.current))

    # Filter, sort, scope

    def action_filter(self) -> None:
        self.query_one(FilterLine).open(self._choice.filter)
        self._show_titles()

    @on(FilterLine.Changed)
    def _typed(self, message: FilterLine.Changed) -> None:
        message.stop()
        self._choice, self._problem = replace(self._choice, filter=message.text.strip()), ""
        self._arrange(typing=not message.text.endswith(" "))

    @on(FilterLine.Kept)
    def _filter_kept(self, message: FilterLine.Kept) -> None:
        message.stop()
        self._choice, self._problem = replace(self._choice, filter=message.text.strip()), ""
        self._arrange()
        if self._problem:  # the line stays, with what is wrong beside it
            return
        self._kept = self._choice.filter
        self.query_one(FilterLine).close()
        self.focus()
        self._show_titles()

    @on(FilterLine.Dropped)
    def _dropped(self, message: FilterLine.Dropped) -> None:
        message.stop()
        self.query_one(FilterLine).close()
        self.focus()
        self.set_filter("")

    def set_filter(self, words: str) -> None:
        """Show the rows that match a filter; if none does, search every round, then all scans."""
        self._kept, self._problem = words.strip(), ""
        self._choice = RowChoice(self._kept, sort=self._choice.sort)
        self._widening = bool(self._kept)
        self._arrange()

    def show_only(self, scan_ids: Sequence[str]) -> None:
        """Show only these scans, queued or not."""
        self._kept = self._problem = ""
        self._choice = RowChoice(only=frozenset(scan_ids), sort=self._choice.sort)
        table = self._whole
        if table is not None and all(scan in table.index for scan in scan_ids):
            self._arrange()
        else:
            self._to_scope("all")

    def _completed(self, text: str) -> str | None:
        return None if self._whole is None else complete(self._whole, text)

    def action_sort(self) -> None:
        options = [("rank", "rank, as the queue comes")]
        options += [
            (
                column.key,
                f"{column.key} ({column.title})" if len(column.title) == 1 else column.title,
            )
            for column in self.table.model.columns
            if column.key not in ("rank", "was")
        ]
        self.services.choose("sort by", options, self._sort_by)

    @on(BigTable.SortAsked)
    def _title_clicked(self, message: BigTable.SortAsked) -> None:
        message.stop()
        if message.column == self._choice.sort.column:
            self.action_reverse()
        elif message.column != "was":
            self._sort_by(message.column)

    def _sort_by(self, column: str) -> None:
        self._sort(Sort(column, column in BEST_FIRST))

    def action_reverse(self) -> None:
        sort = self._choice.sort
        self._sort(Sort(sort.column, not sort.descending))

    def _sort(self, sort: Sort) -> None:
        self._choice = replace(self._choice, sort=sort)
        self._arrange()

    def action_scope(self) -> None:
        """Switch from the queue to every round (if there are several) to all scans."""
        scopes = list(SCOPES)
        rounds = len(self._view.snapshot.rounds) if self._view else 0
        if rounds < 2:
            scopes.remove("rounds")
        here = scopes.index(self._scope) if self._scope in scopes else 0
        self._choice = replace(self._choice, only=frozenset())
        self._to_scope(scopes[(here + 1) % len(scopes)])

    def _to_scope(self, scope: Scope) -> None:
        self._scope = scope
        self._wanted = self._wanted or self.table.current
        self._load()

    @property
    def clearable(self) -> bool:
        """Whether escape can clear a filter or selection here."""
        return bool(self.table.marked or self.table.ranging or self._choice.narrows)

    def action_clear(self) -> None:
        if not self.table.mark(()):
            self.set_filter("")

    # What is done to the chosen scans

    @property
    def _changes(self) -> QueueChanges:
        return QueueChanges(self.services, self.table, self._whole)

    def action_skip(self) -> None:
        self._changes.skip()

    def action_exclude(self) -> None:
        self._changes.exclude()

    def action_pin(self) -> None:
        self._changes.pin()

    def action_assign(self) -> None:
        self._changes.assign()

    def action_reopen(self) -> None:
        self._changes.reopen()

    def action_shift(self, by: int) -> None:
        if self._choice.sort.is_rank:
            self._changes.shift(by)
        else:
            self.services.tell("ranks can be moved while the queue is sorted by rank: s chooses")

    def action_why(self) -> None:
        scan_id = self.current
        if scan_id is not None:
            work = partial(read_facts, scan_id=scan_id)
            self.services.read("queue.why", work, self._explained)

    def _explained(self, facts: dict[str, object]) -> None:
        self.app.push_screen(Reading("why this scan", full_text(facts, self.look)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if self._trial.active and action in NOT_IN_TRIAL:
            return None
        if action in CHANGES:
            return None if self.services.readonly or not self.table.row_count else True
        if action == "clear":
            return self.clearable
        return super().check_action(action, parameters)

    # Another α

    def action_alpha(self) -> None:
        self._trial.begin(self.services)

    @on(AlphaLine.Moved)
    def _alpha_moved(self, message: AlphaLine.Moved) -> None:
        message.stop()
        self._trial.move(self.services, message.alpha)

    @on(AlphaLine.Applied)
    def _alpha_applied(self, message: AlphaLine.Applied) -> None:
        message.stop()
        self._trial.apply(self.services)

    @on(AlphaLine.Dropped)
    def _alpha_dropped(self, message: AlphaLine.Dropped) -> None:
        message.stop()
        self._trial.end()

    def _show_trial(self, bench: Bench, found: Reranked) -> None:
        whole = self._whole
        if whole is None:
            return
        table = preview(whole, bench, found)
        mine = np.flatnonzero(whole.round == bench.round).tolist()
        was = {whole.scan_id[n]: int(whole.rank[n]) for n in mine}
        rows = np.arange(len(table), dtype=np.int64)
        self.table.set_model(QueueModel(table, rows, self.look, columns_of(table, was=True), was))
        self.table.show_sort(None)
        self.table.display, self.query_one("#queue-empty").display = True, False
        self._show_titles()

    def _trial_left(self, applied: bool) -> None:
        self.focus()
        self.refresh_bindings()
        if applied:  # the rows on the screen are the queue now: they stay until they are read
            self._load()
        else:
            self._arrange()

    # What is the same on return

    def state(self) -> dict[str, Any]:
        return {
            "scan": self.table.current,
            "filter": self._kept,
            "sort": self._choice.sort.column,
            "descending": self._choice.sort.descending,
            "scope": self._scope,
        }

    def restore(self, state: dict[str, Any]) -> None:
        scan = state.get("scan")
        self._wanted = scan if isinstance(scan, str) else None
        self._choice = RowChoice.restored(state)
        self._kept = self._choice.filter
        if state.get("scope") in SCOPES:
            self._scope = state["scope"]
