"""``jobs``: what each job waits for, its attempts, what was made smaller, who goes first."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coldal_tui.project.project import Project
from tests.support.small_projects import Call


@pytest.fixture
def waiting(call: Call, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the jobs 1 (embed) and 2 (map), that nobody starts."""
    monkeypatch.setattr("coldal_tui.scheduler.follow.ensure_supervisor", lambda layout: None)
    monkeypatch.setattr("coldal_tui.scheduler.supervisor.ensure_supervisor", lambda layout: None)
    call("map", "--detach", cwd=project)
    return project


def change(project: Path, number: int, **values: Any) -> None:
    with Project(project) as opened:
        opened.store.update("jobs", {"job_id": number}, **values)


def test_a_job_says_what_it_waits_for(call: Call, waiting: Path) -> None:
    reason = "GPU 0 is held by others: 2.1 of 80 GB free"
    change(waiting, 1, waiting_for=reason)
    assert call("jobs", cwd=waiting).out.splitlines()[-2].endswith(reason)
    assert f"  waits: {reason}\n" in call("jobs", "show", 1, cwd=waiting).out
    assert call("jobs", "show", 1, "--json", cwd=waiting).json["waiting_for"] == reason


def test_a_job_says_how_often_it_was_begun(call: Call, waiting: Path) -> None:
    change(waiting, 1, attempts=3, interruptions=1, status="running")
    shown = call("jobs", "show", 1, cwd=waiting).out
    assert "  attempt 3; went on 1 time by itself after an interruption\n" in shown
    told = call("jobs", "show", 1, "--json", cwd=waiting).json
    assert (told["attempts"], told["interruptions"]) == (3, 1)
    assert call("jobs", cwd=waiting).out.splitlines()[-2].endswith("attempt 3")


def test_a_job_says_what_was_made_smaller(call: Call, waiting: Path) -> None:
    reason = "the memory ran out: batches of 8 instead of 16"
    change(waiting, 1, status="done", result={"adjustments": [reason]})
    assert f"  {reason}\n" in call("jobs", "show", 1, cwd=waiting).out
    assert call("jobs", cwd=waiting).out.splitlines()[-2].endswith(reason)


def test_a_job_says_which_gpus_it_holds(call: Call, waiting: Path) -> None:
    change(waiting, 1, handle={"devices": ["GPU-a"]})
    assert call("jobs", "show", 1, "--json", cwd=waiting).json["devices"] == ["GPU-a"]


def test_a_waiting_job_is_put_first_with_what_it_needs(call: Call, waiting: Path) -> None:
    told = call("jobs", "first", 2, cwd=waiting).out
    assert told == "job 2 (map): starts before all others that wait\n"
    assert [job["priority"] for job in call("jobs", "--json", cwd=waiting).json] == [1, 1]


def test_an_ended_job_cannot_be_put_first(call: Call, waiting: Path) -> None:
    change(waiting, 2, status="done")
    done = call("jobs", "first", 2, cwd=waiting)
    assert done.status == 2
    assert "the job is done; only a waiting one can be put first" in done.err


def test_a_wrong_device_is_answered_before_anything_is_submitted(call: Call, waiting: Path) -> None:
    done = call("embed", "--device", "gpu", cwd=waiting)
    assert (done.status, done.out) == (2, "")
    assert "'gpu' is no device" in done.err
    assert len(call("jobs", "--json", cwd=waiting).json) == 2


def test_a_log_is_that_of_the_folder_the_job_goes_on_in(call: Call, waiting: Path) -> None:
    folder = waiting / ".coldal" / "jobs" / "000009-embed"
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("an earlier attempt\n")
    change(waiting, 1, folder=".coldal/jobs/000009-embed", status="done")
    assert call("jobs", "logs", "-f", 1, cwd=waiting).out == "an earlier attempt\n"


def test_a_log_is_followed_until_the_job_ends(
    call: Call, waiting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written between two looks comes once, and nothing of the last words is lost."""
    log = waiting / ".coldal" / "jobs" / "000001-embed" / "log.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"first\nZ\xc3")
    change(waiting, 1, status="running")
    parts = iter([b"\xbcrich, half ", b"a line\n", b"last\n"])

    def meanwhile(_seconds: float) -> None:
        with log.open("ab") as stream:
            stream.write(part := next(parts))
        if part == b"last\n":
            change(waiting, 1, status="done")

    monkeypatch.setattr("coldal_tui.cli.jobs.time", SimpleNamespace(sleep=meanwhile))
    done = call("jobs", "logs", "-f", 1, cwd=waiting)
    assert (done.status, done.out) == (0, "first\nZürich, half a line\nlast\n")


def test_who_waits_for_a_job_is_told_what_it_waits_for(
    waiting: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from coldal_tui.cli.progress import JobProgress
    from coldal_tui.project.job_rows import get_job

    change(waiting, 1, waiting_for="GPU 0 runs job 7 (train)")
    with Project(waiting) as opened, JobProgress() as progress:
        for _ in range(3):
            progress.update(get_job(opened, 1), None)
    assert capsys.readouterr().err == "embed waits: GPU 0 runs job 7 (train)\n"
