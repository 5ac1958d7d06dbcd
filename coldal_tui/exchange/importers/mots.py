"""MOTS PNG (CVAT, datumaro): 16-bit pictures with values class × 1,000 + instance.

The classes are the lines of ``instances/labels.txt``, counted from 1; class 10 means ignore if
there are fewer (https://www.vision.rwth-aachen.de/page/mots).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels
from coldal_tui.exchange.importers.raster import read_picture_mask
from coldal_tui.exchange.importers.shared.folder_cache import FolderMemory

_FOLDER, _LABELS = "instances", "labels.txt"
_LEVELS = 3
_LONGEST = 1 << 16
_INSTANCES = 1000
_IGNORED = 10
_PNG = b"\x89PNG\r\n\x1a\n"


class MotsImporter:
    """Reads the masks in ``instances/``; instances of a class are joined."""

    name = "mots"
    priority = 42
    endings: Mapping[str, str] = {}

    def forget(self) -> None:
        """Clear the cache: data sets may have changed."""
        _labels.forget()

    def recognise(self, path: Path, head: bytes) -> str | None:
        """A PNG below a folder ``instances`` that holds ``labels.txt``."""
        return "MOTS PNG" if head.startswith(_PNG) and _labels.of(path) else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """The images of the data set."""
        labels = _labels.of(path)
        folder = labels.parent.parent / "images" if labels else None
        return frozenset(folder.rglob("*.*")) if folder and folder.is_dir() else frozenset()

    def candidates(self, path: Path) -> Iterator[Candidate]:
        """One candidate, with its file's name."""
        labels = _labels.of(path)
        assert labels is not None  # recognised by it
        yield Candidate(
            path, path.as_posix(), "MOTS", partial(read_mots, path, labels), parts=(labels,)
        )


IMPORTER = MotsImporter()


def _labels_of(folder: Path) -> Path | None:
    """The ``labels.txt`` of a folder's data set."""
    for one in (folder, *folder.parents)[:_LEVELS]:
        if one.name == _FOLDER:
            file = one / _LABELS
            return file if file.is_file() else None
    return None


_labels = FolderMemory(_labels_of)


def read_mots(path: Path, labels: Path) -> MaskPixels:
    """Decode a mask: class numbers ``(rows, columns)`` with the names of ``labels``.

    Raises
    ------
    ImageError : as for any picture; ``damaged`` a value is not class × 1,000 + instance, or the
        labels can't be read.
    """
    pixels = read_picture_mask(path)
    numbers = np.asarray(pixels.array).astype(np.int64)
    classes = numbers // _INSTANCES
    try:
        text = labels.read_text("utf-8-sig") if labels.stat().st_size <= _LONGEST else ""
    except (OSError, UnicodeError):
        text = ""
    names = dict(enumerate((line.strip() for line in text.splitlines() if line.strip()), start=1))
    if len(names) < _IGNORED:
        names[_IGNORED] = "ignore"
    wrong = sorted({int(n) for n in np.unique(numbers) if n and n // _INSTANCES not in names})
    if wrong or pixels.colours is not None:
        raise ImageError(
            f"the value {wrong[0] if wrong else 'of a colour'} is no class of {labels.name} times "
            f"{_INSTANCES:,} plus an instance",
            where=str(path),
            remedy="Export it again; or, if its values are classes, import it with --format "
            "raster.",
            code="damaged",
        )
    drawn = len(np.unique(numbers)) - bool((numbers == 0).any())
    return MaskPixels(
        classes.astype(np.uint16),
        "rows",
        names=names,
        notes=(*pixels.notes, f"{drawn} instances joined by their classes"),
        numbered=False,
    )
