"""DICOM structure sets: contours in LPS mm, drawn on the slices of the scan (PS3.3 C.8.8.6).

A voxel belongs to a structure when its centre lies inside the contour, or on it: many programs
run contours through the centres of the outermost pixels. Contours of one structure that lie in
one another cut holes, be it by XOR or as one line with a keyhole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels, ScanTarget
from coldal_tui.exchange.importers.shared.dicom_header import (
    drawn_on,
    items,
    moment,
    person,
    read_without_pixels,
    sop_class,
    tool,
    uids_of,
)
from coldal_tui.exchange.masks.grid_canvas import Canvas, grid_shape, pixels_on
from coldal_tui.exchange.masks.scanline import fill_rings
from coldal_tui.imaging.affines import LPS_TO_RAS
from coldal_tui.imaging.geometry import Triple
from coldal_tui.imaging.readers.limits import decoding
from coldal_tui.visible import counted

_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
_TITLE = "DICOM structure set"
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_OFF_PLANE = 0.25
"""How far from a slice's plane a contour may lie, in slices: planning systems round positions."""

_OFF_GRID = 1.0
"""How far a contour may leave the grid, in voxels: a body's outline may touch the last one."""

_CONTOUR_DATA = 0x30060050


class RtStructImporter:
    """Reads DICOM structure sets by their SOP class."""

    name = "rtstruct"
    priority = 0
    endings: Mapping[str, str] = {}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """RT Structure Set Storage."""
        return f"{_TITLE} file" if sop_class(head) == _CLASS else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """A structure set stands alone."""
        return frozenset()

    def candidates(self, path: Path) -> Iterator[Candidate]:
        """One candidate, with the UIDs of the images it was drawn on."""
        dataset, _ = read_without_pixels(path)
        yield Candidate(
            path,
            path.as_posix(),
            _TITLE,
            lambda: _without_scan(path),
            uids=_source_uids(dataset),
            author=person(dataset, "OperatorsName", "ReviewerName"),
            tool=tool(dataset),
            updated=moment(dataset, "StructureSetDate", "StructureSetTime"),
            load_onto=lambda target: read_onto(path, target),
        )


IMPORTER = RtStructImporter()


@dataclass(frozen=True)
class Structure:
    """A structure: its name, its closed contours ``(n, 3)`` in LPS mm, and how many are not."""

    name: str
    contours: tuple[NDArray[np.float64], ...]
    others: int


def read_onto(path: Path, target: ScanTarget) -> MaskPixels:
    """Draw all structures on a scan's slices; values number the structures from 1.

    Raises
    ------
    ImageError : damaged; the scan has no world coordinates; contours between or outside its
        slices.
    """
    structures = read_structures(path)
    if target.affine is None:
        raise ImageError(
            "its contours are in mm, and the scan has no world coordinates",
            where=path.name,
            remedy="Import the mask in the scan's own pixels, such as NIfTI or PNG.",
            code="no-position",
        )
    to_voxels = np.linalg.inv(np.asarray(target.affine)) @ LPS_TO_RAS
    shape = grid_shape(target)
    canvas = Canvas(shape, max(len(structures), 1))
    for number, structure in enumerate(structures, start=1):
        rings = [contour @ to_voxels[:3, :3].T + to_voxels[:3, 3] for contour in structure.contours]
        for k, group in _by_slice(rings, shape, structure.name).items():
            _draw(canvas, k, group, number)
    names = {number: one.name for number, one in enumerate(structures, start=1)}
    # The numbers are ours: nobody can mean a structure by its value.
    return replace(pixels_on(target, canvas, names, tuple(_notes(structures))), numbered=False)


def read_structures(path: Path) -> tuple[Structure, ...]:
    """The structures of a set that have contours, in its order.

    Raises
    ------
    ImageError : damaged, or coordinates that are no numbers or no triples.
    """
    dataset, _ = read_without_pixels(path)
    with decoding(path):
        names = {
            str(roi.get("ROINumber")): str(roi.get("ROIName") or "").strip()
            for roi in items(dataset, "StructureSetROISequence")
        }
        found = []
        for roi in items(dataset, "ROIContourSequence"):
            number = str(roi.get("ReferencedROINumber"))
            name = names.get(number) or f"ROI {number}"
            contours = list(items(roi, "ContourSequence"))
            closed = [c for c in contours if str(c.get("ContourGeometricType")) in _CLOSED]
            points = _distinct([_points(contour, path, name) for contour in closed])
            if contours:
                found.append(Structure(name, tuple(points), len(contours) - len(closed)))
        return tuple(found)


def _points(contour: Any, path: Path, name: str) -> NDArray[np.float64]:
    """Contour data ``(n, 3)``; parsed as a whole, for there may be a million numbers."""
    element = contour.get_item(_CONTOUR_DATA)
    raw = None if element is None else element.value
    if isinstance(raw, (bytes, str)):
        separator: Any = b"\\" if isinstance(raw, bytes) else "\\"
        text = raw.strip(b" \0" if isinstance(raw, bytes) else " \0")  # type: ignore[arg-type]
        numbers = np.array(text.split(separator) if text else [], dtype=np.float64)
    else:
        numbers = np.array([float(v) for v in raw or ()], dtype=np.float64)
    if numbers.size == 0 or numbers.size % 3 or not np.isfinite(numbers).all():
        raise ImageError(
            f"a contour of {name!r} holds {numbers.size} coordinates that are no points",
            where=path.name,
            remedy="Export the structure set again.",
            code="damaged",
        )
    return numbers.reshape(-1, 3)


def _distinct(contours: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Without exact repetitions: by XOR they would cancel each other."""
    return list({contour.tobytes(): contour for contour in contours}.values())


def _by_slice(
    rings: list[NDArray[np.float64]], shape: Triple, name: str
) -> dict[int, list[NDArray[np.float64]]]:
    """Rings ``(n, 2)`` of (i, j) by slice; every ring lies in the plane of one."""
    groups: dict[int, list[NDArray[np.float64]]] = {}
    for ring in rings:
        k = round(float(ring[:, 2].mean()))
        stray = float(np.abs(ring[:, 2] - k).max())
        if stray > _OFF_PLANE:
            raise _misplaced(name, f"lies between the scan's slices ({stray:.2f} slices off)")
        beyond = float(np.maximum(-ring[:, :2], ring[:, :2] - (np.array(shape[:2]) - 1)).max())
        if not 0 <= k < shape[2]:
            raise _misplaced(name, f"lies on slice {k + 1}; the scan has {shape[2]}")
        if beyond > _OFF_GRID:
            raise _misplaced(name, f"reaches {beyond:.0f} voxels beyond the scan")
        groups.setdefault(k, []).append(ring[:, :2])
    return groups


def _misplaced(name: str, what: str) -> ImageError:
    return ImageError(
        f"a contour of {name!r} {what}",
        remedy="Check that it was drawn on this series, and not on a reformatted one.",
        code="geometry",
    )


def _draw(canvas: Canvas, k: int, rings: list[NDArray[np.float64]], number: int) -> None:
    """Fill the rings of one slice, within the box around them."""
    points = np.concatenate(rings)
    room = canvas.layers[0].shape
    low = np.maximum(np.floor(points.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 1, room[:2])
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    if min(size) < 1:
        return
    drawn = fill_rings([ring - low for ring in rings], size, edges_inside=True)
    window = (slice(low[0], high[0]), slice(low[1], high[1]), slice(k, k + 1))
    canvas.draw(window, drawn[:, :, None], number)


def _notes(structures: tuple[Structure, ...]) -> Iterator[str]:
    drawn = [one for one in structures if one.contours]
    contours = sum(len(one.contours) for one in drawn)
    yield (
        f"{counted(contours, 'contour')} of {counted(len(drawn), 'structure')} "
        "drawn on the scan's slices"
    )
    others = sum(one.others for one in structures)
    if others == 1:
        yield "1 point or open contour encloses nothing and was left out"
    elif others:
        yield f"{others} points and open contours enclose nothing and were left out"


def _without_scan(path: Path) -> MaskPixels:
    raise ImageError(
        "contours become a mask only on the grid of a scan",
        where=path.name,
        remedy="Index the series that it was drawn on.",
        code="no-scan",
    )


def _source_uids(dataset: Any) -> tuple[str, ...]:
    """Series and instances of the images that the contours were drawn on."""
    in_series = (
        "ReferencedFrameOfReferenceSequence",
        "RTReferencedStudySequence",
        "RTReferencedSeriesSequence",
    )
    series = uids_of(items(dataset, *in_series), "SeriesInstanceUID")
    keyword = "ReferencedSOPInstanceUID"
    on_contours = ("ROIContourSequence", "ContourSequence", "ContourImageSequence")
    instances = uids_of(items(dataset, *on_contours), keyword) or uids_of(
        items(dataset, *in_series, "ContourImageSequence"), keyword
    )
    return drawn_on(dataset, series, instances)
