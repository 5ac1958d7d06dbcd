"""The score and evaluate jobs with a small trained run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from coldal_compute.evaluate_step import evaluate
from coldal_compute.score_step import score
from coldal_compute.segmentation import inference, scoring
from coldal_compute.segmentation.aggregation import focused
from coldal_compute.segmentation.data import file_readers
from coldal_compute.segmentation.disagreement import class_entropies, mutual_information
from coldal_compute.segmentation.entropy import mean_entropy
from coldal_compute.segmentation.entropy_maps import entropy_map
from coldal_compute.segmentation.grids import native_logits
from coldal_compute.segmentation.inference import (
    Model,
    grid_logits,
    load_ensemble,
    load_model,
    predict,
)
from coldal_compute.segmentation.inputs.preprocessing import preprocess
from coldal_compute.segmentation.metrics import measure_scan
from coldal_compute.segmentation.network import build_network, pick_device, save_weights
from coldal_compute.segmentation.plan import Plan, load_plan, make_plan, save_plan
from coldal_tui.errors import ColdalError
from coldal_tui.imaging.entropyfile import read_entropy
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.imaging.reading import read_scan
from coldal_tui.jobs.spec import EvaluateSpec, LabelledScan, ScoreSpec, TrainOptions

_CPU = torch.device("cpu")


def _run(folder: Path, scans: tuple[LabelledScan, ...], **options: Any) -> Path:
    """A run with random weights: what inference does with them needs no training."""
    folder.mkdir()
    torch.manual_seed(4)
    plan = make_plan([s.scan for s in scans], ("disc", "ring"), TrainOptions(**options))
    save_plan(plan, folder)
    save_weights(build_network(plan), folder)
    return folder


@pytest.fixture
def images(discs: Callable[..., tuple[LabelledScan, ...]]) -> tuple[LabelledScan, ...]:
    return discs(4)


def _score(run: Path, scans: tuple[LabelledScan, ...], out: Path, report: Any, **more: Any) -> Any:
    out.mkdir(exist_ok=True)
    inputs = tuple(labelled.scan for labelled in scans)
    return score(ScoreSpec(str(run), inputs, device="cpu", threads=1, **more), out, report)


def test_logits_and_labels_lie_on_the_scans_own_grid(images: Any, tmp_path: Path) -> None:
    model = load_model(_run(tmp_path / "run", images), _CPU)
    scan = read_scan(images[0].scan.ref)
    logits = native_logits(model.logits(scan), scan.header.shape)
    labels, _ = predict(model, scan)
    assert logits.shape == (3, 48, 56)
    np.testing.assert_array_equal(labels, logits.argmax(dim=0).numpy())


def test_volumes_smaller_than_the_patch_come_back_without_padding(
    balls: Any, tmp_path: Path
) -> None:
    scans = balls(1)
    model = load_model(_run(tmp_path / "run", scans, patch=(32, 32, 32)), _CPU)
    assert model.logits(read_scan(scans[0].scan.ref)).shape == (3, 20, 24, 16)


def test_windows_that_cover_the_image_give_what_the_whole_gives() -> None:
    plan = Plan(("a",), 2, 1, (32, 32), 1, 1, (4, 8), ((2, 2),), 1e-3, image_size=(32, 32))
    torch.manual_seed(0)
    net = build_network(plan).eval()
    images = torch.randn(1, 1, 32, 32)
    windows = msgspec.structs.replace(plan, image_size=None, spacing=(1.0, 1.0))
    with torch.inference_mode():
        whole = grid_logits(net, images, plan, _CPU)
        windowed = grid_logits(net, images, windows, _CPU)
    torch.testing.assert_close(whole, windowed, atol=1e-4, rtol=1e-4)


def test_scores_are_the_entropies_of_the_working_logits(
    images: Any, report: Any, tmp_path: Path
) -> None:
    run = _run(tmp_path / "run", images)
    result = _score(run, images, tmp_path / "out", report)
    logits, _ = _together(load_model(run, _CPU), images)
    expected = {
        labelled.scan.scan_id: mean_entropy(one)
        for labelled, one in zip(images, logits, strict=True)
    }
    assert json.loads((tmp_path / "out" / "entropies.json").read_text()) == expected
    assert result.result["scored"] == 4


def test_all_that_strategies_may_ask_for_is_scored(
    images: Any, report: Any, tmp_path: Path
) -> None:
    run = _run(tmp_path / "run", images)
    result = _score(run, images, tmp_path / "out", report)
    model = load_model(run, _CPU)
    found = json.loads((tmp_path / "out" / result.result["scores"]).read_text())
    assert sorted(found) == [labelled.scan.scan_id for labelled in images]
    features = np.load(tmp_path / "out" / result.result["features"], allow_pickle=False)
    assert "features.npy" in result.files
    ordered = sorted(images, key=_name)
    passed = zip(*_together(model, ordered), strict=True)
    for labelled, row, (logits, coarse) in zip(ordered, features, passed, strict=True):
        scores = found[labelled.scan.scan_id]
        assert (coarse == row).all()
        assert scores["entropy"] == mean_entropy(logits)
        assert tuple(scores["class_entropy"]) == class_entropies(logits)
        assert scores["foreground"] == focused(logits).foreground
        assert scores["boundary"] == focused(logits).boundary
        assert "features" not in scores


def _name(labelled: LabelledScan) -> str:
    return labelled.scan.scan_id


def _together(model: Model, scans: Sequence[LabelledScan]) -> tuple[torch.Tensor, Any]:
    """Logits and features of the scans, as a scoring puts them through the network."""
    read = [preprocess(read_scan(one.scan.ref), model.plan) for one in scans]
    return model.logits_and_features(np.stack(read), model.at_once)


def test_scores_dont_depend_on_what_is_scored_beside_a_scan(
    images: Any, report: Any, tmp_path: Path
) -> None:
    run = _run(tmp_path / "run", images)
    model = load_model(run, _CPU)
    assert model.at_once == 8
    found = []
    for name, scans in (("all", images), ("one", images[2:3]), ("less", images[2:])):
        _score(run, scans, tmp_path / name, report)
        scores = json.loads((tmp_path / name / "scores.json").read_text())
        features = np.load(tmp_path / name / "features.npy", allow_pickle=False)
        scan_id = images[2].scan.scan_id
        found.append((scores[scan_id], features[sorted(scores).index(scan_id)].tolist()))
    assert found[0] == found[1] == found[2]


def test_scores_are_those_of_one_image_at_a_time_but_for_rounding(
    images: Any, report: Any, tmp_path: Path
) -> None:
    run = _run(tmp_path / "run", images)
    _score(run, images, tmp_path / "eight", report)
    _score(run, images, tmp_path / "one", report, windows=1)
    eight, one = (
        json.loads((tmp_path / name / "entropies.json").read_text()) for name in ("eight", "one")
    )
    assert eight == pytest.approx(one, rel=1e-5)


@pytest.mark.parametrize(("gib", "side", "counts"), [
    (80, 256, [128, 64, 1]), (80, 512, [64, 32, 1]), (16, 256, [64, 32, 1]), (8, 512, [8, 4, 1]),
])  # fmt: skip
def test_on_a_gpu_more_images_go_through_together(
    images: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gib: int,
    side: int,
    counts: list[int],
) -> None:
    monkeypatch.setattr(inference, "gpu_memory", lambda device: gib << 30)
    model = load_model(_run(tmp_path / "run", images), _CPU)
    plan = msgspec.structs.replace(model.plan, patch=(side, side), image_size=(side, side))
    gpu = replace(model, device=torch.device("cuda"), plan=plan)
    # Half as many windows after memory ran out, and again.
    assert [replace(gpu, windows=n).at_once for n in (4, 2, 1)] == counts


def test_large_images_and_scans_in_windows_go_through_alone(images: Any, tmp_path: Path) -> None:
    model = load_model(_run(tmp_path / "run", images), _CPU)
    wide = msgspec.structs.replace(model.plan, patch=(1024, 1024), image_size=(1024, 1024))
    assert replace(model, plan=wide).at_once == 1
    windows = msgspec.structs.replace(model.plan, image_size=None, spacing=(1.0, 1.0))
    assert replace(model, plan=windows).at_once == 1


def test_what_several_networks_disagree_about_is_scored(
    images: Any, report: Any, tmp_path: Path
) -> None:
    run = _run(tmp_path / "run", images)
    _score(run, images, tmp_path / "one", report)
    for number in (2, 3):
        torch.manual_seed(number)
        folder = run / f"network-{number}"
        folder.mkdir()
        save_weights(build_network(load_plan(run)), folder)
    result = _score(run, images, tmp_path / "three", report, predict=("s00",))
    one, three = (
        json.loads((tmp_path / name / result.result["scores"]).read_text())
        for name in ("one", "three")
    )
    ensemble = load_ensemble(run, _CPU)
    assert len(ensemble) == 3
    members = zip(*(_together(model, images)[0] for model in ensemble), strict=True)
    for labelled, logits in zip(images, members, strict=True):
        scan_id = labelled.scan.scan_id
        assert "bald" not in one[scan_id]
        assert three[scan_id].pop("bald") == mutual_information(logits) > 0
    # Whatever else is scored is the first one's.
    assert one == three


def test_features_are_the_mean_of_the_coarsest_level(images: Any, tmp_path: Path) -> None:
    model = load_model(_run(tmp_path / "run", images), _CPU)
    image = preprocess(read_scan(images[0].scan.ref), model.plan)
    (logits,), (features,) = model.logits_and_features(image[np.newaxis])
    torch.testing.assert_close(logits, model.working_logits(image))
    # Down the U by hand, to where nothing is left to go down.
    block, seen = model.net.model, torch.from_numpy(image.astype(np.float32))[None]
    with torch.inference_mode():
        while isinstance(block, torch.nn.Sequential):
            seen = block[0](seen)
            block = block[1].submodule
        expected = block(seen).mean(dim=(2, 3))[0].numpy()
    np.testing.assert_allclose(features, expected, rtol=2e-3, atol=1e-3)


def test_predictions_are_kept_for_the_scans_asked_for(
    images: Any, report: Any, tmp_path: Path
) -> None:
    run = _run(tmp_path / "run", images)
    result = _score(run, images, tmp_path / "out", report, predict=("disc02",))
    assert result.result["predictions"] == {"disc02": "predictions/disc02.png"}
    assert "predictions/disc02.png" in result.files
    labels, _ = predict(load_model(run, _CPU), read_scan(images[2].scan.ref))
    found = read_label(tmp_path / "out" / "predictions" / "disc02.png")
    np.testing.assert_array_equal(found, labels)


def test_predictions_of_volumes_carry_the_scans_affine(
    balls: Any, report: Any, tmp_path: Path
) -> None:
    import nibabel as nib

    scans = balls(1)
    run = _run(tmp_path / "run", scans)
    _score(run, scans, tmp_path / "out", report, predict=("ball00",))
    stored = nib.load(tmp_path / "out" / "predictions" / "ball00.nii.gz")
    np.testing.assert_array_equal(stored.affine, np.diag([1.0, 1.0, 2.0, 1.0]))
    assert stored.shape == (20, 24, 16)


def test_a_scan_that_fails_never_stops_the_others(images: Any, report: Any, tmp_path: Path) -> None:
    run = _run(tmp_path / "run", images)
    Path(images[1].scan.ref.files[0]).write_bytes(b"no picture")
    result = _score(run, images, tmp_path / "out", report)
    assert [failed.scan_id for failed in result.failed] == ["disc01"]
    assert result.failed[0].file == images[1].scan.ref.files[0]
    assert set(json.loads((tmp_path / "out" / "entropies.json").read_text())) == {
        "disc00", "disc02", "disc03",
    }  # fmt: skip


def _cut_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = scoring.mean_entropy, []

    def counted(*args: Any, **named: Any) -> float:
        calls.append(1)
        if len(calls) > count:
            raise KeyboardInterrupt
        return real(*args, **named)

    monkeypatch.setattr(scoring, "mean_entropy", counted)


def test_scoring_goes_on_after_the_last_finished_scan(
    images: Any, report: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _run(tmp_path / "run", images)
    with monkeypatch.context() as patch:
        _cut_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            _score(run, images, tmp_path / "cut", report)
    with (tmp_path / "cut" / "scored.jsonl").open("ab") as stream:
        stream.write(b'{"scan_id":"disc02","entr')
    with monkeypatch.context() as patch:
        _cut_after(2, patch)
        _score(run, images, tmp_path / "cut", report)
    _score(run, images, tmp_path / "calm", report)
    entropies = [(tmp_path / name / "entropies.json").read_text() for name in ("cut", "calm")]
    assert entropies[0] == entropies[1]


def test_scores_of_another_model_are_not_taken_over(
    images: Any, report: Any, tmp_path: Path
) -> None:
    run = _run(tmp_path / "run", images)
    _score(run, images, tmp_path / "out", report)
    before = (tmp_path / "out" / "entropies.json").read_text()
    torch.manual_seed(5)
    save_weights(build_network(load_model(run, _CPU).plan), run)
    _score(run, images, tmp_path / "out", report)
    assert (tmp_path / "out" / "entropies.json").read_text() != before


def test_evaluation_measures_at_native_resolution(images: Any, report: Any, tmp_path: Path) -> None:
    run = _run(tmp_path / "run", images)
    result = evaluate(EvaluateSpec(str(run), images[::-1], device="cpu"), tmp_path, report).result
    labels, _ = predict(load_model(run, _CPU), read_scan(images[0].scan.ref))
    reference = read_label(Path(images[0].label))
    expected = measure_scan(labels, reference, ("disc", "ring"), None)
    assert result["scans"]["disc00"] == msgspec.to_builtins(expected)
    assert list(result["scans"]) == ["disc00", "disc01", "disc02", "disc03"]
    assert set(result["classes"]) == {"disc", "ring"}
    assert {"dice", "hd", "hd95", "unit"} <= set(result["classes"]["disc"])
    assert set(result["mean"]) == {"dice", "hd", "hd95"}


def test_a_bad_label_is_listed_by_evaluation(images: Any, report: Any, tmp_path: Path) -> None:
    run = _run(tmp_path / "run", images)
    Path(images[3].label).unlink()
    done = evaluate(EvaluateSpec(str(run), images, device="cpu"), tmp_path, report)
    assert [failed.scan_id for failed in done.failed] == ["disc03"]
    assert done.result["counts"]["scans"] == 3


def test_running_out_of_memory_is_not_a_bad_scan(images: Any, report: Any, tmp_path: Path) -> None:
    run = _run(tmp_path / "run", images)

    def full(ref: Any) -> Any:
        raise ColdalError("out of memory", code="out-of-memory")

    readers = replace(file_readers(), scan=full)
    with pytest.raises(ColdalError):
        evaluate(EvaluateSpec(str(run), images, device="cpu"), tmp_path, report, readers)


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "mps"])
def test_a_device_that_is_not_there_is_an_error(name: str) -> None:
    with pytest.raises(ColdalError) as caught:
        pick_device(name)
    assert caught.value.code == "device"


def test_the_entropy_of_each_pixel_is_kept_beside_a_prediction(
    images: Any, report: Any, tmp_path: Path
) -> None:
    run = _run(tmp_path / "run", images)
    result = _score(run, images, tmp_path / "out", report, predict=("disc02",))
    assert [name for name in result.files if "/entropy/" in name] == [
        "predictions/entropy/disc02.png"
    ]
    logits = load_model(run, _CPU).logits(read_scan(images[2].scan.ref))
    probability = torch.softmax(logits, dim=0).numpy().astype(np.float64)
    working = -(probability * np.log(probability)).sum(axis=0) / np.log(3)
    found = read_entropy(tmp_path / "out" / "predictions" / "entropy" / "disc02.png")
    assert found.shape == (48, 56)
    assert found.mean() / 255 == pytest.approx(working.mean(), abs=0.02)


def test_an_entropy_map_is_interpolated_between_the_pixels_of_the_working_grid() -> None:
    logits = torch.tensor([[[0.0, 60.0]], [[0.0, 0.0]]])
    np.testing.assert_array_equal(entropy_map(logits, (1, 4)), [[255, 191, 64, 0]])
    np.testing.assert_array_equal(entropy_map(logits, (1, 4), values=1), [[255, 191, 64, 0]])


def test_a_blank_image_is_not_the_most_uncertain(images: Any, tmp_path: Path) -> None:
    """A network without a clue gives half and half everywhere, and there is nothing to see."""
    model = load_model(_run(tmp_path / "run", images), _CPU)
    shape = (1, *(model.plan.image_size or ()))
    _, blank = scoring.score_image([model], np.zeros(shape, np.float16))
    assert (blank.entropy, blank.class_entropy, blank.foreground) == (0.0, (0.0, 0.0), 0.0)
    seen = np.zeros(shape, np.float16)
    seen[0, 3:9, 3:9] = 1
    assert scoring.score_image([model], seen)[1].entropy > 0
