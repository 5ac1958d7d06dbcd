"""ResNet-50 in plain PyTorch, and the public RadImageNet weight files in their layouts.

He et al., arXiv 1512.03385. Three kinds of file go by the name of RadImageNet ResNet-50:

``backbone.<n>.*``
    the authors' PyTorch release: ``nn.Sequential`` of torchvision's children (0 the stem, 1 its
    batch norm, 4 to 7 the layers); stride in the 3×3 convolution, inputs in [-1, 1].
``conv1.weight``, ``layer1.0.conv1.weight`` …
    the same network under torchvision's names, with or without a classifier ``fc``.
the same names with convolution biases (``conv1.bias``)
    ports of the authors' Keras release: stride in the first 1×1 convolution, batch-norm
    ε 1.001e-5, ImageNet means subtracted and no scaling. Loaded into the other network the
    shapes would fit and the vectors be wrong, so the biases decide which network is built.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from coldal_compute.encoders.weights import Loaded, State, fill, read_weights
from coldal_tui.encoders.catalogue import EncoderInfo

_LAYERS = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
_EXPANSION = 4
_KERAS_EPS = 1.001e-5
_CHILD = re.compile(r"^backbone\.(\d+)\.")
_CHILDREN = {
    "0": "conv1",
    "1": "bn1",
    "4": "layer1",
    "5": "layer2",
    "6": "layer3",
    "7": "layer4",
}
_CLASSIFIER = frozenset({"fc.weight", "fc.bias"})
# keras.applications' "caffe" mode (BGR, minus 103.939, 116.779, 123.68), then 1 / 255, as in the
# authors' training scripts.
_KERAS_MEAN = (103.939 / 255, 116.779 / 255, 123.68 / 255)


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 convolutions and a skip; ``keras`` strides in the first, else in the second."""

    def __init__(self, inputs: int, width: int, stride: int, keras: bool) -> None:
        super().__init__()
        outputs = width * _EXPANSION
        first, second = (stride, 1) if keras else (1, stride)
        self.conv1 = nn.Conv2d(inputs, width, 1, stride=first, bias=keras)
        self.bn1 = _norm(width, keras)
        self.conv2 = nn.Conv2d(width, width, 3, stride=second, padding=1, bias=keras)
        self.bn2 = _norm(width, keras)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=keras)
        self.bn3 = _norm(outputs, keras)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=keras), _norm(outputs, keras)
            )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` to ``(B, 4 width, ⌈H / stride⌉, ⌈W / stride⌉)``."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet50(nn.Module):
    """``(B, 3, H, W)`` to the globally averaged layer4, ``(B, 2048)``."""

    def __init__(self, keras: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=keras)
        self.bn1 = _norm(64, keras)
        layers, inputs = [], 64
        for width, count, stride in _LAYERS:
            blocks = []
            for n in range(count):
                blocks.append(Bottleneck(inputs, width, stride if n == 0 else 1, keras))
                inputs = width * _EXPANSION
            layers.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers

    def forward(self, x: Tensor) -> Tensor:
        """The embedding, ``(B, 2048)``."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.max_pool2d(x, 3, stride=2, padding=1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3))


def _norm(channels: int, keras: bool) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_KERAS_EPS if keras else 1e-5)


def torchvision_names(state: State) -> tuple[State, str, tuple[str, ...]]:
    """``state`` with torchvision's names, its original layout, and the keys left out.

    Only the classifier is left out; a child that a ResNet-50 does not have keeps its name, so
    that the strict check names it.
    """
    layout = "backbone sequence" if any(_CHILD.match(k) for k in state) else "torchvision"
    renamed = {_CHILD.sub(_child_name, name): tensor for name, tensor in state.items()}
    dropped = tuple(sorted(_CLASSIFIER & renamed.keys()))
    return {k: v for k, v in renamed.items() if k not in _CLASSIFIER}, layout, dropped


def _child_name(match: re.Match[str]) -> str:
    name = _CHILDREN.get(match[1])
    return f"{name}." if name else match[0]


def load(info: EncoderInfo, path: Path | None, pinned: str | None) -> Loaded:
    """The network with the weights at ``path``; ``info`` follows the kind of file (see above)."""
    assert path is not None, "the registry refuses a missing path"
    tensors, digest = read_weights(path, pinned)
    state, layout, dropped = torchvision_names(tensors)
    keras = "conv1.bias" in state
    network = ResNet50(keras=keras)
    fill(network, state, path)
    if keras:
        layout = f"{layout} with convolution biases (Keras port)"
        info = replace(
            info,
            preprocessing="BGR, x minus the ImageNet means, not scaled",
            mean=_KERAS_MEAN,
            std=(1.0, 1.0, 1.0),
        )
    return Loaded(info, network, digest, {"layout": layout, "left_out": ", ".join(dropped)})
