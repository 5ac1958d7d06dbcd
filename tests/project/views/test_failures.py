"""Failed jobs: which are told, and what the next step is before and after they were seen."""

from __future__ import annotations

from dataclasses import replace

from coldal_tui.project.hooks.running import HookEnd
from coldal_tui.project.job_rows import JobState
from coldal_tui.project.views.next_step import failed_jobs, failure_words
from coldal_tui.project.views.snapshot import take_snapshot
from coldal_tui.scheduler import queue
from coldal_tui.tui.drawing.glyphs import UNICODE
from coldal_tui.tui.jobs.text import hook_lines
from coldal_tui.tui.loop.seen_failures import SeenFailures


def job(number: int, kind: str, status: str, error: str | None = None) -> JobState:
    when = f"2026-01-01T00:{number:02d}:00+00:00"
    return JobState(number, kind, status, None, "", error, when, when)


def test_a_failure_is_told_until_its_work_is_begun_again() -> None:
    jobs = (job(1, "embed", "failed"), job(2, "map", "cancelled"), job(3, "train", "interrupted"))
    assert [one.job_id for one in failed_jobs(jobs)] == [3, 1]
    # Another kind of work does not mend it; the same kind does, even while it only waits.
    assert [one.job_id for one in failed_jobs((*jobs, job(4, "train", "done")))] == [1]
    assert [one.job_id for one in failed_jobs((*jobs, job(4, "embed", "waiting")))] == [3]
    assert [one.job_id for one in failed_jobs((*jobs, job(4, "embed", "cancelled")))] == [3, 1]


def test_a_failure_in_words() -> None:
    assert failure_words(job(1, "embed", "failed", "no CUDA device")) == (
        "embed failed: no CUDA device"
    )
    assert failure_words(job(1, "train", "interrupted")) == "train was interrupted"


def test_the_next_step_is_to_look_at_a_failure_then_to_go_on(lab) -> None:
    lab.pictures("a", "b")
    project = lab.start()
    queue.submit(project, "embed")
    project.store.update(
        "jobs", {"job_id": 1}, status="failed", ended_at=project.store.now(),
        error={"what": "no CUDA device"},
    )  # fmt: skip
    taken = take_snapshot(project)
    assert taken.next.text == "embed failed: no CUDA device"
    assert (taken.next.command, taken.next.action) == ("coldal-tui jobs logs 1", "failed")
    assert taken.then is not None
    assert taken.then.text == "embed 2 scans and pick the first queue"
    assert taken.as_json()["then"]["command"] == "coldal-tui select"

    seen = SeenFailures(None)
    assert seen.step(taken) == taken.next
    assert [one.job_id for one in seen.unseen(taken)] == [1]
    assert seen.see(taken)
    assert not seen.see(taken)
    assert seen.step(taken) == taken.then
    assert seen.unseen(taken) == ()
    assert SeenFailures(seen.state()).step(taken) == taken.then
    assert SeenFailures("damaged").step(taken) == taken.next


def test_work_that_was_begun_and_done_since_is_not_held_up(lab) -> None:
    lab.pictures("a", "b")
    project = lab.start()
    queue.submit(project, "simulate")
    project.store.update(
        "jobs", {"job_id": 1}, status="failed", ended_at="2020-01-01T00:00:00+00:00"
    )
    assert take_snapshot(project).next.action == "failed"
    queue.submit(project, "embed")
    project.store.update("jobs", {"job_id": 2}, status="done", ended_at=project.store.now())
    taken = take_snapshot(project)
    assert taken.next.action == "select"
    assert [one.kind for one in taken.failed] == ["simulate"]


def test_only_failures_that_are_not_old_news_are_told(lab) -> None:
    lab.pictures("a")
    project = lab.start()
    taken = replace(take_snapshot(project), jobs=(job(1, "embed", "failed"),))
    assert [one.kind for one in taken.failed] == ["embed"]


def test_a_failed_hook_is_the_next_step_until_it_was_looked_at(lab) -> None:
    lab.pictures("a", "b")
    plain = take_snapshot(lab.start())
    hook = HookEnd("masks_in", "2026-03-05T14:02:00+00:00", "exit status 3: no server")
    taken = replace(plain, hooks=(hook,))
    seen = SeenFailures(None)
    step = seen.step(taken)
    assert (step.action, step.text) == (
        "hook",
        "the program of masks_in failed: exit status 3: no server",
    )
    assert seen.see(taken)
    assert seen.step(taken) == taken.next
    again = SeenFailures(seen.state())
    assert again.step(taken) == taken.next
    # It failed once more: that is news.
    later = replace(plain, hooks=(replace(hook, at="2026-03-05T15:00:00+00:00"),))
    assert again.step(later).action == "hook"
    (line,) = hook_lines(taken.hooks, UNICODE)
    assert line.plain == ("✗ program of masks_in failed 2026-03-05 14:02: exit status 3: no server")
