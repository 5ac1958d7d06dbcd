"""The import window asks what unknown values mean, once; then it is kept in coldal.toml."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path

import numpy as np
from PIL import Image
from textual.pilot import Pilot
from textual.widgets import Input, Select

from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project.project import Project
from coldal_tui.tui.loop.class_questions import Meanings
from coldal_tui.tui.loop.exchange_dialogs import ImportWindow
from coldal_tui.tui.shell.app import ColdalApp
from coldal_tui.tui.shell.session_state import Memory
from tests.support.pane_app import screen, until


def test_an_unknown_value_is_asked_for_once_and_kept(queued: Path) -> None:
    masks = queued / "incoming"
    masks.mkdir()
    pixels = np.zeros((8, 8), np.uint8)
    pixels[1:4, 1:4], pixels[5:7, 5:7] = 1, 7
    Image.fromarray(pixels).save(masks / "scan_0.png")
    home = queued.parent / "home"
    app = ColdalApp(queued, memory=Memory(queued, home / "state", home / "config"))

    async def fill_in(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.view is not None)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, ImportWindow))
        app.screen.query_one("#path", Input).value = ""
        await pilot.press(*"incoming", "enter")
        await until(pilot, lambda: "7 (in 1 mask) is" in screen(app))
        assert "then ctrl+g looks again" in screen(app)
        # The question is in focus: enter opens it, the third answer is "ignore".
        await pilot.pause()
        choice = app.screen.query_one(Meanings).query_one(Select)
        assert app.focused is choice
        await pilot.press("enter", "down", "down", "down", "enter")
        await until(pilot, lambda: choice.value == "ignore")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "would be accepted: 1 mask" in screen(app))
        await pilot.press("ctrl+g")
        await until(pilot, lambda: app.view is not None and app.view.snapshot.labels == 1)

    async def session() -> None:
        async with app.run_test(size=(80, 30)) as pilot:
            await fill_in(pilot)

    asyncio.run(session())
    with Project(queued, readonly=True) as project:
        label = read_label(project.layout.labels / "scan_0.png")
        kept = tomllib.loads(project.layout.config.read_text())["classes"]["map"]
    assert kept == {"7": "ignore"}
    assert label[6, 6] == 255
    assert label[2, 2] == 1
