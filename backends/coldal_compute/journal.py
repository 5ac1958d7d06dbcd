"""Results as they come, one line each, so that an interrupted step goes on where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec


class Journal:
    """A file of JSON lines of which the first names the model that the others are of.

    A journal of another model is started anew.
    """

    def __init__(self, path: Path, model: str) -> None:
        self._path = path
        self._head = {"model": model}

    def read(self) -> list[dict[str, Any]]:
        """The rows known so far; a line torn by a crash ends the reading."""
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
    """The rows of a journal as far as they are whole, its head first; none where there is none."""
    rows: list[Any] = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            rows.append(msgspec.json.decode(line))
        except msgspec.DecodeError:
            break
    return rows
