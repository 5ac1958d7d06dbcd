"""Labels and quarantined masks for the screen's lists; a quarantined mask as pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from coldal_tui.errors import ColdalError, ImageError
from coldal_tui.files import sha256_file
from coldal_tui.imaging.image import ScanHeader, ScanRef
from coldal_tui.project.inbox import ReturnedFile, read_inbox
from coldal_tui.project.project import Project
from coldal_tui.project.views.scan_pixels import Pixels, ViewCache, boxed, pixels_of
from coldal_tui.project.views.scan_view import Layer


@dataclass(frozen=True)
class LabelLine:
    """An active label; ``source`` is the file that it came from."""

    scan_id: str
    version: int
    role: str
    source: str
    geometry: str
    notes: tuple[str, ...]
    voxels: tuple[tuple[str, int], ...]
    created_at: str


@dataclass(frozen=True)
class WaitingLine:
    """A mask in quarantine: which file, for which scan, and why (message and remedy)."""

    number: int
    scan_id: str | None
    source: str
    file: str
    code: str
    message: str
    created_at: str
    sha256: str = ""


@dataclass(frozen=True)
class LabelView:
    """Labels in ``scan_id`` order, masks in quarantine by number, returned files by person."""

    labels: tuple[LabelLine, ...]
    waiting: tuple[WaitingLine, ...]
    returned: tuple[ReturnedFile, ...] = ()


def read_label_view(project: Project) -> LabelView:
    """The lists as they are now."""
    from coldal_tui.project.labels.importing import list_labels
    from coldal_tui.project.labels.quarantine import waiting

    labels = tuple(
        LabelLine(
            scan_id=row["scan_id"],
            version=row["version"],
            role=row["role"],
            source=row["source"],
            geometry=row["geometry"],
            notes=tuple(row["notes"]),
            voxels=tuple(row["voxels"].items()),
            created_at=row["created_at"],
        )
        for row in list_labels(project)
    )
    return LabelView(
        labels,
        tuple(
            WaitingLine(
                number=row["quarantine_id"],
                scan_id=row["scan_id"],
                source=row["source"],
                file=row["file"],
                code=row["code"],
                message=row["message"],
                created_at=row["created_at"],
                sha256=row["source_sha256"],
            )
            for row in waiting(project)
        ),
        read_inbox(project),
    )


@dataclass(frozen=True, eq=False)
class MaskPicture:
    """A mask file as it is, without any meaning of its values.

    ``changed``: it is no longer the file that was imported.
    """

    header: ScanHeader
    pixels: Pixels
    mask: Layer | None = None
    prediction: Layer | None = None
    entropy: Layer | None = None
    changed: bool = False

    def on_scan(self, header: ScanHeader, scan: Pixels) -> MaskPicture:
        """The mask's values as an overlay on a scan of the same shape."""
        array = self.pixels.array.max(axis=-1)
        whole = array.dtype == np.uint8 and self.pixels.scale == 1
        labels = array if whole else (array != array.min()).view(np.uint8)
        return MaskPicture(header, scan, mask=Layer("", boxed(labels)), changed=self.changed)


def read_mask_picture(project: Project, line: WaitingLine, cache: ViewCache) -> MaskPicture:
    """A mask in quarantine as a picture, from darkest to brightest value.

    Raises ImageError (or ColdalError) when the file is missing, is another person's outside the
    project, or is not a picture or volume.
    """
    from coldal_tui.project.labels.retry import mask_file

    try:
        path = mask_file(project, {"source": line.source, "file": line.file})
    except ColdalError as error:
        if error.code != "outside" or not line.file:
            raise
        # The labeler's file is not for this person's program to open; the copy is.
        path = project.file_of(line.file)
    header, pixels = _read(path, cache)
    changed = bool(line.sha256) and sha256_file(path) != line.sha256
    return MaskPicture(header, pixels, changed=changed)


def _read(path: Path, cache: ViewCache) -> tuple[ScanHeader, Pixels]:
    from coldal_tui.imaging.reading import read_header
    from coldal_tui.imaging.recognise import HEAD_BYTES, recognise

    try:
        with path.open("rb") as stream:
            found = recognise(path, stream.read(HEAD_BYTES))
    except OSError as error:
        raise ImageError(f"it can't be read: {error.strerror}", where=path.name) from error
    if found.kind is None:
        raise ImageError(f"there is no picture to show: {found.reason}", where=path.name)
    ref = ScanRef(found.kind, (str(path),))
    return read_header(ref), cache.read("mask file", [path], lambda: _decoded(ref))


def _decoded(ref: ScanRef) -> Pixels:
    """Its values scaled from minimum to maximum, so that 0 and 1 differ as 0 and 255 do."""
    from coldal_tui.imaging.reading import read_scan

    pixels = pixels_of(read_scan(ref))
    ends = pixels.array.min(), pixels.array.max()
    least, most = (float(end) * pixels.scale + pixels.offset for end in ends)
    return replace(pixels, limits=((least, max(most, least + 1)),) * len(pixels.limits))
