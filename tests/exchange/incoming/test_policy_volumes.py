"""The geometry policy on volumes; SimpleITK writes the masks."""

from __future__ import annotations

import gzip
from dataclasses import replace
from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from coldal_tui.exchange.incoming.geometry_policy import Accepted, ImportOptions, Rejected, decide

CLASSES = ("anterior", "posterior")


def voxels(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image).T


def judge(target, candidate, options=None, classes=CLASSES, ignore=None):
    return decide(target, candidate, classes, ignore, options)


@pytest.mark.parametrize(
    ("order", "flips"), list(product(permutations(range(3)), product((False, True), repeat=3)))
)
def test_any_axis_order_comes_back_exact(volume, oblique, save_volume, order, flips):
    mask = sitk.Flip(sitk.PermuteAxes(oblique, order), flips)

    decision = judge(volume, save_volume(mask))

    assert isinstance(decision, Accepted)
    np.testing.assert_array_equal(decision.label, voxels(oblique))


def test_a_reoriented_mask_says_so(volume, oblique, save_volume):
    decision = judge(volume, save_volume(sitk.Flip(oblique, (True, False, False))))

    assert decision.geometry == "flip"
    assert decision.notes == ("reoriented without loss: its axes were (-i, j, k)",)


def moved(image: sitk.Image, voxels_along_k: float) -> sitk.Image:
    copy = sitk.Image(image)
    copy.SetOrigin(image.TransformContinuousIndexToPhysicalPoint((0, 0, voxels_along_k)))
    return copy


def test_a_small_drift_is_accepted_with_its_size(volume, oblique, save_volume):
    decision = judge(volume, save_volume(moved(oblique, 0.05)))

    assert decision.geometry == "drift"
    assert decision.warnings == ("the mask's grid is off by up to 0.050 voxels",)


def test_a_half_voxel_shift_is_quarantined(volume, oblique, save_volume):
    decision = judge(volume, save_volume(moved(oblique, 0.5)))

    assert decision.code == "geometry"
    assert "up to 0.50 voxels away" in decision.message
    assert "--same-grid" in decision.remedy


def test_a_crop_is_pasted_where_it_lies(volume, oblique, save_volume):
    crop = oblique[1:5, 2:9, 1:4]
    expected = np.zeros(volume.shape, np.uint8)
    expected[1:5, 2:9, 1:4] = voxels(crop)

    decision = judge(volume, save_volume(crop))

    assert decision.notes == ("a crop of 4×7×3 voxels pasted at (1, 2, 1)",)
    np.testing.assert_array_equal(decision.label, expected)


def finer(image: sitk.Image) -> sitk.Image:
    """The same extent with two voxels along k for each one."""
    grid = sitk.Image((7, 9, 10), sitk.sitkUInt8)
    grid.SetDirection(image.GetDirection())
    grid.SetSpacing((0.7, 1.1, 2.0))
    grid.SetOrigin(image.TransformContinuousIndexToPhysicalPoint((0, 0, -0.25)))
    return sitk.Resample(image, grid, sitk.Transform(), sitk.sitkNearestNeighbor)


def test_another_spacing_waits_for_consent(volume, oblique, save_volume):
    decision = judge(volume, save_volume(finer(oblique)))

    assert decision.code == "resampled"
    assert "1×1×0.5" in decision.message
    assert "--resample" in decision.remedy


def test_resampling_reports_each_volume_change(volume, oblique, save_volume):
    mask = finer(oblique)
    # Half a coarse voxel more of class 1, which has 24: rounded up to a whole one, 25 / 24.5.
    mask[6, 8, 9] = 1

    decision = judge(volume, save_volume(mask), ImportOptions(resample=True))

    assert decision.geometry == "resampled"
    assert decision.warnings == (
        "resampled: the volume of 'anterior' changed by +2.0 %",
        "resampled: the volume of 'posterior' changed by +0.0 %",
    )


@pytest.mark.parametrize("default", [np.eye(4), np.diag([-1.0, -1.0, 1.0, 1.0])])
def test_an_identity_header_on_a_placed_scan_is_quarantined(volume, oblique, save_nibabel, default):
    decision = judge(volume, save_nibabel(voxels(oblique), default))

    assert decision.code == "no-position"
    assert "identity" in decision.message
    assert "--same-grid" in decision.remedy


def test_an_identity_header_is_no_crop_of_a_scan_on_whole_millimetres(save_nibabel, volume):
    affine = ((1.0, 0, 0, 1), (0, 1.0, 0, 1), (0, 0, 1.0, 1), (0, 0, 0, 1.0))
    target = replace(volume, affine=affine)
    mask = np.zeros(volume.shape, np.uint8)
    mask[3, 3, 3] = 1

    assert judge(target, save_nibabel(mask, np.eye(4))).code == "no-position"


def test_same_grid_takes_it_voxel_for_voxel(volume, oblique, save_nibabel):
    decision = judge(
        volume, save_nibabel(voxels(oblique), np.eye(4)), ImportOptions(same_grid=True)
    )

    np.testing.assert_array_equal(decision.label, voxels(oblique))
    assert decision.notes == ("taken voxel for voxel, whatever its header says, as asked",)


def test_a_header_without_codes_is_not_believed(volume, oblique, save_nibabel):
    decision = judge(volume, save_nibabel(voxels(oblique), None))

    assert decision.code == "no-position"


def test_scan_and_mask_without_codes_agree(volume, oblique, save_nibabel):
    candidate = save_nibabel(voxels(oblique), None)
    fallback = nib.load(candidate.file).affine.tolist()
    target = replace(volume, affine=tuple(tuple(row) for row in fallback))

    assert judge(target, candidate).geometry == "match"


def test_a_scan_without_coordinates_takes_its_own_size(volume, oblique, save_volume):
    decision = judge(replace(volume, affine=None), save_volume(oblique))

    np.testing.assert_array_equal(decision.label, voxels(oblique))
    assert decision.notes == ("the scan has no world coordinates: taken voxel for voxel",)


def test_a_scan_without_coordinates_refuses_other_sizes(volume, oblique, save_volume):
    decision = judge(replace(volume, affine=None), save_volume(oblique[:, :, :4]))

    assert (decision.code, decision.message) == (
        "wrong-size",
        "the mask has 7×9×4 voxels, the scan 7×9×5",
    )


def test_a_mask_of_another_patient_does_not_fit(volume, oblique, save_volume):
    other = sitk.Image(oblique[:6, :6, :3])
    other.SetOrigin((100.0, 0.0, 0.0))
    other.SetDirection((1, 0, 0, 0, 1, 0, 0, 0, 1))

    decision = judge(volume, save_volume(other))

    assert decision.code == "geometry"
    assert "6×6×3" in decision.message


def test_float_masks_are_fine_when_whole(volume, oblique, save_volume):
    mask = sitk.Cast(oblique, sitk.sitkFloat32) + 0.0004

    np.testing.assert_array_equal(judge(volume, save_volume(mask)).label, voxels(oblique))


def test_probability_maps_are_refused_with_examples(volume, oblique, save_volume):
    mask = sitk.Cast(oblique, sitk.sitkFloat32) * 0.75

    decision = judge(volume, save_volume(mask))

    assert decision.code == "not-integral"
    assert "26 pixels" in decision.message
    assert "0.75, 1.5" in decision.message
    assert "probability map" in decision.remedy


def test_scl_slope_is_applied(volume, oblique, ras_affine, tmp_path, as_nifti):
    image = nib.Nifti1Image(voxels(oblique) * 10, ras_affine(oblique))
    image.header.set_slope_inter(0.1, 0)
    path = tmp_path / "brain.nii.gz"
    with path.with_suffix("").open("wb") as stream:
        stream.write(image.header.binaryblock + b"\0" * 4)
        stream.write((voxels(oblique) * 10).tobytes(order="F"))
    raw = bytearray(path.with_suffix("").read_bytes())
    raw[108:112] = np.float32(352).tobytes()  # vox_offset
    path.with_suffix("").write_bytes(raw)

    decision = judge(volume, as_nifti(path.with_suffix("")))

    np.testing.assert_array_equal(decision.label, voxels(oblique))


def test_sixteen_bit_labels_keep_their_values(volume, oblique, save_volume):
    mask = sitk.Cast(oblique, sitk.sitkUInt16) * 300

    decision = judge(
        volume, save_volume(mask), ImportOptions(values={300: "anterior", 600: "posterior"})
    )

    np.testing.assert_array_equal(decision.label, voxels(oblique))


def test_one_channel_per_class_is_refused(volume, oblique, save_nibabel, ras_affine):
    one_hot = np.stack([voxels(oblique) == 1, voxels(oblique) == 2], axis=-1).astype(np.uint8)

    decision = judge(volume, save_nibabel(one_hot, ras_affine(oblique)))

    assert decision.code == "several-channels"
    assert "7×9×5×2" in decision.message


def test_a_single_fourth_axis_is_dropped(volume, oblique, save_nibabel, ras_affine):
    decision = judge(volume, save_nibabel(voxels(oblique)[..., None], ras_affine(oblique)))

    np.testing.assert_array_equal(decision.label, voxels(oblique))


def test_an_empty_volume_waits_for_confirmation(volume, oblique, save_volume):
    decision = judge(volume, save_volume(oblique * 0))

    assert decision.code == "empty"
    assert "confirm-empty" in decision.remedy


def test_a_confirmed_empty_volume_is_a_label(volume, oblique, save_volume):
    decision = judge(volume, save_volume(oblique * 0), ImportOptions(confirm_empty=True))

    assert isinstance(decision, Accepted)
    assert not decision.label.any()


def test_micrometres_are_scaled(volume, oblique, ras_affine, tmp_path, as_nifti):
    affine = ras_affine(oblique) * np.array([[1000.0], [1000.0], [1000.0], [1.0]])
    image = nib.Nifti1Image(voxels(oblique), affine)
    image.header.set_xyzt_units("micron")
    nib.save(image, tmp_path / "brain.nii")

    assert judge(volume, as_nifti(tmp_path / "brain.nii")).geometry == "match"


@pytest.mark.parametrize("keep", [0, 20, 100, -5])
def test_a_cut_file_says_that_it_can_not_be_read(volume, oblique, save_volume, keep):
    candidate = save_volume(oblique)
    data = candidate.file.read_bytes()
    candidate.file.write_bytes(data[:keep])

    decision = judge(volume, candidate)

    assert isinstance(decision, Rejected)
    assert decision.code == "unreadable"
    assert decision.message.startswith("the file can't be read: ")


def test_a_flipped_bit_is_found_by_the_checksum(volume, oblique, save_volume):
    candidate = save_volume(oblique)
    data = bytearray(candidate.file.read_bytes())
    data[-6] ^= 0xFF
    candidate.file.write_bytes(data)

    assert judge(volume, candidate).code == "unreadable"


def test_a_small_file_can_not_unpack_to_any_size(volume, save_nibabel):
    candidate = save_nibabel(np.ones((2, 2, 2), np.uint8), np.eye(4))
    plain = gzip.decompress(candidate.file.read_bytes())
    candidate.file.write_bytes(gzip.compress(plain + bytes(1 << 25), compresslevel=1))

    decision = judge(volume, candidate)

    assert decision.code == "unreadable"
    assert "far more data than its header says" in decision.message


def test_rgb_volumes_are_refused(volume, oblique, ras_affine, tmp_path, as_nifti):
    rgb = np.zeros(volume.shape, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(rgb, ras_affine(oblique)), tmp_path / "brain.nii")

    assert judge(volume, as_nifti(tmp_path / "brain.nii")).code == "colour"


def test_one_half_of_a_pair_is_refused(volume, oblique, ras_affine, tmp_path, as_nifti):
    nib.save(nib.Nifti1Pair(voxels(oblique), ras_affine(oblique)), tmp_path / "brain.hdr")

    decision = judge(volume, as_nifti(tmp_path / "brain.hdr"))

    assert (decision.code, decision.remedy) == (
        "two-files",
        "Save the mask as a single .nii.gz.",
    )


def test_a_volume_s_picture_is_refused(volume, save_picture):
    decision = judge(volume, save_picture(np.ones((9, 7), np.uint8)))

    assert decision.code == "wrong-dimensions"
    assert "7×9×5" in decision.message


def test_a_flat_scan_with_a_header_is_compared_through_it(oblique, save_volume, ras_affine):
    flat = oblique[:, :, 2:3]
    affine = tuple(tuple(row) for row in ras_affine(flat).tolist())
    from coldal_tui.exchange.candidate import ScanTarget

    target = ScanTarget("slice", (9, 7), ("slice.nii.gz",), affine)

    decision = judge(target, save_volume(sitk.Flip(flat, (True, False, False))))

    assert decision.geometry == "flip"
    np.testing.assert_array_equal(decision.label, sitk.GetArrayFromImage(flat)[0])


def test_no_number_around_what_is_drawn_is_background(volume, oblique, save_nibabel, ras_affine):
    """As FSL and ANTs write masked floats."""
    array = sitk.GetArrayFromImage(oblique).transpose(2, 1, 0).astype(np.float32)
    outside = array == 0
    array[outside] = np.nan
    accepted = decide(volume, save_nibabel(array, ras_affine(oblique)), ("organ", "tumour"), None)
    expected = np.where(outside, 0, array).astype(np.uint8)
    np.testing.assert_array_equal(accepted.label, expected)
    assert f"{int(outside.sum())} voxels hold no number (NaN): background" in accepted.notes


def test_a_probability_map_is_none_in_spite_of_its_background(
    volume, oblique, save_nibabel, ras_affine
):
    array = sitk.GetArrayFromImage(oblique).transpose(2, 1, 0).astype(np.float32) * 0.4
    array[array == 0] = np.nan
    rejected = decide(volume, save_nibabel(array, ras_affine(oblique)), ("organ", "tumour"), None)
    assert rejected.code == "not-integral"


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 1, 0), (1, 2, 0)])
def test_swapped_axes_that_the_header_does_not_tell_are_no_crop(
    volume, oblique, ras_affine, save_nibabel, order
):
    mask = voxels(oblique).transpose(order)

    decision = judge(volume, save_nibabel(mask, ras_affine(oblique)))

    assert decision.code == "geometry"
    assert "the scan's 7×9×5 with axes swapped" in decision.message
