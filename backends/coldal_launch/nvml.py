"""Reads this machine's GPUs through NVML, without making a CUDA context."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec


class Gpu(msgspec.Struct, frozen=True):
    """One GPU, or one MIG slice of one.

    ``label`` is its number as nvidia-smi shows it ("0", "0.1" for a slice). ``free`` and
    ``total`` are bytes of its memory, None where the GPU shares the machine's memory. ``busy``
    is the share of the last second in which it computed, 0 to 1; None where it is not told.
    """

    label: str
    uuid: str
    name: str
    free: int | None
    total: int | None
    busy: float | None = None

    @property
    def memory(self) -> str:
        """``2.1 of 80 GB free``."""
        if self.free is None or self.total is None:
            return "shares the machine's memory"
        return f"{self.free / 2**30:.1f} of {self.total / 2**30:.0f} GB free"


def gpus() -> tuple[Gpu, ...] | None:
    """Every GPU in nvidia-smi's order; None where there is no NVML to ask.

    A GPU that fails to answer (fallen off the bus, say) is left out: nothing can run on it.
    """
    nvml = _ready()
    if nvml is None:
        return None
    found: list[Gpu] = []
    try:
        count = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError:
        _shut(nvml)
        return None
    for number in range(count):
        with contextlib.suppress(nvml.NVMLError):
            found += _of(nvml, nvml.nvmlDeviceGetHandleByIndex(number), str(number))
    return tuple(found)


def driver() -> str | None:
    """The version of NVIDIA's driver; None where there is none."""
    nvml = _ready()
    if nvml is None:
        return None
    with contextlib.suppress(nvml.NVMLError):
        return _text(nvml.nvmlSystemGetDriverVersion())
    return None


def _ready() -> Any:
    """The NVML bindings, ready to be asked; None where they or the driver are not there."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        # Counted by NVML: a second time costs nothing.
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def _shut(nvml: Any) -> None:
    """Close NVML after an error (a driver update, for example); the next call starts anew."""
    with contextlib.suppress(nvml.NVMLError):
        nvml.nvmlShutdown()


def _of(nvml: Any, device: Any, label: str) -> Iterator[Gpu]:
    """The GPU, or its slices where it is cut into such: then it can't be used as a whole."""
    slices = list(_slices(nvml, device))
    if not slices:
        yield _gpu(nvml, device, label, _name(nvml, device))
    for number, part in slices:
        with contextlib.suppress(nvml.NVMLError):
            yield _gpu(nvml, part, f"{label}.{number}", f"{_name(nvml, device)} (MIG)")


def _slices(nvml: Any, device: Any) -> Iterator[tuple[int, Any]]:
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(device)
        most = nvml.nvmlDeviceGetMaxMigDeviceCount(device) if current else 0
    except nvml.NVMLError:
        return
    for number in range(most):
        with contextlib.suppress(nvml.NVMLError):
            yield number, nvml.nvmlDeviceGetMigDeviceHandleByIndex(device, number)


def _gpu(nvml: Any, device: Any, label: str, name: str) -> Gpu:
    free: int | None = None
    total: int | None = None
    busy: float | None = None
    with contextlib.suppress(nvml.NVMLError):
        memory = nvml.nvmlDeviceGetMemoryInfo(device)
        free, total = int(memory.free), int(memory.total)
    with contextlib.suppress(nvml.NVMLError):
        busy = nvml.nvmlDeviceGetUtilizationRates(device).gpu / 100
    return Gpu(label, _text(nvml.nvmlDeviceGetUUID(device)), name, free, total, busy)


def _name(nvml: Any, device: Any) -> str:
    try:
        return _text(nvml.nvmlDeviceGetName(device))
    except nvml.NVMLError:
        return "GPU"


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
