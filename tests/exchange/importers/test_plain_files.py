"""Masks of the usual kind are decoded from bytes, exactly as nibabel and Pillow decode them."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from coldal_tui.errors import ImageError
from coldal_tui.exchange.importers.shared.decode import decode_nifti_mask
from coldal_tui.exchange.masks.plain_nifti import decode_plain
from coldal_tui.exchange.masks.plain_png import _lines, decode_plain_grey

SHAPE = (5, 4, 3)
OBLIQUE = np.array(
    [[-0.7, 0.1, 0.2, 40.5], [0.1, -0.8, 0.3, -30.25], [0.05, 0.2, 2.4, 7.0], [0, 0, 0, 1]]
)


def values(dtype: str, shape: tuple[int, ...] = SHAPE) -> NDArray[np.generic]:
    return np.random.default_rng(0).integers(0, 3, shape).astype(dtype)


def saved(image: nib.Nifti1Image, *, packed: bool = True) -> bytes:
    data: bytes = image.to_bytes()
    return gzip.compress(data) if packed else data


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    "dtype", ["u1", "i1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8"]
)
def test_a_plain_volume_is_what_nibabel_reads(dtype: str, packed: bool) -> None:
    array = values(dtype)
    data = saved(nib.Nifti1Image(array, OBLIQUE, dtype=array.dtype), packed=packed)
    found = decode_plain(data)
    theirs = nib.Nifti1Image.from_bytes(gzip.decompress(data) if packed else data)
    assert found is not None
    np.testing.assert_array_equal(found.values, np.asarray(theirs.dataobj))
    assert found.values.dtype == array.dtype
    np.testing.assert_array_equal(found.sform, theirs.affine)


def test_a_plain_volume_in_metres_lies_in_millimetres() -> None:
    image = nib.Nifti1Image(values("u1"), np.diag([0.001, 0.001, 0.002, 1.0]))
    image.header.set_xyzt_units("meter")
    pixels = decode_nifti_mask(saved(image), Path("m.nii.gz"))
    assert pixels.affine is not None
    np.testing.assert_allclose(pixels.affine, np.diag([1, 1, 2, 1]), rtol=1e-6)


def scaled() -> nib.Nifti1Image:
    image = nib.Nifti1Image(values("<i2"), OBLIQUE)
    image.header.set_slope_inter(2, 1)
    return image


def without_sform() -> nib.Nifti1Image:
    image = nib.Nifti1Image(values("u1"), np.diag([1.0, 2, 3, 1]))
    image.set_sform(None, 0)
    return image


def extended() -> nib.Nifti1Image:
    image = nib.Nifti1Image(values("u1"), OBLIQUE)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"seen"))
    return image


def big_endian() -> nib.Nifti1Image:
    header = nib.Nifti1Header(endianness=">")
    return nib.Nifti1Image(values("u1"), OBLIQUE, header)


@pytest.mark.parametrize("make", [scaled, without_sform, extended, big_endian])
def test_other_volumes_are_left_to_nibabel(make, tmp_path: Path) -> None:
    image = make()
    path = tmp_path / "m.nii.gz"
    nib.save(image, path)
    data = path.read_bytes()
    assert decode_plain(data) is None
    pixels = decode_nifti_mask(data, path)
    theirs = nib.load(path)
    np.testing.assert_array_equal(pixels.array, np.asarray(theirs.dataobj))
    np.testing.assert_allclose(pixels.affine, theirs.affine)


def damaged_checksum(data: bytes) -> bytes:
    return data[:-8] + bytes([data[-8] ^ 1]) + data[-7:]


def cut_short(data: bytes) -> bytes:
    return data[:-20]


def too_few_voxels(data: bytes) -> bytes:
    return gzip.compress(gzip.decompress(data)[:-1])


@pytest.mark.parametrize("harm", [damaged_checksum, cut_short, too_few_voxels])
def test_a_damaged_volume_is_refused(harm, tmp_path: Path) -> None:
    data = harm(saved(nib.Nifti1Image(values("u1"), OBLIQUE)))
    path = tmp_path / "m.nii.gz"
    path.write_bytes(data)
    assert decode_plain(data) is None
    with pytest.raises(ImageError) as refused:
        decode_nifti_mask(data, path)
    assert refused.value.code == "unreadable"


def test_two_gzip_members_are_one_volume(tmp_path: Path) -> None:
    whole = saved(nib.Nifti1Image(values("u1"), OBLIQUE), packed=False)
    path = tmp_path / "m.nii.gz"
    path.write_bytes(gzip.compress(whole[:100]) + gzip.compress(whole[100:]))
    pixels = decode_nifti_mask(path.read_bytes(), path)
    np.testing.assert_array_equal(pixels.array, values("u1"))


def png(array: NDArray[np.uint8], **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG", **options)
    return stream.getvalue()


def pictures() -> dict[str, NDArray[np.uint8]]:
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:60, :70]
    disc = (((rows - 30) ** 2 + (columns - 35) ** 2) < 400).astype(np.uint8)
    return {
        "disc": disc * 255,
        "noise": rng.integers(0, 256, (37, 41), dtype=np.uint8),
        "slope": ((rows * 3 + columns * 2) % 256).astype(np.uint8),
        "wide": rng.integers(0, 2, (3, 70_000), dtype=np.uint8),
        "one pixel": np.array([[7]], np.uint8),
        "nothing": np.zeros((40, 33), np.uint8),
        "nothing, seven bytes": np.zeros((1, 6), np.uint8),
        "first row": ((rows == 0) & (columns == 3)).astype(np.uint8),
        "last row": (rows[:31, :33] == 30).astype(np.uint8),
        "last pixel": (rows * 70 + columns == 60 * 70 - 1).astype(np.uint8) * 255,
        "two bands": ((rows // 9 % 3 == 1) * 3).astype(np.uint8),
    }


@pytest.mark.parametrize("name", list(pictures()))
def test_a_plain_picture_is_what_pillow_reads(name: str) -> None:
    array = pictures()[name]
    data = png(array)
    assert _lines(data) is not None
    np.testing.assert_array_equal(decode_plain_grey(data), array)


@pytest.mark.parametrize("kind", range(5))
def test_every_filter_of_rows_is_undone(kind: int) -> None:
    """Each row is 10, 20, 30 of its filter's differences; the values were worked out by hand."""
    rows = bytes([kind, 10, 20, 30]) * 2
    data = grey(rows, 3)
    expected = {
        0: [[10, 20, 30], [10, 20, 30]],
        1: [[10, 30, 60], [10, 30, 60]],
        2: [[10, 20, 30], [20, 40, 60]],
        3: [[10, 25, 42], [15, 40, 71]],
        4: [[10, 30, 60], [20, 50, 90]],
    }[kind]
    np.testing.assert_array_equal(decode_plain_grey(data), expected)


def grey(lines: bytes, columns: int) -> bytes:
    """A grey PNG of filtered rows."""
    header = struct.pack(">IIBBBBB", columns, len(lines) // (columns + 1), 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


def pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def test_rows_of_zeros_are_read_as_pillow_reads_them_whatever_their_filters() -> None:
    """Rows of zeros before, between and after drawn ones: some repeat the row above."""
    rng = np.random.default_rng(3)
    for _ in range(300):
        rows, columns = rng.integers(1, 12), rng.integers(1, 20)
        lines = np.zeros((rows, columns + 1), np.uint8)
        lines[:, 0] = rng.integers(0, 5, rows) * (rng.random(rows) < 0.5)
        for row in rng.integers(0, rows, rng.integers(0, 3)):
            lines[row, 1 + rng.integers(0, columns)] = rng.integers(0, 256)
        data = grey(lines.tobytes(), int(columns))

        np.testing.assert_array_equal(decode_plain_grey(data), pillow(data))


def test_a_row_of_zeros_with_an_unknown_filter_is_refused() -> None:
    lines = bytes([0, 0, 0, 5, 0, 0, 0, 0, 0])
    with pytest.raises(ValueError):
        decode_plain_grey(grey(lines, 2))


def test_a_damaged_size_of_a_picture_is_refused() -> None:
    data = bytearray(grey(bytes(300), 2))
    data[23] = 99  # 99 rows of 2, not 100
    with pytest.raises(ValueError):
        decode_plain_grey(bytes(data))


def test_damaged_pixel_data_of_a_picture_is_refused() -> None:
    data = bytearray(png(pictures()["disc"]))
    place = data.index(b"IDAT") + 10
    data[place] ^= 1
    with pytest.raises(ValueError):
        decode_plain_grey(bytes(data))


@pytest.mark.parametrize("rows", [2, 101, 2_000_000_000])
def test_a_picture_with_more_or_fewer_rows_than_it_says_is_left_to_libpng(rows: int) -> None:
    """Its header is whole; two thousand million rows would not fit into memory."""
    data = bytearray(grey(bytes(300), 2))
    data[20:24] = rows.to_bytes(4, "big")
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    assert _lines(bytes(data)) is None
