"""Jobs that go on: after an interruption, with less memory, in the folder of an earlier job."""

from __future__ import annotations

import pytest

from coldal_tui.errors import UsageError
from coldal_tui.files import try_lock
from coldal_tui.jobs.folder import JobError
from coldal_tui.project.job_rows import get_job
from coldal_tui.project.project import Project
from coldal_tui.scheduler import queue
from tests.support.playing import error_of, set_backend, statuses, waiting_for

NO_MEMORY = JobError("out of memory: 2 GiB", code="out-of-memory")


def _interrupted(project: Project, supervisor, backend) -> int:
    number = queue.submit(project, "embed")
    supervisor.step()
    (backend.launched[-1].path / "half").write_text("done so far")
    backend.die()
    return number


def test_an_interrupted_job_goes_on_by_itself(project, supervisor, backend) -> None:
    number = _interrupted(project, supervisor, backend)
    assert supervisor.step()
    job = get_job(project, number)
    assert (job.status, job.attempts, job.interruptions) == ("running", 2, 1)
    assert [folder.path for folder in backend.launched] == [job.folder.path] * 2
    assert (job.folder.path / "half").read_text() == "done so far"
    assert "goes on after an interruption (1 of 2): the worker ended" in job.folder.log.read_text()


def test_it_goes_on_only_so_often(project, supervisor, backend) -> None:
    number = _interrupted(project, supervisor, backend)
    for _ in range(2):
        supervisor.step()
        backend.die()
    assert supervisor.step() is False
    job = get_job(project, number)
    assert (job.status, job.attempts) == ("interrupted", 3)
    assert error_of(project, number).code == "interrupted"


def test_a_retry_by_a_person_counts_from_the_beginning(project, supervisor, backend) -> None:
    set_backend(project, retries=1)
    number = _interrupted(project, supervisor, backend)
    for _ in range(2):
        supervisor.step()
        backend.die()
    assert statuses(project) == ["interrupted"]
    queue.retry(project, number)
    supervisor.step()
    backend.die()
    supervisor.step()
    job = get_job(project, number)
    assert (job.status, job.attempts) == ("running", 4)


def test_while_it_cannot_go_on_it_says_why_it_waits(project, supervisor, backend) -> None:
    _interrupted(project, supervisor, backend)
    backend.full = {"auto": "GPU 0 is held by others: 1.0 of 80 GB free"}
    supervisor.step()
    assert (statuses(project), waiting_for(project)) == (["waiting"], [backend.full["auto"]])


def test_a_job_that_failed_does_not_go_on_by_itself(project, supervisor, backend) -> None:
    queue.submit(project, "embed")
    supervisor.step()
    backend.fail(JobError("no such device", code="device"))
    assert supervisor.step() is False
    assert statuses(project) == ["failed"]


def test_out_of_memory_a_fresh_process_takes_half_the_batch(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    (backend.launched[-1].path / "half").write_text("done so far")
    backend.fail(NO_MEMORY)
    supervisor.step()
    job = get_job(project, number)
    assert (job.status, job.attempts, job.interruptions) == ("running", 2, 0)
    assert job.folder.fit().batch_size == 32
    assert job.folder.error() is None
    # Vectors don't depend on the batch: those that are there stay.
    assert (job.folder.path / "half").exists()
    assert "goes on with less: the memory ran out: batches of 32" in job.folder.log.read_text()


def test_out_of_memory_with_nothing_left_to_halve_the_job_fails(
    project, supervisor, backend
) -> None:
    number = queue.submit(project, "embed")
    for _ in range(7):  # 64 to 1
        supervisor.step()
        backend.fail(NO_MEMORY)
    assert supervisor.step() is False
    assert statuses(project) == ["failed"]
    assert error_of(project, number) == NO_MEMORY
    assert get_job(project, number).attempts == 7


def test_what_was_made_smaller_stays_so_when_the_job_goes_on(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.fail(NO_MEMORY)
    supervisor.step()
    backend.die()
    supervisor.step()
    assert get_job(project, number).folder.fit().batch_size == 32


def _cancelled(project: Project, supervisor, backend) -> int:
    number = queue.submit(project, "embed")
    supervisor.step()
    (backend.launched[-1].path / "half").write_text("done so far")
    queue.cancel(project, number)
    supervisor.step()
    assert statuses(project) == ["cancelled"]
    return number


def test_the_same_work_submitted_again_goes_on_where_it_was(project, supervisor, backend) -> None:
    first = _cancelled(project, supervisor, backend)
    again = queue.submit(project, "embed")
    supervisor.step()
    folder = get_job(project, again).folder
    assert folder == get_job(project, first).folder
    assert backend.launched[-1].path == folder.path
    assert (folder.path / "half").read_text() == "done so far"
    backend.finish_embedding()
    supervisor.step()
    assert statuses(project) == ["cancelled", "done"]


def test_other_work_begins_in_a_folder_of_its_own(project, supervisor, backend) -> None:
    _cancelled(project, supervisor, backend)
    with project.store.transaction():
        project.store.update("scans", {"scan_id": "b"}, excluded="blurred")
    queue.submit(project, "embed")
    supervisor.step()
    assert backend.names == ["000001-embed", "000002-embed"]


def test_what_a_failed_job_left_is_not_gone_on_with(project, supervisor, backend) -> None:
    """It may be what the job failed of."""
    queue.submit(project, "embed")
    supervisor.step()
    backend.fail(JobError("RuntimeError: the shard is torn", code="crash"))
    queue.submit(project, "embed")
    supervisor.step()
    assert backend.names == ["000001-embed", "000002-embed"]


def test_a_folder_is_taken_over_once(project, supervisor, backend) -> None:
    first = _cancelled(project, supervisor, backend)
    queue.submit(project, "embed")
    supervisor.step()
    with pytest.raises(UsageError, match="job 2 has taken over its work"):
        queue.retry(project, first)
    assert statuses(project) == ["cancelled", "running"]


def test_a_folder_whose_worker_still_lives_is_not_taken_over(project, supervisor, backend) -> None:
    _cancelled(project, supervisor, backend)
    queue.submit(project, "embed")
    with backend.launched[-1].lock.open("ab") as worker:
        assert try_lock(worker)
        supervisor.step()
    assert backend.names == ["000001-embed", "000002-embed"]


def test_work_that_was_finished_but_not_taken_in_is_taken_in(project, supervisor, backend) -> None:
    """The worker wrote its receipt, and its job ended badly over a full disk."""
    first = queue.submit(project, "embed")
    supervisor.step()
    backend.finish_embedding()
    with project.store.transaction():
        error = {"what": "the disk is full", "code": "disk"}
        project.store.update("jobs", {"job_id": first}, status="failed", error=error)
    queue.submit(project, "embed")
    supervisor.step()
    assert statuses(project) == ["failed", "done"]
    assert len(backend.launched) == 1
