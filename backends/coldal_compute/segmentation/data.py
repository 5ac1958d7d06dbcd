"""Prepares scans and labels for the network: read, resampled to the working grid, normalised."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from coldal_compute.segmentation.grids import resize_image, resize_label
from coldal_compute.segmentation.metrics import IGNORE, surface
from coldal_compute.segmentation.plan import Plan
from coldal_tui.errors import ColdalError, ImageError
from coldal_tui.files import atomic_write, sha256_file
from coldal_tui.imaging.image import ScanImage, ScanRef
from coldal_tui.jobs.spec import FailedScan, LabelledScan, ScanInput

ReadScan = Callable[[ScanRef], ScanImage]
ReadLabel = Callable[[Path], NDArray[np.uint8]]

_PREPROCESSING = 3
"""Counts changes to what ``preprocess`` does, so that cached tensors of older ones are not read."""
_CACHE_BYTES = 8 * 1024**3
_THICKNESS_SCANS = 32
_PLACES = 4096
_FLAT = 1e-4
"""A deviation (of intensities in [0, 1]) that is rounding after resizing, not contrast."""


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


def preprocess(image: ScanImage, plan: Plan) -> NDArray[np.float16]:
    """Bring a scan to the working grid: intensities to [0, 1], resized, z-scored per channel.

    Returns ``(plan.in_channels, *working grid)`` float16; a constant channel becomes zeros.

    Raises
    ------
    ImageError : the scan has another number of dimensions than the plan.
    """
    from coldal_tui.imaging.intensity import limits_of, scaled

    header = image.header
    if len(header.shape) != plan.ndim:
        raise ImageError(
            f"a {len(header.shape)}-D scan, but the run was trained on {plan.ndim}-D scans",
            remedy="exclude the scan, or keep images and volumes in projects of their own",
            code="dimensions",
        )
    unit = scaled(image.array, limits_of(image.array, header.modality, plan.intensity))
    array = np.moveaxis(fit_channels(unit, plan.in_channels), -1, 0)
    if not np.isfinite(array).all():  # limits too far apart for float32
        array = np.nan_to_num(array, nan=0.0, posinf=1.0, neginf=0.0)
    array = resize_image(array, plan.working_shape(header.shape, header.spacing))
    return z_score(array).astype(np.float16)


def fit_channels(array: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """Bring channels-last pixels to ``channels``: grey is repeated for colour, colour becomes luma.

    ``array`` is (*grid, channels), and so is the result.

    Raises
    ------
    ImageError : another number of channels (code ``channels``): none is ever dropped.
    """
    own = array.shape[-1]
    if own == channels:
        return array
    if (own, channels) == (3, 1):
        # Luma of ITU-R BT.601, as Pillow's convert("L").
        grey = array @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
        return np.asarray(grey[..., np.newaxis], dtype=np.float32)
    if (own, channels) == (1, 3):
        return np.repeat(array, 3, axis=-1)
    raise ImageError(
        f"a scan of {own} channel{'' if own == 1 else 's'}, and the network takes {channels}",
        remedy="exclude it, keep scans of other channels in a project of their own, or train again",
        code="channels",
    )


def z_score(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(channels, *grid)`` with mean 0 and deviation 1 per channel; a flat channel is zeros."""
    axes = tuple(range(1, array.ndim))
    mean = array.mean(axis=axes, keepdims=True, dtype=np.float64)
    deviation = array.std(axis=axes, keepdims=True, dtype=np.float64)
    scaled = (array - mean) / np.maximum(deviation, _FLAT)
    return np.asarray(np.where(deviation > _FLAT, scaled, 0.0), dtype=np.float32)


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
    plan: Plan,
    readers: Readers,
    cache: Path | None = None,
    told: Callable[[int], None] = lambda done: None,
) -> tuple[list[Sample], list[FailedScan]]:
    """Read scans and labels onto the working grid; a scan that fails is listed, not fatal."""
    samples: list[Sample] = []
    failed: list[FailedScan] = []
    for number, labelled in enumerate(scans, start=1):
        try:
            label = read_native_label(labelled, readers)
            image = cached_image(labelled.scan, plan, _checked(labelled.scan, readers.scan), cache)
        except Exception as error:
            # One bad file never stops a run; the true reason is kept.
            failed.append(failure(labelled.scan, error))
        else:
            small = resize_label(label, image.shape[1:])
            small[(small > len(plan.classes)) & (small != IGNORE)] = IGNORE
            samples.append(Sample(labelled.scan.scan_id, image, small, class_places(small)))
        told(number)
    return samples, failed


def _checked(scan: ScanInput, read: ReadScan) -> ReadScan:
    """``read`` that raises ImageError where the scan's files are not those that the index knew.

    A mask that was drawn on another image would teach nonsense without a word.
    """
    from coldal_tui.imaging.indexing import is_as_indexed

    def read_checked(ref: ScanRef) -> ScanImage:
        image = read(ref)
        if not is_as_indexed(ref, scan.quick_hash):
            raise ImageError(
                "the image changed after the last index, so its label may not fit",
                where=Path(ref.files[0]).name,
                remedy="coldal-tui index takes the change in, and asks about the label",
                code="changed",
            )
        return image

    return read_checked


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


def cached_image(
    scan: ScanInput, plan: Plan, read: ReadScan, cache: Path | None
) -> NDArray[np.float16]:
    """The preprocessed scan, from the cache folder where it has it (then memory-mapped).

    Returns (channels, *grid) float16.
    """
    if cache is None:
        return preprocess(read(scan.ref), plan)
    path = cache / f"{_cache_key(scan, plan)}.npy"
    try:
        image = np.load(path, mmap_mode="r", allow_pickle=False)
        os.utime(path)
    except (OSError, ValueError):
        image = preprocess(read(scan.ref), plan)
        _store(path, image)
    return np.asarray(image, dtype=np.float16) if plan.ndim == 2 else image


def _cache_key(scan: ScanInput, plan: Plan) -> str:
    shape = plan.working_shape(scan.shape, scan.spacing)
    parts = [_PREPROCESSING, scan.quick_hash, scan.modality, plan.in_channels, shape]
    parts.append(plan.intensity)
    return hashlib.sha256(msgspec.json.encode([*parts, scan.ref])).hexdigest()[:40]


def _store(path: Path, image: NDArray[np.float16]) -> None:
    def write(stream: BinaryIO) -> None:
        np.save(stream, image, allow_pickle=False)

    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, write)
    trim_cache(path.parent, _CACHE_BYTES)


def trim_cache(folder: Path, limit: int) -> None:
    """Remove the tensors used longest ago until the folder holds at most ``limit`` bytes."""
    found = sorted((p.stat().st_mtime_ns, p.stat().st_size, p) for p in folder.glob("*.npy"))
    total = sum(size for _, size, _ in found)
    for _, size, path in found[:-1]:
        if total <= limit:
            return
        path.unlink(missing_ok=True)
        total -= size
