"""A project's choice decides for all its files; a file's own modality stays."""

from __future__ import annotations

import numpy as np
import pytest

from coldal_tui.errors import ImageError
from coldal_tui.imaging.intensity import hu_offset, limits_of, rule_of, scaled
from coldal_tui.imaging.intensity_choice import BY_FILE, IntensityChoice

CT = IntensityChoice(("ct",))


def _volume(values: list[float], dtype: str, channels: int = 1) -> np.ndarray:
    one = np.array(values, dtype).reshape(-1, 1, 1, 1)
    return np.repeat(one, channels, axis=3)


def _unit(array: np.ndarray, how: IntensityChoice, modality: str | None = None) -> list[float]:
    return [round(float(v), 4) for v in scaled(array, limits_of(array, modality, how)).ravel()]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([-1000, 40, 240], "int16"),  # as it is
        ([-160, 40, 240], "int16"),  # cropped to the body: no air
        ([-1000, 40, 240, 60000], "float32"),  # one voxel of metal
        ([24, 1064, 1264], "uint16"),  # with 1,024 added
        ([24, 1064, 1264], "int16"),
    ],
)
def test_in_a_ct_project_40_hu_is_the_same_in_every_file(values: list[float], dtype: str) -> None:
    assert _unit(_volume(values, dtype), CT)[1:3] == [0.5, 1.0]


def test_ct_whose_outside_is_masked_with_0_has_no_offset() -> None:
    masked = _volume([0] * 50 + [20, 40, 60] * 30 + [1200] * 5, "int16")
    assert hu_offset(masked) == 0
    assert _unit(_volume([0, 0, 40, 80], "int16"), CT)[2] == 0.5


def test_the_window_is_the_projects() -> None:
    lung = IntensityChoice(("ct",), "lung")  # -1350 to 150
    assert _unit(_volume([-1350, -600, 150], "int16"), lung) == [0.0, 0.5, 1.0]
    # A file that states CT needs no choice of modality to have the window.
    assert _unit(_volume([-1350, -600, 150], "int16"), IntensityChoice(window="lung"), "CT") == [
        0.0,
        0.5,
        1.0,
    ]


@pytest.mark.parametrize("word", ["mr", "other"])
def test_a_project_that_is_no_ct_never_reads_hounsfield_units(word: str) -> None:
    """A phase map from -4096 to 4095 reads like CT by itself."""
    phase = _volume(list(np.linspace(-4000, 4000, 1001)), "int16")
    assert rule_of(phase, None, BY_FILE) == "ct-window"
    how = IntensityChoice((word,))
    assert rule_of(phase, None, how) == "foreground-percentile-0.5-99.5"
    assert _unit(phase, how)[500] == pytest.approx(0.5, abs=0.01)


def test_what_a_file_states_comes_first() -> None:
    assert rule_of(_volume([0, 1, 2], "int16"), "MR", CT) == "foreground-percentile-0.5-99.5"


def test_eight_bits_in_a_ct_project_are_no_hounsfield_units() -> None:
    picture = np.array([0, 51, 255], np.uint8).reshape(3, 1, 1)
    assert _unit(picture, CT) == [0.0, 0.2, 1.0]


def test_each_channel_by_its_own_modality() -> None:
    """PET and CT in one file: the window for one, percentiles for the other."""
    both = np.concatenate([_volume([-160, 40, 240], "float32"), _volume([0, 5, 5], "float32")], 3)
    low, high = limits_of(both, None, IntensityChoice(("ct", "pt")))
    assert low == (-160, 240)
    assert high == (0, 5)


def test_a_modality_for_each_of_other_channels_is_refused() -> None:
    with pytest.raises(ImageError, match="names 2 channels, the scan has 3"):
        limits_of(_volume([1, 2], "float32", 3), None, IntensityChoice(("ct", "pt")))
