"""The files of a scoring job: a journal of scores, and predictions.

Importing this module imports no torch: it is also what joins the parts of a scoring.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from numpy.lib.format import write_array_header_1_0

from coldal_compute.journal import Journal, whole_lines
from coldal_tui.files import atomic_write
from coldal_tui.simulation.cells import ScanScores, as_halves, from_halves

PREDICTIONS = "predictions"
JOURNAL_FILE = "scored.jsonl"
SCORES_FILE = "scores.json"
FEATURES_FILE = "features.npy"


class ScoreJournal:
    """A journal of scores, so that an interrupted job can continue.

    Scores stay in the file: of 650,000 scans with their features they would fill gigabytes.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self._journal = Journal(folder / JOURNAL_FILE, model)
        self._folder = folder

    def read(self) -> dict[str, ScanScores]:
        """All scores so far, by scan."""
        return {row["scan_id"]: _scores(row) for row in self._journal.read()}

    def entropies(self) -> dict[str, float]:
        """The mean entropies so far, by scan."""
        return {row["scan_id"]: row["entropy"] for _, row in self._journal.rows()}

    def append(self, scan_id: str, scores: ScanScores) -> None:
        row: dict[str, Any] = {"scan_id": scan_id} | msgspec.to_builtins(scores)
        if scores.features is not None:
            row["features"] = b64encode(as_halves(scores.features)).decode()
        self._journal.append(row)

    def write(self, scan_ids: Sequence[str]) -> tuple[str, ...]:
        """Write the scores of these scans, one after the other; returns the files.

        ``scores.json``: ``{scan_id: ScanScores}`` without features. ``features.npy``: (scans,
        features) float16, in the same order; not written where no scan has features.
        """
        starts = {row["scan_id"]: start for start, row in self._journal.rows()}

        def rows() -> Iterator[tuple[str, ScanScores]]:
            found = self._journal.at(starts[scan_id] for scan_id in scan_ids)
            return zip(scan_ids, map(_scores, found), strict=True)

        def write_scores(stream: BinaryIO) -> None:
            for number, (scan_id, scores) in enumerate(rows()):
                one = msgspec.json.encode(msgspec.structs.replace(scores, features=None))
                stream.write(b",\n" if number else b"{")
                stream.write(msgspec.json.encode(scan_id) + b":" + one)
            stream.write(b"}" if scan_ids else b"{}")

        atomic_write(self._folder / SCORES_FILE, write_scores)
        widths = {len(scores.features or ()) for _, scores in rows()}
        if len(widths) != 1 or widths == {0}:
            return (SCORES_FILE,)

        def write_features(stream: BinaryIO) -> None:
            shape = (len(scan_ids), *widths)
            header = {"descr": "<f2", "fortran_order": False, "shape": shape}
            write_array_header_1_0(stream, header)
            for _, scores in rows():
                stream.write(as_halves(scores.features or ()))

        atomic_write(self._folder / FEATURES_FILE, write_features)
        return SCORES_FILE, FEATURES_FILE


def _scores(row: dict[str, Any]) -> ScanScores:
    features = row.get("features")
    if isinstance(features, str):
        row = row | {"features": from_halves(b64decode(features))}
    return msgspec.convert(row, ScanScores)


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
