"""The policy on pictures: stored values, exact size, nothing guessed."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.geometry_policy import Accepted, ImportOptions, decide

ONE = ("lung",)
TWO = ("lung", "heart")


@pytest.fixture
def drawn() -> np.ndarray:
    """6 rows, 9 columns, classes 0, 1, 2, no symmetry."""
    label = np.zeros((6, 9), np.uint8)
    label[1:3, 2:7] = 1
    label[4, 8] = 2
    return label


def judge(target, candidate, classes=TWO, ignore=None, options=None):
    return decide(target, candidate, classes, ignore, options)


def assert_label(decision, expected):
    assert isinstance(decision, Accepted), decision
    np.testing.assert_array_equal(decision.label, expected)


@pytest.mark.parametrize("name", ["photo.png", "photo.bmp", "photo.gif", "photo.tif"])
def test_grey_values_are_classes_in_every_lossless_format(picture, drawn, save_picture, name):
    assert_label(judge(picture, save_picture(drawn, name)), drawn)


def voc_palette() -> list[int]:
    """The Pascal VOC colours: 0 black, 1 dark red, 2 dark green."""
    return [0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 759


@pytest.mark.parametrize("name", ["photo.png", "photo.bmp", "photo.gif", "photo.tif"])
def test_palette_pictures_give_their_indices(picture, drawn, save_picture, name):
    image = Image.fromarray(drawn, mode="P")
    image.putpalette(voc_palette())

    assert_label(judge(picture, save_picture(image, name)), drawn)


def test_a_reversed_palette_is_refused(picture, drawn, save_picture):
    image = Image.fromarray((drawn > 0).astype(np.uint8), mode="P")
    image.putpalette([255, 255, 255, 0, 0, 0])

    decision = judge(picture, save_picture(image), ONE)

    assert decision.code == "reversed-palette"
    assert "value 0" in decision.message


def test_grey_shades_stored_as_a_palette_are_refused(picture, drawn, save_picture):
    image = Image.fromarray(drawn, mode="P")
    image.putpalette([0, 0, 0, 127, 127, 127, 255, 255, 255])

    decision = judge(picture, save_picture(image), ONE, 127)

    assert decision.code == "grey-palette"
    assert "1 is grey 127" in decision.message


def test_one_bit_pictures_hold_one_class(picture, drawn, save_picture):
    image = Image.fromarray(drawn > 0)

    assert image.mode == "1"
    assert_label(judge(picture, save_picture(image), ONE), drawn > 0)


@pytest.mark.parametrize("bits", [2, 4])
def test_low_bit_depths_keep_their_stored_values(picture, drawn, tmp_path, as_picture, bits):
    write_png(tmp_path / "photo.png", drawn, bits)

    assert_label(judge(picture, as_picture(tmp_path / "photo.png")), drawn)


def write_png(path, values: np.ndarray, bits: int) -> None:
    """A grey PNG of 2 or 4 bits, by the letter of ISO 15948: no Python writer makes one."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows, columns = values.shape
    per_byte = 8 // bits
    padded = np.pad(values, ((0, 0), (0, -columns % per_byte))).reshape(rows, -1, per_byte)
    shifts = np.arange(per_byte)[::-1] * bits
    packed = (padded << shifts).sum(axis=2).astype(np.uint8)
    lines = b"".join(b"\0" + row.tobytes() for row in packed)
    header = struct.pack(">IIBBBBB", columns, rows, bits, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("name", ["photo.png", "photo.tif"])
def test_sixteen_bit_pictures_keep_their_values(picture, drawn, save_picture, name):
    values = drawn.astype(np.uint16) * 1000
    meaning = ImportOptions(values={1000: "lung", 2000: "heart"})

    assert_label(judge(picture, save_picture(values, name), options=meaning), drawn)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
@pytest.mark.parametrize("name", ["photo.png", "photo.tif"])
def test_grey_stored_as_colour_is_grey(picture, drawn, save_picture, mode, name):
    if (mode, name) == ("LA", "photo.tif"):
        name = "photo2.png"

    assert_label(judge(picture, save_picture(Image.fromarray(drawn).convert(mode), name)), drawn)


@pytest.mark.parametrize("name", ["photo.png", "photo.tif"])
def test_colours_are_no_classes(picture, drawn, save_picture, name):
    colours = np.stack([drawn * 100, drawn * 0, drawn * 0], axis=-1)

    decision = judge(picture, save_picture(colours, name))

    assert decision.code == "colour"
    assert "3 colours" in decision.message


def test_transparency_has_no_stored_meaning(picture, drawn, save_picture):
    rgba = np.dstack([drawn, drawn, drawn, np.where(drawn > 0, 255, 0).astype(np.uint8)])

    assert judge(picture, save_picture(rgba)).code == "transparent"


def test_jpeg_is_refused_by_content_and_says_why(
    picture, drawn, tmp_path, save_picture, as_picture
):
    jpeg = save_picture(drawn * 100, "photo.jpg").file
    jpeg.rename(tmp_path / "photo.png")

    decision = judge(picture, as_picture(tmp_path / "photo.png"))

    assert decision.code == "lossy"
    assert decision.message == "JPEG invents values at the edges of a mask"


def test_a_mask_that_looks_inverted_is_taken_with_a_warning(picture, save_picture):
    around = np.full((6, 9), 255, np.uint8)
    around[2:4, 3:6] = 0
    rim = around.copy()
    rim[0, 0] = 0

    inverted = judge(picture, save_picture(around), classes=("organ",))
    crossing = judge(picture, save_picture(rim), classes=("organ",))
    small = judge(picture, save_picture(255 - around), classes=("organ",))

    assert inverted.warnings == (
        "is it inverted? 89% of it is drawn, and the image's whole border",
    )
    assert (crossing.warnings, small.warnings) == ((), ())


def test_webp_is_read_where_it_is_lossless(picture, drawn, save_picture):
    rgb = np.dstack([np.where(drawn > 0, 255, 0).astype(np.uint8)] * 3)

    kept = judge(picture, save_picture(rgb, "photo.webp", lossless=True), classes=("organ",))
    lossy = judge(picture, save_picture(rgb, "photo.webp", quality=60), classes=("organ",))

    np.testing.assert_array_equal(kept.label, drawn > 0)
    assert lossy.code == "lossy"


def test_lossy_tiff_is_refused(picture, drawn, tmp_path, as_picture):
    tifffile.imwrite(tmp_path / "photo.tif", np.tile(drawn, (8, 8)), compression="jpeg")
    target = ScanTarget("photo", (48, 72), ("photo.png",))

    assert judge(target, as_picture(tmp_path / "photo.tif")).code == "lossy"


def test_white_is_zero_tiff_is_refused(picture, drawn, tmp_path, as_picture):
    tifffile.imwrite(tmp_path / "photo.tif", drawn, photometric="miniswhite")

    assert judge(picture, as_picture(tmp_path / "photo.tif")).code == "reversed-palette"


def test_float_tiff_is_fine_when_whole(picture, drawn, tmp_path, as_picture):
    tifffile.imwrite(tmp_path / "photo.tif", drawn.astype(np.float32))

    assert_label(judge(picture, as_picture(tmp_path / "photo.tif")), drawn)


@pytest.mark.parametrize(
    ("name", "code"),
    # Pages of a TIFF are slices: 9×6×2 voxels for a picture of 9×6.
    [("photo.tif", "wrong-size"), ("photo.gif", "several-pages"), ("photo.png", "several-pages")],
)
def test_several_pages_are_not_one_mask(picture, drawn, save_picture, name, code):
    other = Image.fromarray(drawn[::-1].copy())

    decision = judge(picture, save_picture(drawn, name, save_all=True, append_images=[other]))

    assert decision.code == code
    assert ("9×6×2 voxels" if name.endswith("tif") else "2 pictures") in decision.message


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (5, Image.Transpose.TRANSPOSE),
        (6, Image.Transpose.ROTATE_90),
        (7, Image.Transpose.TRANSVERSE),
        (8, Image.Transpose.ROTATE_270),
    ],
)
@pytest.mark.parametrize("name", ["photo.png", "photo.tif"])
def test_exif_rotation_is_applied(picture, drawn, save_picture, name, orientation, undo):
    stored = Image.fromarray(drawn).transpose(undo)
    exif = Image.Exif()
    exif[274] = orientation

    decision = judge(picture, save_picture(stored, name, exif=exif))

    assert_label(decision, drawn)
    assert decision.notes == ("its EXIF rotation was applied",)


def test_a_transposed_picture_is_suspected_of_rotation(picture, drawn, save_picture):
    decision = judge(picture, save_picture(drawn.T.copy()))

    assert decision.code == "transposed"
    assert "the mask is 6×9 pixels (width×height), the image 9×6" in decision.message


def test_another_size_names_both(picture, save_picture):
    decision = judge(picture, save_picture(np.ones((12, 18), np.uint8)))

    assert (decision.code, decision.message) == (
        "wrong-size",
        "the mask is 18×12 pixels (width×height), the image 9×6",
    )


def test_an_unknown_value_is_named_with_its_pixels(picture, drawn, save_picture):
    mask = drawn.copy()
    mask[0, :4] = 7

    decision = judge(picture, save_picture(mask))

    assert decision.code == "unknown-value"
    assert decision.message == (
        "unknown value 7 (4 pixels); the project knows 0 = background, 1 = lung, 2 = heart"
    )
    assert "--map 7=CLASS" in decision.remedy


def test_an_empty_picture_waits_for_confirmation(picture, save_picture):
    assert judge(picture, save_picture(np.zeros((6, 9), np.uint8))).code == "empty"


def test_ignored_pixels_alone_are_empty(picture, save_picture):
    decision = judge(picture, save_picture(np.full((6, 9), 127, np.uint8)), ONE, 127)

    assert (decision.code, decision.message) == (
        "empty",
        "the mask is empty: only 54 ignored pixels are drawn",
    )


def test_a_truncated_png_can_not_be_read(picture, save_picture):
    noise = np.random.default_rng(1).integers(0, 3, (6, 9), dtype=np.uint8)
    candidate = save_picture(noise)
    candidate.file.write_bytes(candidate.file.read_bytes()[:55])

    assert judge(picture, candidate).code == "unreadable"


@pytest.mark.parametrize("content", [b"", b"not a picture at all"])
def test_what_is_no_picture_can_not_be_read(picture, tmp_path, as_picture, content):
    (tmp_path / "photo.png").write_bytes(content)

    assert judge(picture, as_picture(tmp_path / "photo.png")).code == "unreadable"


def test_a_nifti_mask_of_a_picture_by_simpleitk_has_columns_first(picture, drawn, save_volume):
    mask = sitk.JoinSeries(sitk.GetImageFromArray(drawn))

    decision = judge(picture, save_volume(mask, "photo.nii.gz"))

    assert_label(decision, drawn)
    assert decision.notes == ("a NIfTI mask of a picture: i taken as column, j as row",)


def test_a_two_axis_nifti_of_a_picture_fits_too(picture, drawn, save_nibabel):
    assert_label(judge(picture, save_nibabel(drawn.T.copy(), np.eye(4), "photo.nii")), drawn)


def test_a_nifti_mask_with_rows_first_is_transposed(picture, drawn, save_nibabel):
    decision = judge(picture, save_nibabel(drawn, np.eye(4), "photo.nii.gz"))

    assert decision.code == "transposed"


def test_a_square_nifti_with_an_identity_header_is_ambiguous(save_nibabel):
    target = ScanTarget("photo", (6, 6), ("photo.png",))
    mask = np.triu(np.ones((6, 6), np.uint8))

    decision = judge(target, save_nibabel(mask, np.eye(4), "photo.nii.gz"))

    assert decision.code == "transposed"
    assert "--same-grid" in decision.remedy


def test_a_square_nifti_by_simpleitk_is_not(save_volume):
    target = ScanTarget("photo", (6, 6), ("photo.png",))
    mask = np.triu(np.ones((6, 6), np.uint8))

    decision = judge(target, save_volume(sitk.JoinSeries(sitk.GetImageFromArray(mask))))

    assert_label(decision, mask)


def test_a_picture_fits_a_flat_scan_with_a_header(drawn, save_picture):
    affine = ((0.2, 0, 0, 5.0), (0, 0.2, 0, 6.0), (0, 0, 1.0, 7.0), (0, 0, 0, 1.0))
    target = ScanTarget("xray", (6, 9), ("xray.dcm",), affine)

    assert_label(judge(target, save_picture(drawn)), drawn)
