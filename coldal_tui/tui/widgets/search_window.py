"""A window of grouped rows with a search field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from coldal_tui.visible import visible

MOST = 500
"""So many rows are drawn at once; typing finds the others."""


@dataclass(frozen=True)
class SearchRow:
    """One row of a group: a name and its description."""

    group: str
    name: str
    words: str


def matching_rows(rows: Sequence[SearchRow], typed: str) -> list[SearchRow]:
    """The rows that contain every typed word in their group, name or text, ignoring case."""
    wanted = typed.casefold().split()
    return [
        row
        for row in rows
        if all(word in f"{row.group} {row.name} {row.words}".casefold() for word in wanted)
    ]


def rows_text(rows: Sequence[SearchRow], column: int) -> Text:
    """The rows under their group titles and counts; names in ``column`` cells."""
    text = Text()
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.group] = counts.get(row.group, 0) + 1
    group = None
    for row in rows[:MOST]:
        if row.group != group:
            group = row.group
            text.append(f"{chr(10) if text else ''}{visible(group)}", style="bold underline")
            text.append(f"  {counts[group]:,}\n")
        text.append(f"  {visible(row.name):<{column}}", style="bold")
        text.append(f" {visible(row.words)}\n")
    if len(rows) > MOST:
        text.append(f"  … and {len(rows) - MOST:,} more: type to find them\n")
    return text if rows else Text("nothing like that")


class SearchWindow(ModalScreen[None]):
    """Type to search, arrows scroll, esc closes."""

    DEFAULT_CSS = """
    SearchWindow { align: center middle; }
    SearchWindow > Vertical { width: 90%; max-width: 110; height: 90%; border: round $accent;
        background: $surface; padding: 0 1; }
    SearchWindow Input { background: $panel; }
    SearchWindow VerticalScroll { height: 1fr; margin-top: 1; }
    SearchWindow Static { width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "back"),
        Binding("down", "scroll(1)", "down", show=False),
        Binding("up", "scroll(-1)", "up", show=False),
        Binding("pagedown", "scroll(10)", "page down", show=False),
        Binding("pageup", "scroll(-10)", "page up", show=False),
    ]

    def __init__(self, title: str, rows: Sequence[SearchRow], column: int) -> None:
        """``column``: cells for the names."""
        super().__init__()
        self._title, self._rows, self._column = title, tuple(rows), column

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Text(visible(self._title))
            box.border_subtitle = "type to search · esc closes"
            yield Input(placeholder="search", compact=True)
            with VerticalScroll(can_focus=False):
                yield Static(rows_text(self._rows, self._column))

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        found = matching_rows(self._rows, event.value)
        self.query_one(Static).update(rows_text(found, self._column))
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_close(self) -> None:
        self.dismiss(None)
