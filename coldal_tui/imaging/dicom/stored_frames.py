"""Reads the stored frames of a DICOM file one by one, for objects with thousands of frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.imaging.dicom.attributes import quiet_pydicom, transfer_syntax
from coldal_tui.imaging.dicom.pixels import quiet_gdcm
from coldal_tui.imaging.readers.limits import decoding, truncated

LITTLE_ENDIAN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99")
BIG_ENDIAN = "1.2.840.10008.1.2.2"


def stored_frames(
    path: Path, count: int, shape: tuple[int, int]
) -> Iterator[NDArray[np.unsignedinteger]]:
    """The first ``count`` frames ``(rows, columns)`` of one sample per pixel, without rescale.

    Raises
    ------
    ImageError : ``truncated``, ``damaged``, ``unsupported-compression``.
    """
    with decoding(path):
        dataset = quiet_pydicom().dcmread(path, force=True)
        if "PixelData" not in dataset:  # pydicom drops truncated elements
            raise truncated(path)
        syntax = str(transfer_syntax(dataset))
        bits = int(dataset.get("BitsAllocated") or 1)
        if syntax in LITTLE_ENDIAN and bits in (1, 8, 16):
            yield from _native(dataset.PixelData, bits, count, shape)
        else:
            yield from _decoded(path, dataset, count, shape)


def _native(
    data: bytes, bits: int, count: int, shape: tuple[int, int]
) -> Iterator[NDArray[np.unsignedinteger]]:
    """Yield uncompressed frames; 1-bit frames are packed without gaps (PS3.5 8.1.1)."""
    size = shape[0] * shape[1]
    for number in range(count):
        if bits == 1:
            first, last = number * size, (number + 1) * size
            packed = np.frombuffer(data[first // 8 : (last + 7) // 8], np.uint8)
            flat = np.unpackbits(packed, bitorder="little")[first % 8 :][:size]
        else:
            kind = np.dtype(f"<u{bits // 8}")
            flat = np.frombuffer(data, kind, size, number * size * kind.itemsize)
        yield flat.reshape(shape)


def _decoded(
    path: Path, dataset: Any, count: int, shape: tuple[int, int]
) -> Iterator[NDArray[np.unsignedinteger]]:
    from pydicom.pixels.utils import iter_pixels

    syntax = transfer_syntax(dataset)
    quiet_gdcm()
    dataset.NumberOfFrames = count
    frames = iter_pixels(dataset, raw=True)
    for _ in range(count):
        try:
            frame = next(frames, None)
        except NotImplementedError as error:
            raise ImageError(
                f"no decoder here for {syntax.name}",
                where=path.name,
                remedy="convert it to an uncompressed transfer syntax",
                code="unsupported-compression",
            ) from error
        except RuntimeError as error:
            raise ImageError(
                f"its compressed pixel data ({syntax.name}) are damaged",
                where=path.name,
                remedy="copy the file again from its source",
                code="damaged",
            ) from error
        if frame is None:
            raise truncated(path)
        yield frame.reshape(shape)
