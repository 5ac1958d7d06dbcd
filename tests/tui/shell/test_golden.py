"""Screens as they are meant to look, kept as text that a person can read.

``COLDAL_GOLDEN=write pytest tests/tui/shell/test_golden.py`` writes them anew after a change;
``python scripts/screens.py`` draws the same as pictures.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from textual.pilot import Pilot

from coldal_tui.jobs.devices import Device, DeviceReader, Host
from coldal_tui.tui.drawing.glyphs import ASCII, UNICODE
from coldal_tui.tui.shell.app import ColdalApp
from coldal_tui.tui.shell.panes import PaneMaker
from coldal_tui.tui.shell.session_state import Memory
from tests.support.pane_app import screen, until
from tests.support.showcase import make_showcase

GOLDEN = Path(__file__).with_name("golden")
NOW = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)
SCREENS = {
    "home": ((80, 24), (120, 40), (200, 60)),
    "queue 1 plus": ((80, 24), (120, 40)),
    "map 2 plus": ((80, 24), (120, 40), (200, 60)),
    "map-entropy 2 plus c c": ((80, 24),),
    "clusters 3 plus": ((80, 24), (120, 40)),
    "scan 4": ((80, 24), (120, 40)),
    "labels 5": ((80, 24), (120, 40)),
    "runs 6": ((80, 24), (120, 40)),
    "jobs 7": ((80, 24), (120, 40)),
    "help question_mark": ((80, 24),),
    "export e": ((80, 24),),
    "import i": ((80, 24),),
    "small": ((60, 16),),
}
"""A name and the keys that lead there, in the sizes to keep."""


class NoDevices(DeviceReader):
    """A machine without a GPU, always equally busy."""

    def devices(self, backend: str) -> tuple[Device, ...]:
        return ()

    def host(self) -> Host:
        return Host(processors=8, busy=0.25, used=12 * 2**30, total=64 * 2**30)


@pytest.fixture(scope="module")
def lungs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The showcase at a fixed place, so that paths on the screen are the same everywhere."""
    folder = tmp_path_factory.mktemp("showcase")
    yield make_showcase(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def same_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(socket, "gethostname", lambda: "gpu07")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def cases() -> Iterator[tuple[str, tuple[str, ...], tuple[int, int], bool]]:
    for words, sizes in SCREENS.items():
        name, *keys = words.split()
        for size in sizes:
            yield name, tuple(keys), size, False
    yield "home-ascii", (), (120, 40), True


@pytest.mark.parametrize(("name", "keys", "size", "plain"), cases())
def test_a_screen_looks_as_it_is_meant_to(
    name: str,
    keys: tuple[str, ...],
    size: tuple[int, int],
    plain: bool,
    lungs: Path,
    tmp_path: Path,
) -> None:
    memory = Memory(lungs, tmp_path / "state", tmp_path / "config")
    look = ASCII if plain else UNICODE
    make_pane = PaneMaker(clock=lambda: NOW, devices=NoDevices())
    app = ColdalApp(lungs, look=look, memory=memory, make_pane=make_pane)
    drawn = asyncio.run(shoot(app, keys, size))
    drawn = drawn.replace(str(lungs.parent), "/data")
    drawn = _with_fixed_times(drawn)
    path = GOLDEN / f"{name}-{size[0]}x{size[1]}.txt"
    if os.environ.get("COLDAL_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(drawn + "\n", "utf-8")
    assert drawn + "\n" == path.read_text("utf-8")


def _with_fixed_times(drawn: str) -> str:
    """When the data was read is the one thing that differs between two looks."""
    lines = drawn.splitlines()
    head, found, _ = lines[0].rpartition("as of ")
    if found:
        lines[0] = f"{head}as of 12:00"
    return "\n".join(line.rstrip() for line in lines)


async def shoot(app: ColdalApp, keys: tuple[str, ...], size: tuple[int, int]) -> str:
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.view is not None and app.view.map_view is not None)
        await until(pilot, lambda: app.panes.complete)
        await settle(app, pilot)
        for key in keys:
            await pilot.press(key)
        await settle(app, pilot)
        return screen(app)


async def settle(app: ColdalApp, pilot: Pilot[None], within_s: float = 300.0) -> None:
    """Until all reads are answered and nothing has been drawn for a while."""
    last, calm, deadline = "", 0, time.monotonic() + within_s
    while calm < 6 and time.monotonic() < deadline:
        # Two threads read; where both come to the same place, neither is at work.
        meeting = threading.Barrier(2)
        free = [app.services.tasks.aside(meeting.wait) for _ in range(meeting.parties)]
        await until(pilot, lambda free=free: all(one.done() for one in free))
        await pilot.pause(0.1)
        drawn = screen(app)
        calm = calm + 1 if drawn == last else 0
        last = drawn
