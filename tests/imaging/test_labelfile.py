"""Label files: exact round trips, stable bytes, and what other programs read in them."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from coldal_tui.errors import ImageError
from coldal_tui.imaging.image import ScanHeader
from coldal_tui.imaging.labelfile import label_suffix, read_label, write_label

AFFINE = np.array([[0, 0, 2.0, -5], [-0.5, 0, 0, 7], [0, 0.8, 0, 9], [0, 0, 0, 1]])


def random_label(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).choice(np.array([0, 1, 2, 255], np.uint8), size=shape)


@pytest.mark.parametrize(
    ("shape", "affine", "suffix"),
    [
        ((5, 8), None, ".png"),
        ((5, 8), AFFINE, ".nii.gz"),
        ((4, 5, 6), AFFINE, ".nii.gz"),
        ((4, 5, 6), None, ".nii.gz"),
        ((4, 5, 1), AFFINE, ".nii.gz"),
    ],
)
def test_a_label_comes_back_on_its_grid(tmp_path, shape, affine, suffix):
    label = random_label(*shape)
    path = tmp_path / f"scan{suffix}"

    write_label(path, label, affine)

    np.testing.assert_array_equal(read_label(path), label)


SHEARED = AFFINE + np.array([[0, 0.3, 0, 0], [0] * 4, [0] * 4, [0] * 4])


@pytest.mark.parametrize("affine", [AFFINE, SHEARED, np.diag([-1.0, -1, 2.5, 1]), None])
@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 1, 1), (32768, 1, 1)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_volume_is_the_file_that_nibabel_writes(tmp_path, shape, affine, order):
    label = np.asarray(random_label(*shape), order=order)
    write_label(tmp_path / "scan.nii.gz", label, affine)

    kind = nib.Nifti1Image if max(shape) < 32768 else nib.Nifti2Image
    image = kind(label, affine)
    image.header.set_intent("label", name="label 3-D")
    image.header.set_slope_inter(1, 0)
    if affine is not None:
        image.header.set_xyzt_units("mm")
        image.set_sform(affine, code=1)
        image.set_qform(affine, code=0 if affine is SHEARED else 1)
    assert gzip.decompress((tmp_path / "scan.nii.gz").read_bytes()) == image.to_bytes()


@pytest.mark.parametrize(
    ("shape", "affine", "suffix"),
    [
        ((5, 8), None, ".png"),
        ((5, 8), ((1.0, 0.0, 0.0, 0.0),) * 4, ".nii.gz"),
        ((4, 5, 6), None, ".nii.gz"),
    ],
)
def test_suffix_follows_the_grid(shape, affine, suffix):
    assert label_suffix(ScanHeader(shape=shape, channels=1, dtype="uint8", affine=affine)) == suffix


def test_equal_labels_are_equal_bytes(tmp_path):
    label = random_label(4, 5, 6)

    write_label(tmp_path / "first.nii.gz", label, AFFINE)
    write_label(tmp_path / "second.nii.gz", label, AFFINE)

    first, second = ((tmp_path / f"{n}.nii.gz").read_bytes() for n in ("first", "second"))
    assert first == second


def test_simpleitk_sees_a_two_dimensional_label_in_file_order(tmp_path):
    label = random_label(5, 8)
    write_label(tmp_path / "scan.nii.gz", label, AFFINE)

    image = sitk.ReadImage(str(tmp_path / "scan.nii.gz"))

    assert image.GetSize() == (8, 5, 1)
    assert image.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image)[0], label)


def test_simpleitk_sees_the_label_where_the_affine_says(tmp_path):
    write_label(tmp_path / "scan.nii.gz", random_label(4, 5, 6), AFFINE)

    image = sitk.ReadImage(str(tmp_path / "scan.nii.gz"))

    # ITK is LPS: x and y of the RAS point change sign.
    x, y, z, _ = AFFINE @ [3, 4, 5, 1]
    assert image.TransformIndexToPhysicalPoint((3, 4, 5)) == pytest.approx((-x, -y, z))


def test_a_sheared_grid_keeps_its_affine(tmp_path):
    sheared = np.eye(4)
    sheared[0, 1] = 0.25
    write_label(tmp_path / "scan.nii.gz", random_label(4, 5, 6), sheared)

    np.testing.assert_allclose(nib.load(tmp_path / "scan.nii.gz").affine, sheared)


def test_a_volume_without_coordinates_claims_none(tmp_path):
    write_label(tmp_path / "scan.nii.gz", random_label(4, 5, 6), None)

    header = nib.load(tmp_path / "scan.nii.gz").header
    assert (int(header["qform_code"]), int(header["sform_code"])) == (0, 0)


def test_the_png_is_plain_grey(tmp_path):
    write_label(tmp_path / "scan.png", random_label(5, 8), None)

    with Image.open(tmp_path / "scan.png") as image:
        assert (image.mode, image.size) == ("L", (8, 5))


@pytest.mark.parametrize(
    ("array", "name", "affine"),
    [
        (np.zeros((3, 3), np.int16), "scan.png", None),
        (np.zeros((3, 3, 3), np.uint8), "scan.png", None),
        (np.zeros((3, 3), np.uint8), "scan.png", AFFINE),
        (np.zeros((3, 3, 3, 1), np.uint8), "scan.nii.gz", None),
        (np.zeros((3, 3), np.uint8), "scan.tif", None),
    ],
)
def test_what_is_no_label_is_not_written(tmp_path, array, name, affine):
    with pytest.raises(ImageError) as caught:
        write_label(tmp_path / name, array, affine)

    assert caught.value.code == "not-a-label"
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("suffix", "keep"),
    [(".png", 0), (".png", 40), (".png", -40), (".nii.gz", 0), (".nii.gz", 40), (".nii.gz", -9)],
)
def test_a_cut_file_is_unreadable_by_name(tmp_path, suffix, keep):
    path = tmp_path / f"scan{suffix}"
    affine = None if suffix == ".png" else AFFINE
    write_label(path, random_label(50, 80), affine)
    path.write_bytes(path.read_bytes()[:keep] if keep else b"")

    with pytest.raises(ImageError) as caught:
        read_label(path)

    assert caught.value.code == "unreadable"
    assert caught.value.where == str(path)


def test_a_missing_label_is_missing(tmp_path):
    with pytest.raises(ImageError) as caught:
        read_label(tmp_path / "gone.nii.gz")

    assert caught.value.code == "missing"


def test_a_failed_write_leaves_the_old_label(tmp_path):
    path = tmp_path / "scan.png"
    label = random_label(5, 8)
    write_label(path, label, None)

    with pytest.raises(ImageError):
        write_label(path, label.astype(np.int16), None)

    np.testing.assert_array_equal(read_label(path), label)
    assert [entry.name for entry in tmp_path.iterdir()] == ["scan.png"]
