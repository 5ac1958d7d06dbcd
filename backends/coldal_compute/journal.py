"""A journal of results, one per line, so that an interrupted step can continue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from coldal_tui.files import not_json


class Journal:
    """A file of JSON lines; the first names the model that made the others.

    A journal of another model is started anew.
    """

    def __init__(self, path: Path, model: str) -> None:
        self._path = path
        self._head = {"model": model}

    def read(self) -> list[dict[str, Any]]:
        """The rows so far; reading ends at a line cut off by a crash."""
        return [row for _, row in self.rows()]

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Each row with where its line starts in the file, one at a time.

        A line cut off by a crash ends the rows and is removed, so that what is appended never
        follows half a line.
        """
        found = lines(self._path)
        head = next(found, None)
        if head is None or head[2] != self._head:
            self._path.write_bytes(msgspec.json.encode(self._head) + b"\n")
            return
        whole = head[1]
        for start, end, row in found:
            whole = end
            yield start, row
        if self._path.stat().st_size > whole:
            with self._path.open("r+b") as stream:
                stream.truncate(whole)

    def at(self, starts: Iterator[int]) -> Iterator[dict[str, Any]]:
        """The rows whose lines start there."""
        with self._path.open("rb") as stream:
            for start in starts:
                stream.seek(start)
                row: dict[str, Any] = msgspec.json.decode(stream.readline())
                yield row

    def append(self, row: dict[str, Any]) -> None:
        with self._path.open("ab") as stream:
            stream.write(msgspec.json.encode(row) + b"\n")


def whole_lines(path: Path) -> list[Any]:
    """The complete rows of a journal, its head first; empty if there is no file."""
    return [row for _, _, row in lines(path)]


def lines(path: Path) -> Iterator[tuple[int, int, Any]]:
    """Where each complete line starts and ends, and what it says, its head first."""
    if not path.exists():
        return
    start = 0
    with path.open("rb") as stream:
        for line in stream:
            end = start + len(line)
            try:
                row = msgspec.json.decode(line)
            except not_json():
                return
            if not line.endswith(b"\n"):
                return
            yield start, end, row
            start = end
