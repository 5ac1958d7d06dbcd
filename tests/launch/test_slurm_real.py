"""Jobs on a real Slurm: submitted, followed, cancelled, out of time, preempted, alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from coldal_launch import cluster_poll
from coldal_launch.slurm import SlurmBackend
from coldal_tui.project.job_rows import get_job, list_jobs
from coldal_tui.project.settings.config import edit_config
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.supervisor import Supervisor
from tests.support.on_slurm import (
    SCANS,
    done_in_turn,
    finish,
    hurry,
    settings,
    squeue,
    start_daemon,
    step_until,
    until,
)
from tests.support.playing import forget_handle

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("slurm")]
SHARD = 4
"""Rows of a pretended shard: what an interruption may have done anew."""


@pytest.fixture
def supervise(slurm, project, pretended, monkeypatch):
    """Each call is a new supervisor that knows nothing of what the one before has seen."""
    monkeypatch.setattr(cluster_poll, "LATEST_S", 1.5)

    def make() -> Supervisor:
        backend = SlurmBackend()
        return Supervisor(project, lambda name: backend)

    return make


@pytest.fixture
def supervisor(supervise) -> Supervisor:
    return supervise()


def native_id(job) -> str:
    return (job.handle or {})["native_id"]


def coldal_tui(*words: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "coldal_tui", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr


def a_shard_redone_at_most(project, number: int) -> None:
    turns = done_in_turn(project, number)
    assert sorted(set(turns)) == [f"s{n:02d}" for n in range(SCANS)]
    assert len(turns) <= SCANS + SHARD


def test_a_job_is_submitted_followed_and_taken_in(project, supervisor, pretended) -> None:
    pretended.setenv("PRETEND_PAUSE_S", "0.1")
    settings(project, partition="'urgent'", time="'1:30:00'", cpus=1, extra="{ comment = 'hi' }")
    number = queue.submit(project, "embed")
    step_until(
        supervisor, lambda: get_job(project, number).folder.progress() is not None, "progress"
    )
    job = get_job(project, number)
    assert squeue("%i|%T|%P|%l|%C|%k|%Z") == [
        f"{native_id(job)}|RUNNING|urgent|1:30:00|1|hi|{job.folder.path}"
    ]
    finish(supervisor)
    job = get_job(project, number)
    assert (job.status, job.attempts) == ("done", 1)
    assert done_in_turn(project, number) == [f"s{n:02d}" for n in range(SCANS)]
    assert "embed done" in job.folder.log.read_text()


def test_a_job_that_waits_says_for_what_and_in_which_place(project, supervisor) -> None:
    other = subprocess.check_output(
        ["sbatch", "--parsable", "-c2", "-o/dev/null", "--wrap", "exec sleep 100"], text=True
    ).strip()
    until(lambda: squeue("%i %T") == [f"{other} RUNNING"], "the other's start")
    number = queue.submit(project, "embed")
    words = "no node is free"
    step_until(
        supervisor,
        lambda: (get_job(project, number).waiting_for or "").endswith(words),
        "the reason",
    )
    job = get_job(project, number)
    assert job.status == "running"
    assert job.waiting_for == f"in Slurm's queue as job {native_id(job)}: {words}"
    subprocess.run(["scancel", other], check=True)
    finish(supervisor)
    job = get_job(project, number)
    assert (job.status, job.waiting_for) == ("done", None)


def test_what_slurm_refuses_is_told_in_its_words(project, supervisor) -> None:
    settings(project, partition="'gone'")
    number = queue.submit(project, "embed")
    finish(supervisor)
    job = get_job(project, number)
    assert job.status == "failed"
    assert job.error is not None
    assert (job.error.what, job.error.where) == (
        "Slurm refuses the job: invalid partition specified: gone",
        "coldal.toml, [backend.slurm]",
    )


def test_a_job_ends_by_the_command_line_and_nothing_of_it_is_left(
    project, slurm, pretended
) -> None:
    pretended.setenv("PRETEND_PAUSE_S", "1")
    pretended.setenv("PRETEND_CHILD", "1")
    edit_config(project.layout.config, {("backend", "name"): "slurm"})
    coldal_tui("embed", project.root, "--detach")
    (job,) = list_jobs(project)
    until(lambda: job.folder.progress() is not None, "progress")
    worker = psutil.Process(job.folder.handle().pid)
    of_it = [worker, *worker.children(recursive=True)]
    assert len(of_it) == 2
    coldal_tui("jobs", project.root, "cancel", job.job_id)
    until(lambda: get_job(project, job.job_id).ended, "the end")
    job = get_job(project, job.job_id)
    assert (job.status, job.backend, job.error.code) == ("cancelled", "slurm", "cancelled")
    assert squeue() == []
    assert [process for process in of_it if process.is_running()] == []


def test_a_job_of_which_no_launcher_took_note_is_found_in_slurms_queue(
    project, supervisor, supervise, pretended
) -> None:
    pretended.setenv("PRETEND_PAUSE_S", "0.2")
    number = queue.submit(project, "embed")
    supervisor.step()
    forget_handle(project, number)
    another = supervise()
    another.step()
    assert native_id(get_job(project, number)) == squeue("%i")[0]
    finish(another)
    job = get_job(project, number)
    assert (job.status, job.attempts) == ("done", 1)


def test_out_of_time_a_job_is_queued_again_and_goes_on(
    project, supervisor, pretended, no_more_pauses
) -> None:
    # Slurm looks every 30 s whose time is nearly over: the job has to take longer.
    pretended.setenv("PRETEND_PAUSE_S", "2")
    settings(project, time=1, signal_s=30)
    number = queue.submit(project, "embed")
    supervisor.step()
    native = native_id(get_job(project, number))
    with hurry():
        step_until(supervisor, lambda: "BeginTime" in squeue("%r"), "its being queued again", 90)
        no_more_pauses()
        assert "told to end" in get_job(project, number).folder.log.read_text()
        finish(supervisor, 200)
    job = get_job(project, number)
    assert (job.status, job.attempts, job.interruptions) == ("done", 1, 0)
    assert native_id(job) == native
    a_shard_redone_at_most(project, number)


def test_a_job_that_is_out_of_time_too_often_ends_and_says_so(
    project, supervisor, pretended
) -> None:
    pretended.setenv("PRETEND_PAUSE_S", "3")
    settings(project, time=1, signal_s=30, timeouts=0)
    number = queue.submit(project, "embed")
    finish(supervisor, 120)
    job = get_job(project, number)
    assert job.status == "failed"
    assert job.error is not None
    assert (job.error.what, job.error.code) == (
        "the job ran out of its time on Slurm once",
        "out-of-time",
    )


def test_a_job_that_makes_room_for_an_urgent_one_goes_on_after_it(
    project, supervisor, pretended, no_more_pauses
) -> None:
    pretended.setenv("PRETEND_PAUSE_S", "0.5")
    settings(project, partition="'main'")
    number = queue.submit(project, "embed")
    folder = get_job(project, number).folder
    step_until(supervisor, lambda: (folder.path / "shard-00001.json").exists(), "two shards")
    subprocess.run(
        ["sbatch", "-purgent", "-c2", "-o/dev/null", "--wrap", "exec sleep 4"], check=True
    )
    step_until(supervisor, lambda: any(" PENDING " in row for row in squeue()), "preemption")
    no_more_pauses()
    assert not folder.told
    with hurry():
        finish(supervisor, 120)
    job = get_job(project, number)
    assert (job.status, job.attempts) == ("done", 1)
    a_shard_redone_at_most(project, number)


def test_an_embedding_is_shared_by_the_tasks_of_an_array_one_of_which_is_killed(
    project, supervisor, pretended, no_more_pauses
) -> None:
    pretended.setenv("PRETEND_PAUSE_S", "0.4")
    settings(project, array=2, cpus=1)
    number = queue.submit(project, "embed")
    folder = get_job(project, number).folder
    parts = folder.path / "parts"
    step_until(supervisor, lambda: (parts / "1" / "shard-00000.json").exists(), "a part's shard")
    job = get_job(project, number)
    array = [row for row in squeue("%i %T %j") if row.endswith("-parts")]
    assert [row.split()[0].partition("_")[2] for row in array] == ["0", "1"]
    assert job.waiting_for == f"Slurm's job {native_id(job)} waits for 2 of its 2 parts"
    subprocess.run(["scancel", array[1].split()[0]], check=True)
    no_more_pauses()
    finish(supervisor)
    job = get_job(project, number)
    assert (job.status, job.attempts, job.result["embedded"]) == ("done", 1, SCANS)
    assert not parts.exists()


def test_a_killed_worker_is_an_interruption_and_its_job_is_submitted_again(
    project, supervisor, pretended, no_more_pauses
) -> None:
    pretended.setenv("PRETEND_PAUSE_S", "0.2")
    number = queue.submit(project, "embed")
    folder = get_job(project, number).folder
    step_until(supervisor, lambda: (folder.path / "shard-00001.json").exists(), "two shards")
    first = native_id(get_job(project, number))
    handle = folder.handle()
    assert handle is not None
    os.kill(handle.pid, signal.SIGKILL)
    no_more_pauses()
    finish(supervisor)
    job = get_job(project, number)
    assert (job.status, job.attempts, job.interruptions) == ("done", 2, 1)
    assert native_id(job) != first
    a_shard_redone_at_most(project, number)


def test_someones_scancel_is_respected(project, supervisor, pretended) -> None:
    pretended.setenv("PRETEND_PAUSE_S", "1")
    number = queue.submit(project, "embed")
    folder = get_job(project, number).folder
    step_until(supervisor, lambda: folder.progress() is not None, "progress")
    subprocess.run(["scancel", native_id(get_job(project, number))], check=True)
    finish(supervisor)
    job = get_job(project, number)
    assert (job.status, job.attempts) == ("failed", 1)
    assert job.error is not None
    assert job.error.what == f"someone has cancelled Slurm's job {native_id(job)}"


def test_while_slurm_is_silent_nothing_is_lost_or_run_twice(
    project, supervisor, slurm: Path, pretended
) -> None:
    pretended.setenv("PRETEND_PAUSE_S", "0.3")
    number = queue.submit(project, "embed")
    folder = get_job(project, number).folder
    step_until(supervisor, lambda: folder.progress() is not None, "progress")
    os.kill(int((slurm / "slurmctld.pid").read_text()), signal.SIGTERM)
    try:
        words = "Slurm does not answer (squeue: "
        step_until(
            supervisor,
            lambda: (get_job(project, number).waiting_for or "").startswith(words),
            "its being told",
        )
        step_until(supervisor, lambda: folder.told, "the worker's end")
        supervisor.step()
        assert get_job(project, number).status == "running"
    finally:
        start_daemon("slurmctld")
    finish(supervisor)
    job = get_job(project, number)
    assert (job.status, job.attempts) == ("done", 1)
    assert done_in_turn(project, number) == [f"s{n:02d}" for n in range(SCANS)]


def test_the_command_line_knows_the_backend(project, slurm, pretended) -> None:
    edit_config(project.layout.config, {("backend", "name"): "slurm"})
    coldal_tui("embed", project.root)
    (job,) = list_jobs(project)
    assert (job.status, job.backend) == ("done", "slurm")
    assert sorted(done_in_turn(project, job.job_id)) == [f"s{n:02d}" for n in range(SCANS)]
