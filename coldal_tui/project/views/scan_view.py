"""One scan for the screen: facts, pixels, label, prediction and entropy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ColdalError, ImageError
from coldal_tui.files import sha256_file
from coldal_tui.imaging.entropyfile import read_entropy
from coldal_tui.imaging.image import ScanHeader, ScanRef
from coldal_tui.imaging.intensity_choice import IntensityChoice
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project.project import Project
from coldal_tui.project.views.scan_facts import ScanFacts, read_scan_facts
from coldal_tui.project.views.scan_pixels import Boxed, Pixels, ViewCache, boxed, pixels_of


@dataclass(frozen=True)
class Trouble:
    """Why something can't be shown, and the remedy."""

    what: str
    remedy: str = ""
    code: str = "error"


@dataclass(frozen=True, eq=False)
class Layer:
    """A label map or entropy map on the scan's grid (as ``Pixels.strides`` keeps it), or why not.

    ``name`` is its source: ``v2`` of the label, or the run.
    """

    name: str
    values: Boxed | None
    trouble: Trouble | None = None


@dataclass(frozen=True, eq=False)
class ScanView:
    """One scan, ready to be drawn; ``pixels`` is None when ``trouble`` says why."""

    facts: ScanFacts
    header: ScanHeader
    pixels: Pixels | None
    trouble: Trouble | None
    mask: Layer | None
    prediction: Layer | None
    entropy: Layer | None

    @property
    def scan_id(self) -> str:
        return self.facts.scan_id


def read_scan_view(
    project: Project, scan_id: str, cache: ViewCache, *, untrained: bool = False
) -> ScanView:
    """Read a scan with its overlays; each unreadable part is replaced by its error.

    ``untrained``: use only predictions of runs that did not train on this scan.

    Raises UsageError when there is no such scan.
    """
    facts = read_scan_facts(project, scan_id, untrained=untrained)
    header = facts.record.header()
    pixels, trouble = read_pixels(project, facts, cache)
    mask = prediction = entropy = None
    if facts.label is not None:
        name = f"v{facts.label.version}"
        whole = facts.label.sha256
        mask = read_layer(name, facts.label.file, "label", read_label, header, pixels, cache, whole)
    found = facts.prediction
    if found is not None:
        prediction = read_layer(
            found.run_id, found.file, "prediction", read_label, header, pixels, cache
        )
        if found.entropy is not None:
            entropy = read_layer(
                found.run_id, found.entropy, "entropy", read_entropy, header, pixels, cache
            )
    return ScanView(facts, header, pixels, trouble, mask, prediction, entropy)


def read_pixels(
    project: Project, facts: ScanFacts, cache: ViewCache
) -> tuple[Pixels | None, Trouble | None]:
    """The scan's pixels for display, or why there are none."""
    if facts.record.state != "present":
        remedy = "bring the file back, then coldal-tui index"
        return None, Trouble("the file is missing", remedy, "missing")
    ref, header = facts.record.ref(project.images), facts.record.header()
    try:
        how = project.intensity
        kind = f"pixels {how.words}"
        return cache.read(kind, ref.files, lambda: _decoded(ref, header, how)), None
    except Exception as error:  # decoders can fail in any way on damaged files
        return None, told(error, "copy the file again from its source")


def _decoded(ref: ScanRef, header: ScanHeader, how: IntensityChoice) -> Pixels:
    from coldal_tui.imaging.reading import read_scan

    image = read_scan(ref)
    if image.header.shape != header.shape:
        raise ImageError(
            f"the file holds {_size(image.header.shape)} now, and the project knows it as "
            f"{_size(header.shape)}",
            remedy="coldal-tui index takes the change in",
            code="changed",
        )
    return pixels_of(image, how=how)


def read_layer(
    name: str,
    file: Path | None,
    kind: str,
    read: Callable[[Path], NDArray[np.uint8]],
    header: ScanHeader,
    pixels: Pixels | None,
    cache: ViewCache,
    sha256: str = "",
) -> Layer:
    """``sha256``: the hash that the file must have, if known."""
    if file is None:
        return Layer(name, None, Trouble(f"the {kind}'s file is gone", "import the mask again"))
    strides = pixels.strides if pixels else (1,) * len(header.shape)

    def decoded() -> Boxed:
        if sha256 and sha256_file(file) != sha256:
            raise ColdalError(
                f"the {kind}'s file was changed on disk: it is not the one that was accepted",
                where=file.name,
                remedy="coldal-tui doctor --repair puts it back, or takes it in as a new version",
                code="label-changed",
            )
        values = read(file)
        if values.shape != header.shape:
            raise ImageError(
                f"the {kind} has {_size(values.shape)}, the scan {_size(header.shape)}",
                remedy="make it again for the scan as it is now",
                code="grid",
            )
        return boxed(values[tuple(slice(None, None, step) for step in strides)])

    try:
        return Layer(name, cache.read(f"{kind} {strides} {sha256}", [file], decoded))
    except Exception as error:  # a damaged overlay must not hide the picture
        return Layer(name, None, told(error, ""))


def told(error: Exception, remedy: str) -> Trouble:
    """An error to show instead of the picture; ``remedy`` is used when it has none."""
    if isinstance(error, ColdalError):
        return Trouble(error.what, error.remedy or remedy, error.code)
    return Trouble(str(error) or type(error).__name__, remedy, "unreadable")


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
