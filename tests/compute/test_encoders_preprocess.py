"""What a network sees of a scan: channels, slices, orientation, scaling; values worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from coldal_compute.encoders import preprocess
from coldal_compute.encoders.preprocess import to_encoder_input
from coldal_tui.encoders.catalogue import EFFICIENTNET_LITE0
from coldal_tui.errors import ImageError
from coldal_tui.imaging.image import Affine, ScanHeader, ScanImage

Array = NDArray[np.float32]

RAW = replace(EFFICIENTNET_LITE0, input_size=8, mean=(0, 0, 0), std=(1, 1, 1))
"""Intensities in, intensities out: what is left is the geometry."""


@pytest.fixture(autouse=True)
def _unit_intensities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        preprocess,
        "limits_of",
        lambda array, modality, how: ((0.0, 1.0),) * array.shape[-1],
    )


def _image(
    array: Array, spacing: tuple[float, ...] | None = None, affine: Affine | None = None
) -> ScanImage:
    header = ScanHeader(array.shape[:-1], array.shape[-1], "float32", spacing, affine)
    return ScanImage(header, array)


def _diagonal(x: float, y: float, z: float) -> Affine:
    return ((x, 0, 0, 0), (0, y, 0, 0), (0, 0, z, 0), (0, 0, 0, 1))


def _ramp(planes: int, axis: int, lit: tuple[int, int]) -> Array:
    """A volume whose plane n along ``axis`` has the value (n + 20) / 200 within ``lit``, else 0."""
    values = np.zeros(planes, np.float32)
    values[lit[0] : lit[1] + 1] = (np.arange(lit[0], lit[1] + 1) + 20) / 200
    shape = [6, 6, 6]
    shape[axis] = planes
    index = [np.newaxis] * 4
    index[axis] = slice(None)
    return np.broadcast_to(values[tuple(index)], (*shape, 1)).copy()


def _planes_seen(image: ScanImage) -> list[int]:
    values = to_encoder_input(image, RAW)[:, 0, 4, 4].numpy()
    return [round(float(v) * 200 - 20) for v in values]


def test_grey_is_repeated_and_scaled_as_the_encoder_wants() -> None:
    half = np.zeros((224, 224, 1), np.float32)
    half[:, 112:] = 1
    seen = to_encoder_input(_image(half), EFFICIENTNET_LITE0)
    assert seen.shape == (1, 3, 224, 224)
    np.testing.assert_allclose(seen[0, :, 7, 3], [-127 / 128] * 3, rtol=1e-6)
    np.testing.assert_allclose(seen[0, :, 7, 220], [1.0] * 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ((0.25, 0.5, 0.75), (0.25, 0.5, 0.75)),
        ((0.25, 0.75), (0.5, 0.5, 0.5)),
        ((0.0, 0.2, 0.4, 0.6), (0.3, 0.3, 0.3)),
    ],
    ids=["colour stays", "two are averaged", "four are averaged"],
)
def test_channels(channels: tuple[float, ...], expected: tuple[float, ...]) -> None:
    pixels = np.broadcast_to(np.asarray(channels, np.float32), (8, 8, len(channels))).copy()
    np.testing.assert_allclose(
        to_encoder_input(_image(pixels), RAW)[0, :, 3, 3], expected, rtol=1e-6
    )


def test_bgr_encoders_get_blue_first() -> None:
    pixels = np.broadcast_to(np.float32([0.1, 0.2, 0.3]), (8, 8, 3)).copy()
    seen = to_encoder_input(_image(pixels), replace(RAW, channels="BGR"))
    np.testing.assert_allclose(seen[0, :, 0, 0], [0.3, 0.2, 0.1], rtol=1e-6)


def test_the_aspect_ratio_is_squashed() -> None:
    pixels = np.zeros((16, 64, 1), np.float32)
    pixels[:, 32:] = 1
    row = to_encoder_input(_image(pixels), RAW)[0, 0, 4].numpy()
    np.testing.assert_allclose(row[[0, 1, 2, 5, 6, 7]], [0, 0, 0, 1, 1, 1], atol=1e-6)


def test_downsampling_averages_instead_of_skipping_pixels() -> None:
    stripes = np.zeros((64, 64, 1), np.float32)
    stripes[:, ::2] = 1
    np.testing.assert_allclose(to_encoder_input(_image(stripes), RAW)[0, 0], 0.5, atol=0.03)


def test_slices_are_the_centres_of_nine_parts_of_the_foreground() -> None:
    # Planes 20 to 46: nine parts of three planes, the middle one of each.
    image = _image(_ramp(100, 2, (20, 46)), (1, 1, 3))
    assert _planes_seen(image) == [21, 24, 27, 30, 33, 36, 39, 42, 45]


def test_a_short_foreground_gives_all_its_planes() -> None:
    assert _planes_seen(_image(_ramp(30, 2, (4, 8)), (1, 1, 3))) == [4, 5, 6, 7, 8]


def test_an_empty_volume_is_sampled_through_all_of_it() -> None:
    along = np.zeros((90, 4, 4, 1), np.float32)
    assert preprocess._slices(along).tolist() == [5, 15, 25, 35, 45, 55, 65, 75, 85]


def test_a_few_noisy_pixels_are_no_foreground() -> None:
    along = np.zeros((90, 20, 20, 1), np.float32)
    along[0, 0, :3] = 1
    along[40:49] = 1
    assert preprocess._slices(along).tolist() == list(range(40, 49))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_run_along_the_coarsest_axis(axis: int) -> None:
    spacing = [1.0, 1.0, 1.0]
    spacing[axis] = 2.0
    image = _image(_ramp(30, axis, (4, 8)), tuple(spacing))
    assert _planes_seen(image) == [4, 5, 6, 7, 8]


@pytest.mark.parametrize("spacing", [None, (1.0, 1.0, 1.0), (1.0, 1.0, 0.995)])
def test_without_a_coarsest_axis_slices_run_along_the_last(
    spacing: tuple[float, ...] | None,
) -> None:
    assert _planes_seen(_image(_ramp(30, 2, (4, 8)), spacing)) == [4, 5, 6, 7, 8]


def test_a_single_plane_is_the_slice_whatever_its_spacing() -> None:
    image = _image(_ramp(1, 1, (0, 0)), (5.0, 1.0, 1.0))
    assert _planes_seen(image) == [0]


def test_the_stored_axis_order_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    stored = rng.random((12, 14, 16, 1), dtype=np.float32)
    image = _image(stored, (1.0, 1.5, 1.0), _diagonal(1, 1.5, 1))
    # The same head: x flipped, and the axes in the order z, x, y.
    turned = np.ascontiguousarray(stored[::-1].transpose(2, 0, 1, 3))
    affine: Affine = ((0, -1, 0, 11), (0, 0, 1.5, 0), (1, 0, 0, 0), (0, 0, 0, 1))
    again = _image(turned, (1.0, 1.0, 1.5), affine)
    np.testing.assert_array_equal(to_encoder_input(image, RAW), to_encoder_input(again, RAW))


def test_an_axial_slice_lies_as_radiologists_look_at_it() -> None:
    volume = np.zeros((8, 8, 1, 1), np.float32)
    volume[7, 7] = 1  # i to the right, j to the front: the right front corner
    image = _image(volume, (1, 1, 5), _diagonal(1, 1, 5))
    seen = to_encoder_input(image, RAW)[0, 0].numpy()
    # The patient's right is left in the picture, the front is up.
    assert np.unravel_index(seen.argmax(), seen.shape) == (0, 0)


def test_a_flat_image_with_an_affine_is_stored_column_first() -> None:
    pixels = np.zeros((8, 8, 1), np.float32)
    pixels[6, 1] = 1  # column 6, row 1
    seen = to_encoder_input(_image(pixels, (1, 1), _diagonal(1, 1, 1)), RAW)[0, 0].numpy()
    assert np.unravel_index(seen.argmax(), seen.shape) == (1, 6)


@pytest.mark.parametrize("shape", [(4, 4, 4, 4, 1), (0, 4, 1)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError) as error:
        to_encoder_input(_image(np.zeros(shape, np.float32)), RAW)
    assert error.value.code == "shape"


def test_an_encoder_of_one_channel_gets_the_average() -> None:
    pixels = np.broadcast_to(np.float32([0.1, 0.2, 0.6]), (8, 8, 3)).copy()
    info = replace(RAW, channels="L", mean=(0.2, 9, 9), std=(0.5, 9, 9))
    seen = to_encoder_input(_image(pixels), info)
    assert seen.shape == (1, 1, 8, 8)
    np.testing.assert_allclose(seen[0, 0], (0.3 - 0.2) / 0.5, rtol=1e-5)


def test_the_foreground_of_each_slice_is_told() -> None:
    volume = np.zeros((4, 5, 3, 1), np.float32)
    volume[0, :, 0] = 1
    volume[:, :, 1] = 1
    image = _image(volume, (1, 1, 3))
    np.testing.assert_allclose(preprocess.prepare(image, RAW).foreground, [0.25, 1.0])
