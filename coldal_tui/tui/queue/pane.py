"""The queue's pane: the ranked scans, what is done to them, and α moved before your eyes."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import numpy as np
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from coldal_tui.errors import ColdalError
from coldal_tui.project.queue.rerank import Bench, Reranked, apply, read_bench, rerank
from coldal_tui.project.views.queue_table import ScanTable
from coldal_tui.tui.queue.alpha_preview import leaving, preview, told
from coldal_tui.tui.queue.changes import CHANGES, QueueChanges
from coldal_tui.tui.queue.columns import QueueModel, columns_of
from coldal_tui.tui.queue.why import full_text, read_facts
from coldal_tui.tui.widgets.alpha_line import AlphaLine
from coldal_tui.tui.widgets.dialogs import Reading


class QueuePane(QueueChanges):
    """Pane 1. While α is being moved the rows are those that it would pick; enter makes it so."""

    number: ClassVar[int] = 1
    title: ClassVar[str] = "Queue"
    DEFAULT_CSS = """
    QueuePane {
        layout: vertical;
        & > BigTable { height: 1fr; }
        & > #queue-empty { height: 1fr; padding: 1 2; display: none; color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "alpha", "α", id="queue.alpha"),
        Binding("w", "why", "why this scan", show=False, id="queue.why"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._bench: Bench | None = None
        self._found: Reranked | None = None
        self._wanted_alpha = False
        self._applying = False

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield AlphaLine()

    @property
    def line(self) -> AlphaLine:
        return self.query_one(AlphaLine)

    # α

    def action_alpha(self) -> None:
        self._wanted_alpha = True
        self.services.read("queue.bench", read_bench, self._begin, self._no_alpha)

    def _no_alpha(self, error: Exception) -> None:
        self._end()
        words = str(error)
        if isinstance(error, ColdalError):
            words = error.what + (f"\n{error.remedy}" if error.remedy else "")
        self.services.tell(words)

    def _begin(self, bench: Bench) -> None:
        if not self._wanted_alpha:
            return
        again, alpha = self._bench is not None, self.line.alpha
        self._bench = bench
        if not again:
            self.line.open(bench.alpha)
        self._try(alpha if again else bench.alpha)
        self.refresh_bindings()

    @on(AlphaLine.Moved)
    def _alpha_moved(self, message: AlphaLine.Moved) -> None:
        message.stop()
        self._try(message.alpha)

    def _try(self, alpha: float) -> None:
        """Rank anew in a thread; of several, only the newest α is drawn."""
        bench, self._applying = self._bench, False
        if bench is not None:
            then = partial(self._ranked, bench)
            self.services.read("queue.rerank", lambda _: rerank(bench, alpha), then)

    def _ranked(self, bench: Bench, found: Reranked) -> None:
        if bench is not self._bench or self._whole is None:
            return
        self._found = found
        table = preview(self._whole, bench, found)
        whole = self._whole
        mine = np.flatnonzero(whole.round == bench.round).tolist()
        was = {whole.scan_id[n]: int(whole.rank[n]) for n in mine}
        rows = np.arange(len(table), dtype=np.int64)
        columns = columns_of(table, was=True)
        self.table.set_model(QueueModel(table, rows, self.look, columns, was))
        self.table.show_sort(None)
        self.table.display, self.query_one("#queue-empty").display = True, False
        self.line.tell(told(bench, found))
        self._show_titles()

    @on(AlphaLine.Applied)
    def _alpha_applied(self, message: AlphaLine.Applied) -> None:
        message.stop()
        bench, found = self._bench, self._found
        if bench is None or found is None or found.alpha != self.line.alpha:
            return
        if found.alpha == bench.alpha and told(bench, found) == "as it is":
            self._end()
            return
        question = (
            f"Re-rank round {bench.round} with α {found.alpha:.2f}: {told(bench, found)}?\n"
            "Pinned, assigned and exported scans keep their places."
        )
        self.services.confirm(question, partial(self._apply, bench, found), yes="re-rank")

    def _apply(self, bench: Bench, found: Reranked) -> None:
        self._applying = True
        self.services.change("re-rank", lambda project: apply(project, bench, found), self._applied)

    def _applied(self) -> None:
        """The rows on the screen are the queue now: they stay until they are read."""
        self._leave()
        self._load()

    @on(AlphaLine.Dropped)
    def _alpha_dropped(self, message: AlphaLine.Dropped) -> None:
        message.stop()
        self._end()

    def _end(self) -> None:
        """Back to the queue as it is."""
        trying = self._bench is not None
        self._leave()
        if trying:
            self._arrange()

    def _leave(self) -> None:
        was_open = self._bench is not None
        self._bench = self._found = None
        self._wanted_alpha = self._applying = False
        if was_open:
            self.line.close()
            self.focus()
            self.refresh_bindings()

    def _loaded(self, table: ScanTable) -> None:
        changed = table is not self._whole
        super()._loaded(table)
        if changed and self._bench is not None and not self._applying:
            # Somebody changed the queue while α was being moved: rank what is there now.
            self.action_alpha()

    def _arrange(self, *, typing: bool = False) -> None:
        if self._bench is None:
            super()._arrange(typing=typing)

    def _title(self) -> str:
        if self._bench is None:
            return super()._title()
        alpha = self._found.alpha if self._found else self._bench.alpha
        return f"Queue  round {self._bench.round} with α {alpha:.2f}, a trial"

    def _subtitle(self) -> str:
        if self._bench is None:
            return super()._subtitle()
        return leaving(self._found) if self._found else ""

    # Why

    def action_why(self) -> None:
        scan_id = self.table.current
        if scan_id is not None:
            work = partial(read_facts, scan_id=scan_id)
            self.services.read("queue.why", work, self._explained)

    def _explained(self, facts: dict[str, object]) -> None:
        self.app.push_screen(Reading("why this scan", full_text(facts, self.look)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        trying = self._bench is not None
        if trying and action in (*CHANGES, "filter", "sort", "reverse", "scope", "mark", "alpha"):
            return None
        return super().check_action(action, parameters)
