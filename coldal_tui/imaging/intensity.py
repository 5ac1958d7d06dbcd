"""Maps stored intensities to [0, 1] with one named rule per kind of image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.imaging.ct_windows import SOFT_TISSUE as SOFT_TISSUE
from coldal_tui.imaging.ct_windows import WINDOWS as WINDOWS
from coldal_tui.imaging.intensity_choice import AUTO, MODALITIES, IntensityChoice

PICTURE = "picture-full-range"
PERCENTILE = "percentile-0.5-99.5"
FOREGROUND = "foreground-percentile-0.5-99.5"
CT_WINDOW = "ct-window"

HU_AIR = -900.0
"""Data of unknown modality count as Hounsfield units if their minimum is at most this."""
HU_OFFSET = 1024.0
"""Offset added to Hounsfield units in files without negative values."""
_HU_RANGE = (-4096.0, 32767.0)
_HU_BONE = 100.0
_OFFSET_TISSUE = 600.0
"""Soft tissue lies near 1,064 in CT stored with the offset, and near 40 in masked CT without."""
_UNSAID = (None, "", "OT")
"""Modalities that don't define the meaning of intensities."""
_SAMPLES = 2_000_000
_FILMS = ("US", "XA", "RF", "ES", "OP", "XC", "GM", "IVUS", "SC", "OT")


def rule_for(array: NDArray[Any], modality: str | None = None) -> str:
    """The rule that ``to_unit`` applies to ``array`` (``grid + (channels,)``).

    ``ct-window`` for CT, and for data that look like CT if the modality is unknown, as in NIfTI
    (see ``looks_like_hu``); ``picture-full-range`` for 8-bit pictures, colour and films;
    ``foreground-percentile-0.5-99.5`` for MR, PT, NM and every other volume;
    ``percentile-0.5-99.5`` for all others (16-bit pictures, CR, DX, MG).
    """
    volume = array.ndim == 4
    if modality == "CT" and array.dtype.kind != "b":
        return CT_WINDOW
    if modality is None and looks_like_hu(array):
        return CT_WINDOW
    eight_bit = array.dtype in (np.dtype(np.uint8), np.dtype(np.bool_))
    colour = array.shape[-1] == 3
    stacked = modality in ("MR", "PT", "NM")
    if eight_bit and not stacked and (not volume or colour or modality in _FILMS):
        return PICTURE
    if volume or stacked:
        return FOREGROUND
    return PERCENTILE


def looks_like_hu(array: NDArray[Any]) -> bool:
    """Whether the values of one channel look like Hounsfield units.

    The minimum must be air or padding (from -4096 to -900), the maximum above soft tissue (from 100
    to 32767), and the type signed. Other data without a modality rarely have such negative values;
    for those, set a window or a rule.
    """
    if array.shape[-1] != 1 or array.dtype.kind not in "if" or not array.size:
        return False
    least, most = float(np.min(array)), float(np.max(array))
    if not (np.isfinite(least) and np.isfinite(most)):
        finite = array[np.isfinite(array)]
        if not finite.size:
            return False
        least, most = float(finite.min()), float(finite.max())
    return _HU_RANGE[0] <= least <= HU_AIR and _HU_BONE <= most <= _HU_RANGE[1]


def rule_of(array: NDArray[Any], modality: str | None, how: IntensityChoice) -> str:
    """The rule (``rule_for``) of the first channel of ``array``, with the project's choice."""
    return rule_for(array[..., _part(array, how, 0)], _meant(array, modality, how.modality[0]))


def limits_of(
    array: NDArray[Any], modality: str | None, how: IntensityChoice
) -> tuple[tuple[float, float], ...]:
    """``limits`` of ``array`` (``grid + (channels,)``), with the project's choice.

    The choice's modality applies if the file states none (``modality`` None, or OT). Files that are
    then treated as CT may hold Hounsfield units plus 1,024 (``hu_offset``): the window is shifted,
    too.

    Raises
    ------
    ImageError : the choice lists modalities for a different number of channels.
    """
    channels = int(array.shape[-1])
    if len(how.modality) not in (1, channels):
        raise ImageError(
            f"modality under [images] names {len(how.modality)} channels, the scan has {channels}",
            remedy="name one modality for all channels, or one for each",
            code="channels",
        )
    if len(how.modality) == 1:
        return _limits_of(array, modality, how.modality[0], how.width_and_level)
    return tuple(
        _limits_of(array[..., c : c + 1], modality, name, how.width_and_level)[0]
        for c, name in enumerate(how.modality)
    )


def _limits_of(
    array: NDArray[Any], modality: str | None, name: str, window: tuple[float, float]
) -> tuple[tuple[float, float], ...]:
    meant = _meant(array, modality, name)
    if meant == "CT" and modality in _UNSAID:
        window = (window[0], window[1] + hu_offset(array))
    return limits(array, meant, window=window)


def _part(array: NDArray[Any], how: IntensityChoice, channel: int) -> slice:
    return slice(channel, channel + 1) if len(how.modality) > 1 else slice(0, array.shape[-1])


def _meant(array: NDArray[Any], modality: str | None, name: str) -> str | None:
    """The modality to use: the file's own, else the project's."""
    if modality not in _UNSAID or name == AUTO:
        return modality
    meant = MODALITIES[name]
    # Hounsfield units don't fit into 8 bits: such a file in a CT project is a picture of CT.
    return "" if meant == "CT" and array.dtype.itemsize == 1 else meant


def hu_offset(array: NDArray[Any]) -> float:
    """1,024 where ``array`` holds Hounsfield units plus 1,024, else 0.

    This holds if no value is below 0 and a tenth of those above 0 exceed 600: soft tissue is then
    stored near 1,064. In CT masked with 0 outside, soft tissue is near 40.
    """
    values = _sampled(array)
    if not values.size or float(values.min()) < 0:
        return 0.0
    above = values[values > 0]
    return HU_OFFSET if above.size and np.percentile(above, 90) > _OFFSET_TISSUE else 0.0


def reads_like_hu(array: NDArray[Any]) -> bool:
    """``looks_like_hu``, robust to single outliers (metal, padding): for data sets, not files."""
    if array.shape[-1] != 1 or array.dtype.kind not in "if":
        return False
    values = _sampled(array)
    if not values.size:
        return False
    low, high = (float(v) for v in np.percentile(values, (0.5, 99.5)))
    return _HU_RANGE[0] <= low <= HU_AIR and _HU_BONE <= high <= _HU_RANGE[1]


def _sampled(array: NDArray[Any]) -> NDArray[Any]:
    """Finite values of at most 2 million voxels, evenly spread."""
    values = array.reshape(-1)
    if values.size > _SAMPLES:
        values = values[:: -(-values.size // _SAMPLES)]
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values


def to_unit(
    array: NDArray[Any],
    modality: str | None = None,
    *,
    window: tuple[float, float] = SOFT_TISSUE,
    rule: str | None = None,
) -> NDArray[np.float32]:
    """``array`` (``grid + (channels,)``) as float32 in [0, 1].

    ``window`` is (width, level) in HU for CT; ``rule`` overrides ``rule_for``. Values that are
    not finite become 0, and so does a constant image.
    """
    return scaled(array, limits(array, modality, window=window, rule=rule))


def limits(
    array: NDArray[Any],
    modality: str | None = None,
    *,
    window: tuple[float, float] = SOFT_TISSUE,
    rule: str | None = None,
) -> tuple[tuple[float, float], ...]:
    """The intensities that become 0 and 1, one pair per channel.

    - ``picture-full-range``: 0 and the type's largest value.
    - ``ct-window``: level ∓ half the width.
    - ``percentile-0.5-99.5``: of the finite values; colour channels share one pair.
    - ``foreground-percentile-0.5-99.5``: of the finite values above the channel's minimum, which
      is the background of MR and of masked volumes; each channel by itself, colour (pictures and
      8-bit volumes of three channels) shares.

    Percentiles of more than 2 million values are taken from an even subset of them. If both
    percentiles are equal, minimum and maximum are used.
    """
    channels = int(array.shape[-1])
    rule = rule or rule_for(array, modality)
    if rule == PICTURE:
        top = 1.0 if array.dtype.kind in "bf" else float(np.iinfo(array.dtype).max)
        return ((0.0, top),) * channels
    if rule == CT_WINDOW:
        width, level = window
        return ((level - width / 2, level + width / 2),) * channels
    colour = array.ndim < 4 or array.dtype.itemsize == 1
    if channels == 3 and array.dtype.kind in "ui" and colour:
        return (_percentiles(array, rule),) * channels
    return tuple(_percentiles(array[..., c], rule) for c in range(channels))


def scaled(
    array: NDArray[Any], limits_per_channel: tuple[tuple[float, float], ...]
) -> NDArray[np.float32]:
    """``array`` with each channel mapped linearly from its limits to [0, 1] and clipped."""
    out = np.empty(array.shape, dtype=np.float32)
    whole = array.dtype.kind in "iub"
    wide = array.dtype.itemsize > 4 or (whole and array.dtype.itemsize == 4)
    # 24 bits of mantissa can't tell wide integers apart.
    work: Any = np.float64 if wide else np.float32
    for channel, (low, high) in enumerate(limits_per_channel):
        if not high > low:
            out[..., channel] = 0
            continue
        values: NDArray[Any] = array[..., channel].astype(work)
        if not whole:
            finite = np.isfinite(values)
            if not finite.all():
                values[~finite] = low
        # A picture's type is its range already: most images need no more than the division.
        least, most = _span(array.dtype)
        if least < low or most > high:
            np.clip(values, work(low), work(high), out=values)
        if low:
            np.subtract(values, work(low), out=values)
        np.divide(values, work(high) - work(low), out=out[..., channel], casting="same_kind")
    return out


def _span(dtype: np.dtype[Any]) -> tuple[float, float]:
    """The smallest and the largest value of a type."""
    if dtype.kind == "b":
        return 0.0, 1.0
    if dtype.kind in "iu":
        return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    return -np.inf, np.inf


def _percentiles(array: NDArray[Any], rule: str) -> tuple[float, float]:
    values = array.reshape(-1)
    if values.size > _SAMPLES:
        values = values[:: -(-values.size // _SAMPLES)]
    values = values.astype(np.float64)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 0.0
    least, most = float(values.min()), float(values.max())
    chosen = values
    if rule == FOREGROUND and most > least:
        chosen = values[values > least]
    low, high = (float(v) for v in np.percentile(chosen, (0.5, 99.5)))
    return (low, high) if high > low else (least, most)
