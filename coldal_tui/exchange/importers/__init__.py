"""Importers: one module per mask format, and their registry.

A format is added as one module with an object that fulfils :class:`Importer`, listed in
``_BUILT_IN``; another package adds one through the entry point group ``coldal_tui.importers``,
whose entries name such objects. A plug-in that fails to load is reported and left out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import ParamSpec, Protocol, runtime_checkable

from coldal_tui import plugins
from coldal_tui.errors import ColdalError, ImageError, UsageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels, PassedOver
from coldal_tui.plugins import PluginFailure

P = ParamSpec("P")
HEAD_BYTES = 4096
"""Number of first bytes of a file that ``recognise`` gets."""

_BUILT_IN = (
    "coldal_tui.exchange.importers.nifti:IMPORTER",
    "coldal_tui.exchange.importers.seg_nrrd:IMPORTER",
    "coldal_tui.exchange.importers.mitk:IMPORTER",
    "coldal_tui.exchange.importers.mitk_stack:IMPORTER",
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
    "coldal_tui.exchange.importers.labelme_xml:IMPORTER",
    "coldal_tui.exchange.importers.darwin:IMPORTER",
    "coldal_tui.exchange.importers.datumaro:IMPORTER",
    "coldal_tui.exchange.importers.qupath:IMPORTER",
    "coldal_tui.exchange.importers.labelstudio:IMPORTER",
    "coldal_tui.exchange.importers.labelstudio_masks:IMPORTER",
    "coldal_tui.exchange.importers.supervisely:IMPORTER",
    "coldal_tui.exchange.importers.via:IMPORTER",
    "coldal_tui.exchange.importers.mots:IMPORTER",
    "coldal_tui.exchange.importers.labelmap:IMPORTER",
    "coldal_tui.exchange.importers.labelmap:MAP_IMPORTER",
    "coldal_tui.exchange.importers.raster:IMPORTER",
    "coldal_tui.exchange.importers.numpy_array:IMPORTER",
)


@runtime_checkable
class Importer(Protocol):
    """Finds the masks in files of one format.

    ``name`` is the value for
    ``--format``. ``priority`` decides between importers that recognise the
    same file: higher first; formats with a key file beside plain pictures (an XML, a JSON) set it
    above 0. ``endings`` (lower case, with the format's name for people) claim files whose content
    no importer recognises, so that a damaged mask is reported rather than skipped. An importer that
    caches what it read in neighbouring files has a method ``forget()``, called at the start of a
    survey.
    """

    name: str
    priority: int
    endings: Mapping[str, str]

    def recognise(self, path: Path, head: bytes) -> str | None:
        """The format's display name (``PNG``) if the importer recognises the file, else None.

        ``head`` is the file's first ``HEAD_BYTES`` bytes.
        """

    def belongings(self, path: Path) -> frozenset[Path]:
        """Files near ``path`` that belong to it and are not masks themselves."""

    def candidates(self, path: Path) -> Iterator[Candidate | PassedOver]:
        """The masks in ``path``, not yet decoded, and other things found that are no masks.

        Raises
        ------
        ImageError : the file can't be read as this format.
        """


@dataclass(frozen=True)
class Registry:
    """The available importers, highest priority first, and the plug-ins that failed."""

    importers: tuple[Importer, ...]
    failures: tuple[PluginFailure, ...] = ()

    def select(self, format_name: str) -> tuple[Importer, ...]:
        """All importers for ``auto``, else the named one.

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
    """Load the built-in importers and those of installed plug-ins."""
    found = [_built_in(reference) for reference in _BUILT_IN]
    outside = plugins.load_all(plugins.IMPORTER, as_importer)
    taken = {importer.name for importer in found}
    failures = list(outside.failures)
    for name, importer in outside.working.items():
        if importer.name in taken:
            why = f"it is left out: there is a mask format {importer.name!r} already"
            package = plugins.package_of(plugins.entries(plugins.IMPORTER)[name])
            failures.append(PluginFailure(name, why, package))
        else:
            taken.add(importer.name)
            found.append(Guarded(importer))
    found.sort(key=lambda importer: -importer.priority)
    return Registry(tuple(found), tuple(failures))


def _built_in(reference: str) -> Importer:
    module, _, attribute = reference.partition(":")
    found: Importer = getattr(import_module(module), attribute)
    return found


def as_importer(loaded: object) -> Importer:
    """The importer from a plug-in's entry (object or class); raises TypeError if it is none."""
    plugin = loaded() if isinstance(loaded, type) else loaded
    if not isinstance(plugin, Importer):
        raise TypeError("it lacks name, priority, endings, recognise, belongings or candidates")
    return plugin


class Guarded:
    """Wraps a plug-in's importer, so that its errors affect only the files they occur on.

    After an error in ``recognise`` the other importers get the file, and the error is reported
    once; an error in reading rejects that file.
    """

    def __init__(self, importer: Importer) -> None:
        self._importer = importer
        self._told = False
        self.name = str(importer.name)
        self.priority = int(importer.priority)
        self.endings: Mapping[str, str] = dict(importer.endings)

    def recognise(self, path: Path, head: bytes) -> str | None:
        """As ``Importer.recognise``; None when it fails."""
        try:
            title = self._importer.recognise(path, head)
        except Exception as error:  # third-party code may raise anything
            self._tell(path, error)
            return None
        return None if title is None else str(title)

    def belongings(self, path: Path) -> frozenset[Path]:
        """As ``Importer.belongings``; empty when it fails."""
        try:
            return frozenset(self._importer.belongings(path))
        except Exception as error:  # third-party code may raise anything
            self._tell(path, error)
            return frozenset()

    def candidates(self, path: Path) -> Iterator[Candidate | PassedOver]:
        """As ``Importer.candidates``; raises ImageError (code ``plug-in``) when it fails."""
        try:
            for found in self._importer.candidates(path):
                yield self._kept(found)
        except ColdalError:
            raise
        except Exception as error:  # third-party code may raise anything
            raise self._fault(path, error) from error

    def forget(self) -> None:
        """As described at ``Importer``; optional for a plug-in."""
        forget = getattr(self._importer, "forget", None)
        if forget is not None:
            forget()

    def _kept(self, found: Candidate | PassedOver) -> Candidate | PassedOver:
        if isinstance(found, PassedOver):
            return found
        return replace(
            found,
            load=self._safe(found, found.load),
            load_onto=None if found.load_onto is None else self._safe(found, found.load_onto),
            decode=None if found.decode is None else self._safe(found, found.decode),
        )

    def _safe(self, found: Candidate, decode: Callable[P, MaskPixels]) -> Callable[P, MaskPixels]:
        def decoded(*args: P.args, **kwargs: P.kwargs) -> MaskPixels:
            try:
                return decode(*args, **kwargs)
            except ColdalError:
                raise
            except Exception as error:  # third-party code may raise anything
                raise self._fault(found.file, error) from error

        return decoded

    def _fault(self, path: Path, error: Exception) -> ImageError:
        return ImageError(
            f"the plug-in for the mask format {self.name!r} failed: {plugins.reason(error)}",
            where=str(path),
            remedy="tell its author; the other files are not concerned",
            code="plug-in",
        )

    def _tell(self, path: Path, error: Exception) -> None:
        if not self._told:
            self._told = True
            logging.getLogger(__name__).warning("%s", self._fault(path, error))
