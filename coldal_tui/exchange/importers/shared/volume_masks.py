"""Shared by importers of label files: the mask of a file, and class names for its values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.candidate import Candidate, MaskPixels
from coldal_tui.exchange.header_parts import companion_files

VOLUME_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
MASK_ENDINGS = (*VOLUME_ENDINGS, ".png", ".tif", ".tiff", ".bmp", ".gif")
_MOST_TEXT = 1 << 25


@dataclass(frozen=True)
class Names:
    """Class names of values, and the file they come from."""

    of: Mapping[int, str]
    source: Path

    def give(self, pixels: MaskPixels) -> MaskPixels:
        """Give the mask these names, unless it has its own; a note states their source."""
        if pixels.names is not None:
            return pixels
        note = f"class names from {self.source.name}"
        return replace(pixels, names=self.of, notes=(*pixels.notes, note))


def volume_candidate(
    path: Path,
    title: str,
    read: Callable[[Path], MaskPixels],
    names: Names | None,
    decode: Callable[[bytes, Path], MaskPixels] | None = None,
    **more: Any,
) -> Candidate:
    """The candidate for a label file, with class names from another file if any.

    ``decode`` is ``read`` from the file's bytes. ``more`` are further fields of the candidate.
    """

    def named(pixels: MaskPixels) -> MaskPixels:
        return names.give(pixels) if names else pixels

    def load() -> MaskPixels:
        return named(read(path))

    if decode is not None:
        more["decode"] = lambda data: named(decode(data, path))

    parts = (*_data_of(path), *((names.source,) if names else ()))
    return Candidate(path, more.pop("name", path.as_posix()), title, load, parts=parts, **more)


def _data_of(path: Path) -> tuple[Path, ...]:
    """The voxel file of a detached header."""
    try:
        return companion_files(path)
    except ColdalError:
        return ()


def read_json(path: Path) -> Any:
    """A JSON file's content, cached while the file is unchanged; None if it is no JSON."""
    try:
        status = path.stat()
        if status.st_size > _MOST_TEXT:
            return None
        return _parsed_json(path, status.st_mtime_ns, status.st_size)
    except (OSError, ValueError, RecursionError):
        return None


@lru_cache(maxsize=4)
def _parsed_json(path: Path, mtime_ns: int, size: int) -> Any:
    return json.loads(path.read_bytes())
