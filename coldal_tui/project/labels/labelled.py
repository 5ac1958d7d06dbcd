"""The labels that count, with their scans: what training and a release are made of."""

from __future__ import annotations

from pathlib import Path

from coldal_tui.errors import ColdalError
from coldal_tui.project.database.store import Row
from coldal_tui.project.labels.files import checked_labels
from coldal_tui.project.project import Project
from coldal_tui.project.records import ScanRecord


def active_labels(project: Project) -> list[Row]:
    """The rows of ``labels`` that count, in ``scan_id`` order."""
    return project.store.rows("SELECT * FROM labels WHERE state = 'active' ORDER BY scan_id")


def no_labels(project: Project) -> ColdalError:
    """Builds the error for a training without a label."""
    return ColdalError(
        "there is no label to train on",
        where=project.name,
        remedy="import masks first: coldal-tui import-masks DIR",
        code="no-labels",
    )


def labelled_records(project: Project, labels: list[Row]) -> list[tuple[ScanRecord, Path]]:
    """Present scans with one of these labels and its file, in ``scan_id`` order.

    Excluded scans are left out. Raises ColdalError (code ``label-changed``) where a file is not
    the one that was accepted.
    """
    named = {row["scan_id"]: row for row in labels}
    scans = [
        scan
        for scan in project.scans_named(named)
        if scan.state == "present" and scan.excluded is None
    ]
    files = checked_labels(project, [named[scan.scan_id] for scan in scans])
    return [(scan, files[scan.scan_id]) for scan in scans]
