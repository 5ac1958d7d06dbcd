"""Decodes plain grey PNG masks: libdeflate inflates them, libpng undoes the filters of the rows.

Inflating takes most of libpng's time, and libdeflate does it several times as fast.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SIGNATURE, _HEADER = slice(0, 8), slice(12, 29)
"""The chunk IHDR with its name and without its checksum (ISO 15948 11.2.2)."""
_START = 33
_INTERLACE = 28
_STORED = 0xFFFF
"""The longest stored block (RFC 1951 3.2.4)."""
_RATIO = 1032
"""Deflate makes nothing smaller than that: a header that says more is wrong."""
_END = b"\0\0\0\0IEND\xaeB`\x82"


def decode_plain_grey(data: bytes) -> NDArray[Any]:
    """The pixels of an 8-bit grey PNG without transparency, (rows, columns) uint8.

    Raises
    ------
    ValueError : the file is damaged.
    """
    import imagecodecs

    lines = _lines(data)
    try:
        if lines is None:
            return np.asarray(imagecodecs.png_decode(data))
        first, end = _drawn_rows(lines)
        columns = lines.shape[1] - 1
        if first == 0 and end == len(lines):
            return np.asarray(imagecodecs.png_decode(_stored(data, lines)))
        found = np.empty((len(lines), columns), dtype=np.uint8)
        found[:first] = found[end:] = 0
        if first < end:
            imagecodecs.png_decode(_stored(data, lines[first:end]), out=found[first:end])
        return found
    except imagecodecs.PngError as error:
        raise ValueError(str(error)) from error


def _lines(data: bytes) -> NDArray[np.uint8] | None:
    """The filtered rows, each after its filter's number; None where libpng is to judge the file."""
    import imagecodecs
    from isal import isal_zlib

    packed = _pixel_data(data)
    checksum = struct.pack(">I", isal_zlib.crc32(data[_HEADER]))
    if packed is None or data[_INTERLACE] or data[_HEADER.stop : _START] != checksum:
        return None
    columns, rows = struct.unpack(">II", data[16:24])
    size = rows * (columns + 1)
    if size > _RATIO * len(packed):
        return None
    try:
        raw = imagecodecs.deflate_decode(packed, out=size)
    except imagecodecs.DeflateError:
        return None
    if len(raw) != size:
        return None
    return np.frombuffer(raw, dtype=np.uint8).reshape(rows, columns + 1)


def _drawn_rows(lines: NDArray[np.uint8]) -> tuple[int, int]:
    """The rows from the first to before the last, outside which all bytes are zero.

    Rows of zeros have the filter 0 (none): they are background, and a filter of the first row
    between them takes the row above it as zeros, drawn or not (ISO 15948 9.2).
    """
    flat = lines.reshape(-1)
    whole = flat.size // 8 * 8
    some = flat[:whole].view(np.uint64) != 0
    place = int(some.argmax()) if some.size else 0
    found, rest = bool(some.size) and bool(some[place]), bool(flat[whole:].any())
    if not found and not rest:
        return 0, 0
    length = lines.shape[1]
    first = 8 * place if found else whole
    last = flat.size - 1 if rest else whole - 1 - 8 * int(some[::-1].argmax())
    return first // length, last // length + 1


def _stored(data: bytes, lines: NDArray[np.uint8]) -> bytes:
    """A PNG of these filtered rows in stored blocks, otherwise as ``data``."""
    from isal import isal_zlib

    pixels = lines.reshape(-1).data
    size = len(pixels)
    parts: list[bytes | memoryview] = [b"\x78\x01"]
    for first in range(0, size, _STORED):
        block = pixels[first : first + _STORED]
        last = first + _STORED >= size
        parts += (struct.pack("<BHH", last, len(block), len(block) ^ _STORED), block)
    parts.append(struct.pack(">I", isal_zlib.adler32(pixels)))
    header = data[12:20] + struct.pack(">I", len(lines)) + data[24:29]
    found = [data[_SIGNATURE]]
    for content in (header, b"".join((b"IDAT", *parts))):
        checksum = struct.pack(">I", isal_zlib.crc32(content))
        found += (struct.pack(">I", len(content) - 4), content, checksum)
    return b"".join((*found, _END))


def _pixel_data(data: bytes) -> bytes | None:
    """The content of all IDAT chunks; None where a chunk is cut off or its checksum is wrong."""
    from isal import isal_zlib

    found: list[bytes] = []
    place = _START
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
