"""What a supervisor costs while it waits for a long job, and how soon a job starts."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from coldal_tui.project.job_rows import get_job
from coldal_tui.project.project import Project
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.follow import submit_chain
from tests.support.processes import PRETENDED, ended, nothing_left, supervisors, until

WINDOW_S = 4.0
MOST_MB = 40
MOST_CPU = 0.03
"""Three times what is promised: the processor is shared with other tests."""
HEAVY = "numpy", "rich", "textual", "click", "nibabel", "torch"


@pytest.fixture
def long_job(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """An embedding whose first scan takes a minute."""
    monkeypatch.setenv("PYTHONPATH", str(PRETENDED))
    monkeypatch.setenv("PRETEND_STEPS", "1")
    monkeypatch.setenv("PRETEND_PAUSE_S", "60")
    with nothing_left(project):
        (number,) = submit_chain(project, [("embed", {})])
        folder = get_job(project, number).folder
        until(lambda: "embed starts" in "".join(folder.log_tail()), "the job's start")
        yield number
        queue.cancel(project, number)
        ended(project, number)


@pytest.mark.e2e
def test_memory_and_processor_while_a_job_runs(project: Project, long_job: int) -> None:
    (supervisor,) = supervisors(project)
    time.sleep(0.5)
    before = supervisor.cpu_times()
    time.sleep(WINDOW_S)
    after = supervisor.cpu_times()
    spent = after.user + after.system - before.user - before.system
    assert supervisor.memory_info().rss < MOST_MB * 2**20
    assert spent < MOST_CPU * WINDOW_S


@pytest.mark.e2e
def test_a_supervisor_hears_of_a_new_job_at_once(project: Project, long_job: int) -> None:
    """By the database, without being told."""
    began = time.monotonic()
    number = queue.submit(project, "map")
    until(lambda: get_job(project, number).waiting_for is not None, "a word on the new job")
    assert time.monotonic() - began < 1.0
    assert get_job(project, number).waiting_for == f"the CPU runs job {long_job} (embed)"
    queue.cancel(project, number)


def test_a_supervisor_loads_nothing_that_it_does_not_need() -> None:
    code = (
        "import sys, coldal_tui.scheduler.supervisor, coldal_launch.local, "
        "coldal_tui.project.labels.files\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_planning_a_later_round_does_not_load_numpy() -> None:
    code = (
        "import sys\n"
        "from coldal_tui.scheduler import plan_select, plan_train, request\n"
        "from coldal_tui.project.queue import candidates\n"
        "print([request.needs_of(name) for name in ('entropy-diversity', 'clasp-pe')])\n"
        "print('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[(), ('entropy', 'class_entropy')]", "False"]
