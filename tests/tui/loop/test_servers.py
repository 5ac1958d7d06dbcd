"""Servers of labelers in the app: push and pull as the next step, beside other work."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from coldal_tui.connectors import Drawing, Parcel, Person, Pulled, Sent
from coldal_tui.errors import ColdalError
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project.history import read_log
from coldal_tui.project.project import Project
from coldal_tui.project.servers import connections
from coldal_tui.project.servers.states import read_item_states
from coldal_tui.project.settings.config_connections import ConnectionSection
from coldal_tui.project.trust_questions import agree
from coldal_tui.project.views.snapshot import take_snapshot
from coldal_tui.tui.loop.exchange_dialogs import ExportWindow
from coldal_tui.tui.queue.columns import columns_of
from coldal_tui.tui.queue.pane import QueuePane
from coldal_tui.tui.shell.app import ColdalApp
from coldal_tui.tui.shell.help import all_entries
from coldal_tui.tui.shell.session_state import Memory
from coldal_tui.tui.widgets.dialogs import Confirm
from tests.support.pane_app import screen, until

SQUARE = [[25, 25], [75, 25], [75, 75], [25, 75]]
"""In percent of 8 × 8 pixels: rows and columns 2 to 5."""


@dataclass
class Played:
    """A server in this process: takes what is pushed, and answers with what people "drew"."""

    exporter: str = "label-studio"
    requests: int = 0
    keys: list[str] = field(default_factory=list)
    drawn: list[Drawing] = field(default_factory=list)
    away: bool = False
    go_on: threading.Event = field(default_factory=threading.Event)

    def _ask(self) -> None:
        self.requests += 1
        if self.away:
            raise ColdalError(
                "the server can't be reached", where="http://localhost:1", code="connection"
            )

    def check(self) -> str:
        self._ask()
        return "a project"

    def people(self) -> tuple[Person, ...]:
        self._ask()
        return (Person("ana@lab.org", ("ana",)), Person("ben@lab.org", ("ben",)))

    def push(self, parcels: Sequence[Parcel], progress: Any) -> Iterator[Sent]:
        self._ask()
        items = [item for parcel in parcels for item in parcel.items]
        for number, item in enumerate(items, start=1):
            progress(number - 1, len(items), item.scan_id)
            assert self.go_on.wait(300)
            self.keys.append(item.key)
            yield Sent(item.key, (str(number),))

    def pull(self, tasks: Mapping[str, Sequence[str]], since: str, progress: Any) -> Pulled:
        self._ask()
        return Pulled(tuple(self.drawn), "later")

    def draws(self, key: str, scan: str, person: str) -> None:
        value = {"points": SQUARE, "closed": True, "polygonlabels": ["foreground"]}
        size = {"original_width": 8, "original_height": 8, "image_rotation": 0}
        region = {"id": "r", "type": "polygonlabels", "value": value, **size}
        region |= {"from_name": "tag", "to_name": "image"}
        done = {"id": 9, "completed_by": {"email": person}, "result": [region]}
        task = {"id": 1, "data": {"image": f"/data/{scan}.png"}, "annotations": [done]}
        content = json.dumps([task]).encode()
        self.drawn.append(Drawing(key, person, "drawn", "2026-01-02T10:00:00+00:00", content))


@pytest.fixture
def server(queued: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    made = Played()
    monkeypatch.setattr(connections, "connector", lambda kind: lambda address: made)
    with Project(queued) as project:
        section = ConnectionSection("label-studio", "http://localhost:1", "3")
        connections.add_connection(project, "lab", section)
        agree(project.layout, project.config)
    return made


PUSHED = [["pushed"], ["pushed"], []]
BACK = ["drawn 2 Jan", "skipped 3 J"]


def on_server(app: ColdalApp) -> list[str]:
    """The column ``server`` of the queue."""
    table = cast(QueuePane, app.panes.made["queue"])._whole
    if table is None or not len(table.server.codes):
        return []
    assert "server" in [column.key for column in columns_of(table)]
    return [table.server[n] for n in range(len(table))]


def stands(app: ColdalApp, window: type) -> bool:
    """Whether the window is there with all its fields."""
    return isinstance(app.screen, window) and isinstance(app.focused, Input)


def drive(root: Path, steps: Callable[[ColdalApp, Pilot[None]], Awaitable[None]]) -> None:
    home = root.parent / "home"
    app = ColdalApp(root, memory=Memory(root, home / "state", home / "config"))

    async def session() -> None:
        async with app.run_test(size=(150, 40)) as pilot:
            await until(pilot, lambda: app.view is not None and app.panes.complete)
            await steps(app, pilot)

    asyncio.run(session())


def test_push_and_pull_are_the_next_steps_and_other_work_goes_on(
    queued: Path, server: Played
) -> None:
    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        assert "next: push 3 queued scans to lab" in screen(app)
        await pilot.press("n")
        await until(pilot, lambda: stands(app, ExportWindow))
        assert "Push to lab" in screen(app)
        await pilot.press("2", "enter")
        await until(pilot, lambda: "push to lab" in screen(app) and "0 of 2" in screen(app))
        # The server has not answered: changes of the project go on beside it.
        app.services.change(
            "aside", lambda project: project.store.replace("meta", key="aside", value="1")
        )
        await until(pilot, lambda: _meta(queued) == "1")
        assert app.services.tasks.busy
        server.go_on.set()
        await until(pilot, lambda: app.view is not None and len(server.keys) == 2)
        await until(pilot, lambda: not app.services.tasks.busy)
        await until(pilot, lambda: [word.split()[:1] for word in on_server(app)] == PUSHED)
        await until(pilot, lambda: "next: push 1 queued scan to lab" in screen(app))
        offers = [one.words for one in all_entries(app, app.panes.focused, {}, (), app.view)]
        assert {"push to lab", "pull from lab"} <= {*offers}
        with Project(queued) as project:
            project.store.execute("DELETE FROM queue WHERE status = 'queued'")
        server.draws(server.keys[0], "scan_0", "ana@lab.org")
        server.drawn.append(Drawing(server.keys[1], "ben@lab.org", "skipped", "2026-01-03T10:00Z"))
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "2 scans are on lab; pull what is drawn" in screen(app))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "2 scans out, 0 drawn; never asked yet" in screen(app)
        await pilot.press("y")
        await until(pilot, lambda: app.view is not None and app.view.snapshot.labels == 1)
        await until(pilot, lambda: [word[:11] for word in on_server(app)] == BACK)

    drive(queued, steps)
    expected = np.zeros((8, 8), np.uint8)
    expected[2:6, 2:6] = 1
    with Project(queued, readonly=True) as project:
        np.testing.assert_array_equal(
            read_label(project.layout.labels / "scan_0.png").squeeze(), expected
        )
        states = {scan: one.state for scan, one in read_item_states(project).items()}
        assert states == {"scan_0": "drawn", "scan_1": "skipped"}
        told = [entry.summary for entry in read_log(project) if entry.action in ("push", "pull")]
        assert told == ["pushed 2 scans to lab", "heard of 2 drawings from lab"]
        assert take_snapshot(project).servers[0].out == 1


def _meta(root: Path) -> Any:
    with Project(root, readonly=True) as project:
        return project.store.value("SELECT value FROM meta WHERE key = 'aside'")


def test_a_server_that_is_away_and_an_unknown_person_are_told_and_nothing_is_lost(
    queued: Path, server: Played
) -> None:
    server.go_on.set()

    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        server.away = True
        app.action_push("lab")
        await until(pilot, lambda: stands(app, ExportWindow))
        app.screen.query_one("#people", Input).value = "carla"
        await pilot.press("enter")
        await until(pilot, lambda: "the server can't be reached" in screen(app))
        await pilot.press("escape")
        server.away = False
        app.action_push("lab")
        await until(pilot, lambda: stands(app, ExportWindow))
        app.screen.query_one("#people", Input).value = "carla"
        await pilot.press("enter")
        await until(pilot, lambda: "no user of the server is called 'carla'" in screen(app))
        assert "ana@lab.org" in screen(app)

    drive(queued, steps)
    with Project(queued, readonly=True) as project:
        assert take_snapshot(project).budget.queued == 3
        assert server.keys == []
