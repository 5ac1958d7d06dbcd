"""What NVML tells, asked through a stand-in for its Python bindings."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from coldal_launch import nvml

GB = 2**30


class NVMLError(Exception):
    pass


@pytest.fixture
def bindings(monkeypatch) -> ModuleType:
    """``pynvml`` with two GPUs: the first whole, the second cut into two slices."""
    fake = ModuleType("pynvml")
    parts = {("whole", None): None, ("cut", 0): "slice0", ("cut", 1): "slice1"}

    def memory(device: str) -> SimpleNamespace:
        free, total = {"whole": (2, 80), "slice0": (9, 10), "slice1": (10, 10)}[device]
        return SimpleNamespace(free=free * GB, total=total * GB)

    def mig_mode(device: str) -> tuple[int, int]:
        if device == "whole":
            raise NVMLError("Not Supported")
        return 1, 1

    def part(device: str, number: int) -> str:
        if (device, number) not in parts:
            raise NVMLError("Not Found")
        return str(parts[device, number])

    def use(device: str) -> SimpleNamespace:
        if device != "whole":
            raise NVMLError("Not Supported")
        return SimpleNamespace(gpu=37)

    for name, value in {
        "NVMLError": NVMLError,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda number: ("whole", "cut")[number],
        "nvmlDeviceGetName": lambda device: b"H100" if device == "whole" else "A100",
        "nvmlDeviceGetUUID": lambda device: f"GPU-{device}",
        "nvmlDeviceGetMemoryInfo": memory,
        "nvmlDeviceGetUtilizationRates": use,
        "nvmlDeviceGetMigMode": mig_mode,
        "nvmlDeviceGetMaxMigDeviceCount": lambda device: 7,
        "nvmlDeviceGetMigDeviceHandleByIndex": part,
        "nvmlSystemGetDriverVersion": lambda: b"595.10",
    }.items():
        setattr(fake, name, value)
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return fake


def test_gpus_and_slices_with_their_memory_and_use(bindings) -> None:
    found = nvml.gpus()
    assert found == (
        nvml.Gpu("0", "GPU-whole", "H100", 2 * GB, 80 * GB, 0.37),
        nvml.Gpu("1.0", "GPU-slice0", "A100 (MIG)", 9 * GB, 10 * GB, None),
        nvml.Gpu("1.1", "GPU-slice1", "A100 (MIG)", 10 * GB, 10 * GB, None),
    )
    assert found[0].memory == "2.0 of 80 GB free"


def test_a_gpu_that_does_not_answer_is_left_out(bindings, monkeypatch) -> None:
    def handle(number: int) -> str:
        if number == 0:
            raise NVMLError("GPU is lost")
        return "cut"

    monkeypatch.setattr(bindings, "nvmlDeviceGetHandleByIndex", handle)
    assert [gpu.label for gpu in nvml.gpus() or ()] == ["1.0", "1.1"]


def test_memory_that_is_not_told_is_unknown(bindings, monkeypatch) -> None:
    def refuse(device: str) -> None:
        raise NVMLError("Not Supported")

    monkeypatch.setattr(bindings, "nvmlDeviceGetMemoryInfo", refuse)
    first = (nvml.gpus() or ())[0]
    assert (first.free, first.total) == (None, None)
    assert first.memory == "shares the machine's memory"


def test_after_an_error_nvml_is_begun_afresh(bindings, monkeypatch) -> None:
    shut: list[int] = []

    def count() -> int:
        raise NVMLError("Driver/library version mismatch")

    monkeypatch.setattr(bindings, "nvmlDeviceGetCount", count)
    monkeypatch.setattr(bindings, "nvmlShutdown", lambda: shut.append(1))
    assert nvml.gpus() is None
    assert shut == [1]


def test_without_a_driver_there_is_no_answer(bindings, monkeypatch) -> None:
    def missing() -> None:
        raise NVMLError("NVML Shared Library Not Found")

    monkeypatch.setattr(bindings, "nvmlInit", missing)
    assert nvml.gpus() is None
    assert nvml.driver() is None


def test_without_the_bindings_there_is_no_answer(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert nvml.gpus() is None


def test_the_version_of_the_driver(bindings) -> None:
    assert nvml.driver() == "595.10"
