"""The ``:`` line as part of the app: typing, history, running, showing the answer."""

from __future__ import annotations

import time

from rich.text import Text
from textual import on
from textual.events import Key
from textual.widgets import Input

from coldal_tui.tui.drawing import themes
from coldal_tui.tui.shell import help as helping
from coldal_tui.tui.shell.command_parser import Command, CommandSuggester, Line, parse
from coldal_tui.tui.shell.layout import NUMBERED
from coldal_tui.tui.shell.pane_manager import Paned
from coldal_tui.tui.shell.session_state import MOST_HISTORY
from coldal_tui.tui.widgets.dialogs import Reading
from coldal_tui.visible import visible

SHORT_ANSWER = 3
"""An answer of at most so many lines is a notice, a longer one a window."""


class Commanding(Paned):
    """What is typed after ``:``."""

    def _prepare_command(self) -> None:
        kept = self._restored.get("history")
        self.history: list[str] = [str(h) for h in kept] if isinstance(kept, list) else []
        self._recalled = 0
        line = self.query_one("#command", Input)
        line.suggester = CommandSuggester(lambda: self.history)
        line.display = False

    def action_command(self) -> None:
        self.type_command("")

    def type_command(self, text: str) -> None:
        """Open the line with ``text`` on it."""
        line = self.query_one("#command", Input)
        line.value = text
        line.cursor_position = len(text)
        self._recalled = 0
        line.display = True
        line.focus()

    def _leave_command(self) -> None:
        self.query_one("#command", Input).display = False
        self.action_refocus()

    def on_key(self, event: Key) -> None:
        """Keys of the command line that an input has not: history, completion, leaving."""
        self._keep()
        line = self.query_one("#command", Input)
        if self.focused is not line:
            return
        if event.key == "escape":
            self._leave_command()
        elif event.key in ("up", "down"):
            self._recall(-1 if event.key == "up" else 1)
        elif event.key == "tab":
            line.action_cursor_right()
        else:
            return
        event.stop()
        event.prevent_default()

    def _recall(self, way: int) -> None:
        """Earlier lines, the newest first; below the newest an empty one."""
        self._recalled = max(-len(self.history), min(0, self._recalled + way))
        line = self.query_one("#command", Input)
        line.value = self.history[self._recalled] if self._recalled else ""
        line.cursor_position = len(line.value)

    @on(Input.Submitted, "#command")
    def _typed(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        event.stop()
        self._leave_command()
        if not text:
            return
        if text in self.history:
            self.history.remove(text)
        self.history.append(text)
        del self.history[:-MOST_HISTORY]
        self.run_command(text)

    def run_command(self, text: str) -> None:
        """Do what was typed, or say what is wrong with it."""
        line = parse(text, readonly=self._readonly)
        if line.problem:
            self.tell(line.problem, error=True)
        elif line.own is not None:
            self._own(line)
        elif line.words:
            self._call(text, line)

    def _own(self, line: Line) -> None:
        rest = " ".join(line.words)
        if line.own == "quit":
            self.action_leave()
        elif line.own == "help":
            self.read_text("help", helping.help_text(self))
        elif line.own == "keys":
            self.read_text("keys", helping.keys_text(self))
        elif line.own == "theme":
            self._theme(rest)
        elif line.own == "filter":
            self._filter_queue(rest)
        elif line.own == "goto":
            self._go_to(rest)
        elif line.own == "pane":
            if rest in NUMBERED:
                self.action_pane(rest)
            else:
                self.tell(f"no pane {rest!r}: one of {', '.join(NUMBERED)}", error=True)

    def action_leave(self) -> None:
        raise NotImplementedError

    def _theme(self, name: str) -> None:
        if name in themes.NAMES:
            self.theme = name
        elif name:
            self.tell(f"no theme {name!r}: one of {', '.join(themes.NAMES)}", error=True)
        else:
            options = [(name, name) for name in themes.NAMES]
            self.choose("theme", options, self._theme)

    def _go_to(self, scan_id: str) -> None:
        self.read(
            "goto",
            lambda project: project.scan(scan_id).scan_id,
            lambda found: self._move_to(found, None),
        )

    def _call(self, text: str, line: Line) -> None:
        """Run it as the shell would; a long answer opens a window while it still comes."""
        window = Answer(text, Command(line.words, self._root, Answer.room(self.size.width)))
        lines: list[str] = []

        def told(one: str) -> None:
            lines.append(one)
            self._back(window.add, one)
            if len(lines) == SHORT_ANSWER + 1:
                self._back(self.push_screen, window)

        def run() -> None:
            status = window.command.follow(told)
            self.reader.look()
            self._back(self._answered, window, lines, status)

        self.run_worker(run, thread=True, group="command", exit_on_error=False)

    def _answered(self, window: Answer, lines: list[str], status: int) -> None:
        window.ended(status)
        if len(lines) <= SHORT_ANSWER:
            self.tell("\n".join(lines) or "done", error=status != 0)


class Answer(Reading):
    """What a command says while it runs."""

    FOLLOW_AFTER_S = 1.5
    """A command that takes longer is followed line by line; a quick answer is read from its top."""

    def __init__(self, title: str, command: Command) -> None:
        super().__init__(f":{title}", Text())
        self.command = command
        self._since = time.monotonic()
        self._goes_on = True
        self.add_class("tall")

    @staticmethod
    def room(width: int) -> int:
        """Columns for the text on a screen of ``width``."""
        return max(40, min(110, int(width * 0.9)) - 5)

    def add(self, line: str) -> None:
        slow = time.monotonic() - self._since > self.FOLLOW_AFTER_S
        self.append(Text(visible(line, keep="\n\t") + "\n"), follow=slow)

    def ended(self, status: int) -> None:
        self._goes_on = False
        if status:
            self.add(f"\n(exit {status})")

    def action_close(self) -> None:
        """Closing ends a command that still runs, as Ctrl-C would."""
        if self._goes_on:
            self.command.end()
        self.dismiss()
