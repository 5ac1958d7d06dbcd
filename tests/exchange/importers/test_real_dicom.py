"""Segmentations and structure sets of highdicom, pydicom and rt-utils on the images they name."""

from __future__ import annotations

import shutil

import numpy as np
import pydicom
import pytest

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.importers.shared.dicom_seg_frames import decoded, read_frames
from coldal_tui.exchange.incoming.geometry_policy import decide
from coldal_tui.exchange.incoming.importing import examine
from tests.support import dicom_files as made
from tests.support.import_plan import plan_import
from tests.support.places import DATA

pytestmark = pytest.mark.real

DICOM = DATA / "dicom"
CT = "pydicom/dicomdirtests/77654033/CT2"
SEGMENTS = ("first segment", "second segment")


@pytest.fixture
def copied(tmp_path):
    """Copies images of the real data into a folder and returns the one scan they make."""

    def copy(*names: str) -> ScanTarget:
        if not DICOM.is_dir():
            pytest.skip(f"the real data is not here: {DICOM}")
        folder = tmp_path / "images"
        folder.mkdir()
        for name in names:
            shutil.copy(DICOM / name, folder)
        (target,) = made.targets_in(folder)
        return target

    return copy


@pytest.fixture
def three_slices(copied) -> ScanTarget:
    """The neighbours at 103.02, 104.27 and 105.52 mm of a CT of 16 by 16 pixels."""
    return copied(*(f"{CT}/{name}" for name in ("17196", "17136", "17166")))


@pytest.mark.parametrize("kind", ["binary", "binary_fractional", "true_fractional"])
def test_highdicom_s_frames_land_on_their_slices(three_slices, recognised, kind):
    path = DICOM / "highdicom" / f"seg_image_ct_{kind}.dcm"

    decision = decide(three_slices, recognised(path), SEGMENTS, None)

    ds = pydicom.dcmread(path)
    heights = [
        float(group.PlanePositionSequence[0].ImagePositionPatient[2])
        for group in ds.PerFrameFunctionalGroupsSequence
    ]
    drawn = ds.pixel_array >= (127.5 if "fractional" in kind else 1)
    expected = drawn[np.argsort(heights)].transpose(2, 1, 0)
    assert 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(decision.label, expected)


def test_frames_of_a_slice_that_the_project_lacks_are_refused(three_slices, recognised):
    path = DICOM / "highdicom" / "seg_image_ct_binary_overlap.dcm"

    decision = decide(three_slices, recognised(path), SEGMENTS, None)

    assert decision.code == "outside"


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("pydicom/dicomdirtests/77654033/CR1/6154", "seg_image_cr_binary.dcm"),
        ("highdicom/ct_image.dcm", "seg_image_ct_binary_single_frame.dcm"),
    ],
)
def test_a_picture_s_segmentation_lies_on_it(copied, image, mask):
    target = copied(image)
    path = DICOM / "highdicom" / mask

    (verdict,) = examine(path, [target], SEGMENTS, None)

    assert (verdict.status, verdict.matched_by) == ("accepted", "UID")
    np.testing.assert_array_equal(verdict.label, pydicom.dcmread(path).pixel_array)


def test_segmentations_of_other_images_are_orphans(three_slices):
    plan = plan_import(DICOM / "highdicom", [three_slices], SEGMENTS, None)

    slides = [v for v in plan.unmatched if v.file.name.startswith("seg_image_sm")]
    assert len(slides) == 6
    assert all("UID 1.2.826.0.1.3680043.9.7433.3" in verdict.message for verdict in slides)


def test_big_endian_frames_are_those_of_the_little_endian_file(copied):
    copied("highdicom/ct_image.dcm")
    little, big = (
        next(decoded(read_frames(DICOM / "pydicom" / name)))
        for name in ("liver_1frame.dcm", "liver_expb_1frame.dcm")
    )

    assert little.sum() == 36233
    np.testing.assert_array_equal(big, little)


def even_odd(ring: np.ndarray, x: float, y: float) -> bool:
    inside = False
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (x1 - x0) * (y - y0) / (y1 - y0):
            inside = not inside
    return inside


def test_rt_utils_contours_are_filled_with_their_hole(copied, recognised):
    target = copied("rt-utils/mock_data/ct_1.dcm", "rt-utils/mock_data/ct_2.dcm")
    path = DICOM / "rt-utils" / "mock_data" / "rt.dcm"

    decision = decide(target, recognised(path), ("ROI-1",), None)

    contours = pydicom.dcmread(path).ROIContourSequence[0].ContourSequence
    lps_to_voxel = np.linalg.inv(np.asarray(target.affine)) @ np.diag([-1, -1, 1, 1])
    rings = []
    for contour in contours:
        points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
        rings.append((points @ lps_to_voxel[:3, :3].T + lps_to_voxel[:3, 3])[:, :2])
    expected = np.zeros(target.shape, np.uint8)
    for i in range(150, 203):
        for j in range(150, 203):
            expected[i, j, 0] = even_odd(rings[0], i, j) != even_odd(rings[1], i, j)
    np.testing.assert_array_equal(decision.label, expected)


def test_contours_on_slices_that_the_project_lacks_are_left_out_and_told(copied, recognised):
    target = copied("rt-utils/mock_data/ct_1.dcm", "rt-utils/mock_data/ct_2.dcm")
    path = DICOM / "rt-utils" / "empty" / "dummy_rt.dcm"

    decision = decide(target, recognised(path), ("ROI-1", "ROI-2", "ROI-3", "ROI-4"), None)

    assert "'ROI-1': 1 contour outside the scan's slices left out" in decision.warnings


def test_a_structure_set_without_a_preamble_is_an_orphan(three_slices):
    path = DICOM / "pydicom" / "rtstruct.dcm"

    (verdict,) = plan_import(path, [three_slices], ("patient",), None).unmatched

    assert "UID 1.2.826.0.1.3680043.8.498.2010020400001.2.1.1" in verdict.message
