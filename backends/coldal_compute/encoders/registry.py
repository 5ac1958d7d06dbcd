"""Loads and identifies encoders. Importing this module does not import torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from coldal_compute.encoders.rules import (
    CHANNEL_RULE,
    INTENSITY_RULE,
    POOLING_RULES,
    PREPROCESSING_VERSION,
    RESIZE_RULE,
    VOLUME_RULE,
)
from coldal_tui.encoders.catalogue import DEFAULT_WINDOW, PRECISIONS, EncoderInfo, chosen_info
from coldal_tui.errors import ColdalError
from coldal_tui.imaging.ct_windows import WINDOWS
from coldal_tui.imaging.intensity_choice import AUTO, IntensityChoice
from coldal_tui.jobs.spec import EncoderChoice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from coldal_compute.encoders.preprocess import Prepared
    from coldal_compute.encoders.weights import Loaded
    from coldal_tui.imaging.image import ScanImage

    Vector = NDArray[np.float32]


FLOAT32 = PRECISIONS[0]


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
    window: str = DEFAULT_WINDOW
    pooling: str = "mean"
    modality: tuple[str, ...] = (AUTO,)
    precision: str = FLOAT32

    def embed(self, batch: Tensor) -> Tensor:
        """Vectors ``(B, dim) float32`` on the CPU of ``(B, C, H, W) float32`` inputs."""
        return self.run(batch).cpu()

    def run(self, batch: Tensor) -> Tensor:
        """As ``embed``, on the encoder's device, which is not waited for."""
        import torch

        half = self.precision == "bf16"
        kind = torch.device(self.device).type
        if kind == "cuda":
            batch = batch.pin_memory()
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=half):
            vectors: Tensor = self.network(batch.to(self.device, non_blocking=True))
            return vectors.float()

    def prepare(self, image: ScanImage) -> Prepared:
        """A scan as this encoder's network sees it."""
        from coldal_compute.encoders.preprocess import prepare

        return prepare(image, self.info, IntensityChoice(self.modality, self.window))

    def pool(self, vectors: NDArray[np.float32], foreground: NDArray[np.float64]) -> Vector:
        """One vector ``(dim,) float32`` from those of a scan's slices, ``(S, dim)``."""
        import numpy as np

        weights = foreground if self.pooling == "foreground" and foreground.sum() > 0 else None
        pooled: Vector = np.average(vectors.astype(np.float64), axis=0, weights=weights)
        return pooled.astype(np.float32)


def load_encoder(choice: EncoderChoice, device: str = "cpu") -> Encoder:
    """Load and check the weights of ``choice`` and put the network on ``device``.

    Raises
    ------
    UsageError : unknown name.
    ColdalError : settings that contradict each other, no weights file, one with another SHA-256
        than ``choice.sha256`` (or, for the weights that come with the package, than the pinned
        one), one that does not fit the network exactly, or a library that is not installed.
    """
    info = chosen_info(choice)
    if info.needs_file and choice.weights is None:
        raise ColdalError(
            "this encoder's weights do not come with the package",
            where=info.name,
            remedy=info.get,
            code="no-weights",
        )
    path = Path(choice.weights) if choice.weights else None
    loaded = _loader(info.family)(info, path, choice.sha256)
    window, pooling = choice.window or DEFAULT_WINDOW, choice.pooling or "mean"
    precision = choice.precision or FLOAT32
    if precision != FLOAT32 and loaded.details.get("layout") == "ONNX":
        raise ColdalError(
            f"precision = “{precision}” is set, and an ONNX file is computed as it was saved",
            where="[encoder]",
            remedy="leave precision out, or save the model as TorchScript",
            code="encoder-choice",
        )
    modality = choice.modality or (AUTO,)
    return Encoder(
        info=loaded.info,
        hash=identity(loaded.info, loaded.sha256, window, pooling, modality, precision),
        weights_sha256=loaded.sha256,
        network=loaded.network.eval().requires_grad_(False).to(device),
        device=device,
        details=loaded.details,
        window=window,
        pooling=pooling,
        modality=modality,
        precision=precision,
    )


def _loader(family: str) -> Callable[[EncoderInfo, Path | None, str | None], Loaded]:
    """The module for a family of networks, imported (with torch) on first use."""
    from coldal_compute.encoders import dinov2, efficientnet_lite, model_file, plugin, resnet

    return {
        "dinov2": dinov2.load,
        "efficientnet-lite": efficientnet_lite.load,
        "file": model_file.load,
        "plug-in": plugin.load,
        "resnet50": resnet.load,
    }[family]


def identity(
    info: EncoderInfo,
    weights_sha256: str,
    window: str = DEFAULT_WINDOW,
    pooling: str = "mean",
    modality: tuple[str, ...] = (AUTO,),
    precision: str = FLOAT32,
) -> str:
    """The hash of everything that decides a vector: weights, network, layer, preprocessing.

    What is the default in ``modality`` and ``precision`` leaves older hashes as they are.
    """
    facts: list[object] = [
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
        POOLING_RULES[pooling],
        [window, *WINDOWS[window]],
    ]
    if modality != (AUTO,):
        facts.append(modality)
    if precision != FLOAT32:
        facts.append(f"precision: {precision}")
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
