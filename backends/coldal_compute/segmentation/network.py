"""The network of a plan, the device it runs on, and its loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from coldal_compute.segmentation.metrics import IGNORE
from coldal_compute.segmentation.plan import DeviceLimits, Plan
from coldal_compute.segmentation.storage import write_bytes
from coldal_tui.errors import ColdalError

MODEL_FILE = "model.safetensors"


def build_network(plan: Plan) -> nn.Module:
    """A residual U-Net (MONAI) with instance normalisation, as the plan describes it."""
    from monai.networks.nets.unet import UNet

    net: nn.Module = UNet(
        spatial_dims=plan.ndim,
        in_channels=plan.in_channels,
        out_channels=plan.outputs,
        channels=plan.features,
        strides=plan.strides,  # type: ignore[arg-type]  # one stride per axis works as well
        num_res_units=2,
        norm=("instance", {"affine": True}),
    )
    return net.to(memory_format=memory_format(plan))  # type: ignore[call-overload, no-any-return]


def memory_format(plan: Plan) -> torch.memory_format:
    """Channels last: twice as fast for 2-D convolutions on CPUs, and right for tensor cores."""
    return torch.channels_last if plan.ndim == 2 else torch.contiguous_format


def pick_device(name: str, threads: int = 0) -> torch.device:
    """The device of a job: ``auto`` uses a GPU if there is one.

    Raises
    ------
    ColdalError : the device is unknown or not there (code ``device``).
    """
    if threads > 0:
        torch.set_num_threads(threads)
    try:
        device = torch.device(
            ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
        )
    except RuntimeError as error:
        raise _no_device(name, "it is not a device's name") from error
    if device.type not in {"cpu", "cuda"}:
        raise _no_device(name, "only cpu and cuda devices are supported")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise _no_device(name, f"this process sees {torch.cuda.device_count()} CUDA devices")
    return device


def _no_device(name: str, why: str) -> ColdalError:
    return ColdalError(
        f"the device “{name}” can't be used: {why}",
        remedy="use “auto”, “cpu” or “cuda:N”; `coldal-tui doctor` shows what is there",
        code="device",
    )


def device_limits(device: torch.device) -> DeviceLimits:
    """Free memory of a GPU, for the plan."""
    if device.type != "cuda":
        return DeviceLimits()
    return DeviceLimits(gpu=True, memory=torch.cuda.mem_get_info(device)[0])


def autocast(device: torch.device, amp: bool) -> torch.autocast:
    """Mixed precision, only on CUDA: bfloat16 if the GPU supports it, else float16."""
    enabled = amp and device.type == "cuda"
    half = torch.bfloat16 if enabled and torch.cuda.is_bf16_supported() else torch.float16
    return torch.autocast(device.type, dtype=half if enabled else torch.bfloat16, enabled=enabled)


@contextmanager
def memory_errors(remedy: str) -> Iterator[None]:
    """Turn "out of memory" of a GPU or of the machine into an error with a remedy."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(str(error), remedy) from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        raise _out_of_memory(str(error), remedy) from error


def _out_of_memory(detail: str, remedy: str) -> ColdalError:
    first = detail.splitlines()[0] if detail else "no memory left"
    return ColdalError(f"out of memory: {first}", remedy=remedy, code="out-of-memory")


class MaskedDiceCELoss(nn.Module):
    """Soft Dice (over the batch, foreground classes) plus cross-entropy, without ignored pixels.

    ``logits`` is ``(N, C, *grid)``, ``target`` ``(N, *grid)`` uint8 with 255 ignored. Predictions
    there change neither term nor any gradient.
    """

    def __init__(self) -> None:
        super().__init__()
        from monai.losses.dice import DiceLoss

        self._dice = DiceLoss(include_background=False, batch=True)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        kept = (target != IGNORE).unsqueeze(1)
        classes = torch.arange(logits.shape[1], device=target.device)
        wanted = target.unsqueeze(1) == classes.reshape(1, -1, *[1] * (target.ndim - 1))
        # where, not a product: 0 × inf is NaN, and an ignored pixel may hold anything.
        wide = torch.where(kept, logits.float(), 0.0)
        log_p = torch.log_softmax(wide, dim=1)
        one_hot = (wanted & kept).float()
        cross_entropy = -(one_hot * log_p).sum() / kept.sum().clamp(min=1)
        dice: torch.Tensor = self._dice(log_p.exp() * kept, one_hot)
        return dice + cross_entropy


def save_weights(net: nn.Module, folder: Path) -> None:
    """Write only the weights, as ``model.safetensors``: reading them runs no code."""
    from safetensors.torch import save

    state = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    write_bytes(folder / MODEL_FILE, save(state))


def load_weights(net: nn.Module, folder: Path) -> None:
    """Read ``model.safetensors`` into the network.

    Raises
    ------
    ColdalError : the file is absent, damaged or of another network (code ``run``).
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = folder / MODEL_FILE
    try:
        state: dict[str, Any] = load(path.read_bytes())
        net.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ColdalError(
            f"the run's weights can't be read ({str(error).splitlines()[0]})",
            where=str(path),
            remedy="train again, or name a run that finished",
            code="run",
        ) from error
