"""Exporters: what a labeler gets, one module per format, and what all of them are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

from coldal_tui.errors import UsageError
from coldal_tui.imaging.image import ScanHeader, ScanRef

Progress = Callable[[int, int, str], None]
"""Called with scans done, scans in all, and the scan at hand."""

_BUILT_IN = {"folder": "coldal_tui.exchange.exporters.folder:export_folder"}


@dataclass(frozen=True)
class ExportItem:
    """One scan for a labeler: its files, why it is in the queue, and a pre-label if there is one.

    ``prelabel`` is a label file on the scan's own grid (``imaging.labelfile``).
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


@dataclass(frozen=True)
class ExportMeta:
    """What the whole export says about itself. ``created`` is ISO 8601 with its offset."""

    project: str
    created: str
    classes: tuple[str, ...]
    ignore_value: int | None = None
    exported_by: str | None = None


@dataclass(frozen=True)
class ExportResult:
    """A finished export.

    ``files`` maps paths relative to ``folder`` to SHA-256. ``images`` maps each scan id to the
    SHA-256 of its image; for a DICOM series, of its files' hashes, one per line, in file order.
    """

    folder: Path
    files: dict[str, str]
    images: dict[str, str]


class Exporter(Protocol):
    """Writes one export, whole or not at all."""

    def __call__(
        self,
        out: Path,
        items: Sequence[ExportItem],
        meta: ExportMeta,
        progress: Progress | None = None,
    ) -> ExportResult:
        """Write ``items`` to the new folder ``out``."""


def export_formats() -> tuple[str, ...]:
    """Names that ``exporter`` knows, the plain folder first."""
    return tuple(_BUILT_IN)


def exporter(name: str) -> Exporter:
    """The exporter of that name.

    Raises
    ------
    UsageError : there is none.
    """
    if name not in _BUILT_IN:
        raise UsageError(
            f"no export format is called {name!r}",
            remedy=f"Use one of: {', '.join(sorted(_BUILT_IN))}.",
            code="format",
        )
    module, _, attribute = _BUILT_IN[name].partition(":")
    found: Exporter = getattr(import_module(module), attribute)
    return found
