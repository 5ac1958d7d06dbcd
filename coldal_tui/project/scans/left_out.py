"""Scans that a job could not use: kept until a job of the same kind has used them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from coldal_tui.jobs.spec import FailedScan, ScanInput
from coldal_tui.project.project import Project

STEPS = {
    "embed": "embedding",
    "train": "training",
    "score": "scoring",
    "predict": "scoring",
    "evaluate": "measuring",
    "crossfit": "cross-fitting",
}
"""What a job of each kind does, in words."""


@dataclass(frozen=True)
class LeftOut:
    """A scan that the newest job of kind ``step`` could not use, and the reason."""

    step: str
    scan_id: str
    file: str
    message: str
    job_id: int

    @property
    def words(self) -> str:
        return f"left out of {STEPS.get(self.step, self.step)}: {self.message}"


def note_left_out(
    project: Project,
    job_id: int,
    step: str,
    scans: Iterable[ScanInput],
    failed: Iterable[FailedScan],
) -> None:
    """Record which of ``scans`` a job of kind ``step`` could not use; inside a transaction.

    Records of scans that it did use are removed.
    """
    hashes = {scan.scan_id: scan.quick_hash for scan in scans}
    bad = {one.scan_id: one for one in failed}
    store = project.store
    for row in store.rows("SELECT scan_id FROM left_out WHERE step = ?", (step,)):
        if row["scan_id"] in hashes and row["scan_id"] not in bad:
            store.execute(
                "DELETE FROM left_out WHERE step = ? AND scan_id = ?", (step, row["scan_id"])
            )
    for scan_id, one in bad.items():
        store.replace(
            "left_out",
            step=step,
            scan_id=scan_id,
            quick_hash=hashes.get(scan_id, ""),
            file=one.file,
            message=one.message,
            job_id=job_id,
        )


def read_left_out(project: Project) -> tuple[LeftOut, ...]:
    """The scans that jobs could not use, by scan; changed scans are not listed."""
    rows = project.store.rows(
        "SELECT l.step, l.scan_id, l.file, l.message, l.job_id FROM left_out l JOIN scans s "
        "ON s.scan_id = l.scan_id AND s.quick_hash = l.quick_hash WHERE s.excluded IS NULL "
        "AND s.state = 'present' ORDER BY l.scan_id, l.step"
    )
    return tuple(LeftOut(**row) for row in rows)
