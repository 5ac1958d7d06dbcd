"""Reads any scan: selects its reader, and checks that pixels match the header."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.imaging.dicom import read as dicom
from coldal_tui.imaging.image import STORED_DTYPE, ScanHeader, ScanImage, ScanRef
from coldal_tui.imaging.readers import metaimage, nifti, nrrd, raster

_HEADERS: dict[str, Callable[[str | Path], ScanHeader]] = {
    "raster": raster.read_header,
    "nifti": nifti.read_header,
    "nrrd": nrrd.read_header,
    "metaimage": metaimage.read_header,
}
_PIXELS: dict[str, Callable[[ScanRef, ScanHeader], NDArray[np.generic]]] = {
    "raster": raster.read_pixels,
    "nifti": nifti.read_pixels,
    "nrrd": nrrd.read_pixels,
    "metaimage": metaimage.read_pixels,
    "dicom": dicom.read_pixels,
}


def read_header(ref: ScanRef) -> ScanHeader:
    """The header of a scan, without decoding pixels. Raises ImageError."""
    _check(ref)
    if ref.kind == "dicom":
        return dicom.read_header(ref)
    headers = [_HEADERS[ref.kind](file) for file in ref.files]
    return joined_header(headers, ref.files) if len(headers) > 1 else headers[0]


def joined_header(headers: Sequence[ScanHeader], files: Sequence[str]) -> ScanHeader:
    """The header of one scan whose channels are in several files, in order.

    Raises
    ------
    ImageError : a file has another grid than the first (code ``grid``).
    """
    first = headers[0]
    for header, file in zip(headers[1:], files[1:], strict=True):
        if header.shape != first.shape or not _same_place(header, first):
            raise ImageError(
                f"another grid than {Path(files[0]).name}, so they are not channels of one scan",
                where=Path(file).name,
                remedy="bring them to one grid, or take channels out of [images]",
                code="grid",
            )
    dtype = np.result_type(*(np.dtype(header.dtype) for header in headers))
    channels = sum(header.channels for header in headers)
    return msgspec.structs.replace(first, channels=channels, dtype=dtype.name)


def _same_place(one: ScanHeader, other: ScanHeader) -> bool:
    if one.affine is None or other.affine is None:
        return one.affine is other.affine
    return bool(np.allclose(one.affine, other.affine, atol=1e-2))


def read_scan(ref: ScanRef) -> ScanImage:
    """Header and pixels of a scan on its own grid. Raises ImageError."""
    if ref.kind != "dicom" and len(ref.files) > 1:
        header = read_header(ref)
        parts = [read_scan(ScanRef(ref.kind, (file,))).array for file in ref.files]
        return ScanImage(header, np.concatenate(parts, axis=-1, dtype=np.dtype(header.dtype)))
    header = read_header(ref)
    array = _PIXELS[ref.kind](ref, header)
    expected = (*header.shape, header.channels)
    if array.shape != expected:
        raise ImageError(
            f"the pixels have shape {array.shape} and the header promises {expected}",
            where=Path(ref.files[0]).name,
            remedy="copy the file again from its source",
            code="damaged",
        )
    return ScanImage(header, array)


def read_to_hand_out(ref: ScanRef) -> ScanImage:
    """As ``read_scan``, for export: padding is the minimum, not NaN.

    Whole numbers stay whole. Raises ImageError.
    """
    image = read_scan(ref)
    kind = image.header.meta.get(STORED_DTYPE)
    if kind is None:
        return image
    gap = np.isnan(image.array)
    least = np.min(image.array, where=~gap, initial=np.inf)
    filled = np.where(gap, least if np.isfinite(least) else 0, image.array).astype(kind)
    meta = {key: value for key, value in image.header.meta.items() if key != STORED_DTYPE}
    return ScanImage(msgspec.structs.replace(image.header, dtype=kind, meta=meta), filled)


def _check(ref: ScanRef) -> None:
    if ref.kind not in _PIXELS or not ref.files:
        raise ImageError(
            f"no reader for scans of kind {ref.kind!r}",
            remedy="index the folder again with this version",
            code="unknown-kind",
        )
