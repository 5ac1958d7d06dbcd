"""NRRD label maps: .nrrd, and .nhdr with a separate data file; LPS and RAS headers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate
from coldal_tui.exchange.importers.shared.class_names import forget_folders, names_beside
from coldal_tui.exchange.importers.shared.decode import is_nrrd, read_nrrd_mask
from coldal_tui.exchange.importers.shared.volume_masks import volume_candidate
from coldal_tui.imaging.readers import nrrd


class NrrdImporter:
    """Reads NRRD files that hold one label map."""

    name = "nrrd"
    priority = 0
    endings: Mapping[str, str] = {".nrrd": "NRRD", ".nhdr": "NRRD"}

    def forget(self) -> None:
        """Clear the cache: the folders of the masks may have changed."""
        forget_folders()

    def recognise(self, path: Path, head: bytes) -> str | None:
        """Recognise NRRD by its magic number."""
        return "NRRD" if is_nrrd(head) else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """The data file of a detached header."""
        try:
            return frozenset(nrrd.companions(path))
        except ImageError:
            return frozenset()

    def candidates(self, path: Path) -> Iterator[Candidate]:
        """One candidate, with its file's name."""
        yield volume_candidate(path, "NRRD", read_nrrd_mask, names_beside(path))


IMPORTER = NrrdImporter()
