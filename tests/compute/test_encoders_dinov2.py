"""DINOv2 through transformers, with a tiny network of random weights as its library saves it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from coldal_compute.encoders import dinov2, registry
from coldal_tui.encoders import catalogue
from coldal_tui.errors import ColdalError
from coldal_tui.files import sha256_file
from coldal_tui.jobs.spec import EncoderChoice

TINY = replace(catalogue.DINOV2_SMALL, dim=128, input_size=56)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    folder = tmp_path_factory.mktemp("dinov2")
    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        mlp_ratio=4,
    )
    transformers.Dinov2Model(config).save_pretrained(folder)
    return folder / "model.safetensors"


def _changed(source: Path, folder: Path, **tensors: torch.Tensor | None) -> Path:
    from safetensors.torch import load_file, save_file

    state = load_file(source)
    for name, tensor in tensors.items():
        key = next(known for known in state if known.endswith(name.replace("__", ".")))
        if tensor is None:
            del state[key]
        else:
            state[key] = tensor
    save_file(state, folder / "changed.safetensors")
    return folder / "changed.safetensors"


def test_the_class_token_is_that_of_the_library(tiny: Path) -> None:
    import transformers

    loaded = dinov2.load(TINY, tiny, None)
    theirs = transformers.Dinov2Model.from_pretrained(tiny.parent).eval()
    images = torch.rand(2, 3, 56, 56)
    with torch.inference_mode():
        ours = loaded.network.eval()(images)
        expected = theirs(images).pooler_output
    assert ours.shape == (2, 128)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
    assert loaded.sha256 == sha256_file(tiny)
    assert loaded.details["layout"].startswith("hidden_size 128, num_hidden_layers 2")


def test_it_is_an_encoder_like_the_others(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue._ENCODERS, "dinov2-small", TINY)
    choice = EncoderChoice("dinov2-small", str(tiny), sha256_file(tiny))
    encoder = registry.load_encoder(choice)
    vectors = encoder.embed(torch.rand(2, 3, 56, 56)).numpy()
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    alone = encoder.embed(torch.rand(2, 3, 56, 56)[:1])
    assert alone.shape == (1, 128)


def test_another_size_is_refused(tiny: Path) -> None:
    with pytest.raises(ColdalError, match="vectors of 128 numbers, expected 384") as error:
        dinov2.load(catalogue.DINOV2_SMALL, tiny, None)
    assert error.value.code == "weights-mismatch"


def test_another_file_than_the_pinned_one_is_refused(tiny: Path) -> None:
    with pytest.raises(ColdalError) as error:
        dinov2.load(TINY, tiny, "00" * 32)
    assert error.value.code == "weights-hash"


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("layernorm__bias", None, "1 missing: layernorm.bias"),
        ("layernorm__bias", torch.full((128,), torch.nan), "1 not finite"),
        ("layernorm__weight", torch.ones(64), "don't fit"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tiny: Path, tmp_path: Path, name: str, tensor: torch.Tensor | None, said: str
) -> None:
    with pytest.raises(ColdalError, match=said) as error:
        dinov2.load(TINY, _changed(tiny, tmp_path, **{name: tensor}), None)
    assert error.value.code == "weights-mismatch"


def test_the_token_of_the_training_may_be_missing(tiny: Path, tmp_path: Path) -> None:
    path = _changed(tiny, tmp_path, mask_token=None)
    assert dinov2.load(TINY, path, None).info.dim == 128


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"conv1.weight": torch.zeros(3)}, path)
    with pytest.raises(ColdalError, match="3 missing: embeddings") as error:
        dinov2.load(catalogue.DINOV2_SMALL, path, None)
    assert error.value.code == "weights-mismatch"


def test_the_architecture_is_read_off_the_weights() -> None:
    state = {
        "embeddings.cls_token": torch.zeros(1, 1, 768),
        "embeddings.position_embeddings": torch.zeros(1, 1370, 768),
        "embeddings.patch_embeddings.projection.weight": torch.zeros(768, 3, 14, 14),
        **{f"encoder.layer.{n}.norm1.weight": torch.zeros(768) for n in range(12)},
    }
    assert dinov2.architecture(state, Path("x")) == {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "patch_size": 14,
        "image_size": 518,
    }


def test_without_the_library_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    path = tmp_path / "small.pt"
    torch.save(
        {
            "embeddings.cls_token": torch.zeros(1, 1, 384),
            "embeddings.position_embeddings": torch.zeros(1, 5, 384),
            "embeddings.patch_embeddings.projection.weight": torch.zeros(384, 3, 14, 14),
        },
        path,
    )
    with pytest.raises(ColdalError) as error:
        dinov2.load(catalogue.DINOV2_SMALL, path, None)
    assert error.value.code == "no-transformers"
    assert "'.[encoders]'" in (error.value.remedy or "")
