"""Supervisely: one JSON per image in ``ann/``, with its name; bitmaps placed at their origin.

Polygon corners are pixel indices and the outline is included, as in OpenCV's ``fillPoly``, which
Supervisely uses; Pillow fills in the same way. A hole removes its outline, too.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels, ScanTarget
from coldal_tui.exchange.importers.shared.alpha_bitmap import decode_alpha
from coldal_tui.exchange.importers.shared.json_files import (
    objects,
    outline,
    read_object,
    seconds,
    text,
)
from coldal_tui.exchange.masks.rasterise import Canvas, Patch, read_points

_KEYS = frozenset({"objects", "size"})
_AREAS = ("bitmap", "polygon", "alpha_mask")
_LARGEST_PNG = 64 << 20


class SuperviselyImporter:
    """Reads bitmaps and polygons."""

    name = "supervisely"
    priority = 32
    endings: Mapping[str, str] = {}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """A JSON object with objects and the size of an image."""
        found = outline(path, head)
        if found is None or found.is_list or not found.keys >= _KEYS:
            return None
        size = found.first.get("size", frozenset())
        return "Supervisely file" if not found.whole or {"height", "width"} <= size else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """The picture in ``img/``."""
        picture = _image_path(path)
        return frozenset({picture}) if picture.is_file() else frozenset()

    def candidates(self, path: Path) -> Iterator[Candidate]:
        """One candidate, with the name of its image."""
        document = read_object(path, "Supervisely")
        size = document.get("size")
        shapes = tuple(objects(document.get("objects")))
        rows, columns = (
            (size.get("height"), size.get("width")) if isinstance(size, dict) else (None, None)
        )
        drawing = _Drawing(rows, columns, shapes)
        authors = {text(one.get("labelerLogin")) for one in shapes} - {""}
        times = [seconds(one.get("updatedAt")) for one in shapes]
        yield Candidate(
            path,
            _image_path(path).as_posix(),
            "Supervisely",
            drawing.alone,
            names_image=True,
            author=authors.pop() if len(authors) == 1 else None,
            tool="Supervisely",
            load_onto=drawing.onto,
            updated=max((time for time in times if time is not None), default=None),
        )


IMPORTER = SuperviselyImporter()


def _image_path(path: Path) -> Path:
    return path.parent.parent / "img" / path.name.removesuffix(".json")


@dataclass(frozen=True)
class _Drawing:
    """The objects of one image, not yet decoded."""

    rows: Any
    columns: Any
    shapes: tuple[Mapping[str, Any], ...]

    def alone(self) -> MaskPixels:
        return self._drawn(Canvas(self.rows, self.columns))

    def onto(self, target: ScanTarget) -> MaskPixels:
        return self._drawn(Canvas.onto(target, self.rows, self.columns))

    def _drawn(self, canvas: Canvas) -> MaskPixels:
        areas = [one for one in self.shapes if _kind(one) in _AREAS]
        others = sorted({_kind(one) for one in self.shapes if _kind(one) not in _AREAS})
        if others and not areas:
            raise ImageError(
                f"none of its objects has an area: {', '.join(others)}",
                remedy="Draw bitmaps or polygons.",
                code="no-outlines",
            )
        if others:
            canvas.notes.append(f"objects without an area passed over: {', '.join(others)}")
        for shape in areas:
            name = text(shape.get("classTitle"))
            patch = _polygon(shape, canvas) if _kind(shape) == "polygon" else _bitmap(shape)
            canvas.patch(name, patch)
        return canvas.pixels()


def _kind(shape: Mapping[str, Any]) -> str:
    """The geometry type; old files state none, but bitmaps can be detected."""
    stated = text(shape.get("geometryType")) or text(shape.get("shape"))
    return stated or ("bitmap" if shape.get("bitmap") else "polygon")


def _bitmap(shape: Mapping[str, Any]) -> Patch:
    """Decode a bitmap: base64 of zlib of a PNG."""
    bitmap = shape.get("bitmap")
    try:
        if not isinstance(bitmap, dict):
            raise ValueError
        packed = base64.b64decode(bitmap["data"], validate=True)
        unpacker = zlib.decompressobj()
        picture = unpacker.decompress(packed, _LARGEST_PNG)
        if not unpacker.eof:
            raise ValueError
    except (binascii.Error, zlib.error, KeyError, TypeError, ValueError) as error:
        raise ImageError(
            "a bitmap holds no picture", remedy="Export it again.", code="damaged"
        ) from error
    left, top = (int(n) for n in read_points([bitmap.get("origin") or (None, None)]).tolist()[0])
    return Patch(decode_alpha(picture), top, left)


def _polygon(shape: Mapping[str, Any], canvas: Canvas) -> Patch:
    from PIL import Image, ImageDraw

    points = shape.get("points")
    rings = points if isinstance(points, dict) else {}
    outside = canvas.points(rings.get("exterior"))
    holes = [canvas.points(ring) for ring in rings.get("interior") or []]
    if len(outside) < 3:
        raise ImageError(
            f"a polygon of {len(outside)} points",
            remedy="Draw it again, or delete it.",
            code="damaged",
        )
    image = Image.new("1", (canvas.columns, canvas.rows))
    draw = ImageDraw.Draw(image)
    draw.polygon(_corners(outside), outline=1, fill=1)
    for hole in holes:
        if len(hole) >= 3:
            draw.polygon(_corners(hole), outline=0, fill=0)
    return Patch(np.asarray(image, dtype=bool))


def _corners(points: NDArray[np.float64]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points.tolist()]
