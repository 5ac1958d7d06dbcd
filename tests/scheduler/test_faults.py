"""Kills, hang-ups, stops, clock jumps, a full disk: nothing is lost, nothing runs twice.

Real supervisors and workers; only the steps are pretended.
"""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coldal_tui.project.job_rows import get_job, list_jobs
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.follow import revive, submit_chain
from coldal_tui.scheduler.supervisor import ensure_supervisor, supervisor_running
from tests.support.processes import (
    PRETENDED,
    ended,
    nothing_left,
    processes_of,
    supervisors,
    until,
    workers,
)

pytestmark = pytest.mark.e2e

SCANS = 20
SHARD = 4


@pytest.fixture
def many(empty_project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project of twenty pictures whose pretended embedding takes a second, in five shards."""
    for number in range(SCANS):
        pixels = np.full((4, 4), number, np.uint8)
        Image.fromarray(pixels).save(empty_project.images / f"s{number:02d}.png")
    reindex(empty_project)
    monkeypatch.setenv("PYTHONPATH", str(PRETENDED))
    monkeypatch.setenv("PRETEND_STEPS", "1")
    monkeypatch.setenv("PRETEND_PAUSE_S", "0.05")
    with nothing_left(empty_project):
        yield empty_project


def submit(project: Project) -> int:
    """An embedding that is under way: it has its first shard."""
    (number,) = submit_chain(project, [("embed", {})])
    folder = get_job(project, number).folder.path
    until((folder / "shard-00000.json").exists, "the first shard")
    return number


def times_worked(project: Project, number: int) -> Counter[str]:
    """How often each scan was worked on."""
    lines = (get_job(project, number).folder.path / "work.txt").read_text().splitlines()
    return Counter(line.split()[1] for line in lines)


def vectors(project: Project) -> dict[str, list[float]]:
    rows = project.store.rows(
        "SELECT e.scan_id, e.shard_row, s.file FROM embeddings e "
        "JOIN shards s ON s.shard_id = e.shard_id ORDER BY e.scan_id"
    )
    return {
        r["scan_id"]: np.load(project.file_of(r["file"]))[r["shard_row"]].tolist() for r in rows
    }


def expected(project: Project) -> dict[str, list[float]]:
    sys.path.insert(0, str(PRETENDED))
    try:
        from steps import vector
    finally:
        sys.path.remove(str(PRETENDED))
    return {scan.scan_id: vector(scan.scan_id).tolist() for scan in project.scans()}


def check_whole(project: Project, number: int) -> None:
    """Done, every vector as it has to be, and at most one shard made twice."""
    assert ended(project, number).status == "done"
    assert vectors(project) == expected(project)
    worked = times_worked(project, number)
    assert sum(worked.values()) - SCANS <= SHARD


def test_a_killed_supervisor_is_replaced_and_the_worker_goes_on(many: Project) -> None:
    number = submit(many)
    (supervisor,) = supervisors(many)
    supervisor.kill()
    until(lambda: not supervisor_running(many.layout), "the lock to be free")
    assert len(workers(many)) == 1
    revive(many)
    check_whole(many, number)
    assert get_job(many, number).attempts == 1
    assert set(times_worked(many, number).values()) == {1}


def test_while_no_supervisor_lives_a_worker_ends_its_work(many: Project) -> None:
    number = submit(many)
    supervisors(many)[0].kill()
    until(get_job(many, number).folder.receipt_file.exists, "the receipt")
    assert get_job(many, number).status == "running"
    revive(many)
    check_whole(many, number)


def test_a_killed_worker_goes_on_after_its_last_shard(many: Project) -> None:
    number = submit(many)
    workers(many)[0].kill()
    check_whole(many, number)
    job = get_job(many, number)
    assert (job.attempts, job.interruptions) == (2, 1)


def test_supervisor_and_worker_killed_at_once(many: Project) -> None:
    number = submit(many)
    for process in (*supervisors(many), *workers(many)):
        process.kill()
    until(lambda: not processes_of(many), "their end")
    assert get_job(many, number).status == "running"
    revive(many)
    check_whole(many, number)
    assert get_job(many, number).attempts == 2


def test_a_killed_workers_children_are_ended(many: Project, monkeypatch) -> None:
    monkeypatch.setenv("PRETEND_CHILD", "1")
    number = submit(many)
    (worker,) = workers(many)
    (child,) = worker.children()
    worker.kill()
    until(lambda: not child.is_running(), "the child's end", 10)
    monkeypatch.delenv("PRETEND_CHILD")
    check_whole(many, number)


def test_a_stopped_worker_is_neither_dead_nor_run_twice(many: Project) -> None:
    number = submit(many)
    (worker,) = workers(many)
    worker.send_signal(signal.SIGSTOP)
    time.sleep(2.5)
    assert workers(many) == [worker]
    job = get_job(many, number)
    told = f"stopped by a signal; kill -CONT {worker.pid} lets it go on"
    assert (job.status, job.waiting_for) == ("running", told)
    worker.send_signal(signal.SIGCONT)
    check_whole(many, number)
    assert get_job(many, number).attempts == 1


def test_a_stopped_worker_is_cancelled_without_the_grace(many: Project) -> None:
    number = submit(many)
    (worker,) = workers(many)
    worker.send_signal(signal.SIGSTOP)
    queue.cancel(many, number)
    began = time.monotonic()
    assert ended(many, number).status == "cancelled"
    assert time.monotonic() - began < 8
    until(lambda: not worker.is_running(), "the worker's end")


@pytest.mark.parametrize("jump", [-30 * 86400, 30 * 86400])
def test_a_jump_of_the_clock_changes_nothing(many: Project, monkeypatch, jump: int) -> None:
    monkeypatch.setenv("PRETEND_CLOCK", str(jump))
    number = submit(many)
    (worker,) = workers(many)
    os.utime(get_job(many, number).folder.heartbeat, (5, 5))
    check_whole(many, number)
    assert get_job(many, number).attempts == 1
    assert not worker.is_running()


def test_a_job_of_an_earlier_boot_goes_on(many: Project) -> None:
    """Its pid may be anyone's after the reboot: that process is left alone."""
    number = submit(many)
    for process in (*supervisors(many), *workers(many)):
        process.kill()
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)
    handle = get_job(many, number).handle or {}
    with many.store.transaction():
        earlier = handle | {"boot_id": "before", "pid": stranger.pid}
        many.store.update("jobs", {"job_id": number}, handle=earlier)
    until(lambda: not supervisor_running(many.layout), "the lock to be free")
    revive(many)
    try:
        check_whole(many, number)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_full_disk_fails_the_job_and_a_retry_ends_it(many: Project, monkeypatch) -> None:
    """No file may grow beyond 40 KB: the log and small notes still work, no shard does."""
    monkeypatch.setenv("PRETEND_DISK", "40000")
    (number,) = submit_chain(many, [("embed", {})])
    job = ended(many, number)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "disk"
    assert (job.error.where or "").endswith("shard-00000.npy")
    until(lambda: not processes_of(many), "the supervisor's end")
    assert [path.name for path in job.folder.path.glob("*.tmp")] == []
    monkeypatch.delenv("PRETEND_DISK")
    queue.retry(many, number)
    ensure_supervisor(many.layout)
    check_whole(many, number)


SUBMITTER = """
import sys
from pathlib import Path
from coldal_tui.scheduler.follow import submit_chain, wait_for
from coldal_tui.project.project import Project
project = Project(Path(sys.argv[1]))
wait_for(project, submit_chain(project, [("embed", {})]), lambda job, progress: None)
"""


def _first_job(project: Project) -> int:
    until(lambda: bool(list_jobs(project)), "the job")
    folder = list_jobs(project)[0].folder.path
    until((folder / "shard-00000.json").exists, "the first shard")
    return list_jobs(project)[0].job_id


def test_a_killed_submitter_takes_nothing_with_it(many: Project) -> None:
    submitter = subprocess.Popen([sys.executable, "-c", SUBMITTER, str(many.root)])
    number = _first_job(many)
    submitter.kill()
    submitter.wait()
    check_whole(many, number)
    assert get_job(many, number).attempts == 1


def test_a_hang_up_of_the_terminal_takes_nothing_with_it(many: Project) -> None:
    """As when an SSH line breaks: the terminal's whole foreground group hears SIGHUP."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", SUBMITTER, str(many.root)])
    number = _first_job(many)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGHUP
    check_whole(many, number)
    assert get_job(many, number).attempts == 1


def test_two_supervisors_at_once_run_no_job_twice(many: Project) -> None:
    (number,) = submit_chain(many, [("embed", {})])
    for _ in range(3):
        ensure_supervisor(many.layout)
    # They are started although one runs: as if two submitters had both seen the lock free.
    extra = [
        subprocess.Popen(
            [sys.executable, "-P", "-m", "coldal_tui.scheduler.supervisor", str(many.root)],
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    check_whole(many, number)
    assert set(times_worked(many, number).values()) == {1}
    for process in extra:
        process.wait(timeout=600)
    assert Path(many.layout.supervisor_log).read_text() == ""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB, in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk, and not everywhere")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_on_a_disk_that_is_full_to_the_brim_no_job_is_lost(small_disk: Path, many: Project) -> None:
    """Worker, database and logs all lack room; when there is some again, the job ends well."""
    with Project.create(small_disk / "project", many.images) as project, nothing_left(project):
        reindex(project)
        number = submit(project)
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
            while True:
                stream.write(bytes(4096))
        until(lambda: not workers(project), "the worker to run out of room")
        time.sleep(1)
        ballast.unlink()
        revive(project)
        job = ended(project, number)
        if job.status != "done":
            assert job.error is not None
            assert job.error.code == "disk"
            until(lambda: not processes_of(project), "the supervisor's end")
            queue.retry(project, number)
            ensure_supervisor(project.layout)
        assert ended(project, number).status == "done"
        assert vectors(project) == expected(project)
