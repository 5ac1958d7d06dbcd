"""What a label's shape tells: specks, holes, gaps and borders of small drawings, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from coldal_tui.imaging.labelfile import IGNORE_LABEL
from coldal_tui.imaging.labelshape import (
    ClassShape,
    class_shapes,
    coverage,
    slice_axis,
    small_size,
)


def drawn(*boxes: tuple[slice, ...], shape: tuple[int, ...] = (20, 20)) -> np.ndarray:
    made = np.zeros(shape, np.uint8)
    for box in boxes:
        made[box] = 1
    return made


def only(label: np.ndarray, axis: int | None = None) -> ClassShape:
    (found,) = class_shapes(label, 1, axis).values()
    return found


BODY = np.s_[2:8, 2:8]


def test_an_even_shape_has_no_findings() -> None:
    assert only(drawn(BODY)) == ClassShape()


@pytest.mark.parametrize(("island", "specks"), [(np.s_[12:14, 12:16], 1), (np.s_[12:15, 12:15], 0)])
def test_an_island_below_nine_pixels_is_a_speck(island: tuple[slice, ...], specks: int) -> None:
    assert only(drawn(BODY, island)).specks == specks


def test_a_speck_of_a_large_class_is_larger() -> None:
    """0.1 % of 20 000 + 16 pixels are 20.016: 16 are fewer."""
    label = drawn(np.s_[1:101, 1:201], np.s_[110:114, 10:14], shape=(120, 210))
    assert small_size(20_016, 2) == pytest.approx(20.016)
    assert only(label).specks == 1


def test_small_things_alone_are_no_specks() -> None:
    assert only(drawn(np.s_[2:4, 2:4], np.s_[8:10, 8:10])).specks == 0


def test_parts_that_touch_at_a_corner_are_one() -> None:
    assert only(drawn(BODY, np.s_[8:10, 8:10])).specks == 0


def test_in_a_volume_26_voxels_are_a_speck_and_27_are_none() -> None:
    label = drawn(np.s_[1:5, 1:5, 1:5], np.s_[7:10, 7:10, 7:10], shape=(12, 12, 12))
    assert only(label).specks == 0
    label[7, 7, 7] = 0
    assert only(label).specks == 1


def test_a_small_hole_is_found_and_a_large_one_is_meant() -> None:
    label = drawn(np.s_[2:14, 2:14])
    label[4:6, 4:6] = 0
    assert only(label).holes == 1
    label[4:7, 4:7] = 0
    assert only(label).holes == 0


@pytest.mark.parametrize("value", [2, IGNORE_LABEL])
def test_another_class_inside_is_no_hole(value: int) -> None:
    label = drawn(np.s_[2:14, 2:14])
    label[4:6, 4:6] = value
    assert class_shapes(label, 1, None)[1].holes == 0


def test_a_notch_is_no_hole() -> None:
    label = drawn(BODY)
    label[4, 2:5] = 0
    assert only(label).holes == 0


def test_slices_with_nothing_in_between_are_counted_along_their_axis() -> None:
    label = drawn(np.s_[1:5, 1:5, 1:9], shape=(6, 6, 10))
    label[:, :, 3] = 0
    label[:, :, 6] = 0
    assert only(label, axis=2).gaps == 2
    assert only(label, axis=0).gaps == 0


@pytest.mark.parametrize(
    ("shape", "spacing", "axis"),
    [
        ((9, 9), (1.0, 5.0), None),
        ((9, 9, 1), (1.0, 1.0, 5.0), None),
        ((9, 9, 9), (1.0, 5.0, 1.0), 1),
        ((9, 9, 9), (1.0, 1.0, 1.0), 2),
        ((5, 9, 9), None, 0),
    ],
)
def test_slices_lie_along_the_coarsest_axis(
    shape: tuple[int, ...], spacing: tuple[float, ...] | None, axis: int | None
) -> None:
    assert slice_axis(shape, spacing) == axis


def test_the_share_of_the_outline_at_the_border() -> None:
    """A 4 × 4 square in the corner: 12 outline pixels, 7 of them in the first row or column."""
    found = only(drawn(np.s_[0:4, 0:4]))
    assert found.border == pytest.approx(7 / 12)
    assert found.cut


def test_a_touch_of_the_border_is_no_cut() -> None:
    """One pixel of the outline's 61: the 16 × 16 square has 60."""
    label = drawn(np.s_[1:17, 1:17])
    label[0, 5] = 1
    found = only(label)
    assert 0 < found.border < 0.05
    assert not found.cut


def test_a_volume_of_one_slice_is_a_picture() -> None:
    flat = drawn(BODY, np.s_[12:14, 12:14])
    assert only(flat[:, :, np.newaxis]) == only(flat) == ClassShape(specks=1)


def test_each_class_has_its_own_findings() -> None:
    label = drawn(BODY, np.s_[12:14, 12:14])
    label[2:8, 10:16] = 3
    assert class_shapes(label, 3, None) == {1: ClassShape(specks=1), 3: ClassShape()}


def test_a_single_pixel_is_a_shape() -> None:
    assert only(np.ones((1, 1), np.uint8)) == ClassShape()
    assert class_shapes(np.zeros((4, 4), np.uint8), 2, None) == {}


@pytest.mark.parametrize(
    ("label", "shares"),
    [
        (drawn(np.s_[2:4, 2:4], shape=(8, 8)), (4 / 64, 0)),
        (drawn(np.s_[0:2, 1:4], shape=(8, 8)), (6 / 64, 3 / 28)),
        (drawn(np.s_[:, :], shape=(1, 1)), (1, 0)),
        (np.full((4, 5), IGNORE_LABEL, np.uint8), (0, 0)),
    ],
)
def test_the_drawn_shares_of_a_picture_and_of_its_border(
    label: np.ndarray, shares: tuple[float, float]
) -> None:
    """The border of 8 × 8 pixels has 64 - 36 = 28."""
    assert coverage(label) == pytest.approx(shares)


def test_the_border_of_a_volume_is_its_six_faces_and_ignored_voxels_count_nowhere() -> None:
    """3 × 4 × 5 voxels have 1 × 2 × 3 within, and 54 on the faces."""
    label = np.ones((3, 4, 5), np.uint8)
    label[1:-1, 1:-1, 1:-1] = 0
    assert coverage(label) == pytest.approx((54 / 60, 1))
    label[0] = IGNORE_LABEL
    assert coverage(label) == pytest.approx((34 / 40, 1))
    label[2, 0, 0] = 0
    assert coverage(label) == pytest.approx((33 / 40, 33 / 34))


def test_a_volume_of_one_slice_has_four_sides() -> None:
    label = np.ones((4, 4, 1), np.uint8)
    label[1, 1] = 0
    assert coverage(label) == pytest.approx((15 / 16, 1))
