"""Defines what an importer returns: one mask, the scan it names, and its geometry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from coldal_tui.exchange.name_meanings import NameMeanings
from coldal_tui.imaging.image import Affine

Axes = Literal["ijk", "rows"]

FramesBy = Literal["", "position", "source"]
"""What places a DICOM-SEG frame: its position or the image it names; empty: both must agree."""

BLANK = "nothing is drawn in it"


@dataclass(frozen=True)
class ScanTarget:
    """A scan, with what the import of masks needs to know about it.

    ``shape`` and ``affine`` as in ``ScanHeader``: ``(rows, columns)`` or ``(i, j, k)``; for a 2-D
    scan with an affine, i is the column and j the row. ``names`` are the scan's file names, best
    as paths relative to the image folder (``p01/t1.nii.gz``), so that folders tell equal stems
    apart. ``files`` are the absolute paths of the image: those files are never masks.
    ``uids`` are its DICOM UIDs (series, frame of reference, SOP instances); ``instances`` are the
    SOP instance UIDs alone, in slice order; ``renamed`` maps the replacement UIDs of de-identified
    exports to the scan's own. ``prelabel`` is the label file that was exported with the scan, to
    find masks that were returned unedited. ``meanings`` maps class names to the project's classes,
    for formats that draw by class name; None when no label is wanted.
    ``patient`` is the patient's id. The last ``pseudonyms`` entries of ``names`` are its pseudonyms
    in de-identified exports.
    ``people`` are those to whom it was handed.
    ``frames_by`` decides between the two readings of a DICOM-SEG when they contradict each other.
    """

    scan_id: str
    shape: tuple[int, ...]
    names: tuple[str, ...]
    affine: Affine | None = None
    spacing: tuple[float, ...] | None = None
    uids: tuple[str, ...] = ()
    sha256: str | None = None
    files: tuple[str, ...] = ()
    prelabel: Path | None = None
    instances: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    meanings: NameMeanings | None = field(default=None, repr=False, compare=False)
    patient: str | None = None
    pseudonyms: int = 0
    people: tuple[str, ...] = ()
    frames_by: FramesBy = field(default="", compare=False)


@dataclass(frozen=True)
class MaskLayer:
    """A further layer on the grid of a mask, which may overlap it; ``names`` as in MaskPixels.

    ``level`` is its place in the file's order: a higher level covers a lower one. On one level the
    project's class order decides.
    """

    array: NDArray[Any]
    names: Mapping[int, str] | None = None
    level: int = 0


@dataclass(frozen=True)
class MaskPixels:
    """A decoded mask in its own grid, values as stored.

    ``array`` is ``(rows, columns)`` when ``axes`` is ``rows`` (a picture), or ``(i, j[, k])`` in
    file order when ``ijk``. ``affine`` maps (i, j, k, 1) to RAS mm; None where the format has
    none. ``placed`` is False when the header states no position, so that the affine is the reader's
    default. ``names``
    gives the class names of the values where the format stores them, ``colours`` their colours
    (``#rrggbb``), ``void`` the values that the format defines as undecided: they become
    ignore. ``layers`` are layers of the same shape that may overlap ``array``, which is on level 0.
    ``numbered`` is False when the importer itself numbered the names, so that a class map can't
    refer to these numbers. ``turned`` (degrees clockwise, a multiple of 90) is the rotation in
    which the tool showed the picture: a mask with rows and columns swapped is rotated back.
    """

    array: NDArray[Any]
    axes: Axes
    affine: NDArray[Any] | None = None
    placed: bool = True
    names: Mapping[int, str] | None = None
    notes: tuple[str, ...] = ()
    layers: tuple[MaskLayer, ...] = ()
    colours: Mapping[int, str] | None = None
    numbered: bool = True
    turned: int = 0
    void: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """One mask that an importer found, not yet decoded.

    ``file`` is the source file, whose hash identifies the mask when it is imported again; ``key``
    identifies the mask in a file of many and never changes between readings; ``parts`` are the
    other files that the mask is read
    from. ``name`` is the path-like name to match (the mask's own path, or the image's
    name where the format states it: ``names_image``). ``uids`` are the DICOM UIDs of what it was
    drawn on, the series first. ``exported`` are the class names of 1, 2, … from the manifest of the
    export it lies in. ``updated`` is when the mask was last changed, in seconds since 1970,
    if the format stores it. ``weak`` is the reason why any other mask of the scan replaces it, such
    as an image that is listed without a drawing
    (``BLANK``). ``load`` decodes; it raises ``ImageError``.
    ``other_names`` are further possible names of its image, for tools that rename pictures; tried
    in turn when ``name`` matches no scan.
    ``load_onto`` decodes on the grid of one scan, for formats that need it: contours, and frames
    that name their slices.
    ``decode`` is ``load`` from the bytes of ``file``, for formats that need no other file.
    ``together``: the mask was joined from several files or slices.
    ``minutes`` is how long its author drew, if the format stores it; ``minutes_from`` says who
    states it.
    """

    file: Path
    name: str
    format: str
    load: Callable[[], MaskPixels] = field(repr=False)
    names_image: bool = False
    other_names: tuple[str, ...] = ()
    scan_id: str | None = None
    uids: tuple[str, ...] = ()
    author: str | None = None
    tool: str | None = None
    load_onto: Callable[[ScanTarget], MaskPixels] | None = field(default=None, repr=False)
    key: str = ""
    parts: tuple[Path, ...] = ()
    updated: float | None = None
    weak: str = ""
    exported: tuple[str, ...] = ()
    decode: Callable[[bytes], MaskPixels] | None = field(default=None, repr=False)
    together: bool = False
    minutes: float | None = None
    minutes_from: Literal["file", "manifest"] = "file"

    def load_for(self, target: ScanTarget) -> MaskPixels:
        """Decode the mask for a scan. Raises ``ImageError``."""
        return self.load() if self.load_onto is None else self.load_onto(target)


def joined_minutes(parts: Sequence[Candidate]) -> tuple[float | None, Literal["file", "manifest"]]:
    """The minutes of a mask that is joined from ``parts``, and who states them.

    A manifest states those of the whole scan; those of files add up, if all files state them.
    """
    whole = [one.minutes for one in parts if one.minutes_from == "manifest"]
    told = next((minutes for minutes in whole if minutes is not None), None)
    if told is not None:
        return told, "manifest"
    known = [one.minutes for one in parts if one.minutes is not None]
    return (sum(known) if known and len(known) == len(parts) else None), "file"


@dataclass(frozen=True)
class PassedOver:
    """Something an importer found that is no mask, such as a task without a drawing."""

    file: Path
    key: str
    reason: str
