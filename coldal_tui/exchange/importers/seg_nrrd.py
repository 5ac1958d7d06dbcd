"""3D Slicer segmentations (.seg.nrrd): named segments, in layers if they overlap, often cropped.

A voxel belongs to a segment when its layer holds the segment's label value; the same value on
another layer is another segment. Files of old versions have one layer per segment and no values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskLayer, MaskPixels, ScanTarget
from coldal_tui.exchange.masks.grid_canvas import nothing_on
from coldal_tui.imaging.readers import nrrd

_SEGMENT_KEY = re.compile(r"Segment(\d+)_(\w+)")
_TITLE = "3D Slicer segmentation"


class SegNrrdImporter:
    """Reads 3D Slicer segmentations by the segments in their header."""

    name = "seg-nrrd"
    priority = 10
    endings: Mapping[str, str] = {".seg.nrrd": _TITLE, ".seg.nhdr": _TITLE}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """Recognise a NRRD with ``Segment…`` keys, whatever its name."""
        return _TITLE if nrrd.is_segmentation(head) else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """The data file of a detached header, by its usual names."""
        if path.suffix.lower() != ".nhdr":
            return frozenset()
        return frozenset(path.with_suffix(ending) for ending in (".raw", ".raw.gz"))

    def candidates(self, path: Path) -> Iterator[Candidate]:
        """One candidate, with its file's name."""
        yield Candidate(
            path,
            path.as_posix(),
            _TITLE,
            lambda: read_segmentation(path),
            tool="3D Slicer",
            load_onto=lambda target: _read_onto(path, target),
        )


IMPORTER = SegNrrdImporter()


@dataclass(frozen=True)
class Segment:
    """One segment of the header: its name, layer and label value."""

    name: str
    layer: int
    value: int


def read_segmentation(path: Path) -> MaskPixels:
    """Decode a segmentation: the first layer as the mask, others as further layers.

    Raises
    ------
    ImageError : damaged, truncated, or two segments share a layer and a label value.
    """
    found = nrrd.read_layers(path)
    count = len(found.values)
    segments = parse_segments(found.keys, count)
    names = [_names_on(layer, segments, path) for layer in range(count)]
    layers = [
        MaskLayer(found.values[number], names[number] if segments else None)
        for number in range(count)
        if number == 0 or names[number]
    ]
    affine = None if found.affine is None else np.asarray(found.affine)
    return MaskPixels(
        layers[0].array,
        "ijk",
        affine,
        placed=affine is not None,
        names=layers[0].names,
        layers=tuple(layers[1:]),
    )


def parse_segments(keys: Mapping[str, str], layers: int) -> tuple[Segment, ...]:
    """Parse the segments of a header, in its order; ``layers`` is the file's number of layers.

    Raises
    ------
    ImageError : a layer or label value is not a number, or the layer does not exist.
    """
    fields: dict[int, dict[str, str]] = {}
    for key, value in keys.items():
        match = _SEGMENT_KEY.fullmatch(key)
        if match:
            fields.setdefault(int(match[1]), {})[match[2]] = value
    return tuple(_segment(number, fields[number], layers) for number in sorted(fields))


def _segment(number: int, fields: Mapping[str, str], layers: int) -> Segment:
    name = fields.get("Name") or fields.get("ID") or f"Segment_{number}"
    try:
        layer = int(fields["Layer"]) if "Layer" in fields else min(number, layers - 1)
        value = int(fields.get("LabelValue", "1"))
    except ValueError as error:
        raise ImageError(
            f"segment {name!r} has a layer or label value that is no number",
            remedy="Save it again in 3D Slicer.",
            code="damaged",
        ) from error
    if not 0 <= layer < layers:
        raise ImageError(
            f"segment {name!r} lies on layer {layer}; the file has {layers}",
            remedy="Save it again in 3D Slicer.",
            code="damaged",
        )
    return Segment(name.strip(), layer, value)


def _names_on(layer: int, segments: tuple[Segment, ...], path: Path) -> dict[int, str]:
    names: dict[int, str] = {}
    for segment in segments:
        if segment.layer != layer:
            continue
        other = names.setdefault(segment.value, segment.name)
        if other != segment.name:
            raise ImageError(
                f"segments {other!r} and {segment.name!r} share label value {segment.value} "
                f"on layer {layer}",
                where=path.name,
                remedy="Save it again in 3D Slicer.",
                code="damaged",
            )
    return names


def _read_onto(path: Path, target: ScanTarget) -> MaskPixels:
    pixels = read_segmentation(path)
    # Slicer writes an empty segmentation as a single voxel at any position.
    if pixels.array.size == 1:
        return nothing_on(target)
    return pixels
