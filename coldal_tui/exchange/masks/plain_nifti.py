"""Decodes NIfTI masks of the usual kind from bytes: read once, header and voxels without copies.

That kind is one file, NIfTI-1, little-endian, with an sform, without scaling and extensions. All
others are left to nibabel.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.imaging.readers.limits import DEFLATE_RATIO

_SIZE, _DATA_START = 348, 352
_TYPES = {
    2: "u1",
    4: "<i2",
    8: "<i4",
    16: "<f4",
    64: "<f8",
    256: "i1",
    512: "<u2",
    768: "<u4",
    1024: "<i8",
    1280: "<u8",
}
"""NIfTI-1 ``datatype`` codes of single numbers."""
_LARGEST = 1 << 28
"""Bytes; a larger volume is read piece by piece."""
_SLACK = 1 << 16
_DIMENSIONS = struct.Struct("<8h")
_KIND = struct.Struct("<h")
_SCALING = struct.Struct("<3f")
_CODES = struct.Struct("<2h")
_ROWS = struct.Struct("<12f")


@dataclass(frozen=True)
class PlainNifti:
    """Voxels in file order, read-only; the sform as stored, and the code of its units."""

    values: NDArray[Any]
    sform: NDArray[np.float64]
    units: int


def decode_plain(data: bytes) -> PlainNifti | None:
    """The volume in a file's bytes, gzip-compressed or not; None where it is of another kind.

    A file that is damaged in any way is of another kind, too: nibabel's reader says how.
    """
    whole = _unpacked(data) if data[:2] == b"\x1f\x8b" else data
    if whole is None or len(whole) < _DATA_START or whole[:4] != b"\x5c\x01\0\0":
        return None
    if whole[344:348] != b"n+1\0" or whole[_SIZE]:
        return None
    axes, *sizes = _DIMENSIONS.unpack_from(whole, 40)
    dtype = _TYPES.get(_KIND.unpack_from(whole, 70)[0])
    start, slope, inter = _SCALING.unpack_from(whole, 108)
    _, placed = _CODES.unpack_from(whole, 252)
    if not 2 <= axes <= 7 or min(sizes[:axes]) < 1 or any(n > 1 for n in sizes[3:axes]):
        return None
    unscaled = (slope == 0 or not math.isfinite(slope)) or (slope, inter) == (1, 0)
    if dtype is None or placed <= 0 or not unscaled or not math.isfinite(start):
        return None
    shape, kind, first = tuple(sizes[: min(axes, 3)]), np.dtype(dtype), int(start)
    count = math.prod(shape)
    size = first + count * kind.itemsize
    if first < _DATA_START or first != start or not size <= len(whole) <= size + _SLACK:
        return None
    values = np.frombuffer(whole, kind, count, first).reshape(shape, order="F")
    matrix = np.eye(4)
    matrix[:3] = np.array(_ROWS.unpack_from(whole, 280)).reshape(3, 4)
    return PlainNifti(values, matrix, whole[123] & 7)


def _unpacked(data: bytes) -> bytes | None:
    """A gzip file's only member, checked; None where there are several, or it is damaged."""
    from isal import isal_zlib

    size = int.from_bytes(data[-4:], "little")
    if size > min(_LARGEST, len(data) * DEFLATE_RATIO):
        return None
    unpacker = isal_zlib.decompressobj(wbits=31)
    try:
        whole: bytes = unpacker.decompress(data, size + 1)
    except isal_zlib.error:  # type: ignore[misc]  # the stub says an instance
        return None
    return whole if len(whole) == size and unpacker.eof and not unpacker.unused_data else None
