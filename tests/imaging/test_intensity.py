"""Each kind of image has one rule, and its result is float32 in [0, 1]."""

import numpy as np
import pytest

from coldal_tui.imaging.intensity import limits, looks_like_hu, rule_for, to_unit


@pytest.mark.parametrize(
    ("shape", "dtype", "modality", "rule"),
    [
        ((4, 4, 1), "uint8", None, "picture-full-range"),
        ((4, 4, 3), "uint8", None, "picture-full-range"),
        ((4, 4, 4, 3), "uint8", "US", "picture-full-range"),
        ((4, 4, 1), "uint16", None, "percentile-0.5-99.5"),
        ((4, 4, 1), "uint16", "DX", "percentile-0.5-99.5"),
        ((4, 4, 4, 1), "float32", None, "foreground-percentile-0.5-99.5"),
        ((4, 4, 4, 1), "uint8", None, "foreground-percentile-0.5-99.5"),
        ((4, 4, 1), "int16", "MR", "foreground-percentile-0.5-99.5"),
        ((4, 4, 4, 1), "int16", "CT", "ct-window"),
    ],
)
def test_rule(shape: tuple[int, ...], dtype: str, modality: str | None, rule: str) -> None:
    assert rule_for(np.zeros(shape, dtype), modality) == rule


def test_eight_bits_are_divided_by_255() -> None:
    values = np.array([[[0], [51], [255]]], np.uint8)
    np.testing.assert_allclose(to_unit(values)[..., 0], [[0, 0.2, 1]])


def test_soft_tissue_window() -> None:
    values = np.array([-1024, -160, 40, 240, 3000], np.int16).reshape(5, 1, 1, 1)
    np.testing.assert_allclose(to_unit(values, "CT").ravel(), [0, 0, 0.5, 1, 1])


def test_another_window() -> None:
    values = np.array([-1350, -600, 150], np.int16).reshape(3, 1, 1, 1)
    np.testing.assert_allclose(to_unit(values, "CT", window=(1500, -600)).ravel(), [0, 0.5, 1])


def test_percentiles_are_of_the_finite_values() -> None:
    values = np.arange(1001, dtype=np.float32).reshape(7, 143, 1)
    values[0, 0] = np.nan
    low, high = limits(values)[0]
    assert (low, high) == pytest.approx(tuple(np.percentile(np.arange(1, 1001), (0.5, 99.5))))


def test_background_does_not_move_the_percentiles() -> None:
    inside = np.linspace(100, 200, 1000)
    values = np.concatenate([np.zeros(9000), inside]).reshape(10, 100, 10, 1).astype(np.float32)
    expected = np.percentile(inside, (0.5, 99.5))
    np.testing.assert_allclose(limits(values, "MR")[0], expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float16", "float32", "float64"])
@pytest.mark.parametrize("value", [0, 7])
def test_a_constant_image_is_zero(dtype: str, value: int) -> None:
    unit = to_unit(np.full((3, 4, 5, 1), value, dtype))
    assert unit.dtype == np.float32
    assert not unit.any()


def test_values_that_are_not_finite_become_zero() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 1, 2, 3], np.float32).reshape(6, 1, 1, 1)
    unit = to_unit(values).ravel()
    np.testing.assert_array_equal(unit[:3], 0)
    assert unit[5] == 1


def test_all_nan_is_zero() -> None:
    assert not to_unit(np.full((2, 2, 2, 1), np.nan, np.float32)).any()


@pytest.mark.parametrize(
    "values",
    [
        np.array([-128, 127], np.int8),
        np.array([-32768, 32767], np.int16),
        np.array([0, 1_700_000], np.float32),
        np.array([-65504, 65504], np.float16),
        np.array([0, 4_294_967_295], np.uint32),
        np.array([-(2**62), 2**62], np.int64),
        np.array([-1e300, 1e300], np.float64),
    ],
)
def test_extremes_do_not_overflow(values: np.ndarray) -> None:
    unit = to_unit(values.reshape(2, 1, 1), rule="percentile-0.5-99.5").ravel()
    assert (unit[0], unit[1]) == (0, 1)


def test_small_differences_of_large_integers_are_kept() -> None:
    values = (np.arange(101, dtype=np.uint32) + 4_000_000_000).reshape(101, 1, 1)
    unit = to_unit(values, rule="percentile-0.5-99.5").ravel()
    assert unit[50] == pytest.approx(0.5)


def test_a_rare_signal_on_a_constant_image_is_seen() -> None:
    values = np.zeros((100, 100, 1), np.uint16)
    values[3, 3] = 900
    assert to_unit(values)[3, 3, 0] == 1


def test_channels_of_a_volume_are_scaled_each() -> None:
    rng = np.random.default_rng(0)
    values = np.stack([rng.random((9, 9, 9)), 1000 * rng.random((9, 9, 9))], axis=-1)
    unit = to_unit(values.astype(np.float32))
    assert unit[..., 0].mean() == pytest.approx(unit[..., 1].mean(), abs=0.05)


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([-1024, 0, 1500], "int16", True),
        ([-3024, -1000, 3071], "int16", True),
        ([-1000.4, 40.2, 900.0], "float32", True),
        ([-900, 0, 100], "int32", True),
        ([-899, 0, 1500], "int16", False),
        ([-5000, 0, 1500], "int16", False),
        ([-1024, 0, 99], "int16", False),
        ([-1024, 0, 40_000], "int32", False),
        ([0, 100, 4000], "uint16", False),
        ([-3.1, 0, 3.1], "float32", False),
    ],
)
def test_hounsfield_units_without_a_modality(
    values: list[float], dtype: str, expected: bool
) -> None:
    array = np.array(values, dtype).reshape(3, 1, 1, 1)
    assert looks_like_hu(array) is expected
    assert (rule_for(array) == "ct-window") is expected


def test_hounsfield_units_with_holes() -> None:
    array = np.array([np.nan, -1024, np.inf, 500], np.float32).reshape(4, 1, 1, 1)
    assert looks_like_hu(array)
    assert not looks_like_hu(np.full((2, 2, 2, 1), np.nan, np.float32))


def test_a_known_modality_is_never_overruled() -> None:
    array = np.array([-1024, 0, 1500], np.int16).reshape(3, 1, 1, 1)
    assert rule_for(array, "MR") == "foreground-percentile-0.5-99.5"


def test_several_channels_are_no_hounsfield_units() -> None:
    assert not looks_like_hu(np.full((2, 2, 2, 2), -1000, np.int16))
