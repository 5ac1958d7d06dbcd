"""A journal of results, one per line, so that an interrupted step can continue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec


class Journal:
    """A file of JSON lines; the first names the model that made the others.

    A journal of another model is started anew.
    """

    def __init__(self, path: Path, model: str) -> None:
        self._path = path
        self._head = {"model": model}

    def read(self) -> list[dict[str, Any]]:
        """The rows so far; reading ends at a line cut off by a crash."""
        rows = whole_lines(self._path)
        if not rows or rows[0] != self._head:
            rows = [self._head]
        # Written again, so that what is appended never follows half a line.
        self._path.write_bytes(msgspec.json.Encoder().encode_lines(rows))
        return rows[1:]

    def append(self, row: dict[str, Any]) -> None:
        with self._path.open("ab") as stream:
            stream.write(msgspec.json.encode(row) + b"\n")


def whole_lines(path: Path) -> list[Any]:
    """The complete rows of a journal, its head first; empty if there is no file."""
    rows: list[Any] = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            rows.append(msgspec.json.decode(line))
        except msgspec.DecodeError:
            break
    return rows
