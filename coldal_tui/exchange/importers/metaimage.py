"""MetaImage label maps: .mha, and .mhd with a separate data file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate
from coldal_tui.exchange.importers.shared.class_names import forget_folders, names_beside
from coldal_tui.exchange.importers.shared.decode import read_metaimage_mask
from coldal_tui.exchange.importers.shared.volume_masks import volume_candidate
from coldal_tui.imaging.readers import metaimage
from coldal_tui.imaging.recognise import is_metaimage


class MetaImageImporter:
    """Reads MetaImage files that hold one label map."""

    name = "metaimage"
    priority = 0
    endings: Mapping[str, str] = {".mha": "MetaImage", ".mhd": "MetaImage"}

    def forget(self) -> None:
        """Clear the cache: the folders of the masks may have changed."""
        forget_folders()

    def recognise(self, path: Path, head: bytes) -> str | None:
        """Recognise MetaImage by the first fields of its header."""
        return "MetaImage" if is_metaimage(head) else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """The data file of a detached header."""
        try:
            return frozenset(metaimage.companions(path))
        except ImageError:
            return frozenset()

    def candidates(self, path: Path) -> Iterator[Candidate]:
        """One candidate, with its file's name."""
        yield volume_candidate(path, "MetaImage", read_metaimage_mask, names_beside(path))


IMPORTER = MetaImageImporter()
