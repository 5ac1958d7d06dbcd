"""What an importer hands over: one drawn mask, who it says it belongs to, where it lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from coldal_tui.exchange.name_meanings import NameMeanings
from coldal_tui.imaging.image import Affine

Axes = Literal["ijk", "rows"]

FramesBy = Literal["", "position", "source"]
"""Whether a frame lies at its position, or on the image that it names; empty: they must agree."""

BLANK = "nothing is drawn in it"


@dataclass(frozen=True)
class ScanTarget:
    """A scan as mask import sees it.

    ``shape`` and ``affine`` as in ``ScanHeader``: ``(rows, columns)`` or ``(i, j, k)``; for a 2-D
    scan with an affine, i is the column and j the row. ``names`` are the scan's file names, best
    as paths relative to the image folder (``p01/t1.nii.gz``), so that folders tell equal stems
    apart. ``files`` are the absolute paths of the image: those files are never masks.
    ``uids`` are its DICOM UIDs (series, frame of reference, SOP instances); ``instances`` are the
    SOP instance UIDs alone, in slice order; ``renamed`` leads from the UIDs that a de-identified
    export gave in their place to the scan's own. ``prelabel`` is the label file that was exported
    with the scan, to notice masks that nobody edited. ``meanings`` is what class names mean in the
    project, for formats in which that decides what is drawn; None where nobody asks for a label.
    ``patient`` is the patient's id. The last
    ``pseudonyms`` of the names are what de-identified exports called it.
    ``frames_by`` says which of a DICOM-SEG's two readings counts where they contradict each other.
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
    frames_by: FramesBy = field(default="", compare=False)


@dataclass(frozen=True)
class MaskLayer:
    """A further drawing on the grid of a mask, which may overlap it; ``names`` as there.

    ``level`` is its place in the file's own order: what lies higher covers what lies lower. On
    one level the order is the project's.
    """

    array: NDArray[Any]
    names: Mapping[int, str] | None = None
    level: int = 0


@dataclass(frozen=True)
class MaskPixels:
    """A decoded mask in its own grid, values as stored.

    ``array`` is ``(rows, columns)`` when ``axes`` is ``rows`` (a picture), or ``(i, j[, k])`` in
    file order when ``ijk``. ``affine`` maps (i, j, k, 1) to RAS mm; None where the format has
    none. ``placed`` is False when the header only holds a reader's fallback position. ``names``
    gives the class names of the values where the format stores them, ``colours`` how they look
    (``#rrggbb``), ``void`` which values its format leaves undecided: they are ignored. ``layers``
    are drawings of the same shape that may overlap ``array``, which is on level 0.
    ``numbered`` is False where the values are only the importer's numbering of the names, so that
    nobody can mean them by number. ``turned`` (degrees clockwise, a multiple of 90) is how the
    tool showed the picture: a mask that has its size with the sides swapped is turned back.
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

    ``file`` is the source whose hash makes an import repeatable; ``key`` tells its masks apart
    where it holds many, and is the same in every reading; ``parts`` are the other files that the
    mask is read from. ``name`` is the path-like name to match (the mask's own path, or the image's
    name where the format states it: ``names_image``). ``uids`` are the DICOM UIDs of what it was
    drawn on, the series first. ``exported`` are the class names of 1, 2, … by the manifest of the
    export that it lies in. ``updated`` is when the mask was last changed, in seconds since 1970,
    where the format says so. ``weak`` is why it gives way to any other mask of the scan, such as an
    image that is listed without a drawing (``BLANK``). ``load`` decodes; it raises ``ImageError``.
    ``other_names`` are what its image may be called besides, where the tool renames pictures; tried
    in turn when ``name`` fits no scan.
    ``load_onto`` decodes for one scan, where the format needs its grid: contours, frames that
    name the slices they lie on.
    ``decode`` does as ``load`` with the bytes of ``file``, where it needs nothing else.
    ``together``: it is one mask of several that came back, and none of its file alone.
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

    def load_for(self, target: ScanTarget) -> MaskPixels:
        """The mask for a scan, decoded. Raises ``ImageError``."""
        return self.load() if self.load_onto is None else self.load_onto(target)


@dataclass(frozen=True)
class PassedOver:
    """What an importer found and takes for no mask, such as a task that nobody has drawn yet."""

    file: Path
    key: str
    reason: str
