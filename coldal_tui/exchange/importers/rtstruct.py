"""DICOM structure sets: contours in LPS mm, drawn on the slices of the scan (PS3.3 C.8.8.6).

A voxel belongs to a structure if its centre lies inside or on the contour: many programs draw
contours through the centres of the outermost pixels. Nested contours of one structure are holes,
either by XOR or as one keyhole contour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels, ScanTarget
from coldal_tui.exchange.importers.shared.contour_slices import Slices, place
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
from coldal_tui.imaging.affines import LPS_TO_RAS
from coldal_tui.imaging.labelfile import BACKGROUND
from coldal_tui.imaging.readers.limits import decoding
from coldal_tui.visible import counted

_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
_TITLE = "DICOM structure set"
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_SHOWN = 4
_CONTOUR_DATA = 0x30060050


class RtStructImporter:
    """Reads DICOM structure sets by their SOP class."""

    name = "rtstruct"
    priority = 0
    endings: Mapping[str, str] = {}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """Recognise RT Structure Set Storage."""
        return f"{_TITLE} file" if sop_class(head) == _CLASS else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """No other files belong to a structure set."""
        return frozenset()

    def candidates(self, path: Path) -> Iterator[Candidate]:
        """One candidate, with the UIDs of its source images."""
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
    """A structure: its name, its closed contours ``(n, 3)`` in LPS mm, and its number of others."""

    name: str
    contours: tuple[NDArray[np.float64], ...]
    others: int


def read_onto(path: Path, target: ScanTarget) -> MaskPixels:
    """Draw structures on a scan's slices; values number the structures from 1.

    Structures that mean background are not drawn. Parts outside the scan (couch, body) are cut off
    and reported. Slices between contours on every n-th slice are interpolated: see ``Slices``.

    Raises
    ------
    ImageError : damaged; the scan has no world coordinates; no contour is closed; or contours of a
        project class lie between slices or mostly outside the scan.
    """
    structures = read_structures(path)
    if target.affine is None:
        raise ImageError(
            "its contours are in mm, and the scan has no world coordinates",
            where=path.name,
            remedy="Import the mask in the scan's own pixels, such as NIfTI or PNG.",
            code="no-position",
        )
    affine = np.asarray(target.affine)
    to_voxels = np.linalg.inv(affine) @ LPS_TO_RAS
    shape = grid_shape(target)
    steps = np.linalg.norm(affine[:3, :2], axis=0)
    canvas = Canvas(shape, max(len(structures), 1))
    told = _Told()
    for number, structure in enumerate(structures, start=1):
        meaning = target.meanings.label(structure.name) if target.meanings else None
        if meaning == BACKGROUND:
            told.left_out.append(structure.name)
            continue
        rings = [contour @ to_voxels[:3, :3].T + to_voxels[:3, 3] for contour in structure.contours]
        wanted = target.meanings is None or meaning is not None
        placed = place(rings, shape, structure.name, wanted=wanted)
        slices = Slices(placed, shape, (float(steps[0]), float(steps[1])))
        for k, (left, right, top, bottom), drawn in slices.drawn():
            window = slice(left, right), slice(top, bottom), slice(k, k + 1)
            canvas.draw(window, drawn[:, :, None], number)
        told.learn(structure, slices)
    others = sum(one.others for one in told.drawn)
    if others and not any(one.contours for one in told.drawn):
        raise ImageError(
            f"none of its {others} contours encloses anything: points and open contours only",
            where=path.name,
            remedy="Draw closed contours.",
            code="no-outlines",
        )
    names = {number: one.name for number, one in enumerate(structures, start=1)}
    # The numbers are made here, so a class map can't refer to them.
    pixels = pixels_on(target, canvas, names, tuple(told.notes()))
    return replace(pixels, numbered=False, warnings=tuple(told.warnings))


def read_structures(path: Path) -> tuple[Structure, ...]:
    """Read the structures that have contours, in the set's order.

    Raises
    ------
    ImageError : damaged, or coordinates are not triples of numbers.
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
    """Contour data ``(n, 3)``; parsed at once, since there may be a million numbers."""
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
    """Remove exact repetitions, which XOR would cancel."""
    return list({contour.tobytes(): contour for contour in contours}.values())


@dataclass
class _Told:
    """Collects the notes on a structure set."""

    drawn: list[Structure] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def learn(self, structure: Structure, slices: Slices) -> None:
        """Record for a drawn structure what was cut, interpolated and left empty."""
        name, placed = structure.name, slices.placed
        self.drawn.append(structure)
        if placed.outside:
            what = counted(placed.outside, "contour")
            self.warnings.append(f"{name!r}: {what} outside the scan's slices left out")
        if placed.cut:
            self.warnings.append(
                f"{name!r}: {counted(placed.cut, 'contour')} cut at the scan's rim"
            )
        if slices.between:
            what = counted(slices.between, "slice")
            self.warnings.append(f"{name!r}: {what} between contours interpolated")
        if slices.gaps:
            shown = ", ".join(f"{a + 1} and {b + 1}" for a, b in slices.gaps[:_SHOWN])
            more = f" and {len(slices.gaps) - _SHOWN} more" if len(slices.gaps) > _SHOWN else ""
            self.warnings.append(
                f"{name!r}: nothing is drawn between its contours on slices {shown}{more}"
            )

    def notes(self) -> Iterator[str]:
        drawn = [one for one in self.drawn if one.contours]
        contours = sum(len(one.contours) for one in drawn)
        yield (
            f"{counted(contours, 'contour')} of {counted(len(drawn), 'structure')} "
            "drawn on the scan's slices"
        )
        others = sum(one.others for one in self.drawn)
        if others == 1:
            yield "1 point or open contour encloses nothing and was left out"
        elif others:
            yield f"{others} points and open contours enclose nothing and were left out"
        if self.left_out:
            shown = ", ".join(map(repr, self.left_out[:_SHOWN]))
            more = f" and {len(self.left_out) - _SHOWN} more" if len(self.left_out) > _SHOWN else ""
            yield f"background, not drawn: {shown}{more}"


def _without_scan(path: Path) -> MaskPixels:
    raise ImageError(
        "contours become a mask only on the grid of a scan",
        where=path.name,
        remedy="Index the series that it was drawn on.",
        code="no-scan",
    )


def _source_uids(dataset: Any) -> tuple[str, ...]:
    """UIDs of the series and instances that the contours refer to."""
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
