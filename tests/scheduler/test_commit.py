"""Receipts that the supervisor takes in, whole, damaged, twice, or after a crash."""

from __future__ import annotations

import apsw
import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.project.job_rows import get_job
from coldal_tui.scheduler import monitor, queue
from coldal_tui.scheduler.commit import commit_receipt
from tests.support.playing import AGAIN, error_of, forget_handle


def test_a_receipt_is_committed_and_says_what_failed(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.finish_embedding(failed="b")
    supervisor.step()
    job = get_job(project, number)
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
    stale = get_job(project, number)
    supervisor.step()
    audit = project.store.rows("SELECT * FROM audit")
    # What the other process saw before this one had committed.
    seen = [stale]
    real = get_job
    monkeypatch.setattr(
        "coldal_tui.scheduler.commit.get_job", lambda p, n: seen.pop() if seen else real(p, n)
    )
    commit_receipt(project, number)
    assert seen == []
    assert project.store.rows("SELECT * FROM audit") == audit


def test_a_commit_is_finished_where_a_crash_cut_it_off(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.finish_embedding()
    job = get_job(project, number)
    # The files were moved to their place, then the power went.
    target = project.layout.embeddings / ("e" * 16) / f"{number:06d}-shard-00000.npy"
    target.parent.mkdir()
    (job.folder.path / "shard-00000.npy").rename(target)
    supervisor.step()
    assert get_job(project, number).status == "done"


def test_without_a_handle_a_receipt_is_committed(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    forget_handle(project, number)
    backend.finish_embedding()
    supervisor.step()
    assert get_job(project, number).status == "done"


def test_a_changed_output_fails_the_job_and_a_retry_makes_it_anew(
    project, supervisor, backend
) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.finish_embedding()
    shard = backend.launched[-1].path / "shard-00000.npy"
    shard.write_bytes(shard.read_bytes()[:-1])
    supervisor.step()
    assert get_job(project, number).status == "failed"
    assert error_of(project, number).code == "receipt"
    assert error_of(project, number).where == str(shard)
    queue.retry(project, number)
    supervisor.step()
    assert len(backend.launched) == 2
    backend.finish_embedding()
    supervisor.step()
    assert get_job(project, number).status == "done"


def test_a_missing_output_fails_the_job(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.finish_embedding()
    (backend.launched[-1].path / "shard-00000.npy").unlink()
    supervisor.step()
    assert error_of(project, number).what == "an output of the job is missing"


def test_a_damaged_receipt_fails_its_job_and_the_next_one_starts(
    project, supervisor, backend
) -> None:
    number = queue.submit(project, "embed")
    queue.submit(project, "embed", AGAIN)
    supervisor.step()
    backend.launched[-1].receipt_file.write_text('{"half": ')
    backend.die()
    supervisor.step()
    assert error_of(project, number).code == "receipt"
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

    monkeypatch.setattr(monitor, "commit_receipt", broken)
    supervisor.step()
    assert get_job(project, number).status == "failed"
    assert "ZeroDivisionError: a defect" in error_of(project, number).what
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
        patch.setattr(monitor, "commit_receipt", full)
        supervisor.step()
    assert error_of(project, number).code == "disk"
    queue.retry(project, number)
    supervisor.step()
    assert get_job(project, number).status == "done"
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
        patch.setattr(monitor, "commit_receipt", held)
        with pytest.raises(type(busy)):
            supervisor.step()
    assert get_job(project, number).status == "running"
    supervisor.step()
    assert get_job(project, number).status == "done"


def test_a_running_job_does_not_fail_of_a_full_disk_under_the_database(
    project, supervisor, backend, monkeypatch
) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.queued = "queued in Slurm (Priority)"

    def full(*_: object, **__: object) -> None:
        raise ColdalError("the disk is full", where=str(project.store.path), code="disk")

    with monkeypatch.context() as patch:
        patch.setattr(project.store, "update", full)
        with pytest.raises(ColdalError, match="the disk is full"):
            supervisor.step()
    assert get_job(project, number).status == "running"
    supervisor.step()
    assert get_job(project, number).status == "running"
