"""Pictures on the pixels of a screen: means worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from coldal_tui.tui.drawing import picture_scaling
from coldal_tui.tui.drawing.picture_scaling import (
    Frame,
    coverage,
    fit,
    label_levels,
    levels,
    sample,
)


def test_a_picture_is_fitted_whole_and_centred() -> None:
    frame = fit((10, 20), (1.0, 1.0), 10, 40)
    assert (frame.down, frame.across) == (1.0, 1.0)
    assert (frame.top, frame.left) == (0.0, -10.0)
    rows, columns = frame.inside()
    assert rows.all()
    assert np.flatnonzero(columns).tolist() == list(range(10, 30))


def test_lengths_are_true_for_voxels_of_any_shape() -> None:
    """10 rows of 3 mm and 30 columns of 1 mm are a square."""
    frame = fit((10, 30), (3.0, 1.0), 60, 60)
    assert (frame.down, frame.across) == pytest.approx((1 / 6, 1 / 2))


def test_pixels_of_the_screen_that_are_taller_than_wide_show_more_rows() -> None:
    frame = fit((20, 20), (1.0, 1.0), 10, 20, tall=2.0)
    assert (frame.down, frame.across) == (2.0, 1.0)


def test_zoomed_in_the_picture_fills_the_screen_and_stays_on_it() -> None:
    frame = fit((100, 100), (1.0, 1.0), 50, 50, zoom=2.0, centre=(0.0, 1.0))
    assert (frame.top, frame.left, frame.down) == (0.0, 50.0, 1.0)


def test_shrinking_takes_the_mean_of_what_a_pixel_covers() -> None:
    plane = np.arange(16, dtype=np.uint8).reshape(4, 4)
    found = sample(levels(plane), Frame((4, 4), 2, 2, 0, 0, 2, 2))
    assert found[..., 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]


def test_pixels_are_shared_out_whole_where_they_do_not_divide() -> None:
    plane = np.array([[0, 10, 20, 30, 40]], np.uint8)
    found = sample(levels(plane), Frame((1, 5), 1, 2, 0, 0, 1, 2.5))
    assert found[0, :, 0].tolist() == [5.0, 30.0]


def test_enlarging_repeats_the_nearest_pixel() -> None:
    plane = np.array([[1, 2]], np.uint8)
    found = sample(levels(plane), Frame((1, 2), 2, 6, 0, 0, 0.5, 1 / 3))
    assert found[..., 0].tolist() == [[1, 1, 1, 2, 2, 2]] * 2


def test_what_lies_beside_the_picture_is_blank() -> None:
    plane = np.full((2, 2), 9, np.uint8)
    found = sample(levels(plane), Frame((2, 2), 2, 4, 0, -1, 1, 1))
    assert found[..., 0].tolist() == [[0, 9, 9, 0]] * 2


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
def test_halvings_show_the_same_as_the_whole(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    plane = np.random.default_rng(0).integers(0, 120, (64, 64, 3)).astype(dtype)
    whole = levels(plane)
    monkeypatch.setattr(picture_scaling, "LARGE", 100)
    monkeypatch.setattr(picture_scaling, "_ENOUGH", 100)
    halved = levels(plane)
    assert len(whole.planes) == 1
    assert [len(p) for p in halved.planes] == [64, 32, 16, 8, 4]
    frame = fit((64, 64), (1.0, 1.0), 8, 8)
    # A halving is rounded down, by less than 1 each time.
    assert abs(sample(halved, frame) - sample(whole, frame)).max() < 3


def test_halvings_of_odd_sizes_lose_no_more_than_their_last_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(picture_scaling, "LARGE", 10)
    monkeypatch.setattr(picture_scaling, "_ENOUGH", 10)
    assert [p.shape[:2] for p in levels(np.zeros((7, 5), np.uint8)).planes] == [(7, 5), (3, 2)]


def test_coverage_is_the_share_of_a_class_in_each_pixel() -> None:
    labels = np.array([[0, 1, 2, 2], [1, 1, 0, 2]], np.uint8)
    found = coverage(label_levels(labels), Frame((2, 4), 1, 2, 0, 0, 2, 2))
    assert {number: share.tolist() for number, share in found.items()} == {
        1: [[0.75, 0.0]],
        2: [[0.0, 0.75]],
    }


def test_classes_out_of_sight_are_left_out() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[0, 0], labels[39, 39] = 1, 2
    frame = fit((40, 40), (1.0, 1.0), 10, 10, zoom=4.0, centre=(0.0, 0.0))
    assert set(coverage(label_levels(labels), frame)) == {1}


def test_coverage_of_a_large_map_is_that_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = (np.arange(64 * 64).reshape(64, 64) // 7 % 3).astype(np.uint8)
    frame = fit((64, 64), (1.0, 1.0), 16, 16)
    whole = coverage(label_levels(labels), frame)
    monkeypatch.setattr(picture_scaling, "LARGE", 10)
    monkeypatch.setattr(picture_scaling, "_ENOUGH", 10)
    parts = coverage(label_levels(labels), frame)
    assert set(parts) == set(whole) == {1, 2}
    for number, share in parts.items():
        assert abs(share - whole[number]).max() < 0.02
