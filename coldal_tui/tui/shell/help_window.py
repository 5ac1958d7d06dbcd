"""The window of all that can be done: three columns, type to search, enter runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult, RenderResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.events import Click, Key, Resize
from textual.message import Message
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input

from coldal_tui.tui.shell.help import Entry

COLUMNS, GAP = 3, 2
Place = tuple[int, int]
"""A row and a column of the grid."""


@dataclass(frozen=True)
class Line:
    """A title, or entries beside each other; ``key`` and ``column`` are widths in cells."""

    title: str
    cells: tuple[Entry, ...] = ()
    key: int = 0
    column: int = 1


@dataclass(frozen=True)
class Grid:
    """Entries in columns under the titles of their sections."""

    lines: tuple[Line, ...]

    def at(self, place: Place) -> Entry | None:
        row, column = place
        cells = self.lines[row].cells if 0 <= row < len(self.lines) else ()
        return cells[column] if column < len(cells) else None

    def live(self) -> list[Place]:
        """The places of entries that do something now."""
        return [
            (row, column)
            for row, line in enumerate(self.lines)
            for column, entry in enumerate(line.cells)
            if entry.does is not None
        ]


def matching(entries: Sequence[Entry], typed: str) -> list[Entry]:
    """The entries that hold every typed word in their key, words or section, ignoring case.

    A key is also found by itself: ``x`` finds what ``x`` does first.
    """
    wanted = typed.casefold().split()
    if not wanted:
        return list(entries)
    exact = [one for one in entries if typed.strip() == one.key]
    others = [
        one
        for one in entries
        if one not in exact
        and all(word in f"{one.key} {one.words} {one.section}".casefold() for word in wanted)
    ]
    return exact + others


def grid_of(entries: Sequence[Entry], width: int) -> Grid:
    """The entries in as many columns, three at most, as show all words in ``width`` cells."""
    lines: list[Line] = []
    for section, group in groupby(entries, key=lambda one: one.section):
        cells = list(group)
        key = max((cell_len(one.key) for one in cells if one.words), default=0)
        widest = max(
            key + 1 + cell_len(one.words) if one.words else cell_len(one.key) for one in cells
        )
        count = max(1, min(COLUMNS, (width + GAP) // (widest + GAP)))
        down, column = -(-len(cells) // count), (width + GAP) // count
        lines.append(Line(section))
        lines += [Line("", tuple(cells[row::down]), key, column) for row in range(down)]
    return Grid(tuple(lines))


class EntryGrid(Widget):
    """Draws the grid with a cursor on one of its living entries."""

    DEFAULT_CSS = "EntryGrid { width: 1fr; height: auto; }"

    class Picked(Message):
        """A click on an entry."""

        def __init__(self, entry: Entry) -> None:
            super().__init__()
            self.entry = entry

    def __init__(self, entries: Sequence[Entry], terms: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._all, self._terms, self._typed = tuple(entries), tuple(terms), ""
        self.grid = Grid(())
        self.cursor: Place | None = None

    @property
    def current(self) -> Entry | None:
        return None if self.cursor is None else self.grid.at(self.cursor)

    def on_resize(self, event: Resize) -> None:
        if event.size.width != self.grid_width:
            self.search(self._typed)

    @property
    def grid_width(self) -> int:
        return getattr(self, "_grid_width", 0)

    def search(self, typed: str) -> None:
        """Show what matches, with the cursor on the first that works."""
        self._typed, self._grid_width = typed, self.size.width
        self.grid = grid_of(matching(self._all, typed), max(20, self.size.width))
        live = self.grid.live()
        self.cursor = live[0] if live else None
        self.refresh(layout=True)

    def move(self, down: int, right: int) -> None:
        """Move the cursor to the nearest living entry that way."""
        if self.cursor is None:
            return
        row, column = self.cursor
        if right:
            ways = [at for at in self.grid.live() if at[0] == row and (at[1] - column) * right > 0]
        else:
            ways = [at for at in self.grid.live() if (at[0] - row) * down > 0]
        if ways:
            self.cursor = min(ways, key=lambda at: (abs(at[0] - row), abs(at[1] - column)))
            self.refresh()

    def render(self) -> RenderResult:
        text = Text(no_wrap=True, end="")
        accent = Style(color=self.app.theme_variables.get("accent"), bold=True)
        for number, line in enumerate(self.grid.lines):
            if line.title:
                text.append(f"{line.title}\n", style="bold underline")
                continue
            for column, entry in enumerate(line.cells):
                here = (number, column) == self.cursor
                cell = _cell(entry, line.key, "reverse bold" if here else accent)
                cell.pad_right(max(0, line.column - GAP - cell.cell_len))
                if here:
                    cell.stylize("reverse")
                text.append_text(cell)
                text.append(" " * GAP)
            text.append("\n")
        if not self.grid.lines:
            text.append("nothing like that\n")
        if not self._typed:
            text.append("words\n", style="bold underline")
            for name, words in self._terms:
                text.append(f"{name:<9}", style="bold")
                text.append(f" {words}\n")
        return text

    def on_click(self, event: Click) -> None:
        lines = self.grid.lines
        column = event.x // lines[event.y].column if event.y < len(lines) else 0
        entry = self.grid.at((event.y, column))
        if entry is not None and entry.does is not None:
            self.post_message(self.Picked(entry))


def _cell(entry: Entry, key: int, accent: str | Style) -> Text:
    """Key and words; without light where the key does not work now."""
    dead = entry.does is None
    cell = Text(entry.key.ljust(key) if entry.words else entry.key)
    cell.stylize("dim" if dead else accent)
    if entry.words:
        cell.append(f" {entry.words}", style="dim" if dead else "")
    return cell


class _Search(Input):
    """The field for words: arrows move in the list, ``?`` closes it."""

    async def _on_key(self, event: Key) -> None:
        ways = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
        window = self.screen
        if isinstance(window, HelpWindow) and event.key in ways:
            window.move(*ways[event.key])
        elif isinstance(window, HelpWindow) and event.character == "?":
            window.action_close()
        else:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()


class HelpWindow(ModalScreen[Entry | None]):
    """Answers with the chosen entry."""

    DEFAULT_CSS = """
    HelpWindow { align: center middle; }
    HelpWindow > Vertical { width: 98%; max-width: 130; height: 94%; border: round $accent;
        background: $surface; padding: 0 1; }
    HelpWindow Input { background: $panel; }
    HelpWindow VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+p", "close", "back"),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
    ]

    def __init__(self, entries: Sequence[Entry], terms: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._grid = EntryGrid(entries, terms)

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "Keys and commands"
            box.border_subtitle = "type to search · enter runs · ? or esc closes"
            yield _Search(placeholder="search", compact=True)
            with VerticalScroll(can_focus=False):
                yield self._grid

    def on_mount(self) -> None:
        # At once: whoever types fast has begun.
        self.set_focus(self.query_one(Input))

    def move(self, down: int, right: int) -> None:
        self._grid.move(down, right)
        self._keep_in_view()

    def _keep_in_view(self) -> None:
        box, place = self.query_one(VerticalScroll), self._grid.cursor
        if place is None:
            return
        row, top, height = place[0], round(box.scroll_y), box.size.height
        if row <= top:
            box.scroll_to(y=max(0, row - 1), animate=False)
        elif row >= top + height:
            box.scroll_to(y=row - height + 1, animate=False)

    def action_page(self, way: int) -> None:
        box = self.query_one(VerticalScroll)
        box.scroll_relative(y=way * max(1, box.size.height - 1), animate=False)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._grid.search(event.value)
        self.query_one(VerticalScroll).scroll_home(animate=False)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        if self._grid.current is not None:
            self.dismiss(self._grid.current)

    @on(EntryGrid.Picked)
    def _picked(self, message: EntryGrid.Picked) -> None:
        self.dismiss(message.entry)

    def action_close(self) -> None:
        self.dismiss(None)
