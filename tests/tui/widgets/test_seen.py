"""Panes that are drawn only while visible are told of it, also where Textual's event is lost."""

from __future__ import annotations

import asyncio

from textual.app import App, ComposeResult
from textual.events import Resize
from textual.widgets import Static

from coldal_tui.tui.pane import Pane
from coldal_tui.tui.widgets.seen import WhileSeen
from tests.support.pane_app import until


class Noting(WhileSeen, Pane):
    """Notes what it is told."""

    def __init__(self) -> None:
        super().__init__(id="noting")
        self.told: list[str] = []

    def compose(self) -> ComposeResult:
        yield Static("one")

    def on_resize(self, event: Resize) -> None:
        self.told.append(f"resize {event.size.width}")

    def catch_up(self) -> None:
        self.told.append("catch up")

    def looked_away(self) -> None:
        self.told.append("away")


class Two(App[None]):
    def compose(self) -> ComposeResult:
        yield Static("always", id="other")
        yield Noting()


def test_a_pane_is_told_once_that_it_is_visible_and_once_that_it_is_not() -> None:
    async def session() -> None:
        app = Two()
        async with app.run_test(size=(40, 10)) as pilot:
            pane = app.query_one(Noting)
            await until(pilot, lambda: pane.seen)
            assert pane.told.count("catch up") == 1
            for _ in range(3):
                pane.display = False
                await until(pilot, lambda: not pane.seen)
                pane.display = True
                await until(pilot, lambda: pane.seen)
            assert pane.told.count("catch up") == 4
            assert pane.told.count("away") == 3
            app.query_one("#other").display = False
            await pilot.pause()
            assert pane.told.count("catch up") == 4

    asyncio.run(session())


def test_a_lost_event_of_a_pane_that_is_shown_is_made_up_for() -> None:
    async def session() -> None:
        app = Two()
        async with app.run_test(size=(40, 10)) as pilot:
            pane, compositor = app.query_one(Noting), app.screen._compositor
            await until(pilot, lambda: pane.seen)
            for _ in range(3):
                pane.display = False
                await until(pilot, lambda: not pane.seen)
                pane.told.clear()
                pane.display = True
                # As when a widget that is not laid out yet draws, and something asks for a place.
                compositor._full_map_invalidated = True
                assert pane in compositor.full_map
                await until(pilot, lambda: "catch up" in pane.told)
                await until(pilot, lambda: "resize 40" in pane.told)

    asyncio.run(session())
