"""Label arrays of NumPy: both orders of a volume's axes, and what can't be told."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.importing import ImportOptions, examine

CLASSES = ("organ", "tumour")
GRID = (3, 4, 5)
VALUES = np.random.default_rng(3).integers(0, 3, GRID).astype(np.uint8)
AFFINE = np.diag([-1.0, -2.0, 3.0, 1.0])


def verdicts(folder, shape=GRID, affine=None, **options):
    placed = None if affine is None else tuple(map(tuple, affine.tolist()))
    target = ScanTarget("a", shape, ("a.nii.gz",), placed)
    return list(examine(folder, [target], CLASSES, None, options=ImportOptions(**options)))


def ring(kind=np.uint8):
    """A tumour in an organ with a hole: 15 of 24 pixels are drawn."""
    made = np.zeros((4, 6), kind)
    made[0:4, 0:4] = 1
    made[1, 1] = 0
    made[2, 2] = 2
    return made


@pytest.mark.parametrize("kind", ["u1", "<i8", ">i2", "f4"])
def test_an_array_is_the_mask_of_a_picture(tmp_path, kind):
    np.save(tmp_path / "a.npy", ring(kind))

    (found,) = verdicts(tmp_path, (4, 6))

    assert (found.status, found.format, found.drawn.pixels) == (
        "accepted",
        "numpy",
        {0: 9, 1: 14, 2: 1},
    )
    np.testing.assert_array_equal(found.label, ring())


@pytest.mark.parametrize("shape", [(4, 6, 1), (1, 4, 6)])
def test_an_axis_of_length_one_is_left_out_of_a_picture(tmp_path, shape):
    np.save(tmp_path / "a.npy", ring().reshape(shape))
    np.testing.assert_array_equal(verdicts(tmp_path, (4, 6))[0].label, ring())


def test_truth_values_are_the_first_class(tmp_path):
    np.save(tmp_path / "a.npy", ring() == 1)
    (found,) = examine(tmp_path, [ScanTarget("a", (4, 6), ("a.png",))], ("organ",), None)
    assert found.drawn.pixels == {0: 10, 1: 14}


@pytest.mark.parametrize("library", ["nibabel", "SimpleITK"])
def test_arrays_of_both_libraries_lie_where_they_were_drawn(tmp_path, library):
    nib.save(nib.Nifti1Image(VALUES, AFFINE), tmp_path / "scan.nii")
    read = {
        "nibabel": lambda path: np.asarray(nib.load(path).dataobj),
        "SimpleITK": lambda path: sitk.GetArrayFromImage(sitk.ReadImage(path)),
    }
    array = read[library](tmp_path / "scan.nii")
    assert array.shape == {"nibabel": (3, 4, 5), "SimpleITK": (5, 4, 3)}[library]
    np.save(tmp_path / "a.npy", array)

    (found,) = verdicts(tmp_path / "a.npy")

    np.testing.assert_array_equal(found.label, VALUES)


def test_an_array_holds_no_position_for_a_scan_that_has_one(tmp_path):
    np.save(tmp_path / "a.npy", VALUES)

    (asked,) = verdicts(tmp_path, affine=AFFINE)
    (told,) = verdicts(tmp_path, affine=AFFINE, same_grid=True)

    assert (asked.status, asked.code) == ("quarantined", "no-position")
    np.testing.assert_array_equal(told.label, VALUES)


def test_where_both_orders_have_the_same_shape_nothing_is_guessed(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, 4, 3), np.uint8))
    (found,) = verdicts(tmp_path, (3, 4, 3), same_grid=True)
    assert (found.status, found.code) == ("quarantined", "axis-order")


@pytest.mark.parametrize(
    ("array", "code"),
    [
        (np.ones((3, 5, 4), np.uint8), "wrong-size"),
        (np.ones((2, 3, 4, 5), np.uint8), "wrong-dimensions"),
        (np.array([[{}]], object), "pickle"),
        (np.full((3, 4, 5), 7, np.uint8), "unknown-value"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, code):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    (found,) = verdicts(tmp_path)
    assert (found.status, found.code) == ("quarantined", code)


def test_an_array_that_is_cut_off_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", VALUES)
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(data[:-1])
    assert [one.code for one in verdicts(tmp_path)] == ["too-large"]
    (tmp_path / "a.npy").write_bytes(data[:20])
    assert [one.code for one in verdicts(tmp_path)] == ["damaged"]


def test_an_array_beside_a_mask_and_one_of_no_scan_are_passed_over(tmp_path):
    np.save(tmp_path / "a.npy", np.full((4, 6), 0.5))
    np.save(tmp_path / "features.npy", np.ones((4, 6)))
    Image.fromarray(ring()).save(tmp_path / "a.png")

    found = verdicts(tmp_path, (4, 6))

    assert {one.file.name: (one.status, one.message) for one in found} == {
        "a.png": ("accepted", ""),
        "a.npy": ("ignored", "an array need not be a mask, and another mask claims the scan"),
        "features.npy": ("ignored", "an array need not be a mask, and no scan has its name"),
    }
