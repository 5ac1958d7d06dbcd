"""What gpu_check measures on: a CUDA device, or a fake one that computes on the CPU.

Everything that a check does with the device goes through a layer, so that the same lines run
without a GPU: only these few methods differ.
"""

from __future__ import annotations

import statistics
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from coldal_launch import nvml
from coldal_launch.nvml import Gpu

GB = 1024**3
SAMPLE_S = 0.1


@dataclass(frozen=True)
class Sizes:
    """How much each check does: ``side`` of pictures, ``cube`` of volumes, in pixels, voxels."""

    images: int
    side: int
    cube: int
    features: tuple[int, ...]
    steps_2d: int
    steps_3d: int
    batches: tuple[int, ...]
    job_batch: int
    job_steps: int
    repeats: int


CARD = Sizes(2048, 256, 96, (32, 64, 128, 256, 320), 240, 96, (16, 64, 256), 256, 24, 3)
SMALL = Sizes(6, 32, 16, (4, 8, 8, 8, 8), 12, 12, (2,), 4, 2, 1)


class Cuda:
    """The first GPU that this process sees."""

    real = True

    def __init__(self) -> None:
        self.environment: dict[str, str] = {}
        self.device = torch.device("cuda", 0)
        self.name = torch.cuda.get_device_name(self.device)

    def sync(self) -> None:
        torch.cuda.synchronize(self.device)

    def gpus(self) -> Sequence[Gpu] | None:
        """This GPU alone, as NVML knows it: on a shared machine the others are not ours to use."""
        own = str(getattr(torch.cuda.get_device_properties(self.device), "uuid", ""))
        return [gpu for gpu in nvml.gpus() or () if own and own in gpu.uuid] or None

    def busy(self) -> float | None:
        """The share of the last moments in which this GPU computed; None where not told."""
        seen = self.gpus()
        return seen[0].busy if seen else None

    def peak_gb(self) -> float:
        """The most memory that tensors held since the last call."""
        peak = torch.cuda.max_memory_allocated(self.device) / GB
        torch.cuda.reset_peak_memory_stats(self.device)
        return peak

    def facts(self) -> dict[str, Any]:
        told = torch.cuda.get_device_properties(self.device)
        return {
            "device": self.name,
            "memory_gb": round(told.total_memory / GB, 1),
            "capability": f"{told.major}.{told.minor}",
            "driver": nvml.driver(),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }


class Fake:
    """No GPU: one made-up card with 8 GB, all work on the CPU."""

    real = False

    def __init__(self) -> None:
        # A worker is given the made-up card, and works on the CPU all the same.
        self.environment = {"COLDAL_DEVICE": "cpu", "CUDA_VISIBLE_DEVICES": ""}
        self.device = torch.device("cpu")
        self.name = "fake device layer on the CPU"

    def sync(self) -> None:
        """Work on the CPU is done when its call returns."""

    def gpus(self) -> Sequence[Gpu] | None:
        return (Gpu("0", "GPU-fake", "fake", 8 * GB, 8 * GB),)

    def busy(self) -> float | None:
        return None

    def peak_gb(self) -> float | None:
        return None

    def facts(self) -> dict[str, Any]:
        return {"device": self.name}


Layer = Cuda | Fake


def choose(fake: bool) -> Layer:
    """The GPU where there is one and it is wanted, else the fake layer."""
    return Cuda() if torch.cuda.is_available() and not fake else Fake()


@dataclass
class Use:
    """How busy the GPU was, in samples of a tenth of a second."""

    samples: list[float] = field(default_factory=list)

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.samples) if self.samples else None


@contextmanager
def watched(layer: Layer) -> Iterator[Use]:
    """Samples how busy the GPU is until the block ends."""
    use, stop = Use(), threading.Event()

    def look() -> None:
        while not stop.wait(SAMPLE_S):
            if (busy := layer.busy()) is not None:
                use.samples.append(busy)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield use
    finally:
        stop.set()
        thread.join()
