"""Every command on every kind of hostile project: nothing outside is touched, and it is told."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.jobs.backend import Wait
from coldal_tui.project.project import Project
from coldal_tui.scheduler.supervisor import Supervisor
from coldal_tui.tui.shell.app import ColdalApp
from coldal_tui.tui.shell.pane_manager import PANES
from coldal_tui.tui.shell.session_state import Memory
from tests.faults.hostile import KINDS, build, contents
from tests.faults.hostile_calls import COMMANDS, OF_THE_LOOP, call
from tests.support.pane_app import until

pytestmark = pytest.mark.usefixtures("alone")
BY_JOBS = ("receipt_elsewhere", "slurm", "network", "cases_elsewhere")
"""Only when a job of theirs is to run is there something to refuse."""
ASKED = ("hooks", "server", "keys")
"""Told by ``trust``, ``status`` and whoever calls them: tests/faults/test_hostile_programs.py."""
QUIET = ("keys_elsewhere", "linked_import", "mask_elsewhere", "run_elsewhere", "harmless")
"""Passed over: keys that can't be read (the masks of that export match nothing), links in an
import, a mask and a run that these commands need not open."""


@pytest.mark.parametrize("kind", KINDS)
def test_every_command_leaves_the_victim_alone_and_says_why(kind: str, tmp_path: Path) -> None:
    root, home = build(tmp_path, kind)
    before, images = contents(home), contents(tmp_path / "images")
    words = {"MASKS": str(tmp_path / "masks"), "OUT": str(tmp_path / "out")}
    told = []
    for command in COMMANDS:
        problem = call(root, command, words)
        if problem is not None:
            told.append((command, problem))
        assert contents(home) == before, command
    assert contents(tmp_path / "images") == images
    assert _holding_the_secret(root, home, tmp_path / "out") == []
    if kind == "harmless":
        assert told == []
    assert told or kind in (*QUIET, *BY_JOBS, *ASKED)


def _holding_the_secret(root: Path, home: Path, out: Path) -> list[Path]:
    secret = (home / "secret.png").read_bytes()
    written = [path for folder in (root, out) for path in folder.rglob("*")]
    return [path for path in written if path.is_file() and secret in path.read_bytes()]


class _Recording:
    """A backend that starts nothing, and notes the specifications it was to run."""

    def __init__(self) -> None:
        self.specs: list[str] = []

    def find(self, folder: Path) -> None:
        return None

    def room(self, ask: object, running: object) -> None:
        return None

    def launch(self, folder: Path, ask: object, running: object) -> Wait:
        self.specs.append((folder / "spec.json").read_text())
        return Wait("nothing is started here")


@pytest.mark.parametrize("kind", KINDS)
def test_the_commands_of_the_loop_and_their_jobs_reach_nothing_either(
    kind: str, tmp_path: Path
) -> None:
    root, home = build(tmp_path, kind)
    before = contents(home)
    for command in OF_THE_LOOP:
        words = {"MASKS": str(tmp_path / "masks"), "OUT": str(tmp_path / "released")}
        assert call(root, command, words) != "usage", command
        assert contents(home) == before, command
    backend = _Recording()
    with contextlib.suppress(ColdalError), Project(root) as project:
        looking = Supervisor(project, backends=lambda name: backend)
        for _ in range(3):
            looking.step()
    assert contents(home) == before
    for out in ("out", "released"):
        assert _holding_the_secret(root, home, tmp_path / out) == []
    assert [spec for spec in backend.specs if str(home) in spec or "victim" in spec] == []
    if kind == "harmless":
        assert backend.specs


def _refused(root: Path) -> str | None:
    """The code of the error with which ``open`` ends before it shows anything."""
    try:
        Project(root).close()
    except ColdalError as error:
        return error.code
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_the_app_shows_it_and_leaves_the_victim_alone(kind: str, tmp_path: Path) -> None:
    root, home = build(tmp_path, kind)
    before = contents(home)
    if _refused(root) is not None:
        assert _refused(root) in ("outside", "not-trusted", "foreign-schema", "bad-config")
        return
    folder = tmp_path / "home"
    memory = Memory(root, folder / "state", folder / "config")
    app = ColdalApp(root, memory=memory)

    async def session() -> None:
        async with app.run_test(size=(120, 40)) as pilot:
            ready = app.panes.made
            await until(pilot, lambda: len(ready) == len(PANES) or app._exception is not None)
            for key in ("1", "f5", "f6", "enter", *"2345678", "ctrl+r", "escape"):
                await pilot.press(key)
                await pilot.pause()

    asyncio.run(session())
    assert app._exception is None
    assert contents(home) == before
    assert _holding_the_secret(root, home, tmp_path / "out") == []


@pytest.mark.parametrize(
    "kind",
    ["waiting_job_elsewhere", "waiting_job_upwards", "job_in_labels", *BY_JOBS],
)
def test_no_job_of_it_runs_or_is_taken_in(kind: str, tmp_path: Path) -> None:
    root, home = build(tmp_path, kind)
    before, labels = contents(home), contents(root / "labels")
    told = ""
    try:
        with Project(root) as project:
            supervisor = Supervisor(project)
            for _ in range(3):
                supervisor.step()
            jobs = project.store.tuples("SELECT status, error FROM jobs WHERE status != 'done'")
            assert [status for status, _ in jobs] == ["failed"], jobs
            told = str(jobs)
    except ColdalError as error:
        told = error.code
    assert contents(home) == before
    assert contents(root / "labels") == labels
    assert "outside" in told or "not-trusted" in told, told
