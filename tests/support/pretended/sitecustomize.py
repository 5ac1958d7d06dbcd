"""With this folder in PYTHONPATH, processes pretend what the environment asks for.

PRETEND_CLOCK=S sets the clock of every process ahead (or back) by S seconds, a while after it
began; PRETEND_DISK=N lets no worker write a file of more than N bytes; PRETEND_MEMORY=N lets no
training step have more than N pixels. With PRETEND_STEPS all steps are pretended.
"""

import os
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


def _set_the_clock(jump: float) -> None:
    real, began = time.time, time.monotonic()
    time.time = lambda: real() + (jump if time.monotonic() - began > 0.4 else 0.0)


def _pretend_steps() -> None:
    found = spec_from_file_location("coldal_compute.steps", Path(__file__).with_name("steps.py"))
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    sys.modules["coldal_compute.steps"] = module
    found.loader.exec_module(module)


def _fill_the_disk(most: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def _bound_the_memory(most: int) -> None:
    import torch

    from coldal_compute.segmentation.training import Segmenter

    real = Segmenter.training_step

    def step(self, batch, index):  # type: ignore[no-untyped-def]
        if batch[0].numel() > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return real(self, batch, index)

    Segmenter.training_step = step  # type: ignore[method-assign]


if "PRETEND_CLOCK" in os.environ:
    _set_the_clock(float(os.environ["PRETEND_CLOCK"]))
if "coldal_launch.worker" in sys.orig_argv:
    if "PRETEND_DISK" in os.environ:
        _fill_the_disk(int(os.environ["PRETEND_DISK"]))
    if "PRETEND_STEPS" in os.environ:
        _pretend_steps()
    if "PRETEND_MEMORY" in os.environ:
        _bound_the_memory(int(os.environ["PRETEND_MEMORY"]))
