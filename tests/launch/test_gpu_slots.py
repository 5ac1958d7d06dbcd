"""Where a job of this machine may start: GPUs by what NVML says, slots, the CPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from coldal_launch.gpu_slots import Place, find_place, slots_folder
from coldal_launch.nvml import Gpu
from coldal_tui.errors import ColdalError
from coldal_tui.jobs.backend import Ask, JobHandle, Running, Wait

GB = 2**30
DEFAULTS = {"jobs_per_gpu": 1, "cpu_jobs": 1, "gpu_free_gb": 6.0}


def gpu(number: int, free: float | None = 79.0, total: float = 80.0) -> Gpu:
    known = free is not None
    return Gpu(
        str(number),
        f"GPU-{number}aaa",
        "H100",
        int(free * GB) if free is not None else None,
        int(total * GB) if known else None,
    )


def job(name: str, *devices: str) -> Running:
    return Running(name, JobHandle("here", "boot", 7, 1.0, devices=devices))


def ask(device: str = "auto", gpus: int = 1, **settings: Any) -> Ask:
    return Ask("train", device, gpus, DEFAULTS | settings)


Find = Callable[..., Place | Wait]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    def place(
        asked: Ask,
        gpus: Sequence[Gpu] | None,
        running: Sequence[Running] = (),
        visible: str | None = None,
    ) -> Place | Wait:
        return find_place(asked, running, gpus, lambda: tmp_path, visible)

    return place


def uuids(place: Place | Wait) -> list[str]:
    assert isinstance(place, Place)
    place.close()
    return [one.uuid for one in place.gpus]


def reason(place: Place | Wait) -> str:
    assert isinstance(place, Wait)
    return place.reason


def test_a_free_gpu_is_named_to_the_worker_by_its_uuid(find: Find) -> None:
    place = find(ask(), [gpu(0)])
    assert isinstance(place, Place)
    assert place.environment == {
        "COLDAL_DEVICE": "cuda",
        "COLDAL_GPUS": "GPU-0aaa",
        "CUDA_VISIBLE_DEVICES": "GPU-0aaa",
    }
    place.close()


def test_the_gpu_with_most_free_memory_is_taken(find: Find) -> None:
    assert uuids(find(ask(), [gpu(0, 20), gpu(1, 70), gpu(2, 30)])) == ["GPU-1aaa"]


def test_a_gpu_without_a_job_goes_before_one_with_more_memory(find: Find) -> None:
    gpus = [gpu(0, 70), gpu(1, 10)]
    busy = [job("job 3 (train)", "GPU-0aaa")]
    assert uuids(find(ask(jobs_per_gpu=2), gpus, busy)) == ["GPU-1aaa"]


def test_a_gpu_held_by_others_is_waited_for_with_its_free_memory(find: Find) -> None:
    assert reason(find(ask(), [gpu(0, 2.1)])) == "GPU 0 is held by others: 2.1 of 80 GB free"


def test_enough_free_memory_is_what_the_settings_say(find: Find) -> None:
    assert reason(find(ask(gpu_free_gb=30.0), [gpu(0, 29.9)])).startswith("GPU 0 is held")
    assert uuids(find(ask(gpu_free_gb=30.0), [gpu(0, 30.0)])) == ["GPU-0aaa"]


def test_of_a_small_gpu_four_fifths_are_enough(find: Find) -> None:
    assert uuids(find(ask(), [gpu(0, 3.3, 4.0)])) == ["GPU-0aaa"]
    assert reason(find(ask(), [gpu(0, 3.1, 4.0)])).startswith("GPU 0 is held by others")


def test_a_gpu_that_shares_the_machines_memory_is_not_refused(find: Find) -> None:
    assert uuids(find(ask(), [gpu(0, None)])) == ["GPU-0aaa"]


def test_one_job_per_gpu_and_the_reason_names_it(find: Find) -> None:
    busy = [job("job 3 (train)", "GPU-0aaa"), job("job 4 (embed)", "GPU-1aaa")]
    waits = reason(find(ask(), [gpu(0), gpu(1)], busy))
    assert waits == "GPU 0 runs job 3 (train); GPU 1 runs job 4 (embed)"


def test_two_jobs_per_gpu_where_the_settings_allow_it(find: Find) -> None:
    one, two = job("job 3 (train)", "GPU-0aaa"), job("job 4 (score)", "GPU-0aaa")
    assert uuids(find(ask(jobs_per_gpu=2), [gpu(0)], [one])) == ["GPU-0aaa"]
    waits = reason(find(ask(jobs_per_gpu=2), [gpu(0)], [one, two]))
    assert waits == "GPU 0 runs job 3 (train), job 4 (score)"


def test_memory_is_short_beside_a_job_of_ours(find: Find) -> None:
    waits = reason(find(ask(jobs_per_gpu=2), [gpu(0, 3)], [job("job 3 (train)", "GPU-0aaa")]))
    assert waits == "GPU 0 is held by others and job 3 (train): 3.0 of 80 GB free"


def test_a_slot_that_another_project_holds_is_waited_for(find: Find) -> None:
    first = find(ask(), [gpu(0)])
    assert isinstance(first, Place)
    assert reason(find(ask(), [gpu(0)])) == "GPU 0 runs a job of another project"
    first.close()
    assert uuids(find(ask(), [gpu(0)])) == ["GPU-0aaa"]


def test_a_certain_gpu_is_asked_for_by_its_number(find: Find) -> None:
    gpus = [gpu(0), gpu(1, 50)]
    assert uuids(find(ask("cuda:1"), gpus)) == ["GPU-1aaa"]
    busy = [job("job 3 (train)", "GPU-1aaa")]
    assert reason(find(ask("cuda:1"), gpus, busy)) == "GPU 1 runs job 3 (train)"


def test_a_gpu_that_is_not_there_is_an_error_not_a_wait(find: Find) -> None:
    with pytest.raises(ColdalError, match="there is no cuda:2 here: 2 GPUs can be used") as caught:
        find(ask("cuda:2"), [gpu(0), gpu(1)])
    assert caught.value.code == "device"


def test_several_gpus_are_taken_together_or_not_at_all(find: Find) -> None:
    gpus = [gpu(0), gpu(1), gpu(2, 40)]
    assert uuids(find(ask("cuda", gpus=2), gpus)) == ["GPU-0aaa", "GPU-1aaa"]
    busy = [job("job 3 (train)", "GPU-0aaa"), job("job 4 (embed)", "GPU-1aaa")]
    assert isinstance(find(ask("cuda", gpus=2), gpus, busy), Wait)
    # The third GPU was not kept for a job that could not start.
    assert uuids(find(ask(), gpus, busy)) == ["GPU-2aaa"]


def test_more_gpus_than_there_are_is_an_error(find: Find) -> None:
    with pytest.raises(ColdalError, match="wants 3 GPUs, and 2 can be used"):
        find(ask("cuda", gpus=3), [gpu(0), gpu(1)])


@pytest.mark.parametrize(
    ("visible", "taken"),
    [
        ("1", "GPU-1aaa"),
        ("GPU-2", "GPU-2aaa"),
        ("2,0", "GPU-2aaa"),
        ("1,9,0", "GPU-1aaa"),
    ],
)
def test_gpus_that_the_user_hid_are_not_used(find: Find, visible: str, taken: str) -> None:
    gpus = [gpu(0), gpu(1), gpu(2)]
    assert uuids(find(ask("cuda:0"), gpus, visible=visible)) == [taken]


def test_numbers_count_the_gpus_that_the_user_left(find: Find) -> None:
    gpus = [gpu(0), gpu(1), gpu(2)]
    assert uuids(find(ask("cuda:1"), gpus, visible="2,0")) == ["GPU-0aaa"]
    with pytest.raises(ColdalError, match="no cuda:1 here: 1 GPU can be used"):
        find(ask("cuda:1"), gpus, visible="1,9,0")


def test_all_gpus_hidden_means_the_cpu(find: Find) -> None:
    place = find(ask(), [gpu(0)], visible="")
    assert isinstance(place, Place)
    assert (place.gpus, place.environment) == ((), {})


@pytest.mark.parametrize("gpus", [None, ()])
def test_without_a_gpu_auto_runs_on_the_cpu(find: Find, gpus: tuple[Gpu, ...] | None) -> None:
    assert uuids(find(ask(), gpus)) == []


def test_a_job_for_the_cpu_sees_no_gpu(find: Find) -> None:
    place = find(ask("cpu"), [gpu(0)])
    assert isinstance(place, Place)
    assert place.environment == {"COLDAL_DEVICE": "cpu", "CUDA_VISIBLE_DEVICES": ""}


def test_cuda_without_a_gpu_is_an_error_where_nvml_says_so(find: Find) -> None:
    with pytest.raises(ColdalError, match="there is no cuda here: no GPU can be used"):
        find(ask("cuda"), ())


def test_cuda_without_nvml_is_for_torch_to_decide(find: Find) -> None:
    place = find(ask("cuda"), None)
    assert isinstance(place, Place)
    assert place.environment == {}


def test_the_cpu_runs_one_job_unless_told_otherwise(find: Find) -> None:
    busy = [job("job 3 (map)")]
    assert reason(find(ask("cpu"), (), busy)) == "the CPU runs job 3 (map)"
    assert uuids(find(ask("cpu", cpu_jobs=2), (), busy)) == []


def test_a_job_on_a_gpu_takes_no_room_on_the_cpu(find: Find) -> None:
    busy = [job("job 3 (train)", "GPU-0aaa")]
    assert uuids(find(ask("cpu"), [gpu(0)], busy)) == []


def test_the_slots_of_a_user_are_his_alone(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("coldal_launch.gpu_slots.tempfile.gettempdir", lambda: str(tmp_path))
    folder = slots_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    (tmp_path / f"coldal-tui-{os.getuid()}").mkdir()
    with pytest.raises(ColdalError, match="belongs to another user"):
        slots_folder()
