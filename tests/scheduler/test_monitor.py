"""Running jobs that live, end, die, are cancelled, and go on."""

from __future__ import annotations

import json

from coldal_tui.files import try_lock
from coldal_tui.jobs.folder import JobError
from coldal_tui.project.job_rows import get_job
from coldal_tui.scheduler import monitor, queue
from coldal_tui.scheduler.monitor import LEASE_S, LINGER_S
from coldal_tui.scheduler.supervisor import Supervisor
from tests.support.playing import error_of, forget_handle, set_backend


def test_a_worker_that_dies_without_a_word_is_interrupted_with_the_end_of_its_log(
    project, supervisor, backend
) -> None:
    set_backend(project, retries=0)
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.launched[-1].log.write_text("embed starts\nSegmentation fault\n\n")
    backend.die()
    supervisor.step()
    assert get_job(project, number).status == "interrupted"
    error = error_of(project, number)
    assert error.what.endswith("last line of its log: Segmentation fault")
    assert error.remedy == f"coldal-tui jobs retry {number} goes on from where it was"
    # What it may have started is ended too, without waiting for it.
    assert backend.cancelled == [(1001, 0.0)]


def test_a_signal_that_nobody_here_sent_is_an_interruption(project, supervisor, backend) -> None:
    set_backend(project, retries=0)
    number = queue.submit(project, "embed")
    supervisor.step()
    backend.fail(JobError("the job was told to end", code="cancelled"))
    supervisor.step()
    assert get_job(project, number).status == "interrupted"
    assert "told to end by a signal" in error_of(project, number).what


def test_a_worker_that_fails_says_why(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    told = JobError("no such device", "cuda:3", "use cpu", "no-device")
    backend.fail(told)
    supervisor.step()
    assert get_job(project, number).status == "failed"
    assert error_of(project, number) == told


def test_a_retry_of_the_same_work_keeps_partial_results(project, supervisor, backend) -> None:
    set_backend(project, retries=0)
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
    assert get_job(project, number).attempts == 2


def test_a_retry_of_other_work_clears_them(project, supervisor, backend) -> None:
    set_backend(project, retries=0)
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
    assert backend.cancelled == [(1001, monitor.CANCEL_GRACE_S)]
    assert get_job(project, number).status == "cancelled"
    assert error_of(project, number).code == "cancelled"


def test_a_job_that_finishes_while_it_is_cancelled_is_done(
    project, supervisor, backend, monkeypatch
) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    queue.cancel(project, number)
    monkeypatch.setattr(backend, "cancel", lambda handle, grace: backend.finish_embedding())
    supervisor.step()
    assert get_job(project, number).status == "done"


def test_without_a_handle_the_jobs_lock_says_that_it_runs(project, supervisor, backend) -> None:
    set_backend(project, retries=0)
    number = queue.submit(project, "embed")
    supervisor.step()
    forget_handle(project, number)
    with backend.launched[-1].lock.open("ab") as worker:
        assert try_lock(worker)
        supervisor.step()
        assert get_job(project, number).status == "running"
    supervisor.step()
    assert get_job(project, number).status == "interrupted"


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
    assert get_job(project, number).status == "running"
    clock.now = LINGER_S
    supervisor.step()
    assert get_job(project, number).status == "done"
    assert 1001 not in backend.living


def test_a_worker_on_another_machine_lives_while_its_heart_beats(
    project, supervisor, backend, clock
) -> None:
    backend.host = "another-machine"
    set_backend(project, retries=0)
    number = queue.submit(project, "embed")
    supervisor.step()
    heartbeat = backend.launched[-1].heartbeat
    heartbeat.touch()
    backend.die()
    supervisor.step()
    clock.now = LEASE_S - 1
    supervisor.step()
    assert get_job(project, number).status == "running"
    import os

    os.utime(heartbeat, (5, 5))
    clock.now = 2 * LEASE_S
    supervisor.step()
    assert get_job(project, number).status == "running"
    clock.now = 3 * LEASE_S
    supervisor.step()
    assert get_job(project, number).status == "interrupted"


def test_the_handle_is_kept_for_the_next_supervisor(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    supervisor.step()
    row = project.store.row("SELECT handle FROM jobs WHERE job_id = ?", (number,))
    assert row is not None
    assert json.loads(row["handle"])["pid"] == 1001
    other = Supervisor(project, lambda name: backend)
    backend.finish_embedding()
    other.step()
    assert get_job(project, number).status == "done"


def test_a_worker_that_ends_while_memory_lacks_is_told_so(
    project, supervisor, backend, monkeypatch
) -> None:
    set_backend(project, retries=0)
    number = queue.submit(project, "embed")
    kills = [7]
    monkeypatch.setattr(monitor, "memory_kills", lambda: kills[0])
    supervisor.step()
    supervisor.step()
    kills[0] = 8
    backend.die()
    supervisor.step()
    what = error_of(project, number).what
    assert what.startswith(
        "the worker ended without a word; the system was ending processes for lack of memory"
    )
