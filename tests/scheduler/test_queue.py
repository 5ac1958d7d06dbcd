"""Submitting, cancelling and retrying jobs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coldal_tui.errors import UsageError
from coldal_tui.project.job_rows import (
    CANCELLED,
    DONE,
    FAILED,
    RUNNING,
    WAITING,
    get_job,
    list_jobs,
)
from coldal_tui.project.project import Project
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.recipes import first_queue
from tests.support.lab import Lab


def _end(project: Project, number: int, status: str, code: str = "crash") -> None:
    error = None if status == DONE else {"what": "it broke", "code": code}
    values = {} if error is None else {"error": error}
    assert queue.end(project, number, status, **values)


def test_a_submitted_job_waits_in_a_folder_of_its_own(project: Project) -> None:
    number = queue.submit(project, "embed", {"again": True})
    job = get_job(project, number)
    assert (job.status, job.request, job.depends_on) == ("waiting", {"again": True}, ())
    assert job.folder.path == project.layout.jobs / f"{number:06d}-embed"


def test_a_job_can_only_depend_on_jobs_that_exist(project: Project) -> None:
    with pytest.raises(UsageError, match="no such job") as caught:
        queue.submit(project, "map", depends_on=[7])
    assert caught.value.where == "job 7"
    assert list_jobs(project) == []


def test_jobs_are_listed_by_status_and_newest_first_cut(project: Project) -> None:
    numbers = [queue.submit(project, "embed") for _ in range(4)]
    _end(project, numbers[1], FAILED)
    _end(project, numbers[3], DONE)
    listed = list_jobs(project, (s for s in (WAITING, FAILED)))
    assert [job.job_id for job in listed] == [numbers[0], numbers[1], numbers[2]]
    assert [job.job_id for job in list_jobs(project, newest=2)] == numbers[2:]
    assert [j.job_id for j in list_jobs(project, (WAITING,), newest=1)] == [numbers[2]]


def test_a_waiting_job_is_cancelled_at_once(project: Project) -> None:
    number = queue.submit(project, "embed")
    job = queue.cancel(project, number)
    assert job.status == CANCELLED
    assert job.error is not None
    assert job.error.what == "cancelled before it started"


def test_cancelling_a_running_job_only_asks(project: Project) -> None:
    number = queue.submit(project, "embed")
    assert queue.start(project, number)
    job = queue.cancel(project, number)
    assert (job.status, job.cancel_asked) == (RUNNING, True)


def test_cancelling_an_ended_job_changes_nothing(project: Project) -> None:
    number = queue.submit(project, "embed")
    _end(project, number, DONE)
    before = get_job(project, number)
    assert queue.cancel(project, number) == before


def test_a_cancelled_job_does_not_start(project: Project) -> None:
    number = queue.submit(project, "embed")
    queue.cancel(project, number)
    assert not queue.start(project, number)
    assert get_job(project, number).status == CANCELLED


def test_a_job_ends_once(project: Project) -> None:
    number = queue.submit(project, "embed")
    _end(project, number, DONE)
    assert not queue.end(project, number, FAILED)
    assert get_job(project, number).status == DONE


def test_retry_reopens_the_job_and_what_broke_below_it(project: Project) -> None:
    embed = queue.submit(project, "embed")
    mapped = queue.submit(project, "map", depends_on=[embed])
    select = queue.submit(project, "select", depends_on=[mapped])
    other = queue.submit(project, "embed")
    _end(project, embed, DONE)
    _end(project, mapped, FAILED)
    _end(project, select, CANCELLED, "dependency")
    _end(project, other, FAILED)
    queue.retry(project, select)
    states = [job.status for job in list_jobs(project)]
    assert states == [DONE, WAITING, WAITING, FAILED]
    again = get_job(project, mapped)
    assert (again.error, again.ended_at, again.handle) == (None, None, None)


def test_retry_of_a_broken_job_lets_those_that_needed_it_wait_again(project: Project) -> None:
    train = queue.submit(project, "train")
    score = queue.submit(project, "score", depends_on=[train])
    select = queue.submit(project, "select", depends_on=[score])
    unwanted = queue.submit(project, "score", depends_on=[train])
    _end(project, train, FAILED)
    _end(project, score, CANCELLED, "dependency")
    _end(project, select, CANCELLED, "dependency")
    _end(project, unwanted, CANCELLED, "cancelled")
    queue.retry(project, train)
    states = [job.status for job in list_jobs(project)]
    assert states == [WAITING] * 3 + [CANCELLED]


@pytest.mark.parametrize("status", [WAITING, RUNNING, DONE])
def test_only_a_job_that_ended_badly_can_be_retried(project: Project, status: str) -> None:
    number = queue.submit(project, "embed")
    if status == RUNNING:
        queue.start(project, number)
    if status == DONE:
        _end(project, number, DONE)
    with pytest.raises(UsageError, match=f"the job is {status}"):
        queue.retry(project, number)


def test_an_unknown_job_is_a_wrong_call(project: Project) -> None:
    with pytest.raises(UsageError, match="no such job"):
        get_job(project, 99)


def _ask_at_once(root: Path, ready: threading.Barrier) -> list[int] | str:
    """What one of several people gets who all decided to pick the next batch."""
    with Project(root) as project:
        chain = first_queue(project)
        ready.wait(60)
        try:
            return queue.submit_chain(project, chain.steps, picks_round=chain.round)
        except UsageError as error:
            return error.what


def test_people_who_ask_for_a_batch_at_once_get_one_round(project: Project) -> None:
    ready = threading.Barrier(4)
    with ThreadPoolExecutor(4) as people:
        asked = [people.submit(_ask_at_once, project.root, ready) for _ in range(4)]
        answers = [each.result() for each in asked]
    assert sorted(map(str, answers)) == [str([1, 2, 3])] + 3 * ["a selection is under way (job 3)"]
    assert [job.kind for job in list_jobs(project)] == ["embed", "map", "select"]


def test_a_batch_that_another_picked_meanwhile_is_not_picked_twice(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.pictures("a", "b", "c", "d")
    project = lab.start()
    chain = first_queue(project)
    lab.embed(project)
    lab.map(project, {name: (float(n), 0.0) for n, name in enumerate("abcd")})
    lab.select(project, [("a", "medoid")], dict.fromkeys("abcd", 0))
    with pytest.raises(UsageError, match="round 0 was picked or taken back meanwhile"):
        queue.submit_chain(project, chain.steps, picks_round=chain.round)
    assert [job.status for job in list_jobs(project)] == [DONE] * 3
    lab.close()
