"""Dice and Hausdorff distances against hand-worked squares, SimpleITK and MONAI."""

from __future__ import annotations

import math

import numpy as np
import pytest

from coldal_compute.segmentation.metrics import (
    ClassMetrics,
    measure_masks,
    measure_scan,
    summarise,
    surface,
)


def _square(shape: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[rows, columns] = True
    return mask


def _blobs(shape: tuple[int, ...], seed: int) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2.0)
    return noise > np.quantile(noise, 0.8)


def test_shifted_square_has_the_dice_and_distance_of_its_shift() -> None:
    a = _square((20, 20), slice(5, 9), slice(5, 9))
    b = _square((20, 20), slice(5, 9), slice(7, 11))
    found = measure_masks(a, b, None)
    assert found == ClassMetrics(dice=2 * 8 / 32, hd=2.0, hd95=2.0, unit="px")


def test_distances_are_in_mm_along_the_axis_that_was_moved() -> None:
    a = _square((20, 20), slice(5, 9), slice(5, 9))
    b = _square((20, 20), slice(8, 12), slice(5, 9))
    assert measure_masks(a, b, (0.5, 7.0)).hd == 1.5
    assert measure_masks(a, b, (0.5, 7.0)).unit == "mm"


def test_hd95_is_the_interpolated_percentile_of_the_worse_direction() -> None:
    a = _square((3, 40), slice(1, 2), slice(0, 20))
    b = _square((3, 40), slice(1, 2), slice(0, 30))
    # b→a: 20 zeros and 1..10; position 0.95·29 = 27.55 lies between 8 and 9. a→b: zeros.
    found = measure_masks(a, b, None)
    assert found.hd == 10.0
    assert found.hd95 == pytest.approx(8.55)


def test_both_empty_is_a_perfect_score() -> None:
    empty = np.zeros((4, 4), dtype=bool)
    assert measure_masks(empty, empty, None) == ClassMetrics(1.0, 0.0, 0.0, "px", "both-empty")


@pytest.mark.parametrize(("swap", "note"), [(False, "missed"), (True, "spurious")])
def test_one_empty_costs_the_diagonal_of_the_scan(swap: bool, note: str) -> None:
    empty = np.zeros((30, 40), dtype=bool)
    full = _square((30, 40), slice(3, 5), slice(3, 5))
    pair = (full, empty) if swap else (empty, full)
    assert measure_masks(*pair, (2.0, 2.0)) == ClassMetrics(0.0, 100.0, 100.0, "mm", note)


def test_the_surface_is_what_a_face_connected_erosion_removes() -> None:
    mask = _square((9, 9), slice(2, 7), slice(2, 7))
    assert len(surface(mask)) == 16
    assert surface(np.ones((3, 3), dtype=bool)).tolist() == [
        [0, 0], [0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1], [2, 2],
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("shape", "spacing"), [((60, 48), (0.7, 1.3)), ((24, 30, 18), (1.0, 0.8, 2.5))]
)
def test_hausdorff_agrees_with_simpleitk(
    shape: tuple[int, ...], spacing: tuple[float, ...], seed: int
) -> None:
    sitk = pytest.importorskip("SimpleITK")
    # A rim of background, since SimpleITK's contour leaves out what touches the image's edge.
    a, b = np.pad(_blobs(shape, seed), 1), np.pad(_blobs(shape, seed + 100), 1)
    contours = []
    for mask in (a, b):
        image = sitk.GetImageFromArray(mask.astype(np.uint8))
        image.SetSpacing(spacing[::-1])
        contours.append(sitk.LabelContour(image, fullyConnected=False))
    judge = sitk.HausdorffDistanceImageFilter()
    judge.Execute(*contours)
    ours = measure_masks(a, b, spacing).hd
    assert ours == pytest.approx(judge.GetHausdorffDistance(), rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("shape", "spacing"), [((60, 48), (0.7, 1.3)), ((24, 30, 18), (1.0, 0.8, 2.5))]
)
@pytest.mark.parametrize("percentile", [100, 95])
def test_distances_agree_with_monai(
    shape: tuple[int, ...], spacing: tuple[float, ...], seed: int, percentile: int
) -> None:
    import torch
    from monai.metrics import compute_hausdorff_distance

    a, b = _blobs(shape, seed), _blobs(shape, seed + 100)
    theirs = compute_hausdorff_distance(
        torch.from_numpy(a)[None, None].float(),
        torch.from_numpy(b)[None, None].float(),
        include_background=True,
        percentile=percentile,
        spacing=spacing,
    )
    ours = measure_masks(a, b, spacing)
    value = ours.hd if percentile == 100 else ours.hd95
    assert value == pytest.approx(float(theirs[0, 0]), rel=1e-5)


def test_ignored_pixels_leave_dice_and_distances_alike() -> None:
    reference = np.zeros((30, 30), dtype=np.uint8)
    reference[5:10, 5:10] = 1
    reference[20:, :] = 255
    clean = np.where(reference == 1, 1, 0).astype(np.uint8)
    wild = clean.copy()
    wild[22:28, 3:25] = 1
    assert measure_scan(wild, reference, ["a"], None) == measure_scan(clean, reference, ["a"], None)
    assert measure_scan(wild, reference, ["a"], None)["a"] == ClassMetrics(1.0, 0.0, 0.0, "px")


def test_a_class_that_was_only_ignored_counts_as_both_empty() -> None:
    reference = np.full((5, 5), 255, dtype=np.uint8)
    found = measure_scan(np.ones((5, 5), dtype=np.uint8), reference, ["a"], None)
    assert found["a"].note == "both-empty"


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="differ"):
        measure_scan(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), ["a"], None)


def test_summary_is_the_mean_per_class_and_over_classes() -> None:
    scans = {
        "s1": {"a": ClassMetrics(1.0, 0.0, 0.0, "px"), "b": ClassMetrics(0.5, 4.0, 2.0, "px")},
        "s2": {
            "a": ClassMetrics(0.0, 50.0, 50.0, "px", "missed"),
            "b": ClassMetrics(0.7, 6.0, 3.0, "px"),
        },
    }
    classes, mean = summarise(scans, ["a", "b"])
    assert (classes["a"].dice, classes["a"].hd, classes["a"].missed) == (0.5, 25.0, 1)
    assert classes["b"].dice == pytest.approx(0.6)
    assert mean is not None
    assert (mean.dice, mean.hd, mean.hd95) == pytest.approx((0.55, 15.0, 13.75))


def test_distances_of_mixed_units_have_no_mean() -> None:
    scans = {
        "s1": {"a": ClassMetrics(1.0, 1.0, 1.0, "px")},
        "s2": {"a": ClassMetrics(0.5, 1.0, 1.0, "mm")},
    }
    classes, mean = summarise(scans, ["a"])
    assert (classes["a"].unit, classes["a"].hd) == ("mixed", None)
    assert mean is not None
    assert mean.dice == 0.75
    assert mean.hd is None


def test_no_scan_has_no_summary() -> None:
    assert summarise({}, ["a"]) == ({}, None)


def test_the_result_is_finite_for_single_pixels_at_opposite_corners() -> None:
    a, b = np.zeros((2, 300, 400), dtype=bool)
    a[0, 0], b[-1, -1] = True, True
    assert measure_masks(a, b, None).hd == pytest.approx(math.hypot(299, 399))


def test_a_class_that_no_label_holds_is_in_no_mean() -> None:
    """Dice 0.5 of the one class; the other is empty in both labels, predicted once."""
    seen = ClassMetrics(0.5, 4.0, 2.0, "px")
    scans = {
        "a": {"seen": seen, "rare": ClassMetrics(1.0, 0.0, 0.0, "px", "both-empty")},
        "b": {"seen": seen, "rare": ClassMetrics(0.0, 9.0, 9.0, "px", "spurious")},
    }
    classes, mean = summarise(scans, ["seen", "rare"])
    assert mean is not None
    assert (mean.dice, mean.hd, mean.hd95) == (0.5, 4.0, 2.0)
    assert (classes["rare"].dice, classes["rare"].both_empty, classes["rare"].spurious) == (
        0.5,
        1,
        1,
    )


def test_where_no_label_holds_anything_all_classes_count() -> None:
    empty = ClassMetrics(1.0, 0.0, 0.0, "px", "both-empty")
    _, mean = summarise({"a": {"x": empty, "y": empty}}, ["x", "y"])
    assert mean is not None
    assert mean.dice == 1.0
