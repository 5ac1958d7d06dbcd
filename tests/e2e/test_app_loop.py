"""The whole loop from inside the app, by real keys, with real supervisors and workers."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from coldal_tui.tui.loop.exchange_dialogs import ExportWindow, ImportWindow
from coldal_tui.tui.loop.first_queue import FirstQueueWindow
from coldal_tui.tui.shell.app import ColdalApp
from coldal_tui.tui.shell.session_state import Memory
from coldal_tui.tui.widgets.dialogs import Ask

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

JOBS_S = 240.0


async def until(pilot: Pilot[None], true: Callable[[], Any], within_s: float = 300.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        await pilot.pause(0.1)


def wait(true: Callable[[], bool], what: str, within_s: float = 300.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)


def screen(app: ColdalApp) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


def test_from_an_empty_project_to_the_second_queue(new_project, cxr, labeler, tmp_path) -> None:
    root: Path = new_project("app")
    app = ColdalApp(root, memory=Memory(root, tmp_path / "state", tmp_path / "config"))

    def state() -> Any:
        assert app.view is not None
        return app.view.snapshot

    def failed() -> list[str]:
        return [f"{job.kind}: {job.error}" for job in state().jobs if job.error]

    async def session() -> None:
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: app.view is not None)
            assert state().scans == 24
            await pilot.press("n")
            await until(pilot, lambda: isinstance(app.screen, FirstQueueWindow))
            await pilot.press(*"6", "enter")
            await until(pilot, lambda: failed() or len(state().queue) == 6, JOBS_S)
            assert failed() == []
            await until(pilot, lambda: state().next.action == "export")
            assert "medoid" in screen(app)

            await pilot.press("n")
            await until(pilot, lambda: isinstance(app.screen, ExportWindow))
            await pilot.press("enter")
            await until(pilot, lambda: state().budget.exported == 6)
            (folder,) = (root / "exports").glob("*/")
            scans = [item.scan_id for item in state().queue]
            masks = labeler({"folder": folder, "scans": scans}, cxr / "masks")

            await pilot.press("n")
            await until(pilot, lambda: isinstance(app.screen, ImportWindow))
            await pilot.press(*str(masks), "enter")
            await until(pilot, lambda: "would be accepted: 6 masks" in screen(app))
            await pilot.press("enter")
            await until(pilot, lambda: state().labels == 6)

            await pilot.press("n")
            await until(pilot, lambda: isinstance(app.screen, Ask))
            await pilot.press(*"3", "enter")
            await until(pilot, lambda: failed() or len(state().rounds) == 2, JOBS_S)
            assert failed() == []
            assert [item.role for item in state().queue if item.round == 1] == ["acquired"] * 3
            assert len(state().runs) == 1
            await until(pilot, lambda: "acquired" in screen(app))
            await pilot.press("q")

    asyncio.run(session())


class Tmux:
    """A tmux server of its own, with one window."""

    def __init__(self, socket: Path) -> None:
        self._base = ["tmux", "-f", "/dev/null", "-S", str(socket)]

    def __call__(self, *words: str) -> str:
        done = subprocess.run([*self._base, *words], capture_output=True, text=True, check=True)
        return done.stdout

    def screen(self) -> str:
        return self("capture-pane", "-p")

    def until(self, words: str, within_s: float = 300.0) -> str:
        deadline = time.monotonic() + within_s
        while words not in (drawn := self.screen()):
            assert time.monotonic() < deadline, f"no {words!r} in\n{drawn}"
            time.sleep(0.2)
        return drawn


@pytest.fixture
def tmux(tmp_path_factory):
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    server = Tmux(tmp_path_factory.mktemp("t") / "s")
    yield server
    subprocess.run([*server._base, "kill-server"], capture_output=True, check=False)


def test_hang_up_kill_and_come_back(cli, new_project, tmux, tmp_path) -> None:
    """The terminal is closed while a job runs, later the app is killed: nothing is lost."""
    root: Path = new_project("tmux")
    theirs = os.environ | {"XDG_STATE_HOME": str(tmp_path)}
    agree = cli.command("trust", root, "--yes")
    subprocess.run(agree, env=theirs, check=True, capture_output=True, timeout=600)
    env = (
        f"env -u COLUMNS -u LINES XDG_STATE_HOME={tmp_path} OMP_NUM_THREADS=1 TERM=screen-256color"
    )
    command = f"{env} {' '.join(cli.command('open', root))}"
    tmux("new-session", "-d", "-x", "100", "-y", "30", command)
    tmux.until("embed 24 scans")
    tmux("send-keys", "n")
    tmux.until("Pick the first queue")
    tmux.until("how many")
    tmux("send-keys", "6")  # the number is selected: typing replaces it
    tmux.until("how many    6 ")
    tmux("send-keys", "Enter")
    tmux.until("submitted: embed")
    tmux("kill-server")  # the terminal is gone; its processes get a hang-up

    deadline = time.monotonic() + JOBS_S
    while len(cli.json("queue", root)) != 6:
        assert time.monotonic() < deadline
        time.sleep(0.5)

    tmux("new-session", "-d", "-x", "100", "-y", "30", command)
    tmux.until(cli.json("queue", root)[0]["scan_id"])
    tmux("send-keys", "j", "2", "+")
    tmux.until("1 Queue")
    kept = Memory(root, tmp_path / "coldal-tui", tmp_path)
    wait(lambda: kept.load().get("zoomed") is True, "the zoomed pane to be kept")
    pid = int(tmux("display-message", "-p", "#{pane_pid}"))
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.5)
    tmux("new-session", "-d", "-x", "100", "-y", "30", command)
    second = cli.json("queue", root)[1]["scan_id"]
    tmux.until(second)
    drawn = tmux.until("Map · ")
    assert "1 Queue" in drawn  # the tabs of a zoomed pane
    tmux("send-keys", "q")
    time.sleep(0.5)


def test_noise_of_decoders_is_kept_off_the_screen(cli, new_project, tmux, tmp_path) -> None:
    root: Path = new_project("noise")
    code = (
        "import os, threading, time; from pathlib import Path; "
        "from coldal_tui.cli.open import run_app; "
        "noise = lambda: [(time.sleep(1), os.write(2, b'NOISE-OF-A-DECODER')) for _ in range(60)]; "
        "threading.Thread(target=noise, daemon=True).start(); "
        f"run_app(Path({str(root)!r}))"
    )
    script = tmp_path / "noise.py"
    script.write_text(code)
    python = cli.command()[0]
    env = f"env -u COLUMNS -u LINES XDG_STATE_HOME={tmp_path} TERM=screen-256color"
    tmux("new-session", "-d", "-x", "100", "-y", "30", f"{env} {python} {script}")
    tmux.until("embed 24 scans")
    log = tmp_path / "coldal-tui" / "app.log"
    wait(lambda: log.exists() and "NOISE" in log.read_text(), "the noise in the log")
    time.sleep(0.5)
    assert "NOISE" not in tmux.screen()
    tmux("send-keys", "q")
    time.sleep(0.5)


def test_after_the_shell_the_whole_screen_is_drawn_again(cli, new_project, tmux, tmp_path) -> None:
    root: Path = new_project("shell")
    theirs = os.environ | {"XDG_STATE_HOME": str(tmp_path)}
    agree = cli.command("trust", root, "--yes")
    subprocess.run(agree, env=theirs, check=True, capture_output=True, timeout=600)
    env = f"env -u COLUMNS -u LINES XDG_STATE_HOME={tmp_path} OMP_NUM_THREADS=1"
    tmux("new-session", "-d", "-x", "100", "-y", "30", "bash --norc --noprofile -i")
    tmux("send-keys", f"{env} {' '.join(cli.command('open', root))}", "Enter")
    tmux.until("embed 24 scans")
    tmux.until("7 Jobs")
    tmux("send-keys", "C-z")
    tmux.until("Stopped")
    tmux("send-keys", "fg", "Enter")
    tmux.until("embed 24 scans")
    for words in ("1 Queue", "7 Jobs", "no map yet", "nothing is queued yet", "? help"):
        tmux.until(words)
