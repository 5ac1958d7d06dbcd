"""Grid comparison, checked by hand and against SimpleITK's own axis operations."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from coldal_tui.errors import ImageError
from coldal_tui.imaging.geometry import (
    compare,
    corner_error,
    has_default_position,
    paste,
    reorient,
    resample_nearest,
)

SHAPE = (7, 9, 5)
SIGNED_PERMUTATIONS = list(product(permutations(range(3)), product((False, True), repeat=3)))


def oblique_image() -> sitk.Image:
    """An oblique, anisotropic volume whose voxels all differ; sitk arrays are (k, j, i)."""
    image = sitk.GetImageFromArray(np.arange(np.prod(SHAPE), dtype=np.int32).reshape(SHAPE[::-1]))
    rotation = sitk.Euler3DTransform((0, 0, 0), 0.3, -0.4, 0.7)
    image.SetDirection(rotation.GetMatrix())
    image.SetSpacing((0.7, 1.1, 4.0))
    image.SetOrigin((-31.0, 12.5, 80.0))
    return image


def affine_of(image: sitk.Image) -> np.ndarray:
    """The RAS affine of an ITK image, through ITK's own index-to-point map."""
    corner = np.array(image.TransformIndexToPhysicalPoint((0, 0, 0)))
    matrix = np.eye(4)
    for axis in range(3):
        index = [0, 0, 0]
        index[axis] = 1
        matrix[:3, axis] = np.array(image.TransformIndexToPhysicalPoint(index)) - corner
    matrix[:3, 3] = corner
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix


def array_of(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image).T


@pytest.mark.parametrize(("order", "flips"), SIGNED_PERMUTATIONS)
def test_each_of_the_48_axis_permutations_comes_back_exact(order, flips):
    scan = oblique_image()
    mask = sitk.Flip(sitk.PermuteAxes(scan, order), flips)

    match = compare(SHAPE, affine_of(scan), mask.GetSize(), affine_of(mask))

    assert match.kind == ("match" if order == (0, 1, 2) and not any(flips) else "flip")
    np.testing.assert_array_equal(reorient(array_of(mask), match), array_of(scan))


@given(
    order=st.permutations(range(3)),
    flips=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    low=st.tuples(*(st.integers(0, size - 1) for size in SHAPE)),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_a_flipped_crop_lands_where_it_was_cut(order, flips, low, data):
    high = tuple(
        data.draw(st.integers(first + 1, size)) for first, size in zip(low, SHAPE, strict=True)
    )
    scan = oblique_image()
    window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    crop = sitk.Flip(sitk.PermuteAxes(scan[window], order), flips)
    expected = np.zeros(SHAPE, dtype=np.int32)
    expected[window] = array_of(scan)[window]

    match = compare(SHAPE, affine_of(scan), crop.GetSize(), affine_of(crop))

    assert match.kind in ("match", "flip", "crop")
    np.testing.assert_array_equal(paste(array_of(crop), match, SHAPE), expected)


@pytest.mark.parametrize(
    ("shift", "kind"),
    [(0.0, "match"), (0.009, "match"), (0.02, "drift"), (0.099, "drift"), (0.11, "other")],
)
def test_tolerances_are_in_voxels_of_the_scan(shift, kind):
    scan = affine_of(oblique_image())
    mask = scan.copy()
    mask[:3, 3] += shift * scan[:3, 2]  # along the 4 mm axis

    assert compare(SHAPE, scan, SHAPE, mask).kind == kind


def test_corner_error_of_a_half_voxel_shift_is_half_a_voxel():
    scan = np.diag([2.0, 3.0, 4.0, 1.0])
    mask = scan.copy()
    mask[0, 3] = 1.0

    assert corner_error(SHAPE, scan, mask) == pytest.approx(0.5)


def test_a_half_voxel_shift_fits_nothing_and_says_how_far():
    scan = np.diag([2.0, 3.0, 4.0, 1.0])
    mask = scan.copy()
    mask[0, 3] = 1.0

    match = compare(SHAPE, scan, SHAPE, mask)

    assert (match.kind, match.error) == ("other", pytest.approx(0.5))
    assert "0.50 voxels" in match.reason


def test_a_full_grid_moved_by_a_whole_voxel_is_no_crop():
    scan = np.diag([2.0, 3.0, 4.0, 1.0])
    mask = scan.copy()
    mask[1, 3] = 3.0

    match = compare(SHAPE, scan, SHAPE, mask)

    assert match.kind == "other"
    assert "(0, 1, 0) voxels away" in match.reason


def test_labels_outside_the_scan_are_not_cut_off_silently():
    scan = np.eye(4)
    mask = np.eye(4)
    mask[0, 3] = -2.0
    array = np.ones((4, 9, 5), dtype=np.uint8)
    match = compare(SHAPE, scan, array.shape, mask)

    with pytest.raises(ImageError, match="90 labelled voxels lie outside") as caught:
        paste(array, match, SHAPE)

    assert caught.value.code == "outside"


def test_a_padded_mask_with_an_empty_margin_is_cut_to_the_scan():
    mask_affine = np.eye(4)
    mask_affine[:3, 3] = -3.0
    array = np.zeros((13, 15, 11), dtype=np.uint8)
    array[3:10, 3:12, 3:8] = 2
    match = compare(SHAPE, np.eye(4), array.shape, mask_affine)

    np.testing.assert_array_equal(paste(array, match, SHAPE), np.full(SHAPE, 2))


def test_a_mask_beside_the_scan_is_no_crop():
    mask = np.eye(4)
    mask[0, 3] = 50.0

    match = compare(SHAPE, np.eye(4), (3, 3, 3), mask)

    assert (match.kind, match.reason) == ("other", "it lies wholly outside the scan")


def test_a_coarser_grid_of_the_same_extent_is_resampled_like_simpleitk_does():
    scan = oblique_image()
    coarse = sitk.Image((7, 9, 2), sitk.sitkInt32)
    coarse.SetDirection(scan.GetDirection())
    coarse.SetSpacing((0.7, 1.1, 10.0))
    # Outer faces agree: the first centre lies half a coarse voxel inside, not half a fine one.
    inside = np.array(scan.GetDirection()).reshape(3, 3)[:, 2] * (10.0 / 2 - 4.0 / 2)
    coarse.SetOrigin(tuple(np.array(scan.GetOrigin()) + inside))
    coarse_voxels = np.arange(7 * 9 * 2, dtype=np.int32).reshape(2, 9, 7)
    mask = sitk.GetImageFromArray(coarse_voxels)
    mask.CopyInformation(coarse)
    expected = sitk.Resample(mask, scan, sitk.Transform(), sitk.sitkNearestNeighbor, -1)

    match = compare(SHAPE, affine_of(scan), (7, 9, 2), affine_of(mask))

    assert match.kind == "resampled"
    assert match.step == pytest.approx((1.0, 1.0, 2.5))
    ours = resample_nearest(array_of(mask), match, SHAPE)
    # The middle slice lies on the boundary of two coarse voxels: a tie that may fall either way.
    keep = [0, 1, 3, 4]
    np.testing.assert_array_equal(ours[..., keep], array_of(expected)[..., keep])


def test_other_spacing_over_another_extent_is_not_resampled():
    mask = np.diag([2.0, 2.0, 2.0, 1.0])

    match = compare((40, 40, 40), np.eye(4), (30, 30, 30), mask)

    assert match.kind == "other"
    assert "30×30×30" in match.reason
    assert "40×40×40" in match.reason


def test_a_single_slice_of_unknown_thickness_lies_where_its_centre_is():
    scan = np.diag([1.0, 1.0, 5.0, 1.0])
    mask = np.diag([1.0, 1.0, 1.0, 1.0])
    mask[2, 3] = 10.0

    match = compare((8, 8, 6), scan, (8, 8, 1), mask)

    assert (match.kind, match.offset) == ("crop", (0, 0, 2))


@pytest.mark.parametrize("broken", [np.zeros((4, 4)), np.full((4, 4), np.nan)])
def test_a_degenerate_affine_names_its_owner(broken):
    match = compare(SHAPE, np.eye(4), SHAPE, broken)

    assert (match.kind, match.reason) == ("other", "the mask's voxel axes are degenerate")


def test_writers_defaults_are_known():
    assert has_default_position(np.eye(4))
    assert has_default_position(affine_of(sitk.Image((2, 2, 2), sitk.sitkUInt8)))
    assert not has_default_position(affine_of(oblique_image()))
