"""Reads the scores of a finished scoring job, one scan at a time."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from coldal_tui.errors import ColdalError
from coldal_tui.files import not_json
from coldal_tui.simulation.cells import ScanScores

_HALF = 2
"""Bytes of a float16."""


class ScoreFiles:
    """The files ``scores.json`` and ``features.npy`` of a job; an older worker wrote neither.

    Of 650,000 scans the decoded scores would fill gigabytes: each is decoded when it is asked for,
    and features are read where they lie. Without numpy, to keep the supervisor's memory small.

    Raises
    ------
    ColdalError : a file can't be read (code ``damaged``).
    """

    def __init__(self, scores: Path | None, features: Path | None) -> None:
        self._raw: dict[str, msgspec.Raw] = {}
        if scores is not None and scores.is_file():
            try:
                self._raw = msgspec.json.decode(scores.read_bytes(), type=dict[str, msgspec.Raw])
            except not_json() as error:
                raise _damaged(scores, str(error)) from error
        self._rows = {scan_id: row for row, scan_id in enumerate(self._raw)} if features else {}
        self._features = features
        self._start, self._width = _layout(features, len(self._raw)) if features else (0, 0)

    def of(self, scan_id: str) -> tuple[ScanScores | None, bytes | None]:
        """A scan's scores, and its features as little-endian float16; None where there are none."""
        raw = self._raw.get(scan_id)
        scores = None if raw is None else msgspec.json.decode(raw, type=ScanScores)
        row = self._rows.get(scan_id)
        if row is None or self._features is None:
            return scores, None
        with self._features.open("rb", buffering=0) as stream:
            content = os.pread(stream.fileno(), self._width, self._start + row * self._width)
        return scores, content


def _layout(file: Path, rows: int) -> tuple[int, int]:
    """Where the numbers of a .npy file begin, and the bytes of a row.

    The format (version 1.0): a magic of 6 bytes, 2 of version, 2 with the header's length.
    """
    with file.open("rb") as stream:
        head = stream.read(10)
        start = 10 + int.from_bytes(head[8:10], "little")
        header = stream.read(start - 10)
    size = file.stat().st_size - start
    if head[:8] != b"\x93NUMPY\x01\x00" or b"<f2" not in header or b"False" not in header:
        raise _damaged(file, "not an array of float16")
    if not rows or size <= 0 or size % (rows * _HALF):
        raise _damaged(file, f"not {rows} rows")
    return start, size // rows


def _damaged(file: Path, why: str) -> ColdalError:
    return ColdalError(
        f"a file of this scoring is damaged ({why})",
        where=str(file),
        remedy="coldal-tui jobs retry runs it again",
        code="damaged",
    )
