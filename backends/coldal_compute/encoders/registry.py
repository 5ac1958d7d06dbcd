"""How an encoder is loaded and identified. Importing this module does not import torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from coldal_tui.errors import ColdalError
from coldal_tui.imaging.intensity import SOFT_TISSUE
from coldal_tui.jobs.encoders import EFFICIENTNET_LITE0, EncoderInfo, encoder_info
from coldal_tui.jobs.spec import EncoderChoice

if TYPE_CHECKING:
    from torch import Tensor, nn

PREPROCESSING_VERSION = "1"
"""Goes up whenever ``preprocess`` changes what a network sees; part of an encoder's hash."""

VOLUME_SLICES = 9
"""Slices of a volume that are embedded; the volume's vector is the mean of theirs."""

INTENSITY_RULE = (
    "to [0, 1]: 8-bit pictures and films by their full range, CT by a window of "
    f"{SOFT_TISSUE[0]:g} at {SOFT_TISSUE[1]:g} HU, MR and other volumes by the 0.5 and 99.5 "
    "percentiles of the foreground, the rest by those of all pixels"
)
CHANNEL_RULE = "one channel repeated, three as they are, any other number averaged to grey"
RESIZE_RULE = "squashed to the input size (aspect ratio not kept), bilinear with antialiasing"
VOLUME_RULE = (
    f"volume: {VOLUME_SLICES} slices evenly spaced through the foreground along the axis of the "
    "coarsest spacing (ties: the last axis, foot to head where the orientation is known), "
    "mean of their vectors"
)


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
            vectors: Tensor = self.network(batch.to(self.device))
            return vectors.float().cpu()


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
