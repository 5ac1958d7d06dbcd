"""What the importers of volume files share: decoded voxels as a mask, and names for its values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ColdalError, ImageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels
from coldal_tui.exchange.exporters.companions import companion_files
from coldal_tui.imaging.image import ScanHeader
from coldal_tui.imaging.recognise import HEAD_BYTES

VOLUME_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
_MOST_TEXT = 1 << 25


@dataclass(frozen=True)
class Names:
    """Class names of values, and the file that says so."""

    of: Mapping[int, str]
    source: Path

    def give(self, pixels: MaskPixels) -> MaskPixels:
        """The mask with these names, unless it has its own; a note tells where they come from."""
        if pixels.names is not None:
            return pixels
        note = f"class names from {self.source.name}"
        return replace(pixels, names=self.of, notes=(*pixels.notes, note))


def volume_candidate(
    path: Path, title: str, read: Callable[[Path], MaskPixels], names: Names | None, **more: Any
) -> Candidate:
    """The one mask of a label file, named by it, with the names that another file gives.

    ``more`` are further fields of the candidate.
    """

    def load() -> MaskPixels:
        pixels = read(path)
        return names.give(pixels) if names else pixels

    parts = (*_data_of(path), *((names.source,) if names else ()))
    return Candidate(path, more.pop("name", path.as_posix()), title, load, parts=parts, **more)


def _data_of(path: Path) -> tuple[Path, ...]:
    """The voxel file of a detached header."""
    try:
        return companion_files(path)
    except ColdalError:
        return ()


def volume_mask(path: Path, header: ScanHeader, array: NDArray[Any]) -> MaskPixels:
    """A volume as read by ``imaging``: values in file order, one per voxel.

    Raises
    ------
    ImageError : several channels.
    """
    if header.channels > 1:
        raise ImageError(
            f"the mask has {header.channels} channels per voxel",
            where=path.name,
            remedy="Save one label map with one whole number per voxel, not one channel per class.",
            code="several-channels",
        )
    values = array[..., 0]
    # Readers give pictures as (rows, columns); a mask with a header is (i, j) = (column, row).
    values = values.T if values.ndim == 2 else values
    affine = None if header.affine is None else np.asarray(header.affine)
    return MaskPixels(values, "ijk", affine, placed=affine is not None)


def read_any(path: Path) -> MaskPixels:
    """Decode a label file of a data set, whatever of the known formats it has.

    Raises
    ------
    ImageError : of no format that such data sets use, or what its reader raises.
    """
    from coldal_tui.exchange.importers import metaimage, nifti, nrrd, raster, seg_nrrd

    readers: tuple[tuple[Any, Callable[[Path], MaskPixels]], ...] = (
        (seg_nrrd.IMPORTER, seg_nrrd.read_segmentation),
        (nifti.IMPORTER, nifti.read_nifti_mask),
        (nrrd.IMPORTER, nrrd.read_nrrd_mask),
        (metaimage.IMPORTER, metaimage.read_metaimage_mask),
        (raster.IMPORTER, raster.read_picture_mask),
    )
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise ImageError(
            f"the file can't be read: {error.strerror or error}",
            where=path.name,
            remedy="Export or copy it again.",
            code="unreadable",
        ) from error
    for importer, read in readers:
        if importer.recognise(path, head):
            return read(path)
    raise ImageError(
        "its first bytes are of no label format known here",
        where=path.name,
        remedy="Save it as NIfTI, NRRD or PNG.",
        code="unreadable",
    )


def read_json(path: Path) -> Any:
    """A JSON file's content, kept while the file does not change; None where it is no JSON."""
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
