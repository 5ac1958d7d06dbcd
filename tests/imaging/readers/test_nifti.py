"""NIfTI grids, geometry and values agree with nibabel and SimpleITK."""

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from coldal_tui.errors import ImageError
from coldal_tui.imaging.image import ScanImage, ScanRef
from coldal_tui.imaging.reading import read_header, read_scan

RNG = np.random.default_rng(7)
AFFINE = np.array([[-0.9, 0.1, 0, 30], [0.05, 1.1, 0.2, -20], [0, -0.1, 2.5, 7], [0, 0, 0, 1.0]])


def ref(path: Path) -> ScanRef:
    return ScanRef("nifti", (str(path),))


def read(path: Path) -> ScanImage:
    image = read_scan(ref(path))
    assert image.array.dtype.name == image.header.dtype
    return image


def code_of(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        read_scan(ref(path))
    return caught.value.code


def save(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_volume_is_in_file_order(tmp_path: Path, name: str) -> None:
    values = RNG.integers(-1000, 1000, (5, 6, 7)).astype(np.int16)
    image = read(save(tmp_path / name, values))
    np.testing.assert_array_equal(image.array[..., 0], values)


def test_affine_is_ras(tmp_path: Path) -> None:
    image = read(save(tmp_path / "a.nii.gz", np.zeros((5, 6, 7), np.float32)))
    np.testing.assert_allclose(image.header.affine, AFFINE, atol=1e-6)


def test_spacing_is_the_length_of_the_axes(tmp_path: Path) -> None:
    image = read(save(tmp_path / "a.nii.gz", np.zeros((5, 6, 7), np.float32)))
    np.testing.assert_allclose(image.header.spacing, np.linalg.norm(AFFINE[:3, :3], axis=0), 1e-6)


def test_geometry_agrees_with_itk(tmp_path: Path) -> None:
    rotation = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = rotation * [0.7, 0.8, 3.0]
    affine[:3, 3] = (11, -12, 13)
    path = save(tmp_path / "a.nii.gz", np.zeros((5, 6, 7), np.int16), affine)
    itk = sitk.ReadImage(str(path))
    lps = np.array(itk.TransformContinuousIndexToPhysicalPoint((2.0, 3.0, 4.0)))
    ours = np.asarray(read_header(ref(path)).affine) @ [2, 3, 4, 1]
    np.testing.assert_allclose(ours[:3], lps * [-1, -1, 1], atol=1e-4)


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1)])
def test_flat_file_is_rows_and_columns(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = RNG.integers(0, 100, shape).astype(np.uint8)
    path = save(tmp_path / "a.nii.gz", values, np.diag([0.5, 2.0, 1.0, 1.0]))
    image = read(path)
    assert (image.header.shape, image.header.spacing) == ((6, 5), (2.0, 0.5))
    np.testing.assert_array_equal(image.array[..., 0], values.reshape(5, 6).T)


def test_a_short_fourth_axis_is_channels(tmp_path: Path) -> None:
    values = RNG.normal(size=(5, 6, 7, 3)).astype(np.float32)
    image = read(save(tmp_path / "a.nii.gz", values))
    assert image.header.channels == 3
    np.testing.assert_array_equal(image.array, values)


def test_a_long_fourth_axis_is_a_time_series(tmp_path: Path) -> None:
    assert code_of(save(tmp_path / "a.nii.gz", np.zeros((2, 2, 2, 17), np.uint8))) == "time-series"


def test_rgb_voxels_are_three_channels(tmp_path: Path) -> None:
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    values = RNG.integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
    path = save(tmp_path / "a.nii", np.ascontiguousarray(values).view(kind)[..., 0])
    np.testing.assert_array_equal(read(path).array, values)


def test_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    picture = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), AFFINE)
    picture.header.set_slope_inter(0.5, -3)
    nib.save(picture, tmp_path / "a.nii.gz")
    image = read(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(
        image.array[..., 0], nib.load(tmp_path / "a.nii.gz").get_fdata(), atol=1e-6
    )


def test_big_endian_is_read(tmp_path: Path) -> None:
    values = RNG.integers(-1000, 1000, (5, 6, 7)).astype(">i2")
    header = nib.Nifti1Header(endianness=">")
    nib.save(nib.Nifti1Image(values, AFFINE, header), tmp_path / "a.nii")
    np.testing.assert_array_equal(read(tmp_path / "a.nii").array[..., 0], values)


def test_nifti_2_is_read(tmp_path: Path) -> None:
    values = RNG.integers(-1000, 1000, (5, 6, 7)).astype(np.int16)
    nib.save(nib.Nifti2Image(values, AFFINE), tmp_path / "a.nii.gz")
    image = read(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(image.array[..., 0], values)


def test_header_and_voxel_pair_is_read(tmp_path: Path) -> None:
    values = RNG.integers(-1000, 1000, (5, 6, 7)).astype(np.int16)
    nib.save(nib.Nifti1Pair(values, AFFINE), tmp_path / "a.hdr")
    np.testing.assert_array_equal(read(tmp_path / "a.hdr").array[..., 0], values)


def test_nan_and_infinity_are_left(tmp_path: Path) -> None:
    values = np.array([[[np.nan, np.inf], [-np.inf, 1.0]], [[0, 0], [0, 0]]], np.float32)
    np.testing.assert_array_equal(read(save(tmp_path / "a.nii", values)).array[..., 0], values)


def test_no_form_is_noted(tmp_path: Path) -> None:
    picture = nib.Nifti1Image(np.zeros((5, 6, 7), np.uint8), None)
    picture.header.set_zooms((2, 2, 2))
    nib.save(picture, tmp_path / "a.nii")
    header = read_header(ref(tmp_path / "a.nii"))
    assert header.meta["geometry"] == "none in file"
    np.testing.assert_allclose(header.affine, nib.load(tmp_path / "a.nii").affine)


def test_flat_affine_leaves_the_spacing_of_the_header(tmp_path: Path) -> None:
    picture = nib.Nifti1Image(np.zeros((5, 6, 7), np.uint8), np.diag([2.0, 3.0, 4.0, 1.0]))
    picture.header["srow_z"] = 0
    with (tmp_path / "a.nii").open("wb") as stream:
        stream.write(picture.header.binaryblock + b"\0" * 4 + bytes(210))
    header = read_header(ref(tmp_path / "a.nii"))
    assert header.affine is None
    assert header.spacing == (2.0, 3.0, 4.0)
    assert header.meta["geometry"].startswith("unusable")


def test_micrometres_become_millimetres(tmp_path: Path) -> None:
    picture = nib.Nifti1Image(np.zeros((5, 6, 7), np.uint8), np.diag([500.0, 500.0, 900.0, 1.0]))
    picture.header.set_xyzt_units("micron")
    nib.save(picture, tmp_path / "a.nii")
    assert read_header(ref(tmp_path / "a.nii")).spacing == (0.5, 0.5, 0.9)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_cut_voxels_are_truncated(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, RNG.integers(-1000, 1000, (30, 30, 30)).astype(np.int16))
    path.write_bytes(path.read_bytes()[:-3000])
    assert code_of(path) == "truncated"


def test_a_header_that_promises_terabytes_is_refused(tmp_path: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_shape((32000, 32000, 32000))
    header.set_data_dtype(np.float32)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(4000)))
    assert code_of(tmp_path / "a.nii.gz") == "truncated"


def test_complex_values_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", np.zeros((2, 2, 2), np.complex64))
    assert code_of(path) == "unsupported-type"
