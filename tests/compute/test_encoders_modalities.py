"""What an encoder sees of each modality: windows of CT, percentiles of MR, pictures, 16 bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from coldal_compute.encoders.preprocess import to_encoder_input
from coldal_compute.encoders.registry import load_encoder
from coldal_tui.encoders.catalogue import EFFICIENTNET_LITE0
from coldal_tui.imaging.image import ScanHeader, ScanImage
from coldal_tui.imaging.intensity_choice import IntensityChoice
from coldal_tui.jobs.spec import EncoderChoice

RAW = replace(EFFICIENTNET_LITE0, input_size=4, mean=(0, 0, 0), std=(1, 1, 1))


def _image(array: np.ndarray, modality: str | None) -> ScanImage:
    header = ScanHeader(array.shape[:-1], array.shape[-1], str(array.dtype), modality=modality)
    return ScanImage(header, array)


def _slabs(values: list[float], dtype: str) -> np.ndarray:
    """A volume of one plane, four slabs of these values."""
    plane = np.repeat(np.array(values, dtype), 4).reshape(4, 4)
    return np.ascontiguousarray(plane[:, :, None, None])


def _seen(array: np.ndarray, modality: str | None, window: str = "soft-tissue") -> list[float]:
    planes = to_encoder_input(_image(array, modality), RAW, IntensityChoice(window=window))
    assert planes.shape[1] == 3
    assert (planes[:, 0] == planes[:, 1]).all()
    assert (planes[:, 0] == planes[:, 2]).all()
    return [round(float(v), 4) for v in planes[0, 0].unique()]


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ("soft-tissue", [0.0, 0.5, 1.0]),  # -160 to 240
        ("lung", [0.2333, 0.7267, 0.9267, 1.0]),  # -1350 to 150
        ("bone", [0.0, 0.1333, 0.3, 1.0]),  # -500 to 1300
        ("brain", [0.0, 0.5, 1.0]),  # 0 to 80
        ("liver", [0.0, 0.5667, 1.0]),  # -45 to 105
    ],
)
def test_ct_by_its_window(window: str, expected: list[float]) -> None:
    assert _seen(_slabs([-1000, -260, 40, 1340], "int16"), "CT", window) == expected


def test_a_nifti_file_that_reads_like_ct_is_windowed_too() -> None:
    array = _slabs([-1024, -160, 40, 1340], "int16")
    assert _seen(array, None) == _seen(array, "CT") == [0.0, 0.5, 1.0]


def test_mr_by_the_percentiles_of_its_foreground() -> None:
    """The background is left out: 100 is the least that counts, whatever is around it."""
    assert _seen(_slabs([0, 100, 150, 200], "float32"), "MR") == [0.0, 0.5, 1.0]


def test_sixteen_bit_radiographs_by_percentiles_of_all_pixels() -> None:
    values = np.arange(0, 4096, dtype=np.uint16).reshape(64, 64, 1)
    planes = to_encoder_input(_image(values, "DX"), replace(RAW, input_size=64))
    low, high = np.percentile(np.arange(4096), (0.5, 99.5))
    expected = np.clip((np.arange(4096) - low) / (high - low), 0, 1).reshape(64, 64)
    np.testing.assert_allclose(planes[0, 0], expected, atol=1e-5)


def test_ultrasound_and_photographs_by_their_full_range() -> None:
    grey = np.array([[51], [102], [153], [204]], np.uint8).repeat(4, axis=1)[..., None]
    assert _seen(grey, "US") == [0.2, 0.4, 0.6, 0.8]


def test_the_window_is_part_of_what_an_encoder_is() -> None:
    soft = load_encoder(EncoderChoice("efficientnet-lite0"))
    lung = load_encoder(EncoderChoice("efficientnet-lite0", window="lung"))
    assert soft.hash != lung.hash
    image = _image(_slabs([-1000, -600, 40, 100], "int16"), "CT")
    assert not np.array_equal(soft.prepare(image).slices, lung.prepare(image).slices)
