"""Decodes DICOM pixel data to stored units: rescale, MONOCHROME1, palettes, colour spaces."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.imaging.dicom.frames import frame_item
from coldal_tui.imaging.dicom.object import frames_of, quiet_pydicom, transfer_syntax
from coldal_tui.imaging.readers.limits import decoding, truncated

_PIXEL_ELEMENTS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_DEFLATED = "1.2.840.10008.1.2.1.99"
_TWELVE_BIT_JPEG = ("1.2.840.10008.1.2.4.51",)
_HIGH_THROUGHPUT = tuple(f"1.2.840.10008.1.2.4.20{n}" for n in (1, 2, 3))


def channels_of(dataset: Any) -> int:
    """3 for colour and palettes, else 1."""
    if str(dataset.get("PhotometricInterpretation")) == "PALETTE COLOR":
        return 3
    return int(dataset.get("SamplesPerPixel") or 1)


def output_dtype(dataset: Any) -> np.dtype[Any]:
    """The type of the pixels after rescale.

    The stored type without rescale; int16 or int32 for slope 1 and a whole intercept; float32
    (float64 for 32-bit values) for any other slope; the table's type for a modality LUT; uint8
    for palettes.
    """
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
    rules = _rescales(dataset)
    if all(rule == (1.0, 0.0) for rule in rules):
        return stored
    if any(slope != 1 or intercept != int(intercept) for slope, intercept in rules):
        return np.dtype(np.float64 if stored.itemsize > 2 else np.float32)
    low, high = _stored_range(dataset)
    lowest = low + min(int(intercept) for _, intercept in rules)
    highest = high + max(int(intercept) for _, intercept in rules)
    for kind in (np.int16, np.int32):
        if np.iinfo(kind).min <= lowest and highest <= np.iinfo(kind).max:
            return np.dtype(kind)
    return np.dtype(np.float64)


def decoded_frames(path: str | Path) -> tuple[Any, NDArray[Any]]:
    """A file's dataset and its frames ``(frames, rows, columns, channels)`` in stored units.

    Raises ImageError (``truncated``, ``damaged``, ``unsupported-compression``).
    """
    pydicom = quiet_pydicom()
    with decoding(path):
        with Path(path).open("rb") as stream:
            force = stream.read(132)[128:132] != b"DICM"
        dataset = pydicom.dcmread(path, force=force)
        raw = _decode(path, dataset)
        frames = frames_of(dataset)
        rows, columns = int(dataset.Rows), int(dataset.Columns)
        raw = raw.reshape(frames, rows, columns, -1)
        return dataset, _in_stored_units(dataset, raw)


def _decode(path: str | Path, dataset: Any) -> NDArray[Any]:
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.utils import pixel_array

    if not any(name in dataset for name in _PIXEL_ELEMENTS):
        raise truncated(path)  # pydicom drops an element that the file's end cuts
    syntax = transfer_syntax(dataset)
    if getattr(dataset, "file_meta", None) is None:
        from pydicom.dataset import FileMetaDataset

        dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    if not syntax.is_compressed or syntax == _DEFLATED:
        array: NDArray[Any] = pixel_array(dataset)
        return array
    quiet_gdcm()
    try:
        if not get_decoder(syntax).is_available:
            return _decode_with_imagecodecs(path, dataset)
        array = pixel_array(dataset)
    except NotImplementedError as error:
        raise ImageError(
            f"no decoder here for {syntax.name}",
            where=Path(path).name,
            remedy="convert it to an uncompressed or JPEG 2000 transfer syntax",
            code="unsupported-compression",
        ) from error
    except RuntimeError as error:
        if syntax in _TWELVE_BIT_JPEG and int(dataset.BitsStored) > 8:
            return _decode_with_imagecodecs(path, dataset)
        raise ImageError(
            f"its compressed pixel data ({syntax.name}) are damaged",
            where=Path(path).name,
            remedy="copy the file again from its source",
            code="damaged",
        ) from error
    return array


def _decode_with_imagecodecs(path: str | Path, dataset: Any) -> NDArray[Any]:
    """Frames that pydicom's decoders can't read: grey 12-bit JPEG, high-throughput JPEG 2000."""
    import imagecodecs
    from pydicom.encaps import generate_frames

    syntax = transfer_syntax(dataset)
    decoders: dict[str, Any] = dict.fromkeys(_TWELVE_BIT_JPEG, imagecodecs.jpeg_decode)
    decoders |= dict.fromkeys(_HIGH_THROUGHPUT, imagecodecs.jpeg2k_decode)
    if syntax not in decoders or int(dataset.get("SamplesPerPixel") or 1) != 1:
        raise NotImplementedError(str(syntax))
    frames = generate_frames(dataset.PixelData, number_of_frames=frames_of(dataset))
    try:
        return np.stack([decoders[syntax](frame) for frame in frames])
    except RuntimeError as error:  # imagecodecs' errors are RuntimeErrors
        raise ImageError(
            f"its compressed pixel data ({syntax.name}) are damaged",
            where=Path(path).name,
            remedy="copy the file again from its source",
            code="damaged",
        ) from error


@cache
def quiet_gdcm() -> None:
    """gdcm writes warnings straight to the terminal."""
    import gdcm

    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()
    gdcm.Trace.DebugOff()


def _in_stored_units(dataset: Any, raw: NDArray[Any]) -> NDArray[Any]:
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

    photometric = str(dataset.get("PhotometricInterpretation"))
    target = output_dtype(dataset)
    if photometric == "PALETTE COLOR":
        coloured = np.asarray(apply_color_lut(raw[..., 0], dataset)[..., :3])
        if coloured.dtype.itemsize > 1 and int(coloured.max()) > 255:  # 16-bit colour entries
            coloured = coloured >> 8
        return coloured.astype(target)
    if photometric == "MONOCHROME1" and raw.dtype.kind in "ui":
        low, high = _stored_range(dataset)
        raw = (low + high - raw.astype(np.int64)).astype(raw.dtype)
    if dataset.get("ModalityLUTSequence"):
        return np.asarray(apply_modality_lut(raw, dataset)).astype(target, copy=False)
    rules = _rescales(dataset)
    if all(rule == (1.0, 0.0) for rule in rules):
        return raw.astype(target, copy=False)
    out = raw.astype(target)
    for frame in range(len(out)):
        slope, intercept = rules[frame if len(rules) > 1 else 0]
        if slope != 1:
            out[frame] *= target.type(slope)
        out[frame] += target.type(intercept)
    return out


def _rescales(dataset: Any) -> list[tuple[float, float]]:
    """(slope, intercept) for all frames, or one per frame where functional groups state them."""
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


def _stored_range(dataset: Any) -> tuple[int, int]:
    """Smallest and largest value that the stored bits can hold."""
    bits = int(dataset.get("BitsStored") or dataset.BitsAllocated)
    if int(dataset.get("PixelRepresentation") or 0) == 1:
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1
