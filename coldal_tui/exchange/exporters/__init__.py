"""Exporters: one module per format, the registry, and the interface they share.

A format is added as one module with a function that fulfils :class:`Exporter` (most are made of a
``packing.Layout``), listed in ``_BUILT_IN``; another package adds one through the entry point
group ``coldal_tui.exporters``, whose entries name such functions. A plug-in that fails to load is
reported and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from coldal_tui import plugins
from coldal_tui.errors import UsageError
from coldal_tui.exchange.exporters.choices import SliceChoice
from coldal_tui.imaging.image import ScanHeader, ScanRef
from coldal_tui.imaging.intensity_choice import BY_FILE, IntensityChoice
from coldal_tui.plugins import PluginFailure

if TYPE_CHECKING:
    from coldal_tui.exchange.deidentify.masking import Deidentifier

Progress = Callable[[int, int, str], None]
"""Called with the number of scans done, the total, and the current scan."""

_BUILT_IN = {
    "folder": ("coldal_tui.exchange.exporters.folder:export_folder", "images as they are"),
    "nifti": ("coldal_tui.exchange.exporters.nifti:export_nifti", "NIfTI volumes for ITK-SNAP"),
    "slicer": ("coldal_tui.exchange.exporters.slicer:export_slicer", "3D Slicer, with a script"),
    "monai-label": (
        "coldal_tui.exchange.exporters.monai_label:export_monai_label",
        "a MONAI Label datastore",
    ),
    "nnunet": ("coldal_tui.exchange.exporters.nnunet:export_nnunet", "an nnU-Net data set"),
    "cvat": ("coldal_tui.exchange.exporters.cvat:export_cvat", "CVAT, volumes as slices"),
    "label-studio": (
        "coldal_tui.exchange.exporters.label_studio:export_label_studio",
        "Label Studio, volumes as slices",
    ),
    "coco": ("coldal_tui.exchange.exporters.coco:export_coco", "COCO, volumes as slices"),
    "dicom-seg": (
        "coldal_tui.exchange.exporters.dicom_seg:export_dicom_seg",
        "DICOM with segmentations",
    ),
}

SLICED = ("cvat", "label-studio", "coco")
"""Built-in formats that hand out volumes as slices."""


@dataclass(frozen=True)
class ExportItem:
    """One scan to export: its files, why it was selected, and its pre-label if any.

    ``scan_id`` is its id in the export: a pseudonym when de-identified. ``prelabel``
    is a label file on the scan's own grid (``imaging.labelfile``). ``layers`` are further such
    files with short names, such as two people's drawings; they go along in ``drawings/`` in any
    format.
    """

    scan_id: str
    rank: int
    ref: ScanRef
    header: ScanHeader
    role: str
    round: int
    cluster: int | None = None
    score: float | None = None
    strategy: str | None = None
    run: str | None = None
    prelabel: Path | None = None
    assignee: str | None = None
    layers: tuple[tuple[str, Path], ...] = ()


@dataclass(frozen=True)
class ExportMeta:
    """Metadata and options of a whole export.

    ``created`` is ISO 8601 with its offset, or empty when dates are left out. ``person`` is the
    labeler this folder is for, ``place`` the folder's name beside those of other
    labelers. ``slices`` chooses the slices of a volume for 2-D tools. ``deidentifier``, if given,
    cleans images. ``intensity`` is the rule that converts other images to 8-bit pictures.
    """

    project: str
    created: str
    classes: tuple[str, ...]
    ignore_value: int | None = None
    exported_by: str | None = None
    person: str | None = None
    place: str = ""
    slices: SliceChoice = field(default_factory=SliceChoice)
    deidentifier: Deidentifier | None = None
    intensity: IntensityChoice = BY_FILE


@dataclass(frozen=True)
class ExportResult:
    """A finished export.

    ``files`` maps paths relative to ``folder`` to SHA-256. ``images`` maps each scan id to the
    SHA-256 of the scan's own image, even if the export holds a converted file; for a DICOM
    series, of
    its files' hashes, one per line, in file order. ``prelabels`` are the scans that have one.
    """

    folder: Path
    files: dict[str, str]
    images: dict[str, str]
    prelabels: frozenset[str] = frozenset()


class Exporter(Protocol):
    """Writes one export, completely or not at all."""

    def __call__(
        self,
        out: Path,
        items: Sequence[ExportItem],
        meta: ExportMeta,
        progress: Progress | None = None,
    ) -> ExportResult:
        """Write ``items`` to the new folder ``out``."""


def export_formats() -> tuple[str, ...]:
    """The names of all formats: the plain folder first, plug-ins last."""
    return (
        *_BUILT_IN,
        *(name for name in plugins.entries(plugins.EXPORTER) if name not in _BUILT_IN),
    )


def describe_formats() -> dict[str, str]:
    """A short description of each built-in format."""
    return {name: words for name, (_, words) in _BUILT_IN.items()}


def hands_out_whole(name: str) -> bool:
    """Whether a built-in format hands volumes out whole, whatever slices are asked for."""
    return name in _BUILT_IN and name not in SLICED


def plugin_failures() -> tuple[PluginFailure, ...]:
    """Plug-in exporters that failed to load, and why."""
    return plugins.load_all(plugins.EXPORTER, as_exporter, tuple(_BUILT_IN)).failures


def exporter(name: str) -> Exporter:
    """The exporter of that name.

    Raises
    ------
    UsageError : there is none.
    ColdalError : it is a plug-in that can't be loaded.
    """
    found = plugins.named(plugins.EXPORTER, name, _BUILT_IN, as_exporter)
    if found is not None:
        return found
    raise UsageError(
        f"no export format is called {name!r}",
        remedy=f"Use one of: {', '.join(sorted(export_formats()))}.",
        code="format",
    )


def as_exporter(loaded: object) -> Exporter:
    """The function that a plug-in's entry names; raises TypeError if it is not a function."""
    if isinstance(loaded, type) or not callable(loaded):
        raise TypeError("it is no function of out, items, meta and progress")
    return loaded
