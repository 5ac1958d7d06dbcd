"""The app and a real Label Studio: the next step pushes, people draw there, the next step pulls."""

from __future__ import annotations

import asyncio

import numpy as np
from textual.widgets import Input

from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project.project import Project
from coldal_tui.project.servers.states import read_item_states
from coldal_tui.tui.loop.exchange_dialogs import ExportWindow
from coldal_tui.tui.shell.app import ColdalApp
from coldal_tui.tui.shell.session_state import Memory
from coldal_tui.tui.widgets.dialogs import Confirm
from tests.support.label_studio import ANA, outline
from tests.support.pane_app import screen, until

BOX = ((2, 2), (6, 2), (6, 5), (2, 5))
"""Corners (x, y) of rows 2 to 4 and columns 2 to 5."""


def test_scans_go_there_and_a_drawing_comes_back_with_n(lab, queued):
    made = lab(queued)
    home = queued.parent / "home"
    app = ColdalApp(queued, memory=Memory(queued, home / "state", home / "config"))

    async def session() -> None:
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: "next: push 3 queued scans to lab" in screen(app))
            await pilot.press("n")
            await until(pilot, lambda: isinstance(app.screen, ExportWindow))
            await until(pilot, lambda: isinstance(app.focused, Input))
            app.screen.query_one("#people", Input).value = "ana"
            await pilot.press("enter")
            await until(pilot, lambda: "3 scans are on lab; pull what is drawn" in screen(app))
            await until(pilot, lambda: not app.services.tasks.busy)
            tasks = await asyncio.to_thread(made.tasks)
            assert {*tasks} == {"scan_0", "scan_1", "scan_2"}
            draw = made.server.draw
            await asyncio.to_thread(draw, ANA, tasks["scan_0"]["id"], outline(BOX, 8, 8))
            await pilot.press("n")
            await until(pilot, lambda: isinstance(app.screen, Confirm))
            await pilot.press("y")
            await until(pilot, lambda: app.view is not None and app.view.snapshot.labels == 1)
            await until(pilot, lambda: "2 scans are on lab; pull what is drawn" in screen(app))

    asyncio.run(session())
    expected = np.zeros((8, 8), np.uint8)
    expected[2:5, 2:6] = 1
    with Project(queued, readonly=True) as project:
        label = read_label(project.layout.labels / "scan_0.png")
        np.testing.assert_array_equal(np.asarray(label).squeeze(), expected)
        states = {scan: one.state for scan, one in read_item_states(project).items()}
        assert states == {"scan_0": "drawn", "scan_1": "pushed", "scan_2": "pushed"}
        assert project.store.value("SELECT author FROM labels WHERE state = 'active'") == ANA
