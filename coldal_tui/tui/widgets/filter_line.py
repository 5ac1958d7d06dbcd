"""The input line for a filter, with the number of matching rows beside it while typing."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import Key
from textual.message import Message
from textual.suggester import Suggester
from textual.timer import Timer
from textual.widgets import Input, Static

from coldal_tui.visible import visible

LEAVING = ("ctrl+c", "ctrl+z")
"""Keys that the app has wherever one types."""
DEBOUNCE_S = 0.08
"""How long typing has to pause before the rows follow."""


class FilterLine(Horizontal):
    """Opened with ``open``; enter keeps the filter, escape drops it.

    Messages: ``Changed`` while it is typed, ``Kept``, ``Dropped``.
    """

    DEFAULT_CSS = """
    FilterLine {
        height: 1; display: none; background: $panel;
        & > .slash { width: 2; color: $text-accent; text-style: bold; }
        & > Input { width: 1fr; height: 1; border: none; padding: 0; background: $panel; }
        & > Input:focus { border: none; }
        & > .hint { width: auto; max-width: 60%; height: 1; padding: 0 1; color: $text-muted; }
        & > .hint.-error { color: $text-error; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "drop", "clear the filter", show=False),
        Binding("down", "keep", "to the rows", show=False),
        Binding("tab", "complete", "complete", show=False),
    ]

    class Changed(Message):
        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Kept(Changed):
        """Enter: the filter is kept and the rows get the keys again."""

    class Dropped(Message):
        """Escape: the filter is removed."""

    def __init__(self, complete: Callable[[str], str | None]) -> None:
        super().__init__()
        self._complete = complete
        self._pause: Timer | None = None

    def compose(self) -> ComposeResult:
        yield Static(Text("/"), classes="slash")
        yield Input(suggester=_Completing(self._complete), select_on_focus=False)
        yield Static(classes="hint")

    @property
    def is_open(self) -> bool:
        return bool(self.display)

    def open(self, text: str) -> None:
        self.display = True
        box = self.query_one(Input)
        with self.prevent(Input.Changed):
            box.value = text
        box.cursor_position = len(text)
        # At once: keys that already wait must not reach a pane.
        self.screen.set_focus(box)

    def close(self) -> None:
        self._stop()
        self.display = False

    def hint(self, text: str, *, error: bool = False) -> None:
        """Show how many rows match, or what is wrong with the filter."""
        hint = self.query_one(".hint", Static)
        hint.set_class(error, "-error")
        hint.update(Text(visible(text), no_wrap=True, overflow="ellipsis"))

    def _stop(self) -> None:
        if self._pause is not None:
            self._pause.stop()
            self._pause = None

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._stop()
        self._pause = self.set_timer(DEBOUNCE_S, self._tell)

    def _tell(self) -> None:
        self._stop()
        self.post_message(self.Changed(self.query_one(Input).value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_keep()

    def on_key(self, event: Key) -> None:
        """Keys that neither the line nor its field know go nowhere: no pane acts on them."""
        # A field inherits keys that scroll it, and hands on those that have nothing to scroll.
        own = Binding.make_bindings([*Input.BINDINGS, *self.BINDINGS])
        known = {*LEAVING, *(binding.key for binding in own)}
        if event.key not in known:
            event.stop()

    def action_complete(self) -> None:
        """Take what is proposed."""
        self.query_one(Input).action_cursor_right()

    def action_keep(self) -> None:
        self._stop()
        self.post_message(self.Kept(self.query_one(Input).value))

    def action_drop(self) -> None:
        self._stop()
        self.post_message(self.Dropped())


class _Completing(Suggester):
    def __init__(self, complete: Callable[[str], str | None]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._complete = complete

    async def get_suggestion(self, value: str) -> str | None:
        return self._complete(value)
