"""Models of the user's: TorchScript and ONNX files, what they declare and what is refused."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from coldal_compute.encoders.registry import load_encoder
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.files import sha256_file
from coldal_tui.imaging.image import ScanHeader, ScanImage
from coldal_tui.jobs.spec import EncoderChoice

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


class Sums(nn.Module):
    """Per image: the sum and the largest value of each channel, as tokens or places if asked."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form

    def forward(self, x: Tensor) -> Tensor:
        found = torch.cat([x.sum(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)
        if self.form == "tokens":
            return torch.stack([found, found * 3, found * 5], dim=1)
        if self.form == "places":
            return torch.stack([found, found * 3], dim=2)[..., None]
        return found


@pytest.fixture
def scripted(tmp_path: Path) -> Callable[..., Path]:
    def save(form: str = "plain", channels: int = 3, size: int = 8) -> Path:
        path = tmp_path / f"{form}.pt"
        torch.jit.save(torch.jit.trace(Sums(form), torch.zeros(1, channels, size, size)), path)
        return path

    return save


def _choice(path: Path, **more: object) -> EncoderChoice:
    return msgspec.structs.replace(EncoderChoice("file", str(path), size=8), **more)


def test_a_torchscript_file_is_an_encoder(scripted: Callable[..., Path]) -> None:
    path = scripted()
    encoder = load_encoder(_choice(path, mean=(0.5,), std=(0.25,)))
    assert (encoder.info.dim, encoder.info.input_size) == (6, 8)
    assert encoder.info.preprocessing == "RGB, (x - 0.5) / 0.25"
    assert encoder.weights_sha256 == sha256_file(path)
    half = np.full((8, 8, 1), 128, np.uint8)
    seen = encoder.prepare(ScanImage(ScanHeader((8, 8), 1, "uint8"), half)).slices
    value = (128 / 255 - 0.5) / 0.25
    np.testing.assert_allclose(encoder.embed(seen)[0], [64 * value] * 3 + [value] * 3, rtol=1e-4)


def test_a_model_of_one_channel(scripted: Callable[..., Path]) -> None:
    encoder = load_encoder(_choice(scripted(channels=1), channels="L"))
    grey = np.full((8, 8, 1), 255, np.uint8)
    seen = encoder.prepare(ScanImage(ScanHeader((8, 8), 1, "uint8"), grey)).slices
    np.testing.assert_allclose(encoder.embed(seen), [[64.0, 1.0]])


@pytest.mark.parametrize(
    ("form", "layer", "factor"),
    [("plain", "pooled", 1), ("tokens", "cls", 1), ("tokens", "mean", 3), ("places", "mean", 2)],
)
def test_the_layer_says_what_of_the_output_is_the_vector(
    scripted: Callable[..., Path], form: str, layer: str, factor: int
) -> None:
    encoder = load_encoder(_choice(scripted(form), layer=layer))
    found = encoder.embed(torch.ones(2, 3, 8, 8)).numpy()
    np.testing.assert_allclose(found, [[64.0 * factor] * 3 + [1.0 * factor] * 3] * 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("form", "layer", "remedy"),
    [("tokens", "pooled", "cls or mean"), ("plain", "mean", "pooled"), ("places", "cls", "mean")],
)
def test_an_output_that_does_not_fit_says_what_would(
    scripted: Callable[..., Path], form: str, layer: str, remedy: str
) -> None:
    with pytest.raises(ColdalError) as error:
        load_encoder(_choice(scripted(form), layer=layer))
    assert error.value.code == "model-output"
    assert error.value.remedy == f"set layer under [encoder] to {remedy}"


def test_settings_are_part_of_what_the_encoder_is(scripted: Callable[..., Path]) -> None:
    path = scripted()
    variants = [
        {},
        {"mean": (0.5,)},
        {"std": (0.5,)},
        {"size": 16},
        {"channels": "BGR"},
        {"window": "bone"},
        {"pooling": "foreground"},
        {"precision": "tf32"},
        {"precision": "bf16"},
    ]
    hashes = {load_encoder(_choice(path, **more)).hash for more in variants}
    assert len(hashes) == len(variants)


def test_another_file_than_the_pinned_one_is_refused(scripted: Callable[..., Path]) -> None:
    path = scripted()
    pinned = sha256_file(path)
    load_encoder(_choice(path, sha256=pinned))
    path.write_bytes(path.read_bytes() + b"0")
    with pytest.raises(ColdalError) as error:
        load_encoder(_choice(path, sha256=pinned))
    assert error.value.code == "weights-hash"


def test_a_model_that_takes_another_input_says_so(tmp_path: Path) -> None:
    path = tmp_path / "conv.pt"
    layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    torch.jit.save(torch.jit.script(layers), path)
    with pytest.raises(ColdalError, match="can't take 3 channels of 8 pixels") as error:
        load_encoder(_choice(path))
    assert error.value.code == "model-output"
    assert load_encoder(_choice(path, channels="L")).info.dim == 4


@pytest.mark.parametrize("name", ["no.pt", "no.onnx"])
def test_what_is_no_model_is_told(tmp_path: Path, name: str) -> None:
    if name.endswith("onnx"):
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    (tmp_path / name).write_bytes(b"not a model")
    with pytest.raises(ColdalError) as error:
        load_encoder(_choice(tmp_path / name))
    assert error.value.code == "bad-weights"


def test_a_model_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(ColdalError) as error:
        load_encoder(_choice(tmp_path / "gone.pt"))
    assert error.value.code == "no-weights"


def test_a_file_is_asked_for() -> None:
    with pytest.raises(ColdalError) as error:
        load_encoder(EncoderChoice("file", size=8))
    assert error.value.code == "no-weights"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mean": (0.1, 0.2)}, "mean has 2 numbers"),
        ({"std": (0.0,)}, "std has a number that is not above 0"),
        ({"size": 0}, "size = 0"),
        ({"channels": "RGBA"}, "channels = 'RGBA'"),
        ({"layer": "third"}, "layer = 'third'"),
        ({"window": "heart"}, "window = 'heart'"),
        ({"pooling": "max"}, "pooling = 'max'"),
        ({"precision": "int8"}, "precision = 'int8'"),
        ({"name": "efficientnet-lite0"}, "size is set, which only a file of yours"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ColdalError) as error:
        load_encoder(_choice(Path("x.pt"), **changes))
    assert error.value.code == "encoder-choice"
    assert said in error.value.what


def test_an_unknown_name_is_a_wrong_call() -> None:
    with pytest.raises(UsageError):
        load_encoder(EncoderChoice("fiel", "x.pt"))


# GlobalAveragePool and Flatten of an input of n x 3 x 8 x 8, as onnx 1.23 writes them.
MEAN_ONNX = base64.b64decode(
    "CAg6dgocCgF4EgRtZWFuIhFHbG9iYWxBdmVyYWdlUG9vbAoXCgRtZWFuEgZ2ZWN0b3IiB0ZsYXR0ZW4SBG1lYW5aHAoB"
    "eBIXChUIARIRCgMSAW4KAggDCgIICAoCCAhiGQoGdmVjdG9yEg8KDQgBEgkKAxIBbgoCCANCBAoAEBE="
)


def test_an_onnx_file_gives_what_the_model_gives(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    path = tmp_path / "mean.onnx"
    path.write_bytes(MEAN_ONNX)
    encoder = load_encoder(_choice(path))
    images = torch.rand(3, 3, 8, 8)
    np.testing.assert_allclose(encoder.embed(images), images.mean(dim=(2, 3)), rtol=1e-5)
    assert (encoder.info.dim, encoder.details["layout"]) == (3, "ONNX")


def test_an_onnx_file_has_its_own_precision(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    path = tmp_path / "mean.onnx"
    path.write_bytes(MEAN_ONNX)
    with pytest.raises(ColdalError, match="computed as it was saved") as error:
        load_encoder(_choice(path, precision="bf16"))
    assert error.value.code == "encoder-choice"


def test_without_onnxruntime_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (tmp_path / "a.onnx").write_bytes(b"")
    with pytest.raises(ColdalError) as error:
        load_encoder(_choice(tmp_path / "a.onnx"))
    assert error.value.code == "no-onnxruntime"
