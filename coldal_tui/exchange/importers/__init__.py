"""Importers: one module per mask format, and where they are registered.

A format is added as one module with an object that fulfils :class:`Importer`, listed in
``_BUILT_IN``; another package adds one through the entry point group ``coldal_tui.importers``,
whose entries name such objects. A plug-in that fails to load is reported and left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, runtime_checkable

from coldal_tui.errors import UsageError
from coldal_tui.exchange.candidate import Candidate, PassedOver

ENTRY_POINT_GROUP = "coldal_tui.importers"
HEAD_BYTES = 4096
"""How much of a file ``recognise`` is shown."""

_BUILT_IN = (
    "coldal_tui.exchange.importers.nifti:IMPORTER",
    "coldal_tui.exchange.importers.seg_nrrd:IMPORTER",
    "coldal_tui.exchange.importers.nnunet:IMPORTER",
    "coldal_tui.exchange.importers.nnunet:PREDICTIONS",
    "coldal_tui.exchange.importers.monai_label:IMPORTER",
    "coldal_tui.exchange.importers.monai_label:ORIGINAL",
    "coldal_tui.exchange.importers.nrrd:IMPORTER",
    "coldal_tui.exchange.importers.metaimage:IMPORTER",
    "coldal_tui.exchange.importers.dicom_seg:IMPORTER",
    "coldal_tui.exchange.importers.rtstruct:IMPORTER",
    "coldal_tui.exchange.importers.coco:IMPORTER",
    "coldal_tui.exchange.importers.cvat:IMPORTER",
    "coldal_tui.exchange.importers.labelme:IMPORTER",
    "coldal_tui.exchange.importers.labelstudio:IMPORTER",
    "coldal_tui.exchange.importers.labelstudio_masks:IMPORTER",
    "coldal_tui.exchange.importers.supervisely:IMPORTER",
    "coldal_tui.exchange.importers.labelmap:IMPORTER",
    "coldal_tui.exchange.importers.labelmap:MAP_IMPORTER",
    "coldal_tui.exchange.importers.raster:IMPORTER",
)


@runtime_checkable
class Importer(Protocol):
    """Turns files of one format into candidates.

    ``name`` is what ``--format`` takes. ``priority`` decides between importers that recognise the
    same file: higher first; formats with a key file beside plain pictures (an XML, a JSON) set it
    above 0. ``endings`` (lower case, with the format's name for people) claim files whose content
    nobody recognises, so that a damaged mask is reported and not passed over. An importer that
    remembers what it looked up beside files has a method ``forget()``, called when a survey begins.
    """

    name: str
    priority: int
    endings: Mapping[str, str]

    def recognise(self, path: Path, head: bytes) -> str | None:
        """The format's name for people (``PNG``) if the content is this importer's, else None.

        ``head`` is the file's first ``HEAD_BYTES`` bytes.
        """

    def belongings(self, path: Path) -> frozenset[Path]:
        """Files beside ``path`` that are part of the same import and no masks on their own."""

    def candidates(self, path: Path) -> Iterator[Candidate | PassedOver]:
        """The masks in ``path``, undecoded; and what was found there and is no mask.

        Raises
        ------
        ImageError : the file can't be read as this format.
        """


@dataclass(frozen=True)
class PluginFailure:
    """An importer of another package that could not be loaded."""

    name: str
    message: str


@dataclass(frozen=True)
class Registry:
    """The importers at hand, highest priority first, and the plug-ins that failed."""

    importers: tuple[Importer, ...]
    failures: tuple[PluginFailure, ...] = ()

    def select(self, format_name: str) -> tuple[Importer, ...]:
        """All importers for ``auto``, else the one named.

        Raises
        ------
        UsageError : no importer has that name.
        """
        if format_name == "auto":
            return self.importers
        for importer in self.importers:
            if importer.name == format_name:
                return (importer,)
        names = ", ".join(sorted(importer.name for importer in self.importers))
        raise UsageError(
            f"no mask format is called {format_name!r}",
            remedy=f"Use auto or one of: {names}.",
            code="format",
        )


def load_registry() -> Registry:
    """The built-in importers and those of installed plug-ins."""
    found: list[Importer] = []
    failures: list[PluginFailure] = []
    for reference in _BUILT_IN:
        module, _, attribute = reference.partition(":")
        found.append(getattr(import_module(module), attribute))
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        try:
            found.append(_as_importer(entry.load()))
        except Exception as error:  # a plug-in's fault must not stop the built-in formats
            failures.append(PluginFailure(entry.name, f"{type(error).__name__}: {error}"))
    found.sort(key=lambda importer: -importer.priority)
    return Registry(tuple(found), tuple(failures))


def _as_importer(loaded: object) -> Importer:
    # Plug-ins may name the object or its class.
    plugin = loaded() if isinstance(loaded, type) else loaded
    if not isinstance(plugin, Importer):
        raise TypeError("it lacks name, priority, endings, recognise, belongings or candidates")
    return plugin
