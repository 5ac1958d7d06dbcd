"""Reads any scan: picks the reader of its kind, and checks that pixels match the header."""

from __future__ import annotations

from collections.abc import Callable
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
    return _HEADERS[ref.kind](ref.files[0])


def read_scan(ref: ScanRef) -> ScanImage:
    """Header and pixels of a scan on its own grid. Raises ImageError."""
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
    """As ``read_scan``, for files that other programs read: padding is the least value, not NaN,
    and whole numbers stay whole. Raises ImageError."""
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
