"""What the queue's pane shows: which rows, in which order, under which title."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from coldal_tui.errors import ColdalError
from coldal_tui.project.views.queue_table import SCOPES, ScanTable, Scope, read_queue_table
from coldal_tui.tui.pane import Pane, View
from coldal_tui.tui.queue.columns import QueueModel, Rows, Sort, columns_of, order
from coldal_tui.tui.queue.filter import complete, matching
from coldal_tui.tui.widgets.filter_line import FilterLine
from coldal_tui.tui.widgets.table import BigTable
from coldal_tui.tui.widgets.table_pane import TablePane
from coldal_tui.visible import visible

AT_ONCE = 5_000
"""Up to so many rows are filtered and sorted on the spot; more in a thread."""
SCOPE_WORDS: dict[Scope, str] = {
    "open": "Queue",
    "rounds": "Queue of every round",
    "all": "All scans",
}
BEST_FIRST = ("entropy", "diversity", "score")
"""Columns of which people want the largest first."""


class QueueView(TablePane):
    """Rows of the queue or of all scans; filtered, sorted, and following the current scan."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", id="queue.open"),
        Binding("slash", "filter", "filter", key_display="/", id="queue.filter"),
        Binding("space", "mark", "mark", key_display="space", id="mark.row"),
        Binding("s", "sort", "sort by a column", show=False, id="queue.sort"),
        Binding("S", "reverse", "reverse the order", show=False, id="queue.reverse"),
        Binding("A", "scope", "queue, every round, all scans", show=False, id="queue.all"),
        Binding("escape", "clear", "clear marks, then the filter", show=False, id="queue.clear"),
    ]

    def __init__(self) -> None:
        super().__init__(id="queue")
        self._view: View | None = None
        self._whole: ScanTable | None = None
        self._scope: Scope = "open"
        self._filter = ""
        self._kept = ""
        self._only: frozenset[str] = frozenset()
        self._sort = Sort()
        self._wanted: str | None = None
        self._problem = ""
        self._widening = False
        self._titles: tuple[str, str] = ("", "")
        self.border_title = Text(SCOPE_WORDS["open"])

    def compose(self) -> ComposeResult:
        yield BigTable()
        yield Static(id="queue-empty")
        yield FilterLine(self._completed)

    # What is shown

    def show(self, view: View) -> None:
        self._view = view
        self._load()

    def _load(self) -> None:
        work = partial(read_queue_table, scope=self._scope, known=self._whole)
        self.services.read("queue.table", work, self._loaded)

    def _loaded(self, table: ScanTable) -> None:
        if table.scope == self._scope and table is not self._whole:
            self._whole = table
            self._arrange()
        elif self._whole is not None and not len(self._whole):
            self._show_empty()

    def _arrange(self, *, typing: bool = False) -> None:
        """Filter and sort what was read; more than a few rows in a thread."""
        table = self._whole
        if table is None:
            return
        work = partial(chosen_rows, table, self._filter, self._only, self._sort, typing)
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
        """The filter can't be read, or names what is not there: typed on, it may yet be."""
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
        """Put rows on the screen, the cursor where it was or is wanted."""
        wanted = self._wanted
        keep = wanted if wanted is not None and model.find(wanted) is not None else None
        if wanted is not None and keep is None:
            # Another pane is on a scan that is not here: the cursor must not lead it away.
            with self.table.prevent(BigTable.Moved):
                self.table.set_model(model)
        else:
            self.table.set_model(model, keep=keep)
            self._wanted = None
        arrow = None if self._sort.is_rank else self._sort.column
        self.table.show_sort(arrow, descending=self._sort.descending)
        line = self.query_one(FilterLine)
        if line.is_open and not self._problem:
            line.hint(f"{model.row_count:,} of {len(model.table):,}")
        self._show_empty()
        self._show_titles()

    def _show_empty(self) -> None:
        """Instead of no rows: what can be done."""
        empty = self.query_one("#queue-empty", Static)
        is_empty = self._whole is not None and not self.table.row_count
        if empty.display != is_empty:
            self.table.display, empty.display = not is_empty, is_empty
            self.refresh_bindings()  # the footer greys what can't be done to no rows
        if is_empty:
            empty.update(Text(self._empty_words()))

    def _empty_words(self) -> str:
        if self._filter or self._only:
            return f"{self._problem or 'no scan is like that'}\n\nesc clears the filter"
        snapshot = self._view.snapshot if self._view else None
        if snapshot is None or not snapshot.scans:
            return "no scan is indexed yet\n\nput images into the folder, then n reads it"
        words = f"nothing is queued yet\n\nn  {snapshot.next.text}"
        return f"{words}\nA  shows all {snapshot.scans:,} scans"

    def _show_titles(self) -> None:
        titles = self._title(), self._subtitle()
        if titles != self._titles:
            self._titles = titles
            self.border_title, self.border_subtitle = Text(titles[0]), Text(titles[1])

    def _title(self) -> str:
        if self._whole is None:
            return SCOPE_WORDS[self._scope]
        shown, there = self.table.row_count, len(self._whole)
        filtered = bool(self._filter or self._only)
        count = f"{shown:,} of {there:,}" if filtered else f"{there:,}"
        words = [f"{SCOPE_WORDS[self._scope]}  {count}"]
        if not self._sort.is_rank:
            titles = {column.key: column.title for column in self.table.model.columns}
            down = "largest first" if self._sort.descending else "smallest first"
            words.append(f"by {titles.get(self._sort.column, self._sort.column)}, {down}")
        if self._only:
            words.append(f"{len(self._only):,} picked out")
        if self._filter:
            words.append(f"/{visible(self._filter)}")
        return " · ".join(words)

    def _subtitle(self) -> str:
        if self._problem:
            return visible(self._problem)
        marked = len(self.table.marked)
        if self.table.ranging:
            return f"range of {marked:,}: v keeps it"
        return f"{marked:,} marked" if marked else ""

    # The current scan

    @on(BigTable.Moved)
    def _moved(self, message: BigTable.Moved) -> None:
        message.stop()
        self._wanted = None
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
        if scan_id is not None and not (self.is_mounted and self.table.go_to(scan_id)):
            self._wanted = scan_id

    def action_open(self) -> None:
        if self.table.current is not None:
            self.post_message(Pane.Opened(self.table.current))

    # Filter, sort, scope

    def action_filter(self) -> None:
        self.query_one(FilterLine).open(self._filter)
        self._show_titles()

    @on(FilterLine.Changed)
    def _typed(self, message: FilterLine.Changed) -> None:
        message.stop()
        self._filter, self._problem = message.text.strip(), ""
        self._arrange(typing=not message.text.endswith(" "))

    @on(FilterLine.Kept)
    def _filter_kept(self, message: FilterLine.Kept) -> None:
        message.stop()
        self.query_one(FilterLine).close()
        self.focus()
        self._filter = self._kept = message.text.strip()
        self._problem = ""
        self._arrange()

    @on(FilterLine.Dropped)
    def _dropped(self, message: FilterLine.Dropped) -> None:
        message.stop()
        self.query_one(FilterLine).close()
        self.focus()
        self.set_filter("")

    def set_filter(self, words: str) -> None:
        """Show what a filter lets through; nothing there: in every round, or of all scans."""
        self._filter = self._kept = words.strip()
        self._only, self._problem = frozenset(), ""
        self._widening = bool(self._filter)
        self._arrange()

    def show_only(self, scan_ids: Sequence[str]) -> None:
        """Show these scans alone, whether queued or not."""
        self._filter = self._kept = self._problem = ""
        self._only = frozenset(scan_ids)
        table = self._whole
        if table is not None and all(scan in table.index for scan in self._only):
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
        if message.column == self._sort.column:
            self.action_reverse()
        elif message.column != "was":
            self._sort_by(message.column)

    def _sort_by(self, column: str) -> None:
        self._sort = Sort(column, column in BEST_FIRST)
        self._arrange()

    def action_reverse(self) -> None:
        self._sort = Sort(self._sort.column, not self._sort.descending)
        self._arrange()

    def action_scope(self) -> None:
        """The queue, then every round where there are several, then all scans."""
        scopes = list(SCOPES)
        rounds = len(self._view.snapshot.rounds) if self._view else 0
        if rounds < 2:
            scopes.remove("rounds")
        here = scopes.index(self._scope) if self._scope in scopes else 0
        self._only = frozenset()
        self._to_scope(scopes[(here + 1) % len(scopes)])

    def _to_scope(self, scope: Scope) -> None:
        self._scope = scope
        self._wanted = self._wanted or self.table.current
        self._load()

    @property
    def clearable(self) -> bool:
        """Whether escape has something to clear here."""
        return bool(self.table.marked or self.table.ranging or self._filter or self._only)

    def action_clear(self) -> None:
        if not self.table.mark(()):
            self.set_filter("")

    # What is the same on return

    def state(self) -> dict[str, Any]:
        return {
            "scan": self.table.current,
            "filter": self._kept,
            "sort": self._sort.column,
            "descending": self._sort.descending,
            "scope": self._scope,
        }

    def restore(self, state: dict[str, Any]) -> None:
        scan, words, column = state.get("scan"), state.get("filter"), state.get("sort")
        self._wanted = scan if isinstance(scan, str) else None
        self._filter = self._kept = words if isinstance(words, str) else ""
        if isinstance(column, str):
            self._sort = Sort(column, state.get("descending") is True)
        if state.get("scope") in SCOPES:
            self._scope = state["scope"]


def chosen_rows(
    table: ScanTable, text: str, only: frozenset[str], sort: Sort, typing: bool
) -> Rows:
    """Rows that the filter and the picking out let through, sorted.

    A column that is no longer there sorts nothing.
    """
    _ = table.index  # asked for on the UI thread later: made here, where it may take its time
    shown = matching(table, text, typing=typing)
    if only:
        picked = np.zeros(len(table), np.bool_)
        picked[[n for n in map(table.index.get, only) if n is not None]] = True
        shown &= picked
    known = {column.key for column in columns_of(table)} | {"rank"}
    return order(table, shown, sort if sort.column in known else Sort())
