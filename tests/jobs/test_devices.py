"""What a backend's machine has: GPUs as the backend tells them, and the machine itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psutil
import pytest

from coldal_launch.local import LocalBackend
from coldal_launch.nvml import Gpu
from coldal_tui.errors import ColdalError
from coldal_tui.jobs import devices as devices_module
from coldal_tui.jobs.devices import Device, DeviceReader

H100 = Gpu("0", "GPU-1", "NVIDIA H100", 20 * 2**30, 80 * 2**30, 0.75)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Let a backend be found, or not, under any name."""

    def put(backend: Any) -> None:
        def load(_name: str) -> Any:
            if isinstance(backend, Exception):
                raise backend
            return backend

        monkeypatch.setattr(devices_module, "load_backend", load)

    return put


def test_gpus_are_those_that_the_backend_tells(install: Callable[[Any], None]) -> None:
    install(LocalBackend(gpus=lambda: (H100,)))
    expected = Device("0", "GPU-1", "NVIDIA H100", 20 * 2**30, 80 * 2**30, 0.75)
    assert DeviceReader().devices("local") == (expected,)


@pytest.mark.parametrize(
    "backend", [LocalBackend(gpus=lambda: None), object(), ColdalError("no such backend")]
)
def test_without_gpus_there_are_none(install: Callable[[Any], None], backend: Any) -> None:
    """No NVML; a backend that tells of no devices; a backend that is not there."""
    install(backend)
    assert DeviceReader().devices("any") == ()


def test_the_real_backend_answers() -> None:
    assert isinstance(DeviceReader().devices("local"), tuple)


def test_how_busy_the_machine_is_is_measured_between_two_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = psutil.cpu_times()
    zero = times._replace(**dict.fromkeys(times._fields, 0.0))
    first = zero._replace(user=30.0, idle=70.0)
    looks = [zero, first, first._replace(user=75.0, idle=75.0), first]
    monkeypatch.setattr(psutil, "cpu_times", lambda: looks.pop(0))
    reader = DeviceReader()
    # 30 of 100 seconds, then 45 of 50.
    assert [reader.host().busy, reader.host().busy] == [pytest.approx(0.3), pytest.approx(0.9)]


def test_memory_is_what_the_system_says() -> None:
    host = DeviceReader().host()
    assert host.total == psutil.virtual_memory().total
    assert 0 < host.used < host.total
