"""NRRD, MetaImage and 3D Slicer segmentations on the grid of an oblique, anisotropic scan.

SimpleITK writes the masks; what is expected is the image that it wrote.
"""

from __future__ import annotations

from itertools import permutations, product

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.geometry_policy import Accepted, ImportOptions, decide

CLASSES = ("anterior", "posterior")
FORMATS = ["nrrd", "nhdr", "mha", "mhd", "seg.nrrd"]


@pytest.fixture
def judged(volume, recognised, save_segments, tmp_path):
    """Writes an ITK image in a format and decides on it."""

    def judge(image: sitk.Image, ending: str, target=volume, options=None):
        if ending == "seg.nrrd":
            path = save_segments(image, [("anterior", 0, 1), ("posterior", 0, 2)])
        else:
            path = tmp_path / f"brain.{ending}"
            sitk.WriteImage(image, str(path))
        return decide(target, recognised(path), CLASSES, None, options)

    return judge


def voxels(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image).T


def moved(image: sitk.Image, along_k: float) -> sitk.Image:
    copy = sitk.Image(image)
    copy.SetOrigin(image.TransformContinuousIndexToPhysicalPoint((0, 0, along_k)))
    return copy


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    ("order", "flips"), list(product(permutations(range(3)), product((False, True), repeat=3)))
)
def test_any_axis_order_comes_back_exact(judged, oblique, ending, order, flips):
    decision = judged(sitk.Flip(sitk.PermuteAxes(oblique, order), flips), ending)

    assert isinstance(decision, Accepted)
    np.testing.assert_array_equal(decision.label, voxels(oblique))


@pytest.mark.parametrize("ending", FORMATS)
def test_a_crop_is_pasted_where_it_lies(judged, volume, oblique, ending):
    crop = oblique[1:5, 2:9, 1:4]
    expected = np.zeros(volume.shape, np.uint8)
    expected[1:5, 2:9, 1:4] = voxels(crop)

    decision = judged(crop, ending)

    assert decision.geometry == "crop"
    np.testing.assert_array_equal(decision.label, expected)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_crop_of_one_slice_is_pasted_where_it_lies(judged, volume, oblique, ending):
    crop = oblique[1:6, 2:9, 3:4]
    expected = np.zeros(volume.shape, np.uint8)
    expected[1:6, 2:9, 3:4] = voxels(crop)

    decision = judged(crop, ending)

    assert decision.geometry == "crop"
    np.testing.assert_array_equal(decision.label, expected)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_crop_beyond_the_scan_loses_nothing(judged, oblique, ending):
    grown = sitk.ConstantPad(oblique, (1, 0, 2), (0, 1, 0), 0)

    decision = judged(grown, ending)

    np.testing.assert_array_equal(decision.label, voxels(oblique))


@pytest.mark.parametrize("ending", FORMATS)
def test_a_half_voxel_shift_is_quarantined(judged, oblique, ending):
    decision = judged(moved(oblique, 0.5), ending)

    assert decision.code == "geometry"
    assert "up to 0.50 voxels away" in decision.message


@pytest.mark.parametrize("ending", FORMATS)
def test_a_drift_is_accepted_with_its_size(judged, oblique, ending):
    decision = judged(moved(oblique, 0.05), ending)

    assert decision.warnings == ("the mask's grid is off by up to 0.050 voxels",)


@pytest.mark.parametrize("ending", FORMATS)
def test_another_spacing_waits_for_consent(judged, oblique, ending):
    finer = sitk.Expand(oblique, (1, 1, 2), sitk.sitkNearestNeighbor)

    assert judged(finer, ending).code == "resampled"
    decision = judged(finer, ending, options=ImportOptions(resample=True))
    np.testing.assert_array_equal(decision.label, voxels(oblique))


@pytest.mark.parametrize("ending", FORMATS)
def test_an_empty_mask_waits_for_confirmation(judged, oblique, ending):
    assert judged(oblique * 0, ending).code == "empty"


@pytest.mark.parametrize("ending", ["nrrd", "nhdr", "mha", "mhd"])
@pytest.mark.parametrize("kind", [sitk.sitkFloat32, sitk.sitkInt16, sitk.sitkUInt32])
def test_any_number_type_of_whole_values(judged, oblique, ending, kind):
    decision = judged(sitk.Cast(oblique, kind), ending)

    np.testing.assert_array_equal(decision.label, voxels(oblique))


@pytest.mark.parametrize("ending", ["nrrd", "mha"])
def test_one_channel_per_class_is_refused(judged, oblique, ending):
    decision = judged(sitk.Compose(oblique == 1, oblique == 2), ending)

    assert decision.code == "several-channels"


@pytest.mark.parametrize("ending", ["nrrd", "mha"])
def test_a_mask_without_a_position_is_not_believed(judged, oblique, ending):
    bare = sitk.GetImageFromArray(sitk.GetArrayFromImage(oblique))

    assert judged(bare, ending).code == "no-position"


def test_a_ras_header_is_not_turned_into_lps(volume, oblique, ras_affine, recognised, tmp_path):
    affine = ras_affine(oblique)
    header = {
        "space": "right-anterior-superior",
        "space directions": affine[:3, :3].T,
        "space origin": affine[:3, 3],
        "kinds": ["domain"] * 3,
    }
    nrrd.write(str(tmp_path / "brain.nrrd"), voxels(oblique), header)

    decision = decide(volume, recognised(tmp_path / "brain.nrrd"), CLASSES, None)

    assert decision.geometry == "match"
    np.testing.assert_array_equal(decision.label, voxels(oblique))


@pytest.mark.parametrize("ending", ["nrrd", "mha"])
def test_a_flat_mask_of_a_picture_is_columns_by_rows(recognised, tmp_path, ending):
    drawn = np.zeros((6, 9), np.uint8)
    drawn[1, :4] = 1
    drawn[4, 8] = 2
    flat = sitk.GetImageFromArray(drawn)
    flat.SetSpacing((0.2, 0.2))
    sitk.WriteImage(flat, str(tmp_path / f"photo.{ending}"))
    target = ScanTarget("photo", (6, 9), ("photo.png",))

    decision = decide(target, recognised(tmp_path / f"photo.{ending}"), CLASSES, None)

    np.testing.assert_array_equal(decision.label, drawn)
