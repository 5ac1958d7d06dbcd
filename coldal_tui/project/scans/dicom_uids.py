"""The DICOM UIDs of the project's scans, by which SEG and RTSTRUCT objects refer to them."""

from __future__ import annotations

import json

from coldal_tui.imaging.image import ScanUids
from coldal_tui.project.project import Project


def write_uids(project: Project, scan_id: str, uids: ScanUids | None) -> None:
    """Store a scan's UIDs (inside an action); remove old ones when it is not DICOM any more."""
    store = project.store
    if uids is None:
        store.execute("DELETE FROM scan_uids WHERE scan_id = ?", (scan_id,))
        return
    store.replace(
        "scan_uids",
        scan_id=scan_id,
        series=uids.series,
        frame_of_reference=uids.frame_of_reference,
        instances=_packed(uids.instances),
    )


def read_uids(project: Project) -> dict[str, ScanUids]:
    """The UIDs of every DICOM scan, by ``scan_id``."""
    rows = project.store.rows("SELECT * FROM scan_uids")
    return {
        row["scan_id"]: ScanUids(
            row["series"], row["frame_of_reference"], _unpacked(row["instances"])
        )
        for row in rows
    }


def _packed(instances: tuple[str, ...]) -> str:
    """JSON of the common prefix and the suffixes: UIDs of one series differ at their end."""
    first, last = min(instances, default=""), max(instances, default="")
    same = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    start = first[:same]
    return json.dumps([start, *(uid[len(start) :] for uid in instances)])


def _unpacked(text: str) -> tuple[str, ...]:
    start, *ends = json.loads(text)
    return tuple(start + end for end in ends)
