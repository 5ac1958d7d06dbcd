"""Scans on the working grid: channels, normalisation, ignored values, thickness, patches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coldal_compute.segmentation.augmentation import Patches, cut_patch
from coldal_compute.segmentation.data import (
    Sample,
    class_places,
    file_readers,
    load_samples,
    relative_thickness,
)
from coldal_compute.segmentation.inputs.network_inputs import NetworkInputs
from coldal_compute.segmentation.inputs.preprocessing import fit_channels, preprocess
from coldal_compute.segmentation.plan import Plan
from coldal_tui.errors import ImageError
from coldal_tui.imaging.image import ScanHeader, ScanImage
from coldal_tui.imaging.indexing import index_folder
from coldal_tui.imaging.labelfile import write_label
from coldal_tui.jobs.spec import FailedScan, LabelledScan, ScanInput


def _plan(patch: tuple[int, ...] = (16, 16), channels: int = 1, **changes: Any) -> Plan:
    size = {"image_size": patch} if len(patch) == 2 else {"spacing": (1.0, 1.0, 2.0)}
    return Plan(
        classes=("a", "b"),
        ndim=len(patch),
        in_channels=channels,
        patch=patch,
        batch_size=2,
        steps=4,
        features=(4, 8),
        strides=((2,) * len(patch),),
        learning_rate=1e-3,
        **{**size, **changes},
    )


def _image(array: np.ndarray, spacing: tuple[float, ...] | None = None) -> ScanImage:
    shape = array.shape[:-1]
    return ScanImage(ScanHeader(shape, array.shape[-1], str(array.dtype), spacing), array)


def _loaded(case: LabelledScan, plan: Plan) -> tuple[list[Sample], list[FailedScan]]:
    readers = file_readers()
    return load_samples([case], NetworkInputs(plan, readers.scan), readers)


def test_a_preprocessed_image_has_mean_0_and_deviation_1_per_channel() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3)).astype(np.uint8)
    image = preprocess(_image(pixels), _plan(channels=3)).astype(np.float64)
    assert image.shape == (3, 16, 16)
    np.testing.assert_allclose(image.mean(axis=(1, 2)), 0, atol=2e-3)
    np.testing.assert_allclose(image.std(axis=(1, 2)), 1, atol=2e-3)


def test_a_constant_image_becomes_zeros() -> None:
    assert not preprocess(_image(np.full((20, 20, 1), 7, np.uint8)), _plan()).any()


def test_a_volume_goes_to_the_plans_spacing() -> None:
    pixels = np.random.default_rng(0).normal(size=(10, 12, 9, 1)).astype(np.float32)
    image = preprocess(_image(pixels, (2.0, 1.0, 2.0)), _plan((16, 16, 16)))
    assert image.shape == (1, 20, 12, 9)


def test_a_volume_is_refused_by_a_plan_for_images() -> None:
    with pytest.raises(ImageError) as caught:
        preprocess(_image(np.zeros((4, 4, 4, 1), np.uint8)), _plan())
    assert caught.value.code == "dimensions"


def test_grey_is_repeated_for_a_colour_network() -> None:
    grey = np.random.default_rng(0).random((3, 4, 1)).astype(np.float32)
    np.testing.assert_array_equal(fit_channels(grey, 3), np.concatenate([grey] * 3, axis=-1))


def test_colour_becomes_luma_for_a_grey_network() -> None:
    colour = np.array([[[1.0, 0.0, 0.5]]], dtype=np.float32)
    assert fit_channels(colour, 1)[0, 0, 0] == pytest.approx(0.299 + 0.057)


def test_a_strip_is_as_thick_as_it_is_wide() -> None:
    label = np.zeros((100, 400), dtype=np.uint8)
    label[50:54] = 1
    # 1600 pixels; the surface is two rows of 400 and two ends of 2.
    assert relative_thickness([label], 1) == pytest.approx(2 * 1600 / 804 / 400)


def test_the_thinnest_class_decides() -> None:
    label = np.zeros((100, 100), dtype=np.uint8)
    label[10:60, 10:60] = 1
    label[80:82] = 2
    assert relative_thickness([label], 2) == pytest.approx(2 * 200 / 200 / 100)


def test_labels_without_foreground_have_no_thickness() -> None:
    assert relative_thickness([np.zeros((5, 5), np.uint8)], 1) is None


def test_ignored_pixels_stay_ignored_on_the_working_grid(discs: Any) -> None:
    (labelled,) = discs(1)
    label = np.zeros(labelled.scan.shape, dtype=np.uint8)
    label[:24] = 255
    write_label(Path(labelled.label), label, None)
    (sample,), failed = _loaded(labelled, _plan((16, 16)))
    assert failed == []
    assert (sample.label[:8] == 255).all()
    assert (sample.label[8:] == 0).all()


def test_a_value_beyond_the_classes_is_ignored(discs: Any) -> None:
    (labelled,) = discs(1)
    write_label(Path(labelled.label), np.full(labelled.scan.shape, 9, dtype=np.uint8), None)
    (sample,), _ = _loaded(labelled, _plan((16, 16)))
    assert (sample.label == 255).all()


def _sample(shape: tuple[int, ...]) -> Sample:
    label = np.zeros(shape, dtype=np.uint8)
    label[tuple(slice(0, 3) for _ in shape)] = 1
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float16)
    return Sample("s", image, label, class_places(label))


def test_a_scan_smaller_than_the_patch_is_padded_and_the_padding_ignored() -> None:
    plan = _plan((16, 16, 16))
    image, label = cut_patch(_sample((10, 20, 16)), plan, np.random.default_rng(0))
    assert image.shape == (1, 16, 16, 16)
    assert (label[:3] == 255).all()
    assert (label[13:] == 255).all()
    assert (label[3:13] != 255).all()


def test_small_structures_are_in_at_least_half_of_the_patches() -> None:
    plan, sample = _plan((16, 16), image_size=(256, 256)), _sample((256, 256))
    rng = np.random.default_rng(0)
    seen = sum(bool((cut_patch(sample, plan, rng)[1] == 1).any()) for _ in range(200))
    assert seen >= 80


def test_patches_depend_on_seed_block_and_number_alone() -> None:
    plan, samples = _plan((16, 16), image_size=(32, 32)), [_sample((32, 32))] * 3
    one, two = (Patches(samples, plan, seed=1, block=6, count=24) for _ in range(2))
    expected = one[4]
    for number in (5, 0, 4):
        found = two[number]
    assert all((a == b).all() for a, b in zip(expected, found, strict=True))
    other = one[10]  # the same place of the next block
    assert not (other[0] == expected[0]).all()


def test_what_turns_in_from_outside_is_ignored_not_background() -> None:
    plan = _plan((32, 32))
    label = np.ones((32, 32), dtype=np.uint8)
    image = np.ones((1, 32, 32), dtype=np.float16)
    patches = Patches([Sample("s", image, label)], plan, seed=0, block=20, count=20)
    values = {int(v) for n in range(20) for v in np.unique(patches[n][1].numpy())}
    assert values == {1, 255}


@pytest.mark.parametrize(("own", "wanted"), [(2, 1), (4, 3), (1, 2), (3, 4), (2, 4)])
def test_no_channel_is_dropped_or_made_up(own: int, wanted: int) -> None:
    with pytest.raises(ImageError, match=f"a scan of {own} channel.*takes {wanted}"):
        fit_channels(np.zeros((4, 4, own), np.float32), wanted)


def test_an_image_that_changed_after_the_index_is_left_out_of_training(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(file)
    (found,) = index_folder(tmp_path).scans
    scan = ScanInput("a", found.ref, (8, 8), 1, None, None, found.quick_hash)
    label = tmp_path / "label.png"
    write_label(label, np.eye(8, dtype=np.uint8), None)
    case, plan = LabelledScan(scan, str(label)), _plan((8, 8))
    assert len(_loaded(case, plan)[0]) == 1
    Image.fromarray(np.arange(64, dtype=np.uint8)[::-1].reshape(8, 8)).save(file)
    samples, (failed,) = _loaded(case, plan)
    assert samples == []
    assert "changed after the last index" in failed.message
