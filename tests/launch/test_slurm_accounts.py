"""What a Slurm's accounts tell of a job that its controller has already forgotten."""

from __future__ import annotations

import subprocess

import pytest

from coldal_launch.slurm import SlurmBackend
from coldal_tui.project.job_rows import get_job
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.supervisor import Supervisor
from tests.support.on_slurm import finish, step_until, until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("slurm")]


def forgotten() -> bool:
    words = ["squeue", "-h", "--states=all"]
    return not subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_a_job_that_ended_while_nobody_looked_is_known_by_the_accounts(
    project, slurm_with_accounts, pretended
) -> None:
    pretended.setenv("PRETEND_PAUSE_S", "1")

    def supervise() -> Supervisor:
        backend = SlurmBackend()
        return Supervisor(project, lambda name: backend)

    number = queue.submit(project, "embed")
    folder = get_job(project, number).folder
    first = supervise()
    step_until(first, lambda: folder.progress() is not None, "progress")
    native = (get_job(project, number).handle or {})["native_id"]
    subprocess.run(["scancel", native], check=True)
    until(forgotten, "the controller's forgetting")
    finish(supervise())
    job = get_job(project, number)
    assert (job.status, job.attempts) == ("failed", 1)
    assert job.error is not None
    assert job.error.what == f"someone has cancelled Slurm's job {native}"
    assert f"Slurm: job {native} ended as CANCELLED by " in folder.log.read_text()
