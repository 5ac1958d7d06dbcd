"""The journal of an evaluation: one line per measured scan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from coldal_compute.journal import Journal
from coldal_compute.segmentation.metrics import ClassMetrics

JOURNAL_FILE = "measured.jsonl"


class MeasuredJournal:
    """A journal of metrics, so that an interrupted evaluation can continue."""

    def __init__(self, folder: Path, model: str) -> None:
        self._journal = Journal(folder / JOURNAL_FILE, model)

    def read(self) -> dict[str, dict[str, ClassMetrics]]:
        """The metrics so far, by scan and class."""
        return {
            row["scan_id"]: msgspec.convert(row["classes"], dict[str, ClassMetrics])
            for row in self._journal.read()
        }

    def append(self, scan_id: str, classes: Mapping[str, ClassMetrics]) -> None:
        self._journal.append({"scan_id": scan_id, "classes": classes})
