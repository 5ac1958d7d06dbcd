"""ResNet-50 against MONAI's, and the layouts of the public weight files, checked strictly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from coldal_compute.encoders.registry import load_encoder
from coldal_compute.encoders.resnet import ResNet50, load, torchvision_names
from coldal_compute.encoders.weights import fill, read_weights
from coldal_tui.encoders.catalogue import RADIMAGENET_RESNET50
from coldal_tui.errors import ColdalError
from coldal_tui.jobs.spec import EncoderChoice

State = dict[str, Tensor]
_CHILDREN = {
    "conv1": "0",
    "bn1": "1",
    "layer1": "4",
    "layer2": "5",
    "layer3": "6",
    "layer4": "7",
}


def _random(keras: bool = False) -> State:
    torch.manual_seed(0)
    network = ResNet50(keras=keras)
    for module in network.modules():
        # Batch norms that do something: a fresh one is the identity and hides a mixed-up name.
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean = torch.rand_like(module.running_mean) * 0.1
            module.running_var = torch.rand_like(module.running_var) + 0.5
    return network.state_dict()


@pytest.fixture(scope="module")
def state() -> State:
    return _random()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def plain(state: State, folder: Path) -> Path:
    torch.save(state, folder / "plain.pt")
    return folder / "plain.pt"


@pytest.fixture(scope="module")
def expected(state: State) -> Tensor:
    network = ResNet50().eval()
    network.load_state_dict(state)
    with torch.inference_mode():
        return network(_input())


def _input() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def _backbone(state: State) -> State:
    renamed = {}
    for name, tensor in state.items():
        child, rest = name.split(".", 1)
        renamed[f"backbone.{_CHILDREN[child]}.{rest}"] = tensor
    return renamed


def _choice(path: Path, sha256: str | None = None) -> EncoderChoice:
    return EncoderChoice("radimagenet-resnet50", str(path), sha256)


def test_the_network_is_monais_resnet50(state: State, expected: Tensor) -> None:
    from monai.networks.nets import resnet50

    reference = resnet50(
        spatial_dims=2,
        n_input_channels=3,
        conv1_t_stride=2,
        feed_forward=False,
        bias_downsample=False,
    ).eval()
    reference.load_state_dict(state, strict=True)
    with torch.inference_mode():
        torch.testing.assert_close(expected, reference(_input()), rtol=1e-5, atol=1e-5)


def test_torchvision_names_load(plain: Path, expected: Tensor) -> None:
    assert torch.equal(load_encoder(_choice(plain)).embed(_input()), expected)


def test_the_authors_sequence_of_children_loads_to_the_same_vectors(
    state: State, folder: Path, expected: Tensor
) -> None:
    path = folder / "backbone.pt"
    torch.save(_backbone(state), path)
    encoder = load_encoder(_choice(path))
    assert torch.equal(encoder.embed(_input()), expected)
    assert encoder.details["layout"] == "backbone sequence"


def test_a_wrapped_data_parallel_checkpoint_with_a_classifier_loads_without_it(
    state: State, folder: Path, expected: Tensor
) -> None:
    path = folder / "wrapped.pt"
    full = {**state, "fc.weight": torch.zeros(165, 2048), "fc.bias": torch.zeros(165)}
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in full.items()}}, path)
    encoder = load_encoder(_choice(path))
    assert torch.equal(encoder.embed(_input()), expected)
    assert encoder.details["left_out"] == "fc.bias, fc.weight"


def test_safetensors_load(state: State, folder: Path, expected: Tensor) -> None:
    path = folder / "model.safetensors"
    save_file({k: v.contiguous() for k, v in state.items()}, path)
    assert torch.equal(load_encoder(_choice(path)).embed(_input()), expected)


def test_batch_counters_may_be_absent(state: State) -> None:
    bare = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    network = ResNet50()
    fill(network, bare, Path("bare.pt"))
    assert torch.equal(network.layer4[2].bn3.running_var, state["layer4.2.bn3.running_var"])


def _without(state: State) -> State:
    return {k: v for k, v in state.items() if k != "layer3.5.conv2.weight"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without, r"1 missing: layer3\.5\.conv2\.weight"),
        (lambda s: {**s, "head.bias": torch.zeros(2)}, r"1 unexpected: head\.bias"),
        (
            lambda s: {**s, "layer1.0.conv1.weight": torch.zeros(64, 64, 3, 3)},
            r"1 another shape: layer1\.0\.conv1\.weight \(64, 64, 3, 3\), expected \(64, 64, 1",
        ),
        (
            lambda s: {**s, "bn1.weight": torch.full((64,), torch.nan)},
            r"1 not finite: bn1\.weight",
        ),
    ],
    ids=["missing", "unexpected", "shape", "nan"],
)
def test_weights_that_do_not_fit_are_refused(
    state: State, change: Callable[[State], State], message: str
) -> None:
    with pytest.raises(ColdalError, match=message) as error:
        fill(ResNet50(), change(state), Path("weights.pt"))
    assert error.value.code == "weights-mismatch"


def test_a_child_that_a_resnet50_does_not_have_keeps_its_name_for_the_check() -> None:
    renamed, _, _ = torchvision_names({"backbone.3.weight": torch.zeros(1)})
    assert list(renamed) == ["backbone.3.weight"]


def test_another_hash_is_refused(plain: Path) -> None:
    with pytest.raises(ColdalError, match="expected 1234") as error:
        load_encoder(_choice(plain, "1234"))
    assert error.value.code == "weights-hash"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ColdalError, match=r"absent\.pt.*No such file") as error:
        load_encoder(_choice(tmp_path / "absent.pt"))
    assert error.value.code == "no-weights"


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"<html>please log in</html>")
    with pytest.raises(ColdalError) as error:
        read_weights(tmp_path / name)
    assert error.value.code == "bad-weights"


def test_a_pickled_object_is_refused_unopened(tmp_path: Path) -> None:
    torch.save(torch.nn.ReLU(), tmp_path / "model.pt")
    with pytest.raises(ColdalError, match="not a file of weights") as error:
        read_weights(tmp_path / "model.pt")
    assert error.value.code == "bad-weights"


def test_convolution_biases_mean_the_keras_network_and_its_preprocessing(folder: Path) -> None:
    path = folder / "keras.pt"
    torch.save(_random(keras=True), path)
    loaded = load(RADIMAGENET_RESNET50, path, None)
    block = loaded.network.layer2[0]  # type: ignore[index, union-attr]
    assert block.conv1.stride == (2, 2)  # type: ignore[union-attr]
    assert block.conv2.stride == (1, 1)  # type: ignore[union-attr]
    # keras.applications: 103.939, 116.779, 123.68 from BGR on 0..255.
    assert loaded.info.mean == pytest.approx((0.407604, 0.457957, 0.485020), abs=1e-6)
    assert loaded.info.std == (1.0, 1.0, 1.0)
