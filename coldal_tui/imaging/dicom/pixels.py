"""Decodes DICOM pixel data to stored units: rescale, MONOCHROME1, palettes, colour spaces."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.imaging.dicom.attributes import (
    frames_of,
    has_gaps,
    measured_dtype,
    output_dtype,
    padding_range,
    quiet_pydicom,
    rescales,
    stored_range,
    transfer_syntax,
)
from coldal_tui.imaging.readers.limits import decoding, truncated

_PIXEL_ELEMENTS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_DEFLATED = "1.2.840.10008.1.2.1.99"
_TWELVE_BIT_JPEG = ("1.2.840.10008.1.2.4.51",)
_HIGH_THROUGHPUT = tuple(f"1.2.840.10008.1.2.4.20{n}" for n in (1, 2, 3))


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
        raw = _without_overlays(dataset, raw.reshape(frames, rows, columns, -1))
        measured = _in_stored_units(dataset, raw)
        return dataset, _without_padding(dataset, raw, measured)


def _without_overlays(dataset: Any, raw: NDArray[Any]) -> NDArray[Any]:
    """Clear the bits above Bits Stored, in which old files keep overlays.

    pydicom masks them in native data only.
    """
    bits = int(dataset.get("BitsStored") or 0)
    spare = raw.dtype.itemsize * 8 - bits
    if raw.dtype.kind not in "ui" or not 0 < spare < raw.dtype.itemsize * 8:
        return raw
    if raw.dtype.kind == "u":
        return raw & raw.dtype.type((1 << bits) - 1) if int(raw.max()) >> bits else raw
    return (raw << spare) >> spare


def _without_padding(dataset: Any, raw: NDArray[Any], measured: NDArray[Any]) -> NDArray[Any]:
    """Set padding pixels of ``measured`` to NaN, or limit them to the least other value."""
    found = padding_range(dataset)
    if found is None or raw.dtype.kind not in "ui":
        return measured
    gap = (raw >= found[0]) & (raw <= found[1])
    if has_gaps(dataset):
        floating = measured.astype(output_dtype(dataset), copy=False)
        if gap.any():
            floating[gap] = np.nan
        return floating
    if gap.any() and not gap.all():
        least = measured[~gap].min()
        measured = measured.copy()
        measured[gap] = np.minimum(measured[gap], least)
    return measured


def _decode(path: str | Path, dataset: Any) -> NDArray[Any]:
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.utils import pixel_array

    if not any(name in dataset for name in _PIXEL_ELEMENTS):
        raise truncated(path)  # pydicom drops truncated elements
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
    """Decode frames that pydicom can't: grey 12-bit JPEG, high-throughput JPEG 2000."""
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
    """Silence gdcm, which writes warnings directly to the terminal."""
    import gdcm

    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()
    gdcm.Trace.DebugOff()


def _in_stored_units(dataset: Any, raw: NDArray[Any]) -> NDArray[Any]:
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

    photometric = str(dataset.get("PhotometricInterpretation"))
    target = measured_dtype(dataset)
    if photometric == "PALETTE COLOR":
        coloured = np.asarray(apply_color_lut(raw[..., 0], dataset)[..., :3])
        if coloured.dtype.itemsize > 1 and int(coloured.max()) > 255:  # 16-bit colour entries
            coloured = coloured >> 8
        return coloured.astype(target)
    if photometric == "MONOCHROME1" and raw.dtype.kind in "ui":
        low, high = stored_range(dataset)
        raw = (low + high - raw.astype(np.int64)).astype(raw.dtype)
    if dataset.get("ModalityLUTSequence"):
        return np.asarray(apply_modality_lut(raw, dataset)).astype(target, copy=False)
    rules = rescales(dataset)
    if all(rule == (1.0, 0.0) for rule in rules):
        return raw.astype(target, copy=False)
    out = raw.astype(target)
    for frame in range(len(out)):
        slope, intercept = rules[frame if len(rules) > 1 else 0]
        if slope != 1:
            out[frame] *= target.type(slope)
        out[frame] += target.type(intercept)
    return out
