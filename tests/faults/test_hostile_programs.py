"""Hooks and servers of a hostile project: nothing runs or is called before a person agrees."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from coldal_tui.connectors.tokens import keep_token, variable_of
from coldal_tui.project.project import Project
from coldal_tui.project.trust_questions import agree
from coldal_tui.scheduler.supervisor import Supervisor
from coldal_tui.tui.shell.app import ColdalApp
from coldal_tui.tui.shell.pane_manager import PANES
from coldal_tui.tui.shell.session_state import Memory
from tests.faults.hostile import ADDRESS, EVENTS, SERVERS, build, contents
from tests.faults.hostile_calls import COMMANDS, OF_THE_LOOP, call, called, hooks_ended
from tests.support.pane_app import until

pytestmark = pytest.mark.usefixtures("alone")
SECRET = "token-of-a-person"


def _step(root: Path) -> None:
    """The job that had ended is taken in: a program waits for that, and one for its round."""
    with Project(root) as project:
        Supervisor(project).step()
    hooks_ended()


def test_waiting_hooks_run_only_in_a_project_that_is_trusted(tmp_path: Path) -> None:
    root, home = build(tmp_path, "hooks")
    before = contents(home)
    words = {"MASKS": str(tmp_path / "masks"), "OUT": str(tmp_path / "out")}
    _step(root)
    for command in (*COMMANDS, *OF_THE_LOOP):
        call(root, command, words)
        assert contents(home) == before, command
    told = " ".join(called(root, ("status",), {}).output.split())
    for event in EVENTS:
        assert f"hook {event} failed" in told, told
    assert told.count("not run: nobody has agreed to it yet") == len(EVENTS)
    asked = called(root, ("trust", "--json"), {}).output
    assert all(f"touch {home}/{event}" in asked for event in EVENTS)


def test_the_same_hooks_run_once_a_person_has_agreed(tmp_path: Path) -> None:
    """So the test above has something to find."""
    root, home = build(tmp_path, "hooks")
    with Project(root) as project:
        agree(project.layout, project.config)
    _step(root)
    call(root, ("import-masks", "MASKS"), {"MASKS": str(tmp_path / "masks")})
    assert set(EVENTS) <= set(contents(home))


class _Listening(ThreadingHTTPServer):
    """A server that notes who comes, and answers nothing good."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.heard: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def get_request(self):
        found = super().get_request()
        self.heard.append("somebody")
        return found


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.heard.append(f"{self.path} {self.headers}")
        self.send_error(404)  # another error would be tried again

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture
def listening() -> Iterator[_Listening]:
    with _Listening() as made:
        thread = Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def theirs(
    tmp_path: Path, listening: _Listening, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """A project with servers at ``listening``; the person has tokens of these names and address."""
    root, home = build(tmp_path, "server")
    config = root / "coldal.toml"
    config.write_text(config.read_text().replace(ADDRESS, listening.url))
    for name in SERVERS:
        monkeypatch.setenv(variable_of(name), SECRET)
    keep_token(listening.url, SECRET)
    return root, home


def _at_servers() -> list[tuple[str, ...]]:
    """Every command that goes to a server, for every server."""
    return [
        one
        for name in SERVERS
        for one in (
            ("connect", "test", name),
            ("push", "--to", name),
            ("pull", "--from", name),
            ("sync", "--with", name),
        )
    ]


def test_no_server_hears_of_a_person_who_has_not_agreed(
    theirs: tuple[Path, Path], listening: _Listening, tmp_path: Path
) -> None:
    root, home = theirs
    before = contents(home)
    words = {"MASKS": str(tmp_path / "masks"), "OUT": str(tmp_path / "out")}
    for command in (*COMMANDS, *OF_THE_LOOP):
        call(root, command, words)
        assert listening.heard == [], command
    for command in _at_servers():
        assert call(root, command, words) in ("not-trusted", "archive"), command
    _look_at(root, tmp_path)
    assert listening.heard == []
    assert contents(home) == before
    asked = json.loads(called(root, ("trust", "--json"), {}).output)
    assert sum(listening.url in one["what"] for one in asked["reaches"]) == len(SERVERS)
    assert SECRET not in str(asked)


def test_the_same_server_is_called_once_a_person_has_agreed(
    theirs: tuple[Path, Path], listening: _Listening
) -> None:
    """So the test above has something to find."""
    root, _ = theirs
    with Project(root) as project:
        agree(project.layout, project.config)
    for name in SERVERS:
        listening.heard.clear()
        ended = called(root, ("connect", "test", name), {})
        assert SECRET in str(listening.heard), (name, ended.output, ended.exception)


def _look_at(root: Path, tmp_path: Path) -> None:
    """Open the app, and show every pane."""
    folder = tmp_path / "home"
    app = ColdalApp(root, memory=Memory(root, folder / "state", folder / "config"))

    async def session() -> None:
        async with app.run_test(size=(120, 40)) as pilot:
            ready = app.panes.made
            await until(pilot, lambda: len(ready) == len(PANES) or app._exception is not None)
            for key in "12345678":
                await pilot.press(key)
                await pilot.pause()

    asyncio.run(session())
    assert app._exception is None
