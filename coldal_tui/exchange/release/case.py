"""What goes into a release: labelled scans, their patients, folds and drawings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from coldal_tui.exchange.exporters import ExportItem, ExportMeta
from coldal_tui.exchange.exporters.atomic_folder import Stage
from coldal_tui.exchange.exporters.packing import Placed

TRAINING, HELD_OUT = "training", "held out"


@dataclass(frozen=True)
class Drawing:
    """One person's drawing of a scan, as a label file on the scan's own grid."""

    rater: str
    label: Path


@dataclass(frozen=True)
class Case:
    """One labelled scan.

    ``item.prelabel`` is its label file. ``fold`` is None for patients that are held out.
    ``drawings`` are there where several people drew the scan. ``rater`` is who drew the label.
    """

    item: ExportItem
    patient: str
    held_out: bool = False
    fold: int | None = None
    drawings: tuple[Drawing, ...] = ()
    rater: str | None = None

    @property
    def subset(self) -> str:
        return HELD_OUT if self.held_out else TRAINING


@dataclass(frozen=True)
class PlacedCase:
    """A case in the release: ``placed`` has the paths of its image and its label."""

    case: Case
    placed: Placed


class ReleaseFormat(Protocol):
    """The format-specific part of a release."""

    def ignore_value(self, meta: ExportMeta) -> int:
        """The value of ignored pixels in its label files, 0 to 255."""

    def check(self, cases: Sequence[Case], meta: ExportMeta) -> None:
        """Refuse scans that the format can't hold, before anything is written.

        Raises
        ------
        UsageError : which scans, why, and what to use instead.
        """

    def place(self, stage: Stage, case: Case, meta: ExportMeta) -> Placed:
        """Write one scan and its label. Raises ColdalError."""

    def finish(
        self, stage: Stage, placed: Sequence[PlacedCase], meta: ExportMeta, licence: str | None
    ) -> None:
        """Write the format's own files."""

    def usage(self, placed: Sequence[PlacedCase]) -> tuple[str, ...]:
        """Paragraphs of Markdown: what lies where, and how to use it."""


def folds_of(placed: Sequence[PlacedCase]) -> list[dict[str, list[str]]]:
    """For each fold, the ids to train on and to validate on (as ``splits_final.json`` has them)."""
    training = [one.case for one in placed if one.case.fold is not None]
    count = 1 + max((case.fold for case in training if case.fold is not None), default=-1)
    return [
        {
            "train": sorted(case.item.scan_id for case in training if case.fold != fold),
            "val": sorted(case.item.scan_id for case in training if case.fold == fold),
        }
        for fold in range(count)
    ]
