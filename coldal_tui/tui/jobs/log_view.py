"""A scrollable log: read and wrapped in a thread, followed while its end is visible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coldal_tui.project.views.job_view import read_log
from coldal_tui.tui.jobs.text import log_rows
from coldal_tui.tui.widgets.columns import Column
from coldal_tui.tui.widgets.table import BigTable
from coldal_tui.tui.widgets.table_lines import LEAD
from coldal_tui.tui.widgets.table_model import EMPTY, Cell

NOTHING = "(nothing was written yet)"


@dataclass(frozen=True)
class LogAnswer:
    """A log's rows; ``cut``: only its end was read."""

    file: Path
    width: int
    rows: tuple[str, ...]
    size: int
    cut: bool


@dataclass(frozen=True)
class LogRequest:
    """What to read, and how long the file was when last read."""

    file: Path
    width: int
    known_size: int

    def read(self) -> LogAnswer | None:
        """Read the log (not on the UI thread); None when nothing has changed."""
        found = read_log(self.file, self.known_size)
        if found is None:
            return None
        rows = tuple(log_rows(found.lines, self.width))
        return LogAnswer(self.file, self.width, rows, found.size, found.cut)


class LogRows:
    """A log in rows that fit; a row's key is its number."""

    def __init__(self, title: str, rows: Sequence[str]) -> None:
        self.columns = (Column("line", title, 20, most=100_000),)
        self._rows = rows

    @property
    def row_count(self) -> int:
        return len(self._rows)

    def key(self, row: int) -> str:
        return str(row)

    def find(self, key: str) -> int | None:
        return int(key) if key.isdigit() and int(key) < len(self._rows) else None

    def cells(self, row: int) -> Sequence[Cell]:
        return (self._rows[row],)


class LogView(BigTable):
    """Shows ``file`` (None: nothing) with the title ``title``.

    Whoever owns it reads ``request`` in a thread and hands the answer to ``take``.
    """

    file: Path | None = None
    _shown: LogAnswer | None = None
    _called = ""

    def open(self, file: Path | None, title: str = "") -> None:
        self.file, self._shown, self._called = file, None, title
        self.set_model(EMPTY)

    def request(self, width: int) -> LogRequest | None:
        """The request for a view ``width`` cells wide; a new width wraps the whole log again."""
        if self.file is None:
            return None
        room = max(10, width - LEAD - 1)
        known = self._shown
        size = known.size if known is not None and known.width == room else -1
        return LogRequest(self.file, room, size)

    def take(self, answer: LogAnswer) -> None:
        """Show an answer: a view at the end stays there, otherwise the cursor stays on its row."""
        if answer.file != self.file:
            return
        at_end = self.cursor >= self.row_count - 1
        self._shown = answer
        title = f"the end of {self._called}" if answer.cut else self._called
        self.set_model(LogRows(title, answer.rows or [NOTHING]))
        if at_end:
            self.move("last")
