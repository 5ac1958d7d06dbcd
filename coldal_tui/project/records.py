"""Rows of the database as frozen records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from coldal_tui.below import below, plain_name
from coldal_tui.imaging.image import Affine, ScanHeader, ScanRef
from coldal_tui.jobs.spec import ScanInput
from coldal_tui.project.database.store import Row

USABLE = "scans.state = 'present' AND scans.excluded IS NULL AND scans.duplicate_of IS NULL"
"""SQL for ``ScanRecord.usable`` on the table ``scans``."""


@dataclass(frozen=True)
class ScanRecord:
    """One indexed scan. ``files`` are relative to the images folder."""

    scan_id: str
    rel_path: str
    kind: str
    files: tuple[str, ...]
    shape: tuple[int, ...]
    channels: int
    dtype: str
    spacing: tuple[float, ...] | None
    affine: Affine | None
    modality: str | None
    patient_id: str
    meta: dict[str, str]
    quick_hash: str
    sha256: str | None
    duplicate_of: str | None
    state: str
    excluded: str | None

    @classmethod
    def from_row(cls, row: Row) -> ScanRecord:
        spacing, affine = row["spacing"], row["affine"]
        return cls(
            scan_id=plain_name(row["scan_id"], "scan id"),
            rel_path=row["rel_path"],
            kind=row["kind"],
            files=tuple(json.loads(row["files"])),
            shape=tuple(json.loads(row["shape"])),
            channels=row["channels"],
            dtype=row["dtype"],
            spacing=tuple(json.loads(spacing)) if spacing else None,
            affine=tuple(tuple(line) for line in json.loads(affine)) if affine else None,
            modality=row["modality"],
            patient_id=row["patient_id"],
            meta=json.loads(row["meta"]),
            quick_hash=row["quick_hash"],
            sha256=row["sha256"],
            duplicate_of=row["duplicate_of"],
            state=row["state"],
            excluded=row["excluded"],
        )

    @property
    def usable(self) -> bool:
        """Whether the scan is present, not excluded and not a copy of another."""
        return self.state == "present" and self.excluded is None and self.duplicate_of is None

    def ref(self, images: Path) -> ScanRef:
        """Its files below ``images``; ColdalError (``outside``) when a path leads elsewhere."""
        files = tuple(str(below(images, name, links=True)) for name in self.files)
        return ScanRef(kind=self.kind, files=files)

    def header(self) -> ScanHeader:
        return ScanHeader(
            shape=self.shape,
            channels=self.channels,
            dtype=self.dtype,
            spacing=self.spacing,
            affine=self.affine,
            modality=self.modality,
            patient_id=self.patient_id,
            meta=self.meta,
        )

    def input(self, images: Path) -> ScanInput:
        return ScanInput(
            scan_id=self.scan_id,
            ref=self.ref(images),
            shape=self.shape,
            channels=self.channels,
            spacing=self.spacing,
            modality=self.modality,
            quick_hash=self.quick_hash,
        )
