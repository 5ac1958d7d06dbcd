"""What an evaluation keeps in its folder while it goes on: one line for each measured scan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from coldal_compute.segmentation.metrics import ClassMetrics

JOURNAL_FILE = "measured.jsonl"


class MeasuredJournal:
    """Metrics as they come, so that an interrupted evaluation goes on where it was.

    The first line names the model; a journal of another model is started anew.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self._path = folder / JOURNAL_FILE
        self._head = {"model": model}

    def read(self) -> dict[str, dict[str, ClassMetrics]]:
        """The metrics known so far, by scan and class; a line torn by a crash ends the reading."""
        rows = list(self._rows())
        if not rows or rows[0] != self._head:
            rows = [self._head]
        # Written again, so that what is appended never follows half a line.
        self._path.write_bytes(msgspec.json.Encoder().encode_lines(rows))
        return {
            row["scan_id"]: msgspec.convert(row["classes"], dict[str, ClassMetrics])
            for row in rows[1:]
        }

    def append(self, scan_id: str, classes: Mapping[str, ClassMetrics]) -> None:
        row = msgspec.json.encode({"scan_id": scan_id, "classes": classes})
        with self._path.open("ab") as stream:
            stream.write(row + b"\n")

    def _rows(self) -> Iterator[Any]:
        for line in self._path.read_bytes().splitlines() if self._path.exists() else []:
            try:
                yield msgspec.json.decode(line)
            except msgspec.DecodeError:
                return
