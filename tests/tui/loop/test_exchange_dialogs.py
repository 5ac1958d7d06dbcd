"""The windows of an export and an import: several people, hidden checks, who drew what."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Checkbox, Input

from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.project import Project
from coldal_tui.project.views.snapshot import read_queue
from coldal_tui.tui.loop.exchange_dialogs import ExportWindow, ImportWindow
from coldal_tui.tui.shell.app import ColdalApp
from coldal_tui.tui.shell.session_state import Memory
from tests.support.pane_app import screen, until
from tests.support.small_projects import write_mask


def stands(app: ColdalApp, window: type) -> bool:
    """Whether the window is there with all its fields."""
    return isinstance(app.screen, window) and isinstance(app.focused, Input)


def drive(
    root: Path,
    steps: Callable[[ColdalApp, Pilot[None]], Awaitable[None]],
    size: tuple[int, int] = (120, 40),
) -> None:
    home = root.parent / "home"
    app = ColdalApp(root, memory=Memory(root, home / "state", home / "config"))

    async def session() -> None:
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.view is not None)
            await steps(app, pilot)

    asyncio.run(session())


def fill(app: ColdalApp, **values: str) -> None:
    for name, value in values.items():
        app.screen.query_one(f"#{name}", Input).value = value


def test_an_export_to_several_people_says_in_the_window_what_is_missing(queued: Path) -> None:
    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("e")
        await until(pilot, lambda: stands(app, ExportWindow))
        fill(app, people="ana,,ben")
        await pilot.press("enter")
        await until(pilot, lambda: "the list of people has an empty name" in screen(app))
        fill(app, people="ana,ben", overlap="1", each="1")
        await pilot.press("enter")
        await until(pilot, lambda: "1: write a whole number, at least 2" in screen(app))
        fill(app, each="3")
        await pilot.press("enter")
        await until(pilot, lambda: "an overlap needs 3 people" in screen(app))
        fill(app, each="", honeypots="2")
        await pilot.press("enter")
        await until(pilot, lambda: "no scan can be a check" in screen(app))
        assert isinstance(app.screen, ExportWindow)
        fill(app, honeypots="", overlap="1")
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, ExportWindow))
        await until(pilot, lambda: app.view is not None and not app.view.snapshot.budget.queued)

    drive(queued, steps, (80, 24))
    with Project(queued, readonly=True) as project:
        people = [sorted((item.assignee or "").split(",")) for item in read_queue(project)]
    # One of three scans goes to both; the other two are dealt out evenly.
    assert sorted(people) == [["ana"], ["ana", "ben"], ["ben"]]


def test_known_scans_are_hidden_among_the_others(
    queued: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(ColdalApp, "notify", lambda _, text, **__: told.append(text))
    write_mask(queued.parent / "known" / "scan_4.png")
    with Project(queued) as project:
        import_masks(project, queued.parent / "known")

    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("e")
        await until(pilot, lambda: stands(app, ExportWindow))
        fill(app, people="ana", honeypots="2")
        await pilot.press("enter")
        await until(pilot, lambda: any("among those of ana: 1 honeypot" in text for text in told))

    drive(queued, steps)
    with Project(queued, readonly=True) as project:
        rows = project.store.rows("SELECT scan_id, person FROM handouts WHERE kind = 'honeypot'")
    assert [(row["scan_id"], row["person"]) for row in rows] == [("scan_4", "ana")]


def test_an_import_can_name_who_drew_and_let_the_first_mask_count(queued: Path) -> None:
    write_mask(queued / "drawn" / "scan_0.png")
    with Project(queued) as project:
        here = {"scan_id": "scan_0"}
        project.store.update("queue", here, status="exported", assignee="ana,ben")

    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("i")
        await until(pilot, lambda: stands(app, ImportWindow))
        fill(app, path="drawn", by="ana")
        await pilot.press("enter")
        await until(pilot, lambda: "kept until the others are back: 1" in screen(app))
        app.screen.query_one("#accept_first", Checkbox).value = True
        await pilot.press("enter")
        await until(pilot, lambda: "would be accepted: 1 mask" in screen(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.view is not None and app.view.snapshot.labels == 1)

    drive(queued, steps, (80, 24))
    with Project(queued, readonly=True) as project:
        assert project.store.value("SELECT author FROM labels WHERE state = 'active'") == "ana"
