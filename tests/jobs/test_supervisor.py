"""The supervisor, one step at a time, over a backend whose workers the test plays."""

from __future__ import annotations

import json

import apsw
import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.files import try_lock
from coldal_tui.jobs import queue
from coldal_tui.jobs import supervisor as supervising
from coldal_tui.jobs.commit import commit_receipt
from coldal_tui.jobs.folder import JobError
from coldal_tui.jobs.supervisor import LEASE_S, LINGER_S, Supervisor
from coldal_tui.project.project import Project

AGAIN = {"again": True}


def _statuses(project: Project) -> list[str]:
    return [job.status for job in queue.list_jobs(project)]


def _error(project: Project, number: int) -> JobError:
    error = queue.get_job(project, number).error
    assert error is not None
    return error


def test_jobs_start_in_order_and_one_at_a_time(project, supervisor, backend) -> None:
    for _ in range(3):
        queue.submit(project, "embed", AGAIN)
    assert supervisor.step()
    assert supervisor.step()
    assert backend.names == ["000001-embed"]
    backend.finish_embedding()
    assert supervisor.step()
    assert backend.names == ["000001-embed", "000002-embed"]
    assert _statuses(project) == ["done", "running", "waiting"]


def test_a_step_without_open_jobs_says_so(supervisor) -> None:
    assert supervisor.step() is False


def test_a_job_waits_for_what_it_depends_on(project, supervisor, backend) -> None:
    queue.submit(project, "embed", AGAIN)
    late = queue.submit(project, "embed", AGAIN)
    queue.submit(project, "embed", AGAIN, depends_on=[late])
    with project.store.transaction():
        project.store.update("jobs", {"job_id": 1}, depends_on=[late])
    supervisor.step()
    assert backend.names == ["000002-embed"]


def test_a_broken_dependency_ends_the_whole_chain_with_the_first_cause(
    project, supervisor, backend
) -> None:
    first = queue.submit(project, "embed")
    second = queue.submit(project, "map", depends_on=[first])
    third = queue.submit(project, "select", depends_on=[second])
    supervisor.step()
    backend.fail(JobError("the weights are gone", "w.pt", "put them back", "weights"))
    assert supervisor.step() is False
    assert _statuses(project) == ["failed", "cancelled", "cancelled"]
    expected = "job 1 (embed), which it needs, failed: the weights are gone"
    for number in (second, third):
        assert _error(project, number) == JobError(expected, "w.pt", "put them back", "dependency")


def test_a_receipt_is_committed_and_says_what_failed(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.finish_embedding(failed="b")
    supervisor.step()
    job = queue.get_job(project, number)
    assert job.status == "done"
    assert job.result["embedded"] == 3
    assert [one["scan_id"] for one in job.result["failed"]] == ["b"]
    (shard,) = project.store.rows("SELECT * FROM shards")
    assert project.file_of(shard["file"]).is_file()
    assert not (job.folder.path / "shard-00000.npy").exists()


def test_committing_twice_changes_nothing(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.finish_embedding()
    supervisor.step()
    before = [project.store.rows(f"SELECT * FROM {t}") for t in ("shards", "embeddings", "audit")]
    commit_receipt(project, number)
    after = [project.store.rows(f"SELECT * FROM {t}") for t in ("shards", "embeddings", "audit")]
    assert after == before


def test_of_two_commits_at_once_the_second_leaves_no_trace(
    project, supervisor, backend, monkeypatch
) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.finish_embedding()
    stale = queue.get_job(project, number)
    supervisor.step()
    audit = project.store.rows("SELECT * FROM audit")
    # What the other process saw before this one had committed.
    seen = [stale]
    real = queue.get_job
    monkeypatch.setattr(queue, "get_job", lambda p, n: seen.pop() if seen else real(p, n))
    commit_receipt(project, number)
    assert seen == []
    assert project.store.rows("SELECT * FROM audit") == audit


def test_a_commit_is_finished_where_a_crash_cut_it_off(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.finish_embedding()
    job = queue.get_job(project, number)
    # The files were moved to their place, then the power went.
    target = project.layout.embeddings / ("e" * 16) / f"{number:06d}-shard-00000.npy"
    target.parent.mkdir()
    (job.folder.path / "shard-00000.npy").rename(target)
    supervisor.step()
    assert queue.get_job(project, number).status == "done"


def test_a_worker_that_dies_without_a_word_is_interrupted_with_the_end_of_its_log(
    project, supervisor, backend
) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.launched[-1].log.write_text("embed starts\nSegmentation fault\n\n")
    backend.die()
    supervisor.step()
    assert queue.get_job(project, number).status == "interrupted"
    error = _error(project, number)
    assert error.what.endswith("last line of its log: Segmentation fault")
    assert error.remedy == f"coldal-tui jobs retry {number} goes on from where it was"
    # What it may have started is ended too, without waiting for it.
    assert backend.cancelled == [(1001, 0.0)]


def test_a_signal_that_nobody_here_sent_is_an_interruption(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.fail(JobError("the job was told to end", code="cancelled"))
    supervisor.step()
    assert queue.get_job(project, number).status == "interrupted"
    assert "told to end by a signal" in _error(project, number).what


def test_a_worker_that_fails_says_why(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    told = JobError("no such device", "cuda:3", "use cpu", "no-device")
    backend.fail(told)
    supervisor.step()
    assert queue.get_job(project, number).status == "failed"
    assert _error(project, number) == told


def test_a_retry_of_the_same_work_keeps_partial_results(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    folder = backend.launched[-1].path
    (folder / "half").write_text("done so far")
    backend.die()
    supervisor.step()
    queue.retry(project, number)
    supervisor.step()
    assert backend.launched[-1].path == folder
    assert (folder / "half").read_text() == "done so far"
    assert queue.get_job(project, number).attempts == 2


def test_a_retry_of_other_work_clears_them(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    (backend.launched[-1].path / "half").write_text("done so far")
    backend.die()
    supervisor.step()
    with project.store.transaction():
        project.store.update("scans", {"scan_id": "b"}, excluded="blurred")
    queue.retry(project, number)
    supervisor.step()
    assert not (backend.launched[-1].path / "half").exists()


def test_a_cancelled_job_is_ended_and_marked(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    queue.cancel(project, number)
    supervisor.step()
    assert backend.cancelled == [(1001, supervising.CANCEL_GRACE_S)]
    assert queue.get_job(project, number).status == "cancelled"
    assert _error(project, number).code == "cancelled"


def test_a_job_that_finishes_while_it_is_cancelled_is_done(
    project, supervisor, backend, monkeypatch
) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    queue.cancel(project, number)
    monkeypatch.setattr(backend, "cancel", lambda handle, grace: backend.finish_embedding())
    supervisor.step()
    assert queue.get_job(project, number).status == "done"


def test_a_job_cancelled_while_it_is_planned_never_starts(
    project, supervisor, backend, monkeypatch
) -> None:
    number = queue.submit(project, "embed")
    real = supervising.build_spec

    def plan(*arguments):
        queue.cancel(project, number)
        return real(*arguments)

    monkeypatch.setattr(supervising, "build_spec", plan)
    supervisor.step()
    assert backend.names == []
    assert queue.get_job(project, number).status == "cancelled"


def _forget_handle(project: Project, number: int) -> None:
    """As if the supervisor had died between the launch and its note of the handle."""
    with project.store.transaction():
        project.store.update("jobs", {"job_id": number}, handle=None)


def test_without_a_handle_the_jobs_lock_says_that_it_runs(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    _forget_handle(project, number)
    with backend.launched[-1].lock.open("ab") as worker:
        assert try_lock(worker)
        supervisor.step()
        assert queue.get_job(project, number).status == "running"
    supervisor.step()
    assert queue.get_job(project, number).status == "interrupted"


def test_without_a_handle_a_receipt_is_committed(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    _forget_handle(project, number)
    backend.finish_embedding()
    supervisor.step()
    assert queue.get_job(project, number).status == "done"


def test_a_changed_output_fails_the_job_and_a_retry_makes_it_anew(
    project, supervisor, backend
) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.finish_embedding()
    shard = backend.launched[-1].path / "shard-00000.npy"
    shard.write_bytes(shard.read_bytes()[:-1])
    supervisor.step()
    assert queue.get_job(project, number).status == "failed"
    assert _error(project, number).code == "receipt"
    assert _error(project, number).where == str(shard)
    queue.retry(project, number)
    supervisor.step()
    assert len(backend.launched) == 2
    backend.finish_embedding()
    supervisor.step()
    assert queue.get_job(project, number).status == "done"


def test_a_missing_output_fails_the_job(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.finish_embedding()
    (backend.launched[-1].path / "shard-00000.npy").unlink()
    supervisor.step()
    assert _error(project, number).what == "an output of the job is missing"


def test_a_damaged_receipt_fails_its_job_and_the_next_one_starts(
    project, supervisor, backend
) -> None:
    number = queue.submit(project, "embed")
    queue.submit(project, "embed", AGAIN)
    supervisor.step()
    backend.launched[-1].receipt_file.write_text('{"half": ')
    backend.die()
    supervisor.step()
    assert _error(project, number).code == "receipt"
    assert backend.names == ["000001-embed", "000002-embed"]


def test_a_commit_that_raises_fails_its_job_and_the_loop_goes_on(
    project, supervisor, backend, monkeypatch, capsys
) -> None:
    number = queue.submit(project, "embed")
    queue.submit(project, "embed", AGAIN)
    supervisor.step()
    backend.finish_embedding()

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(supervising, "commit_receipt", broken)
    supervisor.step()
    assert queue.get_job(project, number).status == "failed"
    assert "ZeroDivisionError: a defect" in _error(project, number).what
    assert "Traceback" in capsys.readouterr().err
    assert backend.names == ["000001-embed", "000002-embed"]


def test_after_a_full_disk_a_retry_takes_in_what_was_done(
    project, supervisor, backend, monkeypatch
) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.finish_embedding()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "project.db")

    with monkeypatch.context() as patch:
        patch.setattr(supervising, "commit_receipt", full)
        supervisor.step()
    assert _error(project, number).code == "disk"
    queue.retry(project, number)
    supervisor.step()
    assert queue.get_job(project, number).status == "done"
    assert len(backend.launched) == 1


@pytest.mark.parametrize(
    "busy", [ColdalError("another process holds it", code="busy"), apsw.BusyError("locked")]
)
def test_a_busy_database_is_no_jobs_fault(
    project, supervisor, backend, monkeypatch, busy: Exception
) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.finish_embedding()

    def held(*_: object) -> None:
        raise busy

    with monkeypatch.context() as patch:
        patch.setattr(supervising, "commit_receipt", held)
        with pytest.raises(type(busy)):
            supervisor.step()
    assert queue.get_job(project, number).status == "running"
    supervisor.step()
    assert queue.get_job(project, number).status == "done"


def test_a_project_that_is_not_ready_fails_the_job(project, supervisor, backend) -> None:
    number = queue.submit(project, "map")
    after = queue.submit(project, "embed")
    supervisor.step()
    assert _error(project, number).what == "no scan has been embedded yet"
    supervisor.step()
    assert queue.get_job(project, after).status == "running"


def test_a_plan_that_crashes_fails_its_job_and_the_loop_goes_on(
    project, supervisor, backend, capsys
) -> None:
    number = queue.submit(project, "map", {"seed": "seven"})
    queue.submit(project, "embed")
    _embed_directly(project, supervisor, backend)
    supervisor.step()
    assert queue.get_job(project, number).status == "failed"
    assert "ValueError" in _error(project, number).what
    capsys.readouterr()


def _embed_directly(project: Project, supervisor: Supervisor, backend) -> None:
    """Run job 2 (embed) before job 1."""
    with project.store.transaction():
        project.store.update("jobs", {"job_id": 1}, depends_on=[2])
    supervisor.step()
    backend.finish_embedding()
    supervisor.step()


def test_a_launch_that_raises_fails_the_job(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    backend.refuses = ColdalError("no free node", remedy="wait", code="slurm")
    supervisor.step()
    assert queue.get_job(project, number).status == "failed"
    assert _error(project, number) == JobError("no free node", None, "wait", "slurm")


def test_nothing_to_do_is_done_without_a_worker(project, supervisor, backend, embedded) -> None:
    embedded()
    number = queue.submit(project, "embed")
    supervisor.step()
    job = queue.get_job(project, number)
    assert (job.status, job.result) == ("done", {"nothing_to_do": True})
    assert backend.names == []


def test_an_unknown_backend_fails_its_job(project) -> None:
    with project.store.transaction():
        number = project.store.insert(
            "jobs",
            kind="embed",
            request={},
            status="waiting",
            depends_on=[],
            folder=".coldal/jobs/x",
            backend="nowhere",
            created_at="now",
        )
    Supervisor(project).step()
    assert _error(project, number).what == "no backend called 'nowhere'"


def test_a_worker_that_has_told_its_end_may_take_a_while_to_leave(
    project, supervisor, backend, clock
) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.finish_embedding()
    backend.living.add(1001)
    supervisor.step()
    clock.now = LINGER_S - 1
    supervisor.step()
    assert queue.get_job(project, number).status == "running"
    clock.now = LINGER_S
    supervisor.step()
    assert queue.get_job(project, number).status == "done"
    assert 1001 not in backend.living


def test_a_worker_on_another_machine_lives_while_its_heart_beats(
    project, supervisor, backend, clock
) -> None:
    backend.host = "another-machine"
    number = queue.submit(project, "embed")
    supervisor.step()
    heartbeat = backend.launched[-1].heartbeat
    heartbeat.touch()
    backend.die()
    supervisor.step()
    clock.now = LEASE_S - 1
    supervisor.step()
    assert queue.get_job(project, number).status == "running"
    import os

    os.utime(heartbeat, (5, 5))
    clock.now = 2 * LEASE_S
    supervisor.step()
    assert queue.get_job(project, number).status == "running"
    clock.now = 3 * LEASE_S
    supervisor.step()
    assert queue.get_job(project, number).status == "interrupted"


def test_the_handle_is_kept_for_the_next_supervisor(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    row = project.store.row("SELECT handle FROM jobs WHERE job_id = ?", (number,))
    assert row is not None
    assert json.loads(row["handle"])["pid"] == 1001
    other = Supervisor(project, lambda name: backend)
    backend.finish_embedding()
    other.step()
    assert queue.get_job(project, number).status == "done"
