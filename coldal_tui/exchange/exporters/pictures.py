"""Writes scans as 8-bit pictures for 2-D tools: a 2-D scan as one, a volume as slices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coldal_tui.exchange.exporters import ExportItem, ExportMeta
from coldal_tui.exchange.exporters.atomic_folder import Stage
from coldal_tui.exchange.exporters.images import prelabel_of, source_sha256
from coldal_tui.exchange.exporters.packing import Placed, ShownSlice, Slices
from coldal_tui.exchange.slices import slice_name
from coldal_tui.imaging.image import ScanHeader, ScanImage
from coldal_tui.imaging.intensity import limits_of, scaled
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.imaging.picture import png_bytes, slice_view, world_axes
from coldal_tui.imaging.readers.raster import read_header
from coldal_tui.imaging.reading import read_scan

_HEAD_FOOT = 2
_CLEARLY_THICKER = 1.25
_SHOWN_AS_THEY_ARE = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}


@dataclass(frozen=True)
class Picture:
    """One picture of an export: its file name in ``images/``, its size, its pre-label.

    ``owner`` is the scan; ``name`` its id, or the slice's name. ``label`` is ``(rows, columns)``
    uint8 in the picture's orientation, None when the scan has no pre-label. ``layers`` are further
    drawings of the same kind, each with its name.
    """

    owner: str
    name: str
    file: str
    rows: int
    columns: int
    run: str | None
    label: NDArray[np.uint8] | None
    layers: tuple[tuple[str, NDArray[np.uint8]], ...] = ()


def place_pictures(
    stage: Stage, item: ExportItem, meta: ExportMeta, prelabels: str
) -> tuple[Placed, list[Picture]]:
    """Write a scan as pictures in ``images/``; returns its entry and all pictures.

    8-bit grey and colour PNGs and JPEGs without rotation are copied. Everything else becomes a PNG
    of its displayed pixels, never resampled, so that masks match pixel for pixel.
    ``prelabels`` is the file of the export that will hold the pre-labels.
    """
    label = prelabel_of(item)
    found = prelabels if label is not None else None
    if len(item.header.shape) == 3:
        return _place_slices(stage, item, meta, label, found)
    rows, columns = item.header.shape
    source = Path(item.ref.files[0])
    ending = source.suffix.lower()
    if meta.deidentifier is None and _is_plain(item, source):
        file = f"{item.scan_id}{ending}"
        placed = Placed(item, f"images/{file}", stage.copy(source, f"images/{file}"))
    else:
        file = f"{item.scan_id}.png"
        image = read_scan(item.ref)
        window = limits_of(image.array, image.header.modality, meta.intensity)
        pixels = _eight_bit(image.array, window)
        digest = stage.write_bytes(f"images/{file}", png_bytes(pixels))
        placed = Placed(item, f"images/{file}", source_sha256(item), digest)
    layers = _layers(item)
    shown = Picture(item.scan_id, item.scan_id, file, rows, columns, item.run, label, layers)
    return replace(placed, prelabel=found), [shown]


def _is_plain(item: ExportItem, source: Path) -> bool:
    """Whether every tool shows the file as this program does: no palette, alpha or rotation."""
    from PIL import Image

    kind = _SHOWN_AS_THEY_ARE.get(source.suffix.lower())
    if item.ref.kind != "raster" or kind is None or len(item.ref.files) > 1:
        return False
    header = read_header(source)
    if header.meta.get("format") != kind or "exif_orientation" in header.meta:
        return False
    with Image.open(source) as picture:
        return picture.mode in ("L", "RGB") and "transparency" not in picture.info


def _place_slices(
    stage: Stage,
    item: ExportItem,
    meta: ExportMeta,
    label: NDArray[np.uint8] | None,
    prelabels: str | None,
) -> tuple[Placed, list[Picture]]:
    image = read_scan(item.ref)
    view = slice_view(image.header, cut_axis(image.header))
    window = limits_of(image.array, image.header.modality, meta.intensity)
    shown: list[ShownSlice] = []
    pictures: list[Picture] = []
    layers = _layers(item)
    for index in meta.slices.indices(image.header.shape[view.axis]):
        pixels = _eight_bit(view.displayed(image.array, index), window)
        name = slice_name(item.scan_id, view.axis, index)
        stage.write_bytes(f"images/{name}.png", png_bytes(pixels))
        shown.append(ShownSlice(f"images/{name}.png", index))
        drawn = None if label is None else view.displayed(label, index)
        rows, columns = pixels.shape[:2]
        beside = tuple((who, view.displayed(layer, index)) for who, layer in layers)
        file = f"{name}.png"
        pictures.append(Picture(item.scan_id, name, file, rows, columns, item.run, drawn, beside))
    slices = Slices(view, window[: _channels(image)], meta.slices.every, tuple(shown))
    placed = Placed(item, shown[0].image, source_sha256(item), prelabel=prelabels, slices=slices)
    return placed, pictures


def _layers(item: ExportItem) -> tuple[tuple[str, NDArray[np.uint8]], ...]:
    """The scan's further drawings, on its own grid."""
    return tuple((name, read_label(path)) for name, path in item.layers)


def _channels(image: ScanImage) -> int:
    return 3 if image.array.shape[-1] == 3 else 1


def _eight_bit(
    pixels: NDArray[np.generic], window: tuple[tuple[float, float], ...]
) -> NDArray[np.uint8]:
    """Convert ``(rows, columns, channels)`` to grey or RGB; else keep the first channel only."""
    if pixels.shape[-1] != 3:
        pixels, window = pixels[..., :1], window[:1]
    eight = np.rint(scaled(pixels, window) * 255).astype(np.uint8)
    return eight[..., 0] if eight.shape[-1] == 1 else eight


def cut_axis(header: ScanHeader) -> int:
    """The grid axis across which a volume is cut: the thickest one, else head-foot."""
    spacing = header.spacing
    if spacing is not None and len(spacing) == 3:
        thickest = int(np.argmax(spacing))
        others = max(step for axis, step in enumerate(spacing) if axis != thickest)
        if spacing[thickest] > _CLEARLY_THICKER * others:
            return thickest
    if header.affine is None:
        return 2
    return world_axes(header.affine).index(_HEAD_FOOT)


def by_class(
    picture: Picture, classes: Sequence[str]
) -> Iterator[tuple[int, str, NDArray[np.bool_]]]:
    """The classes drawn in a picture's pre-label: value, name and mask.

    Each mask is (rows, columns) bool.
    """
    if picture.label is not None:
        yield from classes_of(picture.label, classes)


def classes_of(
    label: NDArray[np.uint8], classes: Sequence[str]
) -> Iterator[tuple[int, str, NDArray[np.bool_]]]:
    """The classes drawn in a (rows, columns) label: value, name and (rows, columns) bool mask."""
    for value, name in enumerate(classes, start=1):
        drawn = label == value
        if drawn.any():
            yield value, name, drawn
