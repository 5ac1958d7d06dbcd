"""Searches bytes for many texts at once, in several encodings, ignoring case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KEY_BYTES = 6
_MASK = np.uint64((1 << 8 * _KEY_BYTES) - 1)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_BITS = 22
_LOWER = np.arange(256, dtype=np.uint8)
_LOWER[ord("A") : ord("Z") + 1] += 32
_ENCODINGS = ("utf-8", "latin-1", "utf-16-le", "utf-16-be")


class ByteSearch:
    """Finds any of many texts of at least six characters in bytes.

    A table of the last six bytes of each text excludes nearly all positions at once; the remaining
    ones are compared in full. Texts of digits and dots only (UIDs) are searched for in ASCII only.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._by_key: dict[int, list[tuple[bytes, str]]] = {}
        self._sieve = np.zeros(1 << _BITS, dtype=np.bool_)
        self.longest = 0
        for text in dict.fromkeys(texts):
            for pattern in _patterns(text):
                key = int.from_bytes(pattern[-_KEY_BYTES:], "little")
                self._by_key.setdefault(key, []).append((pattern, text))
                self.longest = max(self.longest, len(pattern))
        self._keys = np.array(sorted(self._by_key), dtype=np.uint64)
        self._sieve[_mixed(self._keys)] = True

    def find(self, data: bytes | bytearray | memoryview) -> Iterator[tuple[int, int, str]]:
        """Return (start, end, text) of every occurrence, in no particular order."""
        if not self._by_key or len(data) < _KEY_BYTES:
            return
        lower = np.zeros(len(data) + 16, dtype=np.uint8)
        np.take(_LOWER, np.frombuffer(data, dtype=np.uint8), out=lower[: len(data)])
        whole = lower.tobytes()
        for shift in range(8):
            count = (len(data) - shift + 7) // 8
            words = lower[shift : shift + 8 * count].view("<u8") & _MASK
            for place in self._places(words):
                end = shift + 8 * int(place) + _KEY_BYTES
                for pattern, text in self._by_key.get(int(words[place]), ()):
                    start = end - len(pattern)
                    if start >= 0 and end <= len(data) and whole[start:end] == pattern:
                        yield start, end, text

    def _places(self, words: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Positions where the last six bytes of a text occur."""
        maybe = np.flatnonzero(self._sieve[_mixed(words)])
        where = np.searchsorted(self._keys, words[maybe]).clip(max=len(self._keys) - 1)
        found: NDArray[np.intp] = maybe[self._keys[where] == words[maybe]]
        return found


def _mixed(words: NDArray[Any]) -> NDArray[np.uint64]:
    mixed: NDArray[np.uint64] = (words.astype(np.uint64) * _MIX) >> np.uint64(64 - _BITS)
    return mixed


def _patterns(text: str) -> set[bytes]:
    """A text as bytes in each encoding, with ASCII letters in lower case."""
    found = set()
    numbers = not text.strip("0123456789.")
    # Only ASCII is lower-cased in the data; other letters are searched for in both cases.
    for variant in {text} if numbers else {text, text.upper(), text.title()}:
        for encoding in ("ascii",) if numbers and "." in text else _ENCODINGS:
            try:
                raw = variant.encode(encoding)
            except UnicodeEncodeError:
                continue
            found.add(_LOWER[np.frombuffer(raw, dtype=np.uint8)].tobytes())
    return {pattern for pattern in found if len(pattern) >= _KEY_BYTES}
