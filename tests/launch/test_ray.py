"""What the Ray backend makes of a cluster's answers, without one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from coldal_launch import ray as ray_backend
from coldal_launch.ray import RayBackend
from coldal_launch.ray_cluster import Cluster, RayJob, RaySilentError, address_of
from coldal_tui.errors import ColdalError
from coldal_tui.extras import install
from coldal_tui.jobs.backend import Ask, JobHandle, Wait
from coldal_tui.jobs.folder import JobError, JobFolder
from tests.support.playing import Clock

ADDRESS = "http://head:8265"


class FakeCluster(Cluster):
    """Tells of every job what it is told to tell, and keeps what was submitted."""

    def __init__(self, address: str, clock: Callable[[], float]) -> None:
        super().__init__(address, clock)
        self.told: RayJob | RaySilentError = RayJob("RUNNING")
        self.submitted: list[tuple[str, str, dict[str, object]]] = []
        self.gpus_there = 0

    def _ask(self) -> dict[str, RayJob]:
        return {number: self.status(number) for number in list(self._watched)}

    def status(self, number: str) -> RayJob:
        if isinstance(self.told, RaySilentError):
            raise self.told
        return self.told

    def submit(self, number: str, entrypoint: str, **options: object) -> None:
        self.submitted.append((number, entrypoint, options))
        self.watch(number)

    def gpus(self) -> int:
        return self.gpus_there


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cluster(clock, monkeypatch) -> FakeCluster:
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    return FakeCluster(ADDRESS, clock)


@pytest.fixture
def backend(cluster, monkeypatch) -> RayBackend:
    monkeypatch.setattr(ray_backend, "find_spec", lambda name: True)
    return RayBackend(lambda address: cluster)


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    folder = JobFolder(tmp_path / "000001-embed")
    folder.path.mkdir()
    return folder


def ask(kind: str = "embed", device: str = "auto", gpus: int = 1, **settings: object) -> Ask:
    return Ask(kind, device, gpus, {"ray": {"address": ADDRESS, **settings}})


def launched(backend: RayBackend, job: JobFolder, asked: Ask) -> JobHandle:
    handle = backend.launch(job.path, asked, ())
    assert isinstance(handle, JobHandle)
    return handle


def test_a_job_is_found_by_the_number_that_was_noted_before_it_was_submitted(
    backend, cluster, job
) -> None:
    handle = launched(backend, job, ask())
    found = backend.find(job.path)
    assert found is not None
    assert (found.native_id, found.host) == (cluster.submitted[0][0], ADDRESS)
    assert handle.native_id == found.native_id
    assert backend.find(job.path.parent) is None


def test_an_embedding_is_dealt_out_by_a_worker_that_asks_for_nothing_itself(
    backend, cluster, job
) -> None:
    launched(backend, job, ask("embed", actors=3, cpus=2))
    _, entrypoint, options = cluster.submitted[0]
    assert " -P -m coldal_launch.ray_worker " in entrypoint
    assert (options["entrypoint_num_cpus"], options["entrypoint_num_gpus"]) == (0, 0)
    variables = options["runtime_env"]["env_vars"]
    assert json.loads(variables["COLDAL_RAY"]) == {"actors": 3, "cpus": 2}


@pytest.mark.parametrize(
    ("device", "there", "gpus", "variable"),
    [("auto", 0, 0, "cpu"), ("auto", 2, 1, "cuda"), ("cpu", 2, 0, "cpu"), ("cuda", 0, 1, "cuda")],
)
def test_a_training_asks_for_a_gpu_where_it_may_and_there_is_one(
    backend, cluster, job, device, there, gpus, variable
) -> None:
    cluster.gpus_there = there
    launched(backend, job, ask("train", device, cpus=4, python="/opt/python"))
    _, entrypoint, options = cluster.submitted[0]
    assert entrypoint.startswith("exec /opt/python -P -m coldal_launch.worker ")
    assert entrypoint.endswith(f">>{job.log} 2>&1")
    assert (options["entrypoint_num_cpus"], options["entrypoint_num_gpus"]) == (4, gpus)
    assert options["runtime_env"]["env_vars"]["COLDAL_DEVICE"] == variable


def test_the_variables_of_ray_come_before_coldal_toml(monkeypatch) -> None:
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert address_of({}) == "http://127.0.0.1:8265"
    assert address_of({"address": "http://a:1"}) == "http://a:1"
    monkeypatch.setenv("RAY_ADDRESS", "http://b:1")
    assert address_of({"address": "http://a:1"}) == "http://b:1"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://c:1")
    assert address_of({"address": "http://a:1"}) == "http://c:1"


def test_a_cluster_that_does_not_answer_is_waited_for(backend, cluster, job, clock) -> None:
    cluster.told = RaySilentError("the Ray cluster at http://head:8265 does not answer: refused")
    cluster.watch("some job")
    assert backend.room(ask(), ()) == Wait(cluster.told.what)


def test_while_the_cluster_is_silent_a_job_counts_as_alive(backend, cluster, job, clock) -> None:
    handle = launched(backend, job, ask())
    cluster.told = RaySilentError("silent")
    clock.now = 20.0
    assert backend.alive(handle)
    assert backend.waits(handle) == "silent"


@pytest.mark.parametrize("status", ["SUCCEEDED", "STOPPED", "FAILED", "GONE"])
def test_a_job_that_has_ended_or_is_unknown_is_not_alive(
    backend, cluster, job, clock, status
) -> None:
    handle = launched(backend, job, ask())
    assert backend.alive(handle)
    cluster.told = RayJob(status)
    clock.now = 20.0
    assert not backend.alive(handle)


def test_an_answer_from_before_the_launch_ends_no_job(backend, cluster, job, clock) -> None:
    cluster.told = RayJob("GONE")
    handle = launched(backend, job, ask())
    assert backend.alive(handle)
    clock.now = 20.0
    assert not backend.alive(handle)


def test_a_pending_job_says_in_which_queue_it_is(backend, cluster, job, clock) -> None:
    handle = launched(backend, job, ask())
    cluster.told = RayJob("PENDING", "waiting for resources {'GPU': 1.0}")
    clock.now = 20.0
    assert backend.alive(handle)
    assert backend.waits(handle) == "in the queue of Ray: waiting for resources {'GPU': 1.0}"


def test_what_ray_says_of_an_end_without_a_word_is_noted_in_the_log(
    backend, cluster, job, clock
) -> None:
    handle = launched(backend, job, ask())
    cluster.told = RayJob("FAILED", "the node died", str(job.path))
    clock.now = 20.0
    assert not backend.alive(handle)
    (line,) = job.log.read_text().splitlines()
    assert line.endswith(f"Ray: job {handle.native_id} ended as FAILED: the node died")


def test_a_worker_that_told_its_end_needs_no_note(backend, cluster, job, clock) -> None:
    handle = launched(backend, job, ask())
    job.write_error(JobError("its own words"))
    cluster.told = RayJob("FAILED", "exit status 1", str(job.path))
    clock.now = 20.0
    assert not backend.alive(handle)
    assert not job.log.exists()


def test_jobs_that_have_ended_are_asked_for_no_more(backend, cluster, job, clock) -> None:
    handle = launched(backend, job, ask())
    cluster.told = RayJob("SUCCEEDED")
    clock.now = 20.0
    assert not backend.alive(handle)
    assert cluster._ask() == {}


def test_the_extra_to_install_is_named(monkeypatch) -> None:
    monkeypatch.setattr(ray_backend, "find_spec", lambda name: None)
    with pytest.raises(ColdalError) as caught:
        RayBackend()
    assert (caught.value.what, caught.value.remedy) == (
        "ray is not installed",
        install("ray"),
    )
