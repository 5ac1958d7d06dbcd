"""Inference with a run: logits, label map and entropy of a scan."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from coldal_compute.segmentation.clean_up import keep_largest
from coldal_compute.segmentation.entropy import mean_entropy
from coldal_compute.segmentation.grids import native_labels
from coldal_compute.segmentation.inputs.preprocessing import preprocess
from coldal_compute.segmentation.network import (
    autocast,
    build_network,
    load_weights,
    memory_errors,
    memory_format,
)
from coldal_compute.segmentation.plan import Plan, load_plan
from coldal_tui.imaging.image import ScanImage

WINDOWS = 4
"""Windows of a large scan that go through the network at once."""
_IMAGES, _GPU_IMAGES = 2, 32
"""Whole images that go through the network at once, for each window that would."""
_PIXELS, _GPU_PIXELS = 1 << 20, 1 << 24
"""Pixels of whole images that go through the network at once: 64 MiB for 16 features."""
_GPU_BYTES = 4096
"""Memory of the GPU for each of these pixels; the network needs a fifth of it, about."""
_REMEDY = "score on the CPU (device = “cpu”), or train with a smaller patch"


@dataclass(frozen=True)
class Model:
    """A trained network with its plan, ready to predict on ``device``.

    Of the classes named in ``cleanup``, label maps keep only the largest part.
    """

    plan: Plan
    net: nn.Module
    device: torch.device
    amp: bool = True
    windows: int = WINDOWS
    cleanup: tuple[str, ...] = ()

    @property
    def at_once(self) -> int:
        """How many images a scoring puts through the network at once.

        A scan that is cut into windows goes alone, and so does every image once memory ran out
        with two windows.
        """
        if not self.plan.whole or self.windows == 1:
            return 1
        images, pixels = _IMAGES, _PIXELS
        if self.device.type == "cuda":
            most = min(_GPU_PIXELS, gpu_memory(self.device) // _GPU_BYTES)
            images, pixels = _GPU_IMAGES, most * self.windows // WINDOWS
        return max(1, min(images * self.windows, pixels // math.prod(self.plan.patch)))

    def working_logits(self, image: NDArray[np.floating]) -> torch.Tensor:
        """Logits ``(C, *grid)`` float32 of one preprocessed image ``(channels, *grid)``."""
        return self._logits(np.asarray(image)[np.newaxis])[0]

    def logits_and_features(
        self, images: NDArray[np.floating], size: int = 1
    ) -> tuple[torch.Tensor, NDArray[np.float16]]:
        """Logits ``(N, C, *grid)`` of ``(N, channels, *grid)``, and features ``(N, F)``.

        Features are those of the network's coarsest level, means over positions and windows. Fewer
        than ``size`` images are filled up with copies: rounding differs between batches of
        different sizes, and with it a result would depend on how many images are left.
        """
        count = len(images)
        if count < size:
            copies = np.repeat(images[:1], size - count, axis=0)
            images = np.concatenate([images, copies])
        with _watched(coarsest(self.net)) as seen:
            logits = self._logits(images)
        features = torch.stack(seen).reshape(len(images), -1, len(seen[0])).mean(dim=1)
        return logits[:count], features[:count].half().cpu().numpy()

    def _logits(self, images: NDArray[np.floating]) -> torch.Tensor:
        tensor = torch.from_numpy(np.array(images))
        with memory_errors(_REMEDY), torch.inference_mode(), autocast(self.device, self.amp):
            if self.plan.whole:
                # Half as many bytes go to a GPU as would in the network's own type.
                tensor = tensor.to(self.device)
            tensor = tensor.float()
            return grid_logits(self.net, tensor, self.plan, self.device, self.windows).float()

    def logits(self, scan: ScanImage) -> torch.Tensor:
        """Logits ``(C, *working grid)`` of a scan; no padding is left in them."""
        return self.working_logits(preprocess(scan, self.plan))

    def labels(self, logits: torch.Tensor, shape: Sequence[int]) -> NDArray[np.uint8]:
        """The label map on the scan's own grid, from its working logits."""
        with memory_errors(_REMEDY):
            labels = native_labels(logits, shape)
        values = [n for n, name in enumerate(self.plan.classes, 1) if name in self.cleanup]
        return keep_largest(labels, values) if values else labels


def gpu_memory(device: torch.device) -> int:
    """All of a GPU's memory in bytes, used or not: results depend on the card, not on the hour."""
    return int(torch.cuda.get_device_properties(device).total_memory)


def coarsest(net: nn.Module) -> nn.Module:
    """The innermost block of a MONAI U-Net, between its way down and its way up."""
    block: nn.Module = net.model  # type: ignore[assignment]
    while isinstance(block, nn.Sequential):
        block = block[1].submodule  # type: ignore[assignment]
    return block


@contextmanager
def _watched(block: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collects the spatial mean, ``(F,)``, of a block's output for each image."""
    seen: list[torch.Tensor] = []

    def keep(module: nn.Module, given: object, made: torch.Tensor) -> None:
        seen.extend(made.float().flatten(2).mean(dim=2))

    handle = block.register_forward_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()


def load_model(
    run: Path, device: torch.device, windows: int = WINDOWS, cleanup: tuple[str, ...] = ()
) -> Model:
    """Load a run's model from ``plan.json`` and ``model.safetensors``; runs no code from them.

    Raises
    ------
    ColdalError : a file is absent or damaged (code ``run``).
    """
    return replace(_load(load_plan(run), run, device, windows), cleanup=cleanup)


def load_ensemble(
    run: Path, device: torch.device, windows: int = WINDOWS, cleanup: tuple[str, ...] = ()
) -> list[Model]:
    """All networks of a run, the predicting one first; errors as in :func:`load_model`."""
    first = load_model(run, device, windows, cleanup)
    others: list[Model] = []
    while (folder := network_folder(run, len(others) + 2)).is_dir():
        others.append(_load(first.plan, folder, device, windows))
    return [first, *others]


def network_folder(run: Path, number: int) -> Path:
    """The folder of a further network of a run; the first one's is the run's own folder."""
    return run / f"network-{number}"


def _load(plan: Plan, folder: Path, device: torch.device, windows: int) -> Model:
    net = build_network(plan)
    load_weights(net, folder)
    return Model(plan, net.to(device).eval(), device, windows=windows)


def predict(model: Model, scan: ScanImage) -> tuple[NDArray[np.uint8], float]:
    """A scan's label map on its own grid, and its entropy H in [0, 1].

    The label map is uint8 of the scan's shape.
    """
    logits = model.logits(scan)
    return model.labels(logits, scan.header.shape), mean_entropy(logits)


def grid_logits(
    net: nn.Module,
    images: torch.Tensor,
    plan: Plan,
    device: torch.device,
    windows: int = WINDOWS,
) -> torch.Tensor:
    """Logits ``(N, C, *grid)`` of images ``(N, channels, *grid)`` of any grid.

    Whole images go through at once; anything else in windows of the plan's patch, blended with
    a Gaussian (a scan smaller than the patch is padded, and the padding cut off again).
    """
    if plan.whole:
        wide = images.to(device=device, memory_format=memory_format(plan))
        return torch.as_tensor(net(wide))
    from monai.inferers.utils import sliding_window_inference

    # The sum over windows is kept where it fits: on the GPU, else in the machine's memory.
    values = plan.outputs * int(np.prod(images.shape[2:]))
    done = sliding_window_inference(
        images,
        roi_size=plan.patch,
        sw_batch_size=windows,
        predictor=net,
        overlap=plan.overlap,
        mode="gaussian",
        sw_device=device,
        device=_blending_device(device, values),
    )
    return torch.as_tensor(done)


def _blending_device(device: torch.device, values: int) -> torch.device:
    if device.type != "cuda":
        return device
    free = torch.cuda.mem_get_info(device)[0]
    return device if values * 4 * 4 < free else torch.device("cpu")
