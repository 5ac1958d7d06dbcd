"""Changes one after the other, reads beside them, and a way to cancel."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.project.project import Project
from coldal_tui.tui.pane import Progress
from coldal_tui.tui.shell.tasks import Cancelled, Task, Tasks

WITHIN_S = 300.0


@pytest.fixture
def tasks(queued: Path) -> Iterator[Tasks]:
    made = Tasks(queued, readonly=False, moved=lambda task: None)
    yield made
    made.stop()


def test_changes_run_in_the_order_they_were_asked_for(tasks: Tasks) -> None:
    answers: Queue[Any] = Queue()
    first = threading.Event()

    def slow(project: Project, progress: Progress) -> str:
        first.wait(WITHIN_S)
        return "one"

    tasks.change("one", slow, answers.put, answers.put)
    tasks.change("two", lambda project, progress: "two", answers.put, answers.put)
    assert tasks.busy
    first.set()
    assert [answers.get(timeout=WITHIN_S) for _ in range(2)] == ["one", "two"]


def test_a_failure_is_handed_over_and_the_next_change_runs(tasks: Tasks) -> None:
    answers: Queue[Any] = Queue()

    def fail(project: Project, progress: Progress) -> None:
        raise ColdalError("no")

    tasks.change("fail", fail, answers.put, answers.put)
    tasks.change("two", lambda project, progress: 2, answers.put, answers.put)
    assert isinstance(answers.get(timeout=WITHIN_S), ColdalError)
    assert answers.get(timeout=WITHIN_S) == 2


def test_a_cancelled_change_ends_at_its_next_step(tasks: Tasks) -> None:
    answers: Queue[Any] = Queue()
    begun = threading.Event()

    def work(project: Project, progress: Progress) -> None:
        begun.set()
        for number in range(100_000_000):
            try:
                progress(number, 0, "")
            except Exception as error:  # what isolates bad files must not swallow it
                raise AssertionError from error

    tasks.change("endless", work, answers.put, answers.put)
    begun.wait(WITHIN_S)
    assert tasks.current is not None
    tasks.current.cancel.set()
    assert isinstance(answers.get(timeout=WITHIN_S), Cancelled)


def test_progress_is_told(queued: Path) -> None:
    told: Queue[Task | None] = Queue()
    tasks = Tasks(queued, readonly=False, moved=told.put)
    done = threading.Event()

    def work(project: Project, progress: Progress) -> None:
        progress(3, 4, "c.png")

    tasks.change("import", work, lambda _: done.set(), lambda _: done.set())
    done.wait(WITHIN_S)
    tasks.stop()
    seen = [told.get(timeout=WITHIN_S) for _ in range(3)]
    assert seen[2] is None
    assert seen[0] is not None
    assert (seen[0].title, seen[0].done, seen[0].total, seen[0].note) == ("import", 3, 4, "c.png")


def test_of_one_key_only_the_newest_read_is_answered(tasks: Tasks) -> None:
    answers: Queue[Any] = Queue()
    hold, entered = threading.Event(), threading.Event()

    def old(project: Project) -> str:
        entered.set()
        hold.wait(WITHIN_S)
        return "old"

    tasks.read("scan", old, answers.put, answers.put)
    entered.wait(WITHIN_S)
    tasks.read("scan", lambda project: "new", answers.put, answers.put)
    assert answers.get(timeout=WITHIN_S) == "new"
    hold.set()
    tasks.read("other", lambda project: "other", answers.put, answers.put)
    assert answers.get(timeout=WITHIN_S) == "other"
    assert answers.empty()


def test_reads_can_not_write(tasks: Tasks) -> None:
    answers: Queue[Any] = Queue()

    def write(project: Project) -> None:
        project.store.update("queue", {"scan_id": "scan_0"}, status="skipped")

    tasks.read("write", write, answers.put, answers.put)
    error = answers.get(timeout=WITHIN_S)
    assert isinstance(error, ColdalError)
    assert "can't be written" in error.what
