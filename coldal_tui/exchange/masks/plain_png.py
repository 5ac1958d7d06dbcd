"""Decodes plain grey PNG masks: ISA-L inflates them, libpng undoes the filters of the rows.

Inflating takes most of libpng's time, and ISA-L does it several times as fast.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HEADER = slice(0, 33)
"""The signature and the chunk IHDR (ISO 15948 11.2.2)."""
_INTERLACE = 28
_STORED = 0xFFFF
"""The longest stored block (RFC 1951 3.2.4)."""
_END = b"\0\0\0\0IEND\xaeB`\x82"


def decode_plain_grey(data: bytes) -> NDArray[Any]:
    """The pixels of an 8-bit grey PNG without transparency, (rows, columns) uint8.

    Raises
    ------
    ValueError : the file is damaged.
    """
    import imagecodecs

    try:
        return np.asarray(imagecodecs.png_decode(_inflated(data) or data))
    except imagecodecs.PngError as error:
        raise ValueError(str(error)) from error


def _inflated(data: bytes) -> bytes | None:
    """The same picture with its pixel data in stored blocks; None where libpng is to judge it."""
    from isal import isal_zlib

    packed = _pixel_data(data)
    if packed is None or data[_INTERLACE]:
        return None
    columns, rows = struct.unpack(">II", data[16:24])
    size = rows * (columns + 1)
    unpacker = isal_zlib.decompressobj()
    try:
        raw = unpacker.decompress(packed, size + 1)
    except isal_zlib.error:  # type: ignore[misc]  # the stub says an instance
        return None
    if len(raw) != size or not unpacker.eof or unpacker.unused_data:
        return None
    pixels = memoryview(raw)
    parts: list[bytes | memoryview] = [b"\x78\x01"]
    for first in range(0, size, _STORED):
        block = pixels[first : first + _STORED]
        last = first + _STORED >= size
        parts += (struct.pack("<BHH", last, len(block), len(block) ^ _STORED), block)
    parts.append(struct.pack(">I", isal_zlib.adler32(raw)))
    body = b"".join(parts)
    checksum = isal_zlib.crc32(body, isal_zlib.crc32(b"IDAT"))
    chunk = (struct.pack(">I", len(body)), b"IDAT", body, struct.pack(">I", checksum))
    return b"".join((data[_HEADER], *chunk, _END))


def _pixel_data(data: bytes) -> bytes | None:
    """The content of all IDAT chunks; None where a chunk is cut off or its checksum is wrong."""
    from isal import isal_zlib

    found: list[bytes] = []
    place = _HEADER.stop
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        kind, end = data[place + 4 : place + 8], place + 8 + length
        if kind == b"IEND":
            return b"".join(found)
        if kind == b"IDAT":
            if data[end : end + 4] != struct.pack(">I", isal_zlib.crc32(data[place + 4 : end])):
                return None
            found.append(data[place + 8 : end])
        place = end + 4
    return None
