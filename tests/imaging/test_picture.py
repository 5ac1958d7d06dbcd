"""Pictures of slices stand upright, and displayed pixels find their way back."""

import io
from itertools import permutations, product

import numpy as np
import pytest
from PIL import Image

from coldal_tui.imaging.affines import as_affine
from coldal_tui.imaging.image import ScanHeader, ScanImage
from coldal_tui.imaging.picture import picture, png_bytes, slice_view

RNG = np.random.default_rng(2)


def volume(affine: np.ndarray | None, shape: tuple[int, int, int] = (5, 6, 7)) -> ScanImage:
    values = RNG.integers(0, 256, (*shape, 1), dtype=np.uint8)
    header = ScanHeader(
        shape=shape,
        channels=1,
        dtype="uint8",
        modality="US",
        affine=None if affine is None else as_affine(affine),
    )
    return ScanImage(header, values)


def test_a_flat_scan_is_shown_as_stored() -> None:
    values = RNG.integers(0, 256, (4, 5, 1), dtype=np.uint8)
    image = ScanImage(ScanHeader(shape=(4, 5), channels=1, dtype="uint8"), values)
    np.testing.assert_array_equal(picture(image), values[..., 0])


def test_colour_stays_colour() -> None:
    values = RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    image = ScanImage(ScanHeader(shape=(4, 5), channels=3, dtype="uint8"), values)
    np.testing.assert_array_equal(picture(image), values)


def test_without_affine_j_runs_down() -> None:
    image = volume(None)
    np.testing.assert_array_equal(picture(image), image.array[:, :, 3, 0].T)


def test_dicom_axial_is_shown_as_stored() -> None:
    image = volume(np.diag([-1.0, -1, 1, 1]))  # rows to the left, columns to the back
    np.testing.assert_array_equal(picture(image, 2), image.array[:, :, 2, 0].T)


def test_ras_axial_has_the_patients_right_on_the_left() -> None:
    image = volume(np.eye(4))
    np.testing.assert_array_equal(picture(image, 2), image.array[::-1, ::-1, 2, 0].T)


def test_ras_coronal_has_the_head_up() -> None:
    image = volume(np.eye(4))
    np.testing.assert_array_equal(picture(image, 2, axis=1), image.array[::-1, 2, ::-1, 0].T)


def test_ras_sagittal_looks_to_the_left() -> None:
    image = volume(np.eye(4))
    np.testing.assert_array_equal(picture(image, 2, axis=0), image.array[2, ::-1, ::-1, 0].T)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_axial_picture_is_the_same_whatever_the_file_order(order: tuple[int, ...]) -> None:
    reference = volume(np.eye(4))
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, list(order)]
    header = ScanHeader(
        shape=tuple(reference.header.shape[a] for a in order),
        channels=1,
        dtype="uint8",
        modality="US",
        affine=as_affine(affine),
    )
    same = ScanImage(header, reference.array.transpose(*order, 3))
    axis = order.index(2)
    np.testing.assert_array_equal(picture(same, 2, axis=axis), picture(reference, 2))


@pytest.mark.parametrize(("axis", "signs"), list(product(range(3), product((1, -1), repeat=3))))
def test_displayed_pixels_find_their_way_back(axis: int, signs: tuple[int, ...]) -> None:
    affine = np.diag([*map(float, signs), 1.0])[:, [2, 0, 1, 3]]
    image = volume(affine)
    view = slice_view(image.header, axis)
    shown = view.displayed(image.array[..., 0], 3)
    np.testing.assert_array_equal(view.restored(shown), np.take(image.array[..., 0], 3, axis=axis))


def test_slices_share_the_scale_of_their_volume() -> None:
    values = np.zeros((4, 4, 3, 1), np.int16)
    values[..., 1, :] = 40
    values[..., 2, :] = 240
    header = ScanHeader(shape=(4, 4, 3), channels=1, dtype="int16", modality="CT")
    shown = picture(ScanImage(header, values), 1)
    assert np.unique(shown).tolist() == [128]  # 40 HU is the middle of the window


def test_png_bytes_hold_the_pixels() -> None:
    values = RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png_bytes(values)))), values)
