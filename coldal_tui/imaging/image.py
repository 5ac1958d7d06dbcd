"""Data types of a scan: file references, header, identity and pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    # Light processes use scans without pixels, so they don't import numpy.
    import numpy as np
    from numpy.typing import NDArray

Affine = tuple[tuple[float, float, float, float], ...]
"""A 4×4 voxel-to-world matrix in RAS millimetres, as nested tuples (rows)."""


STORED_DTYPE = "stored_dtype"
"""Key of a header's ``meta``: the type of pixels without padding; padding is NaN."""


class ScanRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The files with the pixels of one scan.

    ``kind`` is one of ``raster``, ``nifti``, ``dicom``, ``nrrd``, ``metaimage``.
    ``files`` are absolute paths; more than one for a DICOM series (sorted by position), and for
    the channels of a case (in their order).
    """

    kind: str
    files: tuple[str, ...]


class ScanHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The facts in a header, without decoded pixels.

    ``shape`` is the grid: ``(rows, columns)`` for a 2-D scan, ``(i, j, k)`` for a volume, in the
    file's own axis order (i is the fastest axis of NIfTI, NRRD and MetaImage; for a DICOM series
    i runs along a row, j down a column, k along the slice normal).
    ``spacing`` has one entry per grid axis in mm, or is None if the file states none.
    ``affine`` maps (i, j, k, 1) to RAS mm; None for images without world coordinates.
    For a 2-D scan with an affine, i is the column and j the row (the file's own order).
    """

    shape: tuple[int, ...]
    channels: int
    dtype: str
    spacing: tuple[float, ...] | None = None
    affine: Affine | None = None
    modality: str | None = None
    patient_id: str | None = None
    meta: dict[str, str] = {}


class ScanUids(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The DICOM UIDs of a scan, by which SEG and RTSTRUCT objects refer to it.

    ``instances`` are the SOP instance UIDs in slice order: k = 0, 1, … of a stack, one for a
    picture or a multi-frame object. "" means that the file does not state it.
    """

    series: str = ""
    frame_of_reference: str = ""
    instances: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScanImage:
    """Decoded pixels on the scan's own grid.

    ``array`` has shape ``header.shape + (channels,)`` (channels last, always present), in stored
    units after rescale slope and intercept; MONOCHROME1 is inverted, palettes are expanded to
    RGB, alpha is composited away, EXIF rotation is applied.
    """

    header: ScanHeader
    array: NDArray[np.generic]


def label_suffix(header: ScanHeader) -> str:
    """``.png`` for a 2-D scan without world coordinates, ``.nii.gz`` for every other scan."""
    return ".png" if len(header.shape) == 2 and header.affine is None else ".nii.gz"
