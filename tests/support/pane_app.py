"""An app with a single pane on it, that fulfils ``Services`` in the simplest way."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from textual.app import App, ComposeResult
from textual.pilot import Pilot

from coldal_tui.project.project import Project
from coldal_tui.project.views.map_view import read_map_view
from coldal_tui.project.views.snapshot import take_snapshot
from coldal_tui.tui.drawing.glyphs import UNICODE, Look
from coldal_tui.tui.pane import Pane, View

T = TypeVar("T")
Drive = Callable[["PaneApp", Pilot[None]], Awaitable[None]]


class PaneApp(App[None]):
    """Shows ``pane`` on the project in ``root``; notes what it asked and chose."""

    def __init__(
        self, root: Path, pane: Pane, *, readonly: bool = False, look: Look = UNICODE
    ) -> None:
        super().__init__()
        self.root, self.pane, self.readonly, self.look = root, pane, readonly, look
        self.view: View | None = None
        self.chosen: list[str | None] = []
        self.opened: list[tuple[str, str]] = []
        self.told: list[str] = []
        self.errors: list[Exception] = []
        self.submitted: list[Sequence[tuple[str, dict[str, Any]]]] = []
        self.answers: list[str] = []
        """What confirm (``yes``), ask and choose are answered with, in order."""
        self.questions: list[str] = []

    @property
    def services(self) -> PaneApp:
        return self

    def compose(self) -> ComposeResult:
        yield self.pane

    def on_mount(self) -> None:
        self.refresh_view()
        self.pane.focus()

    def refresh_view(self) -> None:
        with Project(self.root) as project:
            self.view = View(take_snapshot(project), read_map_view(project))
        self.pane.show(self.view)

    def read(
        self,
        key: str,
        work: Callable[[Project], T],
        then: Callable[[T], None],
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        def answer() -> None:
            try:
                with Project(self.root) as project:
                    found = work(project)
            except Exception as error:
                self.call_from_thread(failed or self.errors.append, error)
            else:
                self.call_from_thread(then, found)

        self.run_worker(answer, thread=True, group=key, exclusive=True, exit_on_error=False)

    def change(
        self,
        title: str,
        work: Callable[[Project], str | None],
        then: Callable[[], None] | None = None,
    ) -> None:
        if self.readonly:
            self.told.append("read only")
            return
        try:
            with Project(self.root) as project:
                said = work(project)
        except Exception as error:
            self.errors.append(error)
            return
        self.told.append(said or title)
        self.refresh_view()
        if then is not None:
            then()

    def confirm(self, question: str, then: Callable[[], None], *, yes: str = "yes") -> None:
        self.questions.append(question)
        if self.answers.pop(0) == "yes":
            then()

    def ask(self, title: str, prompt: str, then: Callable[[str], None], *, value: str = "") -> None:
        self.questions.append(prompt)
        then(self.answers.pop(0))

    def choose(
        self, title: str, options: Sequence[tuple[str, str]], then: Callable[[str], None]
    ) -> None:
        self.questions.append(title)
        then(self.answers.pop(0))

    def tell(self, text: str, *, error: bool = False) -> None:
        self.told.append(text)

    def submit(self, title: str, steps: Sequence[tuple[str, dict[str, Any]]]) -> None:
        self.submitted.append(steps)

    def on_pane_chosen(self, message: Pane.Chosen) -> None:
        self.chosen.append(message.scan_id)

    def on_pane_opened(self, message: Pane.Opened) -> None:
        self.opened.append((message.scan_id, message.name))


def drive(
    root: Path, pane: Pane, steps: Drive, size: tuple[int, int] = (120, 40), **options: Any
) -> PaneApp:
    """Run ``steps`` on a pane with real key presses."""
    app = PaneApp(root, pane, **options)

    async def session() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await steps(app, pilot)

    asyncio.run(session())
    return app


async def until(pilot: Pilot[None], true: Callable[[], bool], within_s: float = 300.0) -> None:
    for _ in range(int(within_s / 0.05)):
        if true():
            return
        await pilot.pause(0.05)
    assert true(), inspect.getsource(true)


def screen(app: App[None]) -> str:
    """What is on the screen, as text."""
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips())
