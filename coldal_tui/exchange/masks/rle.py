"""Decodes run-length encodings of masks: COCO's two, CVAT's, and Label Studio's brush.

Lengths come from files: each is checked against the picture's size before memory is allocated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.imaging.readers.limits import MAX_PIXELS

_MOST_DIGITS = 7
"""Maximum characters of one number in COCO's compressed code."""

_COUNT_BITS, _WORD_BITS, _SIZE_BITS, _SIZES = 32, 5, 4, 4
"""Header of Label Studio's code: number of words, bits per word less 1, bits of four lengths."""


def check_size(rows: Any, columns: Any) -> tuple[int, int]:
    """Check a picture's size as a file states it.

    Raises
    ------
    ImageError : not whole numbers (``damaged``), or above the size limit (``too-large``).
    """
    try:
        size = int(rows), int(columns)
    except (TypeError, ValueError, OverflowError) as error:
        raise _damaged(f"the size {columns!r}×{rows!r} is no size of a picture") from error
    if min(size) < 1:
        raise _damaged(f"the size {columns}×{rows} is no size of a picture")
    if size[0] * size[1] > MAX_PIXELS:
        raise ImageError(
            f"it promises {columns}×{rows} pixels, more than {MAX_PIXELS:,}",
            remedy="Crop or downsample the picture.",
            code="too-large",
        )
    return size


def decode_runs(counts: Any, rows: int, columns: int, *, by_column: bool) -> NDArray[np.bool_]:
    """Decode alternating runs of unset and set pixels, unset first, to ``(rows, columns)``.

    COCO's uncompressed code is column by column (``by_column``), CVAT's row by row in its box.

    Raises
    ------
    ImageError : the runs do not cover the picture exactly (``damaged``).
    """
    rows, columns = check_size(rows, columns)
    lengths = _whole_numbers(counts)
    if lengths.size and (lengths.min() < 0 or lengths.max() > rows * columns):
        raise _damaged("a run of its code is longer than the picture, or negative")
    covered = int(lengths.sum())
    if covered != rows * columns:
        raise _damaged(f"the runs of its code cover {covered} of {rows * columns} pixels")
    drawn = np.zeros(lengths.size, dtype=bool)
    drawn[1::2] = True
    flat = np.repeat(drawn, lengths)
    return flat.reshape(columns, rows).T if by_column else flat.reshape(rows, columns)


def decode_coco(segmentation: Any) -> NDArray[np.bool_]:
    """Decode COCO's ``{"size": [rows, columns], "counts": …}``, compressed (text) or not (a list).

    Returns (rows, columns) bool.

    Raises
    ------
    ImageError : ``damaged``, ``too-large``.
    """
    size = segmentation.get("size") if isinstance(segmentation, dict) else None
    if not isinstance(size, (list, tuple)) or len(size) != 2:
        raise _damaged("its run-length code states no size")
    counts = segmentation.get("counts")
    if isinstance(counts, (str, bytes)):
        counts = unpack_coco(counts.encode() if isinstance(counts, str) else counts)
    return decode_runs(counts, size[0], size[1], by_column=True)


def unpack_coco(text: bytes) -> NDArray[np.int64]:
    """The run lengths in COCO's compressed code.

    Returns shape (runs,) int64.

    Each number takes characters of 6 bits from ``0`` on: 5 of value, lowest first, and one that
    says that more follow; from the fourth number on it is the difference to the last but one.

    Raises
    ------
    ImageError : code ``damaged``.
    """
    digits = np.frombuffer(text, dtype=np.uint8).astype(np.int64) - 48
    if not digits.size:
        return np.zeros(0, dtype=np.int64)
    if digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        raise _damaged("its run-length code holds characters that no such code has")
    last = np.flatnonzero(digits & 32 == 0)
    first = np.concatenate(([0], last[:-1] + 1))
    taken = last - first + 1
    if taken.max() > _MOST_DIGITS:
        raise _damaged("its run-length code holds a number too large for any picture")
    place = np.arange(digits.size) - np.repeat(first, taken)
    numbers = np.add.reduceat((digits & 31) << (5 * place), first)
    numbers -= np.where(digits[last] & 16, np.left_shift(1, 5 * taken), 0)
    numbers[2::2] = np.cumsum(numbers[2::2])
    numbers[1::2] = np.cumsum(numbers[1::2])
    return numbers


def decode_cvat(text: str, rows: int, columns: int) -> NDArray[np.bool_]:
    """Decode CVAT's code (comma-separated, row by row in the mask's box) to ``(rows, columns)``.

    Raises
    ------
    ImageError : ``damaged``, ``too-large``.
    """
    return decode_runs(text.split(",") if text.strip() else [], rows, columns, by_column=False)


def decode_brush(code: Any, rows: Any, columns: Any) -> NDArray[np.uint8]:
    """The alpha channel of Label Studio's brush code, ``(rows, columns)``: 0 where not drawn.

    The code packs the bits of flattened RGBA words (thi.ng/rle-pack): a header with the number of
    words and the bits of a word and of four lengths, then runs: one bit says whether one word is
    repeated or words follow, two bits which of the lengths is used, then the length less 1.

    Raises
    ------
    ImageError : ``damaged`` where the code ends too early or does not fit the picture.
    """
    rows, columns = check_size(rows, columns)
    bits = np.unpackbits(_bytes(code))
    header = _COUNT_BITS + _WORD_BITS + _SIZES * _SIZE_BITS
    if bits.size < header:
        raise _damaged("its brush code ends in its header")
    total = _number(bits, 0, _COUNT_BITS)
    word = _number(bits, _COUNT_BITS, _WORD_BITS) + 1
    at = _COUNT_BITS + _WORD_BITS
    sizes = [_number(bits, at + n * _SIZE_BITS, _SIZE_BITS) + 1 for n in range(_SIZES)]
    if total != rows * columns * 4 or word > 8:
        raise _damaged(
            f"its brush code holds {total} words of {word} bits, not the RGBA of "
            f"{columns}×{rows} pixels"
        )
    alpha = np.zeros(rows * columns, dtype=np.uint8)
    done, at = 0, header
    while done < total:
        if at + 3 > bits.size:
            raise _damaged("its brush code ends too early")
        repeated, size = bits[at], sizes[int(bits[at + 1]) * 2 + int(bits[at + 2])]
        length = _number(bits, at + 3, size) + 1
        at += 3 + size
        needed = word if repeated else length * word
        if at + needed > bits.size or done + length > total:
            raise _damaged("a run of its brush code goes beyond its end")
        # Of four words the last one is alpha.
        first, last = done // 4, (done + length) // 4
        if repeated:
            alpha[first:last] = _number(bits, at, word)
        else:
            alpha[first:last] = _words(bits[at : at + needed], word)[4 * first + 3 - done :: 4]
        at += needed
        done += length
    return alpha.reshape(rows, columns)


def _words(bits: NDArray[np.uint8], word: int) -> NDArray[np.uint8]:
    if word == 8:
        return np.packbits(bits)
    padded = np.zeros((bits.size // word, 8), dtype=np.uint8)
    padded[:, 8 - word :] = bits.reshape(-1, word)
    return np.packbits(padded, axis=1)[:, 0]


def _number(bits: NDArray[np.uint8], at: int, size: int) -> int:
    return int("".join(map(str, bits[at : at + size].tolist())) or "0", 2)


def _bytes(code: Any) -> NDArray[np.uint8]:
    if isinstance(code, (bytes, bytearray)):
        return np.frombuffer(bytes(code), dtype=np.uint8)
    numbers = _whole_numbers(code)
    if numbers.size and (numbers.min() < 0 or numbers.max() > 255):
        raise _damaged("its brush code holds numbers that are no bytes")
    return numbers.astype(np.uint8)


def _whole_numbers(values: Any) -> NDArray[np.int64]:
    if not isinstance(values, (Sequence, np.ndarray)) or isinstance(values, (str, bytes)):
        raise _damaged("its run-length code is no list of numbers")
    try:
        return np.array([int(value) for value in values], dtype=np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise _damaged("its run-length code holds something that is no whole number") from error


def _damaged(what: str) -> ImageError:
    return ImageError(what, remedy="Export it again.", code="damaged")
