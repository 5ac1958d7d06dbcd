"""NIfTI label maps (ITK-SNAP, 3D Slicer, MITK): one file, one scan, geometry in the header."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from coldal_tui.exchange.candidate import Candidate
from coldal_tui.exchange.importers.shared.class_names import forget_folders, names_beside
from coldal_tui.exchange.importers.shared.decode import (
    decode_nifti_mask,
    is_nifti,
    read_nifti_mask,
)
from coldal_tui.exchange.importers.shared.volume_masks import volume_candidate


class NiftiImporter:
    """Reads ``.nii`` and ``.nii.gz`` by content."""

    name = "nifti"
    priority = 0
    endings: Mapping[str, str] = {".nii": "NIfTI", ".nii.gz": "NIfTI"}

    def forget(self) -> None:
        """Clear the cache: the folders of the masks may have changed."""
        forget_folders()

    def recognise(self, path: Path, head: bytes) -> str | None:
        """Recognise NIfTI-1 or -2 by its magic number, also inside gzip."""
        return "NIfTI" if is_nifti(head) else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """The pixel file of a two-file NIfTI."""
        return frozenset({path.with_suffix(".img")}) if path.suffix == ".hdr" else frozenset()

    def candidates(self, path: Path) -> Iterator[Candidate]:
        """One candidate, with its file's name."""
        yield volume_candidate(
            path, "NIfTI", read_nifti_mask, names_beside(path), decode_nifti_mask
        )


IMPORTER = NiftiImporter()
