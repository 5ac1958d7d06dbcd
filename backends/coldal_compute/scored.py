"""What a scoring keeps in its folder while it goes on: a journal of scores, predicted files.

Importing this module imports no torch: it is also what joins the parts of a scoring.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from coldal_tui.files import atomic_write
from coldal_tui.simulation.cells import ScanScores

PREDICTIONS = "predictions"
JOURNAL_FILE = "scored.jsonl"


class Journal:
    """Scores as they come, one line each, so that an interrupted job goes on where it was.

    The first line names the model; a journal of another model is started anew.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self._path = folder / JOURNAL_FILE
        self._head = {"model": model}

    def read(self) -> dict[str, ScanScores]:
        """The scores known so far; a line torn by a crash ends the reading."""
        rows = _rows(self._path)
        if not rows or rows[0] != self._head:
            rows = [self._head]
        # Written again, so that what is appended never follows half a line.
        self._path.write_bytes(msgspec.json.Encoder().encode_lines(rows))
        return {row["scan_id"]: msgspec.convert(row, ScanScores) for row in rows[1:]}

    def append(self, scan_id: str, scores: ScanScores) -> None:
        row = {"scan_id": scan_id} | msgspec.to_builtins(scores)
        with self._path.open("ab") as stream:
            stream.write(msgspec.json.encode(row) + b"\n")


def scored_in(folder: Path) -> frozenset[str]:
    """The scans that the journal in a folder has a score for, by whatever model."""
    return frozenset(row["scan_id"] for row in _rows(folder / JOURNAL_FILE)[1:])


def adopt(folder: Path, other: Path) -> int:
    """Take over the scores and predictions of another folder of the same work; how many scores.

    Nothing is taken of another model's than the one whose scores are there already.
    """
    theirs, ours = _rows(other / JOURNAL_FILE), _rows(folder / JOURNAL_FILE)
    if not theirs or (ours and ours[0] != theirs[0]):
        return 0
    _copy_predictions(folder, other)
    known = {row["scan_id"] for row in ours[1:]}
    new = [row for row in theirs[1:] if row["scan_id"] not in known]
    rows = [theirs[0], *ours[1:], *new]
    _write(folder / JOURNAL_FILE, msgspec.json.Encoder().encode_lines(rows))
    return len(new)


def _copy_predictions(folder: Path, other: Path) -> None:
    for source in sorted((other / PREDICTIONS).rglob("*")):
        target = folder / source.relative_to(other)
        if source.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(target, source.read_bytes())


def _write(path: Path, content: bytes) -> None:
    atomic_write(path, lambda stream: stream.write(content))


def _rows(path: Path) -> list[Any]:
    """The whole lines of a journal, its head first; none where there is no journal."""
    rows: list[Any] = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            rows.append(msgspec.json.decode(line))
        except msgspec.DecodeError:
            break
    return rows
