"""Dialogs: an error, a question, a line of text, a choice, a text to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from coldal_tui.errors import ColdalError
from coldal_tui.visible import visible

_MOVES: list[BindingType] = [
    Binding("j,down", "scroll(1)", "down", show=False),
    Binding("k,up", "scroll(-1)", "up", show=False),
    Binding("pagedown", "scroll(10)", "page down", show=False),
    Binding("pageup", "scroll(-10)", "page up", show=False),
    Binding("g,home", "scroll(-100000)", "top", show=False),
    Binding("G,end", "scroll(100000)", "end", show=False),
]


class Reading(ModalScreen[None]):
    """Shows a text: help, the output of a command, an error."""

    DEFAULT_CSS = """
    Reading { align: center middle; }
    Reading > Vertical { width: 90%; max-width: 110; height: auto; max-height: 90%;
        border: round $accent; background: $surface; padding: 0 1; }
    Reading VerticalScroll { height: auto; max-height: 100%; }
    Reading.tall > Vertical { height: 90%; }
    Reading.tall VerticalScroll { height: 1fr; }
    Reading.error > Vertical { border: round $error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *_MOVES,
        Binding("escape,q,enter", "close", "close"),
    ]

    def __init__(self, title: str, text: Text, *, error: bool = False) -> None:
        super().__init__(classes="error" if error else "")
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Text(visible(self._title))
            box.border_subtitle = "esc closes"
            with VerticalScroll(can_focus=False):
                yield Static(self._text, id="text")

    def append(self, text: Text, *, follow: bool = False) -> None:
        """Append text; with ``follow`` the end stays visible."""
        self._text.append_text(text)
        if self.is_attached:
            self.query_one("#text", Static).update(self._text)
            if follow:
                self.query_one(VerticalScroll).scroll_end(animate=False)

    def action_scroll(self, lines: int) -> None:
        box = self.query_one(VerticalScroll)
        box.scroll_relative(y=lines, animate=False)

    def action_close(self) -> None:
        self.dismiss()


def error_text(error: Exception, log: str) -> Text:
    """The error: what, where, remedy, and where to read more."""
    text = Text()
    if isinstance(error, ColdalError):
        text.append(visible(error.what, keep="\n") + "\n", style="bold")
        if error.where:
            text.append(f"\nwhere    {visible(error.where)}\n")
        if error.remedy:
            text.append(f"\nremedy   {visible(error.remedy, keep=chr(10))}\n")
    else:
        text.append(f"{type(error).__name__}: {visible(str(error), keep=chr(10))}\n", style="bold")
        text.append("\nremedy   this is a defect of the program: the log says where it happened\n")
    text.append(f"\nlog      {visible(log)}", style="dim")
    return text


class Confirm(ModalScreen[bool]):
    """Asks a yes or no question; escape means no."""

    DEFAULT_CSS = """
    Confirm { align: center middle; }
    Confirm > Vertical { width: auto; max-width: 90%; min-width: 30; height: auto;
        border: round $warning; background: $surface; padding: 0 1; }
    Confirm Static { width: auto; max-width: 100%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "answer(True)", "yes"),
        Binding("n,escape,q", "answer(False)", "no"),
    ]

    def __init__(self, question: str, yes: str) -> None:
        super().__init__()
        self._question, self._yes = question, yes

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Text(visible(self._question, keep="\n")))
            keys = Text("\n")
            keys.append("y", style="bold")
            keys.append(f" {self._yes}    ")
            keys.append("n", style="bold")
            keys.append(" no")
            yield Static(keys)

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)


class Ask(ModalScreen[str | None]):
    """Asks for a line of text; escape returns none."""

    DEFAULT_CSS = """
    Ask { align: center middle; }
    Ask > Vertical { width: 80%; max-width: 90; height: auto; border: round $accent;
        background: $surface; padding: 0 1; }
    Ask Input { background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "back")]

    def __init__(self, title: str, prompt: str, value: str = "") -> None:
        super().__init__()
        self._title, self._prompt, self._value = title, prompt, value

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Text(visible(self._title))
            box.border_subtitle = "enter takes it · esc leaves all as it is"
            yield Static(Text(visible(self._prompt, keep="\n")))
            yield Input(value=self._value, compact=True)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())

    def action_close(self) -> None:
        self.dismiss(None)


class Choose(ModalScreen[str | None]):
    """Asks for one of several choices; escape returns none."""

    DEFAULT_CSS = """
    Choose { align: center middle; }
    Choose > Vertical { width: auto; max-width: 90%; min-width: 40; height: auto; max-height: 80%;
        border: round $accent; background: $surface; padding: 0 1; }
    Choose OptionList { width: auto; min-width: 36; height: auto; max-height: 100%; border: none;
        padding: 0; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "back"),
        Binding("j", "move('down')", "down", show=False),
        Binding("k", "move('up')", "up", show=False),
    ]

    def __init__(self, title: str, options: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._title, self._options = title, tuple(options)

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Text(visible(self._title))
            box.border_subtitle = "enter takes it · esc"
            yield OptionList(*(Option(Text(visible(words))) for _, words in self._options))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._options[event.option_index][0])

    def action_move(self, way: str) -> None:
        options = self.query_one(OptionList)
        options.action_cursor_down() if way == "down" else options.action_cursor_up()

    def action_close(self) -> None:
        self.dismiss(None)
