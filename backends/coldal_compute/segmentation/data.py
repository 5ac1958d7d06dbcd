"""Reads labels and the scans that they belong to, on the working grid, for training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coldal_compute.segmentation.grids import resize_label
from coldal_compute.segmentation.inputs.network_inputs import NetworkInputs, ReadScan
from coldal_compute.segmentation.metrics import IGNORE, surface
from coldal_compute.segmentation.reading_ahead import in_order
from coldal_tui.errors import ColdalError, ImageError
from coldal_tui.files import sha256_file
from coldal_tui.jobs.spec import FailedScan, LabelledScan, ScanInput
from coldal_tui.processors import usable_processors

ReadLabel = Callable[[Path], NDArray[np.uint8]]

_THICKNESS_SCANS = 32
_PLACES = 4096
_VOLUMES = 4
"""Volumes that are read at a time: decoded and resized, one may take a gigabyte."""


@dataclass(frozen=True)
class Readers:
    """The functions that read scans and labels; passed in, so that tests need no files."""

    scan: ReadScan
    label: ReadLabel


def file_readers() -> Readers:
    """The readers of the project's own image and label files."""
    from coldal_tui.imaging.labelfile import read_label
    from coldal_tui.imaging.reading import read_scan

    return Readers(read_scan, read_label)


@dataclass(frozen=True)
class Sample:
    """One training scan on the working grid.

    ``image`` is ``(channels, *grid)`` float16, ``label`` ``(*grid)`` uint8 with 255 ignored.
    float16 halves the memory; the network computes in float32. ``places`` has, for each class
    present, flat indices of some of its pixels, spread evenly.
    """

    scan_id: str
    image: NDArray[np.float16]
    label: NDArray[np.uint8]
    places: tuple[NDArray[np.int64], ...] = ()


def read_native_label(labelled: LabelledScan, readers: Readers) -> NDArray[np.uint8]:
    """Read a label and check that it lies on its scan's grid.

    Raises
    ------
    ImageError : the file can't be read, or its shape is not the scan's (code ``geometry``).
    ColdalError : its bytes are not those that the job was given (code ``label-changed``).
    """
    path = Path(labelled.label)
    if labelled.sha256 and path.is_file() and sha256_file(path) != labelled.sha256:
        raise ColdalError(
            "this label has changed since the job was planned",
            where=str(path),
            remedy="coldal-tui doctor --repair, then run the job again",
            code="label-changed",
        )
    label = readers.label(path)
    if label.shape != labelled.scan.shape:
        raise ImageError(
            f"the label's grid {label.shape} is not the scan's {labelled.scan.shape}",
            where=path.name,
            remedy="import the mask again; it has to be drawn on this scan",
            code="geometry",
        )
    return label


def relative_thickness(labels: Iterable[NDArray[np.uint8]], classes: int) -> float | None:
    """The thinnest class's width as a share of the long side; None without any foreground.

    Labels are uint8, each of its scan's shape.

    Width is 2·area / surface pixels: a long strip's width, a disc's radius. Per class the median
    over the labels, then the smallest class.
    """
    widths: list[list[float]] = [[] for _ in range(classes)]
    for label in labels:
        for value in range(1, classes + 1):
            mask = label == value
            if area := int(np.count_nonzero(mask)):
                widths[value - 1].append(2 * area / len(surface(mask)) / max(label.shape))
    medians = [float(np.median(found)) for found in widths if found]
    return min(medians) if medians else None


def measure_thickness(
    scans: Sequence[LabelledScan], classes: int, readers: Readers
) -> float | None:
    """``relative_thickness`` of the first readable labels of 2-D scans; None for volumes."""

    def labels() -> Iterable[NDArray[np.uint8]]:
        for labelled in scans[:_THICKNESS_SCANS]:
            try:
                yield read_native_label(labelled, readers)
            except Exception:
                # load_samples reads it again and records the reason.
                continue

    if any(len(labelled.scan.shape) != 2 for labelled in scans):
        return None
    return relative_thickness(labels(), classes)


def load_samples(
    scans: Sequence[LabelledScan],
    inputs: NetworkInputs,
    readers: Readers,
    told: Callable[[int], None] = lambda done: None,
    threads: int = 1,
) -> tuple[list[Sample], list[FailedScan]]:
    """Read scans and labels onto the working grid, in their order.

    A scan that fails is listed, not fatal. At most ``threads`` scans are read at a time, of volumes
    at most four; 0 stands for as many as this process may use.
    """
    samples: list[Sample] = []
    failed: list[FailedScan] = []
    classes = len(inputs.plan.classes)

    def load(labelled: LabelledScan) -> Sample:
        label = read_native_label(labelled, readers)
        image = inputs.of_labelled(labelled.scan)
        small = resize_label(label, image.shape[1:])
        small[(small > classes) & (small != IGNORE)] = IGNORE
        return Sample(labelled.scan.scan_id, image, small, class_places(small))

    most = threads or usable_processors()
    if inputs.plan.ndim > 2:
        most = min(most, _VOLUMES)
    for number, (labelled, loaded) in enumerate(in_order(scans, load, most), start=1):
        try:
            samples.append(loaded())
        except Exception as error:
            # One bad file never stops a run; the true reason is kept.
            failed.append(failure(labelled.scan, error))
        told(number)
    return samples, failed


def class_places(label: NDArray[np.uint8]) -> tuple[NDArray[np.int64], ...]:
    """Flat indices of at most 4096 pixels of each class that is present.

    Each of shape (M,).
    """
    found = []
    for value in np.unique(label):
        if value not in (0, IGNORE):
            every = np.flatnonzero(label == value)
            few = np.linspace(0, len(every) - 1, min(len(every), _PLACES)).astype(np.int64)
            found.append(every[few])
    return tuple(found)


def failure(scan: ScanInput, error: Exception) -> FailedScan:
    """The record of a scan that could not be used: the true reason in one line."""
    message = str(error).replace("\n", " ") or type(error).__name__
    return FailedScan(scan.scan_id, scan.ref.files[0] if scan.ref.files else "", message)
