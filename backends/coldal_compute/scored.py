"""The files of a scoring job: a journal of scores, and predictions.

Importing this module imports no torch: it is also what joins the parts of a scoring.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from coldal_compute.journal import Journal, whole_lines
from coldal_tui.files import atomic_write
from coldal_tui.simulation.cells import ScanScores

PREDICTIONS = "predictions"
JOURNAL_FILE = "scored.jsonl"


class ScoreJournal:
    """A journal of scores, so that an interrupted job can continue."""

    def __init__(self, folder: Path, model: str) -> None:
        self._journal = Journal(folder / JOURNAL_FILE, model)

    def read(self) -> dict[str, ScanScores]:
        """The scores so far, by scan."""
        return {row["scan_id"]: msgspec.convert(row, ScanScores) for row in self._journal.read()}

    def append(self, scan_id: str, scores: ScanScores) -> None:
        self._journal.append({"scan_id": scan_id} | msgspec.to_builtins(scores))


def scored_in(folder: Path) -> frozenset[str]:
    """The scans with a score in a folder's journal, from any model."""
    return frozenset(row["scan_id"] for row in whole_lines(folder / JOURNAL_FILE)[1:])


def adopt(folder: Path, other: Path) -> int:
    """Take over the scores and predictions of another folder of the same work; how many scores.

    Nothing is taken of another model's than the one whose scores are there already.
    """
    theirs, ours = whole_lines(other / JOURNAL_FILE), whole_lines(folder / JOURNAL_FILE)
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
