"""The app's side of ``Desk``: reads and changes in threads, windows, notices, errors."""

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
from coldal_tui.tui.pane import View
from coldal_tui.tui.shell.reader import Reader
from coldal_tui.tui.shell.session_state import Memory
from coldal_tui.tui.shell.tasks import Cancelled, Progress, Task, Tasks
from coldal_tui.tui.widgets.dialogs import Ask, Choose, Confirm, Reading, error_text
from coldal_tui.visible import visible

T = TypeVar("T")
LOG = logging.getLogger("coldal_tui.app")


class DeskApp(App[None]):
    """What panes may ask for (see ``coldal_tui.tui.pane.Desk``), over one project."""

    def __init__(self, root: Path, *, readonly: bool, look: Look, memory: Memory) -> None:
        super().__init__()
        self._root, self._readonly, self._look = root.absolute(), readonly, look
        self.memory = memory
        self.tasks = Tasks(self._root, readonly=readonly, moved=self._task_moved)
        self.reader = Reader(self._root, self._told, revives=not readonly)
        self._view: View | None = None

    @property
    def root(self) -> Path:
        return self._root

    @property
    def readonly(self) -> bool:
        return self._readonly

    @property
    def look(self) -> Look:
        return self._look

    @property
    def view(self) -> View | None:
        return self._view

    def _told(self, news: View | Exception) -> None:
        raise NotImplementedError

    def _task_moved(self, task: Task | None) -> None:
        raise NotImplementedError

    def _back(self, call: Callable[..., object], *given: object) -> None:
        """Call on the UI thread; from a thread that may outlive the app."""
        if self.is_running:
            self.call_later(self.guarded, call, *given)

    def guarded(self, call: Callable[..., object], *given: object) -> None:
        """What fails while an answer is drawn is told; the app goes on."""
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
            self._back(failed or self._read_failed, error)

        self.tasks.read(key, work, lambda found: self._back(then, found), fail)

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
        answered: Callable[[str], None] | None = None,
    ) -> None:
        """As ``change``, with progress and a way to cancel; ``answered`` takes what was said."""
        if self._readonly:
            self.tell("read only: nothing is changed")
            return

        def done(said: str | None) -> None:
            self.reader.look()
            self._back(self._changed, said or title, then, answered)

        def failed(error: BaseException) -> None:
            self.reader.look()
            if isinstance(error, Cancelled):
                self._back(self.tell, f"{title}: cancelled, nothing was changed")
            elif isinstance(error, Exception):
                self._back(self.fail, error)

        self.tasks.change(title, work, done, failed)

    def _changed(
        self,
        said: str,
        then: Callable[[], None] | None,
        answered: Callable[[str], None] | None,
    ) -> None:
        (answered or self.tell)(said)
        if then is not None:
            then()

    def fail(self, error: Exception) -> None:
        """A dialog with what, where and what to do."""
        self._note(error)
        self.push_screen(
            Reading("that did not work", error_text(error, str(self.log_file)), error=True)
        )

    def _note(self, error: Exception) -> None:
        LOG.error("%s", error, exc_info=None if isinstance(error, ColdalError) else error)

    @property
    def log_file(self) -> Path:
        return self.memory.state_folder / "app.log"

    def confirm(self, question: str, then: Callable[[], None], *, yes: str = "yes") -> None:
        def answered(answer: bool | None) -> None:
            if answer:
                then()

        self.push_screen(Confirm(question, yes), answered)

    def ask(self, title: str, prompt: str, then: Callable[[str], None], *, value: str = "") -> None:
        self.push_screen(Ask(title, prompt, value), partial(_answer, then))

    def choose(
        self, title: str, options: Sequence[tuple[str, str]], then: Callable[[str], None]
    ) -> None:
        self.push_screen(Choose(title, options), partial(_answer, then))

    def tell(self, text: str, *, error: bool = False) -> None:
        shown = visible(text, keep="\n")
        if error:
            self.notify(shown, severity="error", markup=False, timeout=10)
        else:
            self.notify(shown, markup=False, timeout=4)

    def read_text(self, title: str, text: Text) -> None:
        self.push_screen(Reading(title, text))

    def submit(self, title: str, steps: Sequence[tuple[str, dict[str, Any]]]) -> None:
        def work(project: Project) -> str:
            from coldal_tui.scheduler.follow import submit_chain

            submit_chain(project, steps)
            return f"submitted: {' → '.join(kind for kind, _ in steps)}"

        self.change(title, work)


def _answer(then: Callable[[str], None], answer: str | None) -> None:
    if answer is not None:
        then(answer)
