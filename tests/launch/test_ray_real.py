"""Embedding on a real Ray cluster of two nodes: equal to this machine's, whatever dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from coldal_compute.embedding import embed
from coldal_launch.ray import RayBackend
from coldal_tui.jobs.folder import JobFolder
from coldal_tui.project.job_rows import Job, get_job
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.project.settings.config import edit_config
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.supervisor import Supervisor
from tests.support.on_ray import RayHere
from tests.support.on_slurm import finish, step_until, until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("ray")]
MANY = 2000
SIDE = 24


@pytest.fixture
def ray_here(ray_cluster: RayHere, monkeypatch: pytest.MonkeyPatch) -> RayHere:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", ray_cluster.address)
    return ray_cluster


@pytest.fixture
def pictures(tmp_path: Path) -> Iterator[Callable[[int], Project]]:
    """``pictures(n)``: a project of so many small pictures."""
    opened: list[Project] = []

    def make(count: int) -> Project:
        folder = tmp_path / "pictures"
        folder.mkdir()
        rng = np.random.default_rng(0)
        for number in range(count):
            pixels = rng.integers(0, 255, (SIDE, SIDE)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"s{number:04d}.png")
        project = Project.create(tmp_path / "project", folder)
        opened.append(project)
        reindex(project)
        edit_config(project.layout.config, {("backend", "threads"): 1})
        project.reload_config()
        return project

    yield make
    for project in opened:
        project.close()


def supervise(project: Project) -> Supervisor:
    backend = RayBackend()
    return Supervisor(project, lambda name: backend)


class Silent:
    def progress(self, done: float, total: float, message: str = "", **metrics: float) -> None:
        pass

    def log(self, message: str) -> None:
        pass


def embedded_here(job: Job, folder: Path) -> list[str]:
    """The SHA-256 of the shards that this process makes of the same specification, in order."""
    spec = job.folder.read_spec()
    here = JobFolder(folder)
    here.prepare(spec)
    result = embed(spec, folder, Silent()).result
    return [shard["sha256"] for shard in result["shards"]]


def committed(project: Project) -> list[str]:
    return [row["sha256"] for row in project.store.rows("SELECT sha256 FROM shards ORDER BY file")]


def test_two_thousand_pictures_are_embedded_as_here_though_a_node_dies(
    pictures, ray_here, tmp_path
) -> None:
    third = ray_here.add_node()
    project = pictures(MANY)
    number = queue.submit(project, "embed")
    supervisor = supervise(project)
    folder = get_job(project, number).folder
    step_until(supervisor, lambda: (p := folder.progress()) and p.done > 300, "some", 180)
    assert "3 actors on the Ray cluster, each on 1 CPU" in folder.log.read_text()
    ray_here.kill(third)
    finish(supervisor, 600)
    job = get_job(project, number)
    assert (job.status, job.attempts, job.result["embedded"]) == ("done", 1, MANY)
    assert "an actor died: " in folder.log.read_text()
    assert committed(project) == embedded_here(job, tmp_path / "here")


def test_a_killed_actor_costs_nothing_but_its_pieces(pictures, ray_here, tmp_path) -> None:
    project = pictures(300)
    number = queue.submit(project, "embed")
    supervisor = supervise(project)
    folder = get_job(project, number).folder
    step_until(supervisor, lambda: (p := folder.progress()) and p.done > 0, "some", 120)
    os.kill(actors()[0].pid, signal.SIGKILL)
    finish(supervisor, 300)
    job = get_job(project, number)
    assert (job.status, job.attempts, job.result["embedded"]) == ("done", 1, 300)
    assert committed(project) == embedded_here(job, tmp_path / "here")


def test_a_cancelled_job_leaves_nothing_on_the_cluster(pictures, ray_here) -> None:
    project = pictures(300)
    number = queue.submit(project, "embed")
    first = supervise(project)
    folder = get_job(project, number).folder
    step_until(first, lambda: (p := folder.progress()) and p.done > 0, "some", 120)
    queue.cancel(project, number)
    # Another supervisor, which knows of the job what the database knows.
    finish(supervise(project), 120)
    job = get_job(project, number)
    assert (job.status, job.error.code) == ("cancelled", "cancelled")
    assert not folder.worker_running()
    until(lambda: actors() == [], "the end of the actors")


def test_a_picture_that_cant_be_read_stops_nothing(pictures, ray_here) -> None:
    project = pictures(60)
    (project.images / "s0007.png").write_bytes(b"no picture")
    number = queue.submit(project, "embed")
    finish(supervise(project), 180)
    result = get_job(project, number).result
    assert result["embedded"] == 59
    assert [one["scan_id"] for one in result["failed"]] == ["s0007"]


def test_what_an_actor_lacks_is_told_as_on_this_machine(pictures, ray_here, tmp_path) -> None:
    project = pictures(20)
    number = queue.submit(project, "embed", {"device": "cuda"})
    finish(supervise(project), 180)
    error = get_job(project, number).error
    assert error is not None
    assert (error.what, error.code) == ("no node of the Ray cluster has a GPU", "device")


def actors() -> list[psutil.Process]:
    """The living actors of our jobs; Ray names an actor's process after its class."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cmdline()[:1] and process.cmdline()[0].startswith("ray::Worker"):
                found.append(process)
        except psutil.Error:
            continue
    return found
