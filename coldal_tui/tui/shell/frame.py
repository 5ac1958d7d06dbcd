"""The main screen, and the lines around its panes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from coldal_tui.tui.loop.seen_failures import SeenFailures
from coldal_tui.tui.pane import Services
from coldal_tui.tui.shell.header import head_text, next_text, tabs_text, task_text
from coldal_tui.tui.shell.tasks import Task
from coldal_tui.tui.verbs import bind
from coldal_tui.visible import visible


class Main(Screen[None]):
    """The main screen: ``tab`` moves from pane to pane, not from widget to widget."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("next-pane", "app.other(1)", "next pane", id="app.next-pane"),
        bind("previous-pane", "app.other(-1)", "pane before", id="app.previous-pane"),
    ]


def body(panes: Callable[[str], Iterable[Widget]]) -> ComposeResult:
    """The columns of panes; ``panes`` makes those of a column that are drawn first."""
    with Horizontal(id="body"):
        with Vertical(id="left"):
            yield from panes("left")
        with Vertical(id="main"):
            with Horizontal(id="top"):
                yield from panes("top")
            yield from panes("main")
        with Vertical(id="right"):
            yield from panes("right")


class FrameLines:
    """Draws the lines around the panes, if their text has changed."""

    def __init__(self, app: App[None], services: Services, failures: SeenFailures) -> None:
        self._app, self._services, self._failures = app, services, failures
        self._drawn: dict[str, Text] = {}

    def draw(self, focus: str, width: int, *, stale: bool) -> None:
        """Draw the lines. ``focus``: the pane in focus; ``stale``: the last reading failed."""
        look, readonly, view = self._services.look, self._services.readonly, self._services.view
        self._line("tabs", tabs_text(focus, look, width))
        if view is None:
            if stale:
                words = visible(f" {self._services.root}: can't be read")
                self._line("head", Text(words, style="bold reverse", no_wrap=True))
            return
        snapshot, failed = view.snapshot, self._failures.unseen(view.snapshot)
        head = head_text(snapshot, look, width, readonly=readonly, stale=stale, failed=failed)
        self._line("head", head)
        self._line("next", next_text(self._failures.step(snapshot), readonly=readonly))

    def _line(self, name: str, text: Text) -> None:
        if self._drawn.get(name) != text:
            self._drawn[name] = text
            self._app.query_one(f"#{name}", Static).update(text)

    def draw_task(self, task: Task | None, width: int) -> None:
        """Show the app's own task; nothing for a short one."""
        line = self._app.query_one("#task", Static)
        line.display = task is not None and task.total > 0
        if task is not None and task.total > 0:
            line.update(task_text(task, self._services.look, width))
