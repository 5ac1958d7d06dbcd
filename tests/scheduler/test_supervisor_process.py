"""The supervisor as a process: its lock, its life, and the waiting for jobs."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.files import try_lock
from coldal_tui.project.job_rows import Job, get_job
from coldal_tui.project.project import Project
from coldal_tui.scheduler import follow, queue
from coldal_tui.scheduler import supervisor as supervising
from coldal_tui.scheduler.supervisor import Supervisor, run, supervisor_running


def _failed_soon(project: Project) -> int:
    """A job that any supervisor ends at once: there is no such kind."""
    return queue.submit(project, "no-such-kind")


def test_an_idle_supervisor_goes_and_frees_its_lock(project: Project) -> None:
    assert run(project.root, tick_s=0.01, idle_s=0.05) == 0
    assert not supervisor_running(project.layout)


def test_a_supervisor_works_until_nothing_is_open(project: Project) -> None:
    number = _failed_soon(project)
    run(project.root, tick_s=0.01, idle_s=0.05)
    error = get_job(project, number).error
    assert error is not None
    assert error.what == "there is no job of the kind 'no-such-kind'"


def test_a_second_supervisor_waits_and_goes(project: Project, monkeypatch) -> None:
    monkeypatch.setattr(supervising, "LOCK_WAIT_S", 0.2)
    number = _failed_soon(project)
    with project.layout.supervisor_lock.open("ab") as first:
        assert try_lock(first)
        assert supervisor_running(project.layout)
        began = time.monotonic()
        assert run(project.root, tick_s=0.01, idle_s=0.05) == 0
        assert time.monotonic() - began >= 0.2
    assert get_job(project, number).status == "waiting"


def test_a_second_supervisor_takes_over_when_the_first_goes(project: Project) -> None:
    number = _failed_soon(project)
    first = project.layout.supervisor_lock.open("ab")
    assert try_lock(first)
    second = threading.Thread(target=run, args=(project.root, 0.01, 0.05))
    second.start()
    assert get_job(project, number).status == "waiting"
    first.close()
    second.join(timeout=600)
    assert not second.is_alive()
    assert get_job(project, number).status == "failed"


def test_trouble_does_not_count_as_idleness(project: Project, monkeypatch, capsys) -> None:
    number = _failed_soon(project)
    real, calls = Supervisor.step, []

    def shaky(self: Supervisor) -> bool:
        calls.append(1)
        if len(calls) <= 4:
            raise ColdalError("another process holds the project's database", code="busy")
        return real(self)

    monkeypatch.setattr(Supervisor, "step", shaky)
    # Four failures take 0.02 + … + 0.05 s: more than the idle time.
    run(project.root, tick_s=0.01, idle_s=0.04)
    assert get_job(project, number).status == "failed"
    assert capsys.readouterr().err.count("Traceback") == 4


def test_a_supervisor_that_only_fails_gives_up(project: Project, monkeypatch, capsys) -> None:
    monkeypatch.setattr(supervising, "MOST_FAILURES", 3)
    calls = []

    def broken(self: Supervisor) -> bool:
        calls.append(1)
        raise RuntimeError("a defect")

    monkeypatch.setattr(Supervisor, "step", broken)
    assert run(project.root, tick_s=0.001, idle_s=5) == 0
    assert len(calls) == 3
    capsys.readouterr()


@pytest.mark.e2e
def test_modules_in_the_projects_folder_are_not_imported(project: Project) -> None:
    (project.root / "psutil.py").write_text("raise SystemExit('imported from the project')")
    (project.root / "apsw.py").write_text("raise SystemExit('imported from the project')")
    number = _failed_soon(project)
    supervising.ensure_supervisor(project.layout)
    (job,) = _until_ended(project, number)
    assert job.error is not None
    assert "no job of the kind" in job.error.what
    _until_gone(project)


def _until_ended(project: Project, number: int, seconds: float = 600) -> list[Job]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job = get_job(project, number)
        if job.ended:
            return [job]
        time.sleep(0.05)
    raise AssertionError(project.layout.supervisor_log.read_text())


def _until_gone(project: Project, seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while supervisor_running(project.layout):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.e2e
def test_waiting_raises_what_the_job_failed_of(project: Project) -> None:
    seen: list[str] = []
    numbers = follow.submit_chain(project, [("no-such-kind", {}), ("embed", {})])
    with pytest.raises(ColdalError, match="no-such-kind: there is no job of the kind"):
        follow.wait_for(project, numbers, lambda job, progress: seen.append(job.status))
    assert seen[-1] == "failed"
    (second,) = _until_ended(project, numbers[1])
    assert second.status == "cancelled"
    _until_gone(project)


@pytest.mark.e2e
def test_a_supervisor_outlives_who_started_it(project: Project, tmp_path: Path) -> None:
    """The launcher ends at once; the job it submitted is dealt with all the same."""
    code = (
        "import sys; from pathlib import Path\n"
        "from coldal_tui.project.project import Project\n"
        "from coldal_tui.scheduler.follow import submit_chain\n"
        "project = Project(Path(sys.argv[1]))\n"
        "print(submit_chain(project, [('no-such-kind', {})])[0])\n"
        "import os; sys.stdout.flush(); os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(project.root)],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    (job,) = _until_ended(project, int(done.stdout))
    assert job.status == "failed"
    _until_gone(project)
