"""Run-length encodings of masks as COCO, CVAT and Label Studio write them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RUN_BITS = (3, 4, 8, 16)
"""Lengths that Label Studio's own encoder offers for counts, in bits."""


def run_lengths(flat: NDArray[np.bool_]) -> list[int]:
    """Lengths of alternating runs of False and True, False first (possibly 0).

    ``flat`` is of shape (pixels,).
    """
    change = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate(([0], change, [flat.size]))
    counts = [int(n) for n in np.diff(edges)]
    return [0, *counts] if flat.size and flat[0] else counts


def coco_counts(mask: NDArray[np.bool_]) -> str:
    """COCO's compressed counts of a ``(rows, columns)`` mask, column by column.

    Source: cocoapi, common/maskApi.c, rleToString: LEB128-like groups of 5 bits; from the third
    run on, the difference to the run before the last.
    """
    counts = run_lengths(mask.ravel(order="F"))
    text = bytearray()
    for number, count in enumerate(counts):
        value = count - counts[number - 2] if number > 2 else count
        more = True
        while more:
            part = value & 0x1F
            value >>= 5
            more = value != -1 if part & 0x10 else value != 0
            text.append((part | 0x20 if more else part) + 48)
    return text.decode("ascii")


@dataclass(frozen=True)
class CvatMask:
    """A mask inside its bounding box, as CVAT for images 1.1 writes it."""

    rle: str
    left: int
    top: int
    width: int
    height: int


def cvat_mask(mask: NDArray[np.bool_]) -> CvatMask:
    """Encode row by row inside the bounding box, zeros first. ``mask`` has at least one pixel.

    ``mask`` is (rows, columns).

    Source: CVAT documentation, "CVAT for images 1.1", element ``mask``.
    """
    top, left, height, width = bounding_box(mask)
    box = mask[top : top + height, left : left + width]
    counts = ", ".join(str(count) for count in run_lengths(box.ravel()))
    return CvatMask(counts, left, top, width, height)


def bounding_box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """``(top, left, height, width)`` of a mask that has at least one pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return top, left, int(rows[-1]) - top + 1, int(columns[-1]) - left + 1


def brush_rle(mask: NDArray[np.bool_]) -> list[int]:
    """Encode a mask as Label Studio's brush: RGBA pixels, 255 where drawn, packed into bytes.

    ``mask`` is (rows, columns) bool.

    Source: rle-pack of thi.ng/umbrella, as label_studio_sdk.converter.brush decodes it: 32 bits
    number of values, 5 bits word size - 1, four times 4 bits count size - 1; then blocks of one
    bit (run), two bits (which count size), the count - 1, and the value.
    """
    counts = run_lengths(mask.ravel())
    bits = _Bits()
    bits.put(mask.size * 4, 32)
    bits.put(8 - 1, 5)
    for size in _RUN_BITS:
        bits.put(size - 1, 4)
    for number, count in enumerate(counts):
        left, value = count * 4, 255 if number % 2 else 0
        while left:
            part = min(left, 1 << _RUN_BITS[-1])
            which = next(n for n, size in enumerate(_RUN_BITS) if part <= 1 << size)
            bits.put(1, 1)
            bits.put(which, 2)
            bits.put(part - 1, _RUN_BITS[which])
            bits.put(value, 8)
            left -= part
    return bits.bytes()


class _Bits:
    """A bit stream, most significant bit first."""

    def __init__(self) -> None:
        self._done = bytearray()
        self._open = 0
        self._length = 0

    def put(self, value: int, size: int) -> None:
        self._open = self._open << size | value
        self._length += size
        while self._length >= 8:
            self._length -= 8
            self._done.append(self._open >> self._length & 0xFF)
        self._open &= (1 << self._length) - 1

    def bytes(self) -> list[int]:
        """All bits as bytes, the last one padded with zeros."""
        rest = [self._open << (8 - self._length) & 0xFF] if self._length else []
        return [*self._done, *rest]
