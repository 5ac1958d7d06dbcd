"""Pictures are read as they are displayed, at their stored depth."""

import io
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from coldal_tui.errors import ImageError
from coldal_tui.imaging.image import ScanImage, ScanRef
from coldal_tui.imaging.reading import read_scan

RNG = np.random.default_rng(5)
GREY = RNG.integers(0, 256, (7, 11), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (7, 11, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (7, 11), dtype=np.uint16)


def read(path: Path) -> ScanImage:
    image = read_scan(ScanRef("raster", (str(path),)))
    assert image.array.dtype.name == image.header.dtype
    return image


def code_of(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        read_scan(ScanRef("raster", (str(path),)))
    return caught.value.code


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_grey_values_are_kept(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(GREY).save(path)
    image = read(path)
    assert image.header.shape == (7, 11)
    np.testing.assert_array_equal(image.array[..., 0], GREY)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_colour_values_are_kept(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(COLOUR).save(path)
    np.testing.assert_array_equal(read(path).array, COLOUR)


def test_jpeg_equals_pillow(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(COLOUR).save(path, quality=90)
    np.testing.assert_array_equal(read(path).array, np.asarray(Image.open(path)))


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    bits = GREY > 128
    Image.fromarray(bits).save(path)
    np.testing.assert_array_equal(read(path).array[..., 0], np.where(bits, 255, 0))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_grey_is_kept(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(DEEP).save(path)
    image = read(path)
    assert image.header.dtype == "uint16"
    np.testing.assert_array_equal(image.array[..., 0], DEEP)


def test_sixteen_bit_colour_png_is_not_cut_to_eight(tmp_path: Path) -> None:
    deep = RNG.integers(0, 65536, (7, 11, 3), dtype=np.uint16)
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(deep))
    np.testing.assert_array_equal(read(path).array, deep)


def test_thirty_two_bit_float_tiff_is_kept(tmp_path: Path) -> None:
    values = RNG.normal(size=(7, 11)).astype(np.float32)
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path)
    np.testing.assert_array_equal(read(path).array[..., 0], values)


def test_opaque_alpha_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    opaque = np.full((7, 11, 1), 255, np.uint8)
    Image.fromarray(np.concatenate([COLOUR, opaque], axis=-1)).save(path)
    np.testing.assert_array_equal(read(path).array, COLOUR)


def test_alpha_is_composited_over_black(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    pixels = np.array([[[200, 100, 50, 0], [200, 100, 50, 51], [200, 100, 50, 255]]], np.uint8)
    Image.fromarray(pixels).save(path)
    expected = [[[0, 0, 0], [40, 20, 10], [200, 100, 50]]]  # 51/255 is a fifth
    np.testing.assert_array_equal(read(path).array, expected)


def test_grey_with_alpha_has_one_channel(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    pixels = np.stack([GREY, np.full_like(GREY, 255)], axis=-1)
    Image.fromarray(pixels, mode="LA").save(path)
    image = read(path)
    assert image.header.channels == 1
    np.testing.assert_array_equal(image.array[..., 0], GREY)


def test_palette_is_expanded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    picture = Image.fromarray(GREY % 3, mode="P")
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    picture.save(path)
    table = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]])
    np.testing.assert_array_equal(read(path).array, table[GREY % 3])


def test_palette_tiff_is_expanded(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    picture = Image.fromarray(GREY % 3, mode="P")
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    picture.save(path)
    table = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]])
    np.testing.assert_array_equal(read(path).array, table[GREY % 3])


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_becomes_rgb(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(COLOUR).convert("CMYK").save(path)
    np.testing.assert_array_equal(read(path).array, np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(GREY).save(path, exif=exif)
    image = read(path)
    shown = ImageOps.exif_transpose(Image.open(path))
    assert image.header.shape == (shown.height, shown.width)
    np.testing.assert_array_equal(image.array[..., 0], np.asarray(shown))


def test_png_orientation_behind_the_pixels_is_found_in_the_header(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[274] = 6
    stream = io.BytesIO()
    Image.fromarray(GREY).save(stream, format="PNG")
    plain = stream.getvalue()
    body = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body
    chunk += struct.pack(">I", zlib.crc32(b"eXIf" + body))
    path.write_bytes(plain[:-12] + chunk + plain[-12:])
    np.testing.assert_array_equal(read(path).array[..., 0], np.rot90(GREY, -1))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_tiff_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, extratags=[(274, 3, 1, orientation, True)])
    turns = {1: 0, 3: 2, 6: -1, 8: 1}
    np.testing.assert_array_equal(read(path).array[..., 0], np.rot90(GREY, turns[orientation]))


@pytest.mark.parametrize("compression", ["lzw", "deflate", "packbits", "zstd"])
def test_compressed_deep_tiff_is_kept(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, DEEP, compression=compression)
    np.testing.assert_array_equal(read(path).array[..., 0], DEEP)


def test_white_is_zero_tiff_is_inverted(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, photometric="miniswhite")
    np.testing.assert_array_equal(read(path).array[..., 0], 255 - GREY)


def test_pages_of_a_tiff_are_a_volume(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pages = RNG.integers(0, 65536, (4, 7, 11), dtype=np.uint16)
    tifffile.imwrite(path, pages, photometric="minisblack")
    image = read(path)
    assert image.header.shape == (11, 7, 4)
    np.testing.assert_array_equal(image.array[..., 0], pages.transpose(2, 1, 0))


def test_pages_of_different_size_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(GREY)
        writer.write(GREY[:6])
    assert code_of(path) == "mixed-pages"


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tif"])
def test_a_file_cut_in_half_is_truncated(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    noise = RNG.integers(0, 256, (100, 100), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert code_of(path) == "truncated"


def test_a_png_with_flipped_bytes_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RNG.integers(0, 256, (100, 100), dtype=np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    assert code_of(path) == "damaged"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [12_000, 60_000])
def test_a_bomb_is_refused_from_its_header(tmp_path: Path, side: int) -> None:
    path = tmp_path / "a.png"
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header
    chunk += struct.pack(">I", zlib.crc32(b"IHDR" + header))
    data = zlib.compress(b"\0" * 1000)
    body = struct.pack(">I", len(data)) + b"IDAT" + data
    body += struct.pack(">I", zlib.crc32(b"IDAT" + data))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + body)
    assert code_of(path) == "too-large"
