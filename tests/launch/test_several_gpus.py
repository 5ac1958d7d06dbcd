"""How a training on several GPUs is asked for, and where it is placed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from coldal_launch.gpu_slots import Place, find_place
from coldal_launch.nvml import Gpu
from coldal_launch.slurm import _device
from coldal_tui.errors import ColdalError
from coldal_tui.imaging.image import ScanRef
from coldal_tui.jobs.backend import ALL_GPUS, Ask, JobHandle, Running, Wait
from coldal_tui.jobs.folder import JobFolder
from coldal_tui.jobs.spec import EmbedSpec, EncoderChoice, ScanInput
from coldal_tui.project.settings.config import edit_config
from coldal_tui.scheduler.request import ask_of
from tests.support.processes import until

GB = 2**30
GPUS = tuple(Gpu(str(n), f"GPU-{n}", "H100", 70 * GB, 80 * GB) for n in range(4))


@pytest.mark.parametrize(
    ("devices", "kind", "gpus"),
    [(1, "train", 1), (4, "train", 4), ("auto", "train", ALL_GPUS), (4, "embed", 1)],
)
def test_coldal_toml_says_how_many_gpus_a_training_asks_for(project, devices, kind, gpus) -> None:
    edit_config(project.layout.config, {("train", "devices"): devices})
    project.reload_config()
    assert ask_of(project, kind, {}).gpus == gpus


@pytest.mark.parametrize(
    ("gpus", "backend", "kind", "wanted"),
    [
        (4, "local", "embed", 4),
        ("auto", "local", "score", ALL_GPUS),
        (2, "local", "simulate", 2),
        (4, "local", "train", 1),
        (4, "local", "evaluate", 1),
        (4, "slurm", "embed", 1),
    ],
)
def test_what_can_be_shared_asks_for_the_backends_gpus(
    project, gpus, backend, kind, wanted
) -> None:
    edit_config(project.layout.config, {("backend", "gpus"): gpus, ("backend", "name"): backend})
    project.reload_config()
    assert ask_of(project, kind, {}).gpus == wanted


def test_no_gpus_is_no_number_of_them(project) -> None:
    with pytest.raises(ColdalError, match=r"train\.devices"):
        edit_config(project.layout.config, {("train", "devices"): 0})


@pytest.mark.parametrize(("gpus", "wanted"), [(2, 2), (ALL_GPUS, 4)])
def test_a_job_holds_as_many_gpus_as_it_asked_for(tmp_path, gpus, wanted) -> None:
    place = find_place(Ask("train", "auto", gpus), (), GPUS, lambda: tmp_path)
    assert isinstance(place, Place)
    assert len(place.gpus) == wanted
    assert len(place.environment["CUDA_VISIBLE_DEVICES"].split(",")) == wanted
    place.close()


def test_who_wants_all_of_them_waits_for_the_last(tmp_path) -> None:
    handle = JobHandle("here", "boot", 1, 1.0, devices=("GPU-2",))
    running = [Running("job 1 (embed)", handle)]
    wait = find_place(Ask("train", "auto", ALL_GPUS), running, GPUS, lambda: tmp_path)
    assert isinstance(wait, Wait)
    assert wait.reason == "GPU 2 runs job 1 (embed)"


@pytest.mark.parametrize(
    ("asked", "gres", "wanted"),
    [
        ("auto", "gpu:a100:2", "cuda"),
        ("auto", None, None),
        ("auto", "license:1", None),
        ("cuda:1", None, "cuda"),
        ("cpu", "gpu:1", "cpu"),
    ],
)
def test_on_slurm_a_job_uses_what_it_was_granted(asked, gres, wanted) -> None:
    assert _device(asked, gres) == wanted


def embedding(folder: Path) -> JobFolder:
    names = [f"s{n:02d}" for n in range(20)]
    scans = tuple(
        ScanInput(name, ScanRef("raster", (f"{name}.png",)), (4, 4), 1, None, None, f"q{name}")
        for name in names
    )
    job = JobFolder(folder)
    spec = EmbedSpec(scans, EncoderChoice("tiny"), expected_hash="e" * 64, shard_size=4)
    job.prepare(spec)
    job.log.touch()
    return job


def start(job: JobFolder, gpus: str = "") -> subprocess.Popen[bytes]:
    environment = os.environ | ({"COLDAL_GPUS": gpus} if gpus else {})
    with job.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "coldal_launch.worker", str(job.path)],
            stdout=log,
            stderr=log,
            env=environment,
        )


@pytest.mark.e2e
def test_an_embedding_on_three_gpus_is_that_of_one(pretended, tmp_path) -> None:
    alone, shared = embedding(tmp_path / "alone"), embedding(tmp_path / "shared")
    assert start(alone).wait(60) == 0
    assert start(shared, "GPU-a,GPU-b,GPU-c").wait(60) == 0
    one, three = alone.receipt(), shared.receipt()
    assert one is not None
    assert three is not None
    assert three.outputs == one.outputs
    assert three.failed == one.failed
    log = shared.log.read_text()
    assert "shared by 3 GPUs" in log
    assert "20 scans were done by 3 parts of the job" in log
    assert not (shared.path / "parts").exists()


@pytest.mark.e2e
def test_parts_end_with_the_worker_and_another_attempt_goes_on(pretended, tmp_path) -> None:
    pretended.setenv("PRETEND_PAUSE_S", "0.2")
    job = embedding(tmp_path / "job")
    worker = start(job, "GPU-a,GPU-b")
    parts = job.path / "parts"

    def begun() -> int:
        return max((len(f.read_text().splitlines()) for f in parts.glob("*/work.txt")), default=0)

    until(lambda: begun() > 4, "a shard of a part")
    children = psutil.Process(worker.pid).children(recursive=True)
    assert len(children) == 2
    worker.kill()
    worker.wait(30)
    assert not psutil.wait_procs(children, timeout=600)[1]
    pretended.setenv("PRETEND_PAUSE_S", "0")
    assert start(job).wait(60) == 0
    receipt = job.receipt()
    assert receipt is not None
    done = [line.split()[1] for line in (job.path / "work.txt").read_text().splitlines()]
    assert 0 < len(done) < 20
    assert not parts.exists()
