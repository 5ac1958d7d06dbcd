"""The ``:`` line: typing, history, and running what was typed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from rich.text import Text
from textual import on
from textual.app import App
from textual.events import Key
from textual.message import Message
from textual.widgets import Input

from coldal_tui.redaction import revealed
from coldal_tui.tui.shell.command_parser import Command, CommandSuggester, Line, parse
from coldal_tui.tui.shell.services import AppServices
from coldal_tui.tui.shell.session_state import MOST_HISTORY
from coldal_tui.tui.widgets.dialogs import Reading
from coldal_tui.visible import visible

SHORT_ANSWER = 3
"""An answer of at most so many lines is a notice, a longer one a window."""
LONG_REFUSAL = 8
"""A command that was not understood says so in fewer lines; they become one."""


class CommandLine(Input):
    """An input line, visible while a command is typed; ``history`` is oldest first."""

    class Typed(Message):
        """Enter: the line was closed, ``text`` is to be run."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Message):
        """The line was closed: the panes get the keys again."""

    def __init__(
        self,
        history: object,
        scans: Callable[[], Iterable[str]] = tuple,
        root: Path | None = None,
    ) -> None:
        """``history``: that of an earlier session; ignored unless it is a list.

        ``scans`` are completed, and paths below ``root``.
        """
        super().__init__(
            id="command",
            placeholder="a command: queue skip SCAN, status  tab completes",
            compact=True,
        )
        lines: Iterable[object] = history if isinstance(history, list) else ()
        self.history = [str(line) for line in lines]
        self._recalled = 0
        self.suggester = CommandSuggester(lambda: self.history, scans, root)
        self.display = False

    def open(self, text: str = "") -> None:
        """Show the line with ``text`` on it."""
        self.value = text
        self.cursor_position = len(text)
        self._recalled = 0
        self.display = True
        # At once: keys that already wait must not reach a pane.
        self.screen.set_focus(self)

    def _leave(self) -> None:
        self.display = False
        self.post_message(self.Left())

    async def _on_key(self, event: Key) -> None:
        """Handle keys that an input lacks: history, completion, escape."""
        if event.key == "escape":
            self._leave()
        elif event.key in ("up", "down"):
            self._recall(-1 if event.key == "up" else 1)
        elif event.key == "tab":
            self.action_cursor_right()
        else:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()

    def _recall(self, way: int) -> None:
        """Recall earlier lines, newest first; after the newest, an empty line."""
        self._recalled = max(-len(self.history), min(0, self._recalled + way))
        self.value = self.history[self._recalled] if self._recalled else ""
        self.cursor_position = len(self.value)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        event.stop()
        self._leave()
        if not text:
            return
        if text in self.history:
            self.history.remove(text)
        self.history.append(text)
        del self.history[:-MOST_HISTORY]
        self.post_message(self.Typed(text))


class CommandRunner:
    """Runs a typed command: the app's own commands (``own``), or the command line."""

    def __init__(
        self,
        app: App[None],
        services: AppServices,
        own: Mapping[str, Callable[[str], None]],
        ended: Callable[[], None],
    ) -> None:
        """``own`` maps a command name to a function of the rest of the line.

        ``ended`` is called in a thread after a command, which may have changed the project.
        """
        self._app, self._services, self._own, self._ended = app, services, own, ended

    def run(self, text: str) -> None:
        """Run a typed line, or report what is wrong with it."""
        line = parse(revealed(text), readonly=self._services.readonly)
        if line.problem:
            self._services.tell(line.problem, error=True)
        elif line.own is not None:
            self._own[line.own](" ".join(line.words))
        elif line.words:
            self._call(text, line)

    def _call(self, text: str, line: Line) -> None:
        """Run it as a shell would; long output opens a window while the command runs."""
        width = Answer.room(self._app.size.width)
        window = Answer(text, Command(line.words, self._services.root, width))
        lines: list[str] = []

        def told(one: str) -> None:
            lines.append(one)
            self._services.on_screen(window.add, one)
            most = LONG_REFUSAL if lines[0].startswith(("Usage:", "Error:")) else SHORT_ANSWER
            if len(lines) == most + 1:
                window.opens = True
                self._services.on_screen(self._app.push_screen, window)

        def run() -> None:
            status = window.command.follow(told)
            self._ended()
            self._services.on_screen(self._answered, window, lines, status)

        self._app.run_worker(run, thread=True, group="command", exit_on_error=False)

    def _answered(self, window: Answer, lines: list[str], status: int) -> None:
        window.ended(status)
        if window.opens:
            return
        if status and lines:
            self._services.tell(one_line(lines), error=True)
        else:
            self._services.tell("\n".join(lines) or "done", error=status != 0)


def one_line(lines: Sequence[str]) -> str:
    """An error of the command line in one line: what is wrong, and what to do."""
    said = [line.strip() for line in lines if line.strip()]
    first = next((n for n, line in enumerate(said) if line.startswith("Error:")), 0)
    return " ".join(said[first:]).removeprefix("Error:").strip()


class Answer(Reading):
    """Shows the output of a command while it runs."""

    FOLLOW_AFTER_S = 1.5
    """A command that takes longer is followed line by line; a quick answer is read from its top."""

    def __init__(self, title: str, command: Command) -> None:
        super().__init__(f":{title}", Text())
        self.command = command
        self.opens = False
        """Whether there is more to read than a notice holds."""
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
        """Close the window; a command that still runs is interrupted, as by Ctrl-C."""
        if self._goes_on:
            self.command.end()
        self.dismiss()
