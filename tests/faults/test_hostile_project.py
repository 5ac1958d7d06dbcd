"""Every command on every kind of hostile project: nothing outside is touched, and it is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from coldal_tui.cli import cli, doctor
from coldal_tui.errors import ColdalError
from coldal_tui.project.project import Project
from coldal_tui.scheduler import follow
from coldal_tui.scheduler.supervisor import Supervisor
from tests.faults.hostile import KINDS, build, contents

COMMANDS = (
    ("status",),
    ("queue",),
    ("why", "s01"),
    ("labels", "list"),
    ("labels", "check"),
    ("jobs", "list"),
    ("doctor",),
    ("trust", "--json"),
    ("index",),
    ("export-queue",),
    ("import-masks", "MASKS"),
    ("queue", "pin", "s00"),
    ("undo",),
    ("backup",),
    ("doctor", "--repair"),
    ("export-project", "OUT"),
)
"""What can be called without waiting for a job; the jobs themselves are tried below."""
BY_JOBS = ("receipt_elsewhere", "slurm", "network")
"""Only when a job of theirs is to run there is something to refuse."""
QUIET = ("keys_elsewhere", "harmless")
"""Keys that can't be read are passed over: the masks of that export match nothing."""


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person of one's own, no supervisor beside, no look at the machine."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(follow, "ensure_supervisor", lambda layout: None)
    monkeypatch.setattr(doctor, "machine_findings", lambda section: [])


@pytest.mark.parametrize("kind", KINDS)
def test_every_command_leaves_the_victim_alone_and_says_why(kind: str, tmp_path: Path) -> None:
    root, home = build(tmp_path, kind)
    before, images = contents(home), contents(tmp_path / "images")
    words = {"MASKS": str(tmp_path / "masks"), "OUT": str(tmp_path / "out")}
    told = []
    for command in COMMANDS:
        call = [command[0], str(root), *(words.get(word, word) for word in command[1:])]
        done = CliRunner().invoke(cli, call)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            assert isinstance(done.exception, ColdalError), (command, done.exception)
            told.append((command, done.exception.code))
        elif done.exit_code:
            told.append((command, "problem"))
        assert contents(home) == before, command
    assert contents(tmp_path / "images") == images
    secret = (home / "secret.png").read_bytes()
    written = [path for folder in (root, tmp_path / "out") for path in folder.rglob("*")]
    assert [path for path in written if path.is_file() and secret in path.read_bytes()] == []
    if kind == "harmless":
        assert told == []
    assert told or kind in (*QUIET, *BY_JOBS)


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
