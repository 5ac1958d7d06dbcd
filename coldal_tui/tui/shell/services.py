"""The services for panes and actions: reads and changes in threads, dialogs, notices."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rich.text import Text
from textual.app import App

from coldal_tui.errors import ColdalError
from coldal_tui.project.project import Project
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.pane import Progress, View
from coldal_tui.tui.shell.tasks import Cancelled, Task, Tasks
from coldal_tui.tui.widgets.dialogs import Ask, Choose, Confirm, Reading, error_text
from coldal_tui.visible import visible

T = TypeVar("T")
LOG = logging.getLogger("coldal_tui.app")


class AppServices:
    """The app's ``coldal_tui.tui.pane.Services`` over the project in ``root``.

    ``changed`` is called after every change (in a thread), ``moved`` as in ``Tasks``.
    """

    def __init__(
        self,
        app: App[None],
        root: Path,
        *,
        readonly: bool,
        look: Look,
        log_file: Path,
        changed: Callable[[], None],
        moved: Callable[[Task | None], None],
    ) -> None:
        self.root, self.readonly, self.look = root, readonly, look
        self.view: View | None = None
        self.tasks = Tasks(root, readonly=readonly, moved=moved)
        self._app, self._log_file, self._changed = app, log_file, changed

    def on_screen(self, call: Callable[..., object], *given: object) -> None:
        """Call on the UI thread, from a thread that may outlive the app."""
        if self._app.is_running:
            self._app.call_later(self.guarded, call, *given)

    def guarded(self, call: Callable[..., object], *given: object) -> None:
        """Call; an error becomes a dialog and the app continues."""
        try:
            call(*given)
        except Exception as error:
            self.fail(error)

    def read(
        self,
        key: str,
        work: Callable[[Project], T],
        then: Callable[[T], None],
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        def fail(error: Exception) -> None:
            self.on_screen(failed or self._read_failed, error)

        self.tasks.read(key, work, lambda found: self.on_screen(then, found), fail)

    def _read_failed(self, error: Exception) -> None:
        self._note(error)
        self.tell(str(error) or type(error).__name__, error=True)

    def change(
        self,
        title: str,
        work: Callable[[Project], str | None],
        then: Callable[[], None] | None = None,
    ) -> None:
        self.long_change(title, lambda project, _: work(project), then)

    def long_change(
        self,
        title: str,
        work: Callable[[Project, Progress], str | None],
        then: Callable[[], None] | None = None,
        *,
        server: bool = False,
        cancelled: str = "nothing was changed",
    ) -> None:
        """Like ``change``, with progress and a way to cancel.

        ``server``: it waits for a server; other changes go on beside it. ``cancelled``: what is
        told when it was cancelled.
        """
        if self.readonly:
            self.tell("read only: nothing is changed")
            return

        def answer(said: str) -> None:
            self.tell(said)
            if then is not None:
                then()

        def done(said: str | None) -> None:
            self._changed()
            self.on_screen(answer, said or title)

        def failed(error: BaseException) -> None:
            self._changed()
            if isinstance(error, Cancelled):
                self.on_screen(self.tell, f"{title}: cancelled, {cancelled}")
            elif isinstance(error, Exception):
                self.on_screen(self.fail, error)

        self.tasks.change(title, work, done, failed, server=server)

    def fail(self, error: Exception) -> None:
        """Show an error dialog: what, where and remedy."""
        self._note(error)
        text = error_text(error, str(self._log_file))
        self._app.push_screen(Reading("that did not work", text, error=True))

    def _note(self, error: Exception) -> None:
        LOG.error("%s", error, exc_info=None if isinstance(error, ColdalError) else error)

    def confirm(self, question: str, then: Callable[[], None], *, yes: str = "yes") -> None:
        def answered(answer: bool | None) -> None:
            if answer:
                then()

        self._app.push_screen(Confirm(question, yes), answered)

    def ask(self, title: str, prompt: str, then: Callable[[str], None], *, value: str = "") -> None:
        self._app.push_screen(Ask(title, prompt, value), partial(_answer, then))

    def choose(
        self, title: str, options: Sequence[tuple[str, str]], then: Callable[[str], None]
    ) -> None:
        self._app.push_screen(Choose(title, options), partial(_answer, then))

    def tell(self, text: str, *, error: bool = False) -> None:
        shown = visible(text, keep="\n")
        if error:
            self._app.notify(shown, severity="error", markup=False, timeout=10)
        else:
            self._app.notify(shown, markup=False, timeout=4)

    def read_text(self, title: str, text: Text) -> None:
        """Show a text in a window."""
        self._app.push_screen(Reading(title, text))

    def submit(self, title: str, steps: Sequence[tuple[str, dict[str, Any]]]) -> None:
        def work(project: Project) -> str:
            from coldal_tui.scheduler.follow import submit_chain

            submit_chain(project, steps)
            return f"submitted: {' → '.join(kind for kind, _ in steps)}"

        self.change(title, work)


def _answer(then: Callable[[str], None], answer: str | None) -> None:
    if answer is not None:
        then(answer)
