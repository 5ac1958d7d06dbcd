"""Reads a DICOM dataset's attributes of frames and pixel values, without decoding."""

from __future__ import annotations

import logging
import warnings
from functools import cache
from typing import Any

import numpy as np

from coldal_tui.errors import ImageError
from coldal_tui.imaging.dicom.frames import frame_item


@cache
def quiet_pydicom() -> Any:
    """Silence pydicom's warnings: they would disturb the screen, and errors are raised anyway."""
    import pydicom
    from pydicom import config

    config.settings.reading_validation_mode = config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"pydicom(\..*)?$")
    return pydicom


def transfer_syntax(dataset: Any) -> Any:
    """The transfer syntax UID; without a meta header, from how the elements were read."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    syntax = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
    if syntax:
        return syntax
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def frames_of(dataset: Any) -> int:
    """Number of frames; 1 if the attribute is absent or empty."""
    try:
        return max(int(dataset.get("NumberOfFrames") or 1), 1)
    except (TypeError, ValueError):
        raise ImageError(
            f"Number of Frames is {str(dataset.NumberOfFrames)!r}, which is no number",
            code="damaged",
            remedy="repair the file",
        ) from None


def channels_of(dataset: Any) -> int:
    """3 for colour and palettes, else 1."""
    if str(dataset.get("PhotometricInterpretation")) == "PALETTE COLOR":
        return 3
    return int(dataset.get("SamplesPerPixel") or 1)


def output_dtype(dataset: Any) -> np.dtype[Any]:
    """The type of the pixels after rescale.

    The stored type without rescale; int16 or int32 for slope 1 and a whole intercept; float32
    (float64 for 32-bit values) for any other slope; the table's type for a modality LUT; uint8
    for palettes. float32 (float64 for 32-bit values) if padding becomes NaN (``has_gaps``).
    """
    if has_gaps(dataset):
        return np.dtype(np.float64 if _stored_dtype(dataset).itemsize > 2 else np.float32)
    return measured_dtype(dataset)


def measured_dtype(dataset: Any) -> np.dtype[Any]:
    """``output_dtype`` of the pixels without padding."""
    if "DoubleFloatPixelData" in dataset:
        return np.dtype(np.float64)
    if "FloatPixelData" in dataset or not dataset.get("BitsAllocated"):
        return np.dtype(np.float32)
    if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        return np.dtype(np.uint8)
    stored = _stored_dtype(dataset)
    if dataset.get("ModalityLUTSequence"):
        bits = _descriptor(dataset.ModalityLUTSequence[0].LUTDescriptor)[2]
        return np.dtype(np.uint8 if bits <= 8 else np.uint16)
    rules = rescales(dataset)
    if all(rule == (1.0, 0.0) for rule in rules):
        return stored
    if any(slope != 1 or intercept != int(intercept) for slope, intercept in rules):
        return np.dtype(np.float64 if stored.itemsize > 2 else np.float32)
    low, high = stored_range(dataset)
    lowest = low + min(int(intercept) for _, intercept in rules)
    highest = high + max(int(intercept) for _, intercept in rules)
    for kind in (np.int16, np.int32):
        if np.iinfo(kind).min <= lowest and highest <= np.iinfo(kind).max:
            return np.dtype(kind)
    return np.dtype(np.float64)


def padding_range(dataset: Any) -> tuple[int, int] | None:
    """Least and largest stored value of padding pixels (PS3.3 C.7.5.1.1.2).

    None if no padding is stated, and for colour. A value with a wrong sign is converted to the
    stored type.
    """
    value = _whole(dataset.get("PixelPaddingValue"))
    if value is None or channels_of(dataset) != 1 or not dataset.get("BitsAllocated"):
        return None
    limit = _whole(dataset.get("PixelPaddingRangeLimit"))
    ends = [_as_stored(dataset, one) for one in (value, value if limit is None else limit)]
    return min(ends), max(ends)


def has_gaps(dataset: Any) -> bool:
    """Whether padding pixels are decoded as NaN, so that no reader takes them for a measurement.

    CT padding (air or less) and 8-bit padding (black) stay whole numbers.
    """
    return (
        padding_range(dataset) is not None
        and "FloatPixelData" not in dataset
        and "DoubleFloatPixelData" not in dataset
        and str(dataset.get("Modality")) != "CT"
        and _stored_dtype(dataset).itemsize > 1
    )


def _as_stored(dataset: Any, value: int) -> int:
    low, high = np.iinfo(_stored_dtype(dataset)).min, np.iinfo(_stored_dtype(dataset)).max
    turn = int(high) - int(low) + 1
    return value if low <= value <= high else (value - int(low)) % turn + int(low)


def _whole(value: Any) -> int | None:
    try:
        return None if value is None or isinstance(value, bytes) else int(value)
    except (TypeError, ValueError):
        return None


def rescales(dataset: Any) -> list[tuple[float, float]]:
    """(slope, intercept) for all frames, or one per frame from functional groups."""
    if dataset.get("SamplesPerPixel", 1) not in (None, 1):
        return [(1.0, 0.0)]
    if "PerFrameFunctionalGroupsSequence" in dataset:
        items = [
            frame_item(dataset, n, "PixelValueTransformationSequence")
            for n in range(frames_of(dataset))
        ]
        if any(item is not None for item in items):
            return [_rescale(item) for item in items]
    return [_rescale(dataset)]


def _rescale(item: Any) -> tuple[float, float]:
    if item is None:
        return 1.0, 0.0
    slope, intercept = item.get("RescaleSlope"), item.get("RescaleIntercept")
    pair = (1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept))
    return pair if np.isfinite(pair).all() and pair[0] != 0 else (1.0, 0.0)


def _descriptor(value: Any) -> tuple[int, int, int]:
    entries, first, bits = (int(v) for v in value)
    return entries, first, bits


def _stored_dtype(dataset: Any) -> np.dtype[Any]:
    bits = max(int(dataset.BitsAllocated), 8)
    kind = "i" if int(dataset.get("PixelRepresentation") or 0) == 1 else "u"
    return np.dtype(f"{kind}{bits // 8}")


def stored_range(dataset: Any) -> tuple[int, int]:
    """Smallest and largest value that the stored bits can hold."""
    bits = int(dataset.get("BitsStored") or dataset.BitsAllocated)
    if int(dataset.get("PixelRepresentation") or 0) == 1:
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1
