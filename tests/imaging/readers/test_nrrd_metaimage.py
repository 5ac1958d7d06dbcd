"""NRRD and MetaImage agree with SimpleITK and pynrrd, values and places."""

from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from coldal_tui.errors import ImageError
from coldal_tui.imaging.image import ScanImage, ScanRef
from coldal_tui.imaging.reading import read_scan

RNG = np.random.default_rng(11)
SUFFIXES = ["nrrd", "nhdr", "mha", "mhd"]


def read(path: Path) -> ScanImage:
    kind = "nrrd" if path.suffix in (".nrrd", ".nhdr") else "metaimage"
    image = read_scan(ScanRef(kind, (str(path),)))
    assert image.array.dtype.name == image.header.dtype
    return image


def code_of(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        read(path)
    return caught.value.code


def turned(values: np.ndarray, *, vector: bool = False) -> sitk.Image:
    """A SimpleITK image of ``values`` (k, j, i[, channel]) with an oblique direction."""
    image = sitk.GetImageFromArray(values, isVector=vector)
    image.SetSpacing((0.7, 0.8, 3.0))
    image.SetOrigin((11.0, -12.0, 13.0))
    image.SetDirection(np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0].ravel())
    return image


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_values_agree_with_itk(tmp_path: Path, suffix: str, dtype: str, compressed: bool) -> None:
    values = RNG.integers(0, 200, (7, 6, 5)).astype(dtype)
    sitk.WriteImage(turned(values), str(tmp_path / f"a.{suffix}"), useCompression=compressed)
    image = read(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(image.array[..., 0], values.transpose(2, 1, 0))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_places_agree_with_itk(tmp_path: Path, suffix: str) -> None:
    written = turned(np.zeros((7, 6, 5), np.int16))
    sitk.WriteImage(written, str(tmp_path / f"a.{suffix}"))
    header = read(tmp_path / f"a.{suffix}").header
    lps = np.array(written.TransformIndexToPhysicalPoint((1, 2, 3)))
    np.testing.assert_allclose((np.asarray(header.affine) @ [1, 2, 3, 1])[:3], lps * [-1, -1, 1])
    np.testing.assert_allclose(header.spacing, (0.7, 0.8, 3.0), rtol=1e-6)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_vector_voxels_are_channels(tmp_path: Path, suffix: str) -> None:
    values = RNG.integers(0, 256, (7, 6, 5, 3), dtype=np.uint8)
    sitk.WriteImage(turned(values, vector=True), str(tmp_path / f"a.{suffix}"))
    image = read(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(image.array, values.transpose(2, 1, 0, 3))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_flat_image_is_rows_and_columns(tmp_path: Path, suffix: str) -> None:
    values = RNG.integers(0, 256, (7, 11), dtype=np.uint8)
    flat = sitk.GetImageFromArray(values)
    flat.SetSpacing((0.5, 2.0))
    sitk.WriteImage(flat, str(tmp_path / f"a.{suffix}"))
    image = read(tmp_path / f"a.{suffix}")
    assert image.header.spacing == (2.0, 0.5)
    np.testing.assert_array_equal(image.array[..., 0], values)


@pytest.mark.parametrize("suffix", ["nrrd", "mha"])
def test_cut_voxels_are_truncated(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    values = RNG.integers(-9999, 9999, (20, 20, 20)).astype(np.int16)
    sitk.WriteImage(turned(values), str(path), useCompression=False)
    path.write_bytes(path.read_bytes()[:-500])
    assert code_of(path) == "truncated"


@pytest.mark.parametrize("suffix", ["nhdr", "mhd"])
def test_a_lost_data_file_is_missing(tmp_path: Path, suffix: str) -> None:
    sitk.WriteImage(turned(np.zeros((7, 6, 5), np.int16)), str(tmp_path / f"a.{suffix}"))
    next(p for p in tmp_path.iterdir() if p.suffix != f".{suffix}").unlink()
    assert code_of(tmp_path / f"a.{suffix}") == "missing"


def test_big_endian_metaimage_is_read(tmp_path: Path) -> None:
    values = RNG.integers(-9999, 9999, (4, 3, 2)).astype(">i2")
    head = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = True\n"
        "DimSize = 2 3 4\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    (tmp_path / "a.mha").write_bytes(head.encode() + values.tobytes())
    image = read(tmp_path / "a.mha")
    np.testing.assert_array_equal(image.array[..., 0], values.transpose(2, 1, 0))


def test_ras_nrrd_is_not_turned_into_lps(tmp_path: Path) -> None:
    header = {
        "space": "right-anterior-superior",
        "space directions": np.diag([1.0, 2.0, 3.0]),
        "space origin": np.array([4.0, 5.0, 6.0]),
    }
    nrrd.write(str(tmp_path / "a.nrrd"), np.zeros((3, 4, 5), np.uint8), header)
    expected = [[1, 0, 0, 4], [0, 2, 0, 5], [0, 0, 3, 6], [0, 0, 0, 1]]
    np.testing.assert_array_equal(read(tmp_path / "a.nrrd").header.affine, expected)


def test_nrrd_without_space_has_no_affine(tmp_path: Path) -> None:
    nrrd.write(
        str(tmp_path / "a.nrrd"), np.zeros((3, 4, 5), np.uint8), {"spacings": [1.0, 2.0, 3.0]}
    )
    header = read(tmp_path / "a.nrrd").header
    assert (header.affine, header.spacing) == (None, (1.0, 2.0, 3.0))


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
def test_nrrd_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    values = RNG.integers(0, 200, (3, 4, 5)).astype(np.int16)
    nrrd.write(str(tmp_path / "a.nrrd"), values, {"encoding": encoding})
    np.testing.assert_array_equal(read(tmp_path / "a.nrrd").array[..., 0], values)


def test_a_long_list_of_volumes_is_a_time_series(tmp_path: Path) -> None:
    header = {"kinds": ["list", "domain", "domain", "domain"]}
    nrrd.write(str(tmp_path / "a.nrrd"), np.zeros((17, 3, 4, 5), np.uint8), header)
    assert code_of(tmp_path / "a.nrrd") == "time-series"


def test_a_gzip_bomb_in_a_nrrd_is_cut_at_its_promised_size(tmp_path: Path) -> None:
    path = tmp_path / "a.nrrd"
    nrrd.write(str(path), np.zeros((200, 200, 200), np.uint8))
    content = path.read_bytes().replace(b"sizes: 200 200 200", b"sizes: 4 4 4")
    path.write_bytes(content)
    assert read(path).array.shape == (4, 4, 4, 1)
