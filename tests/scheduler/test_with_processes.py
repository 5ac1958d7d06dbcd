"""Supervisor, local backend and workers as real processes; only the steps are pretended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coldal_launch.local import LOOK_S, LocalBackend
from coldal_launch.nvml import Gpu
from coldal_tui.jobs.backend import Ask, Wait
from coldal_tui.project.job_rows import RUNNING, get_job, list_jobs
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.supervisor import Supervisor
from tests.support.playing import Clock, set_backend
from tests.support.processes import PRETENDED

pytestmark = pytest.mark.e2e

GB = 2**30


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Workers pretend; set PRETEND_… to say how."""
    monkeypatch.setenv("PYTHONPATH", str(PRETENDED))
    monkeypatch.setenv("PRETEND_STEPS", "1")
    return monkeypatch


@pytest.fixture
def many(empty_project: Project) -> Project:
    """A project of twenty pictures: five shards of pretended vectors."""
    for number in range(20):
        pixels = np.full((4, 4), number, np.uint8)
        Image.fromarray(pixels).save(empty_project.images / f"s{number:02d}.png")
    reindex(empty_project)
    return empty_project


def finish(supervisor: Supervisor, seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while supervisor.step():
        assert time.monotonic() < deadline, "the jobs don't come to their end"
        time.sleep(0.02)


Supervise = Callable[..., Supervisor]


@pytest.fixture
def supervise(many: Project, tmp_path: Path) -> Iterator[Supervise]:
    """A supervisor in this process over a local backend with the GPUs that the test names."""
    slots = tmp_path / "slots"
    slots.mkdir()
    backends: list[LocalBackend] = []

    def make(*gpus: Gpu) -> Supervisor:
        backends.append(LocalBackend(lambda: gpus, lambda: slots))
        return Supervisor(many, lambda name: backends[-1])

    yield make
    for job in list_jobs(many, (RUNNING,)):
        handle = backends[-1].find(job.folder.path)
        if handle is not None:
            backends[-1].cancel(handle, 0.0)


def _how(project: Project, number: int) -> dict[str, object]:
    found: dict[str, object] = json.loads(
        (get_job(project, number).folder.path / "how.json").read_text()
    )
    return found


def test_out_of_memory_the_batch_is_halved_until_it_fits(many, supervise, pretended) -> None:
    pretended.setenv("PRETEND_BATCH", "16")
    number = queue.submit(many, "embed")
    finish(supervise())
    job = get_job(many, number)
    assert (job.status, job.attempts) == ("done", 3)
    assert _how(many, number)["batch_size"] == 16
    assert job.result["adjustments"] == [
        "the memory ran out: batches of 32 instead of 64",
        "the memory ran out: batches of 16 instead of 32",
    ]


def test_out_of_memory_with_nothing_left_to_halve_is_told(many, supervise, pretended) -> None:
    pretended.setenv("PRETEND_BATCH", "0")
    number = queue.submit(many, "embed")
    finish(supervise())
    job = get_job(many, number)
    assert (job.status, job.attempts) == ("failed", 7)
    assert job.error is not None
    assert (job.error.code, job.error.what) == (
        "out-of-memory",
        "the GPU ran out of memory: CUDA out of memory. Tried to allocate 2.00 GiB.",
    )


def test_a_worker_on_a_gpu_sees_that_one_and_says_that_it_holds_it(
    many, supervise, pretended
) -> None:
    pretended.setenv("PRETEND_PAUSE_S", "0.05")
    number = queue.submit(many, "embed")
    supervisor = supervise(
        Gpu("0", "GPU-a", "H100", GB, 80 * GB), Gpu("1", "GPU-b", "H", 9 * GB, 9 * GB)
    )
    supervisor.step()
    job = get_job(many, number)
    assert (job.handle or {})["devices"] == ["GPU-b"]
    pid = int((job.handle or {})["pid"])
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert b"CUDA_VISIBLE_DEVICES=GPU-b" in environment
    finish(supervisor)
    assert _how(many, number)["device"] == "cuda"
    told = job.folder.handle()
    assert told is not None
    assert (told.pid, told.devices) == (pid, ("GPU-b",))


def test_a_gpu_is_free_for_other_projects_when_the_last_process_has_ended(
    many, supervise, pretended, tmp_path
) -> None:
    pretended.setenv("PRETEND_PAUSE_S", "0.05")
    gpu = Gpu("0", "GPU-a", "H100", 80 * GB, 80 * GB)
    queue.submit(many, "embed")
    supervisor = supervise(gpu)
    supervisor.step()
    another = LocalBackend(lambda: (gpu,), lambda: tmp_path / "slots")
    wait = another.room(Ask("train", "auto"), ())
    assert isinstance(wait, Wait)
    assert wait.reason == "GPU 0 runs a job of another project"
    finish(supervisor)
    assert another.room(Ask("train", "auto"), ()) is None


def test_two_workers_run_side_by_side_where_the_cpu_may(many, supervise, pretended) -> None:
    set_backend(many, cpu_jobs=2)
    pretended.setenv("PRETEND_PAUSE_S", "0.05")
    queue.submit(many, "embed")
    supervisor = supervise()
    finish(supervisor)
    queue.submit(many, "embed", {"again": True, "device": "cpu"})
    queue.submit(many, "map")
    supervisor.step()
    assert [job.status for job in list_jobs(many)] == ["done", "running", "running"]
    finish(supervisor)


def test_the_database_is_never_a_workers(many, supervise, pretended) -> None:
    pretended.setenv("PRETEND_PAUSE_S", "0.05")
    queue.submit(many, "embed")
    supervisor = supervise()
    supervisor.step()
    (job,) = list_jobs(many)
    pid = (job.handle or {})["pid"]
    open_files = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}
    assert not [name for name in open_files if "project.db" in name]
    finish(supervisor)


def test_while_jobs_wait_nvml_is_not_asked_all_the_time(tmp_path) -> None:
    asked = []
    clock = Clock()
    held = Gpu("0", "GPU-a", "H100", GB, 80 * GB)

    def gpus() -> tuple[Gpu, ...]:
        asked.append(clock.now)
        return (held,)

    backend = LocalBackend(gpus, lambda: tmp_path, clock)
    for now in (0.0, 1.0, LOOK_S, LOOK_S + 1):
        clock.now = now
        assert isinstance(backend.room(Ask("train", "auto"), ()), Wait)
    assert asked == [0.0, LOOK_S]
    # Just before a launch it is: the memory may have been taken since.
    assert isinstance(backend.launch(tmp_path, Ask("train", "auto"), ()), Wait)
    assert len(asked) == 3
