"""How a training on several GPUs is asked for, and where it is placed."""

from __future__ import annotations

import pytest

from coldal_launch.nvml import Gpu
from coldal_launch.placing import Place, find_place
from coldal_launch.slurm import _device
from coldal_tui.errors import ColdalError
from coldal_tui.jobs.backend import ALL_GPUS, Ask, JobHandle, Running, Wait
from coldal_tui.jobs.request import ask_of
from coldal_tui.project.config import edit_config

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
