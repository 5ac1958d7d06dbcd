"""LabelMe (wkentaro) JSON: one file per image; outlines filled by Pillow, as LabelMe does."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels, ScanTarget
from coldal_tui.exchange.importers.shared.alpha_bitmap import decode_alpha
from coldal_tui.exchange.importers.shared.json_files import objects, outline, read_object, text
from coldal_tui.exchange.importers.shared.pictures_beside import pictures_beside, placed_beside
from coldal_tui.exchange.masks.rasterise import Canvas, Patch

_KEYS = frozenset({"shapes", "imagePath"})
_CORNERS = {"rectangle": 2, "circle": 2, "oriented_rectangle": 4, "mask": 2}
"""Required number of points of a shape; a polygon needs 3 or more."""

_THIN = ("line", "linestrip", "point", "points")


class LabelMeImporter:
    """Reads polygons, rectangles, circles and masks; lines and points have no area."""

    name = "labelme"
    priority = 32
    endings: Mapping[str, str] = {}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """A JSON object with shapes and the path of an image."""
        found = outline(path, head)
        known = found is not None and not found.is_list and found.keys >= _KEYS
        # Only the beginning of a damaged file is parsed; the image's path comes at the end.
        damaged = found is not None and not found.whole and {"shapes", "flags"} <= found.keys
        return "LabelMe file" if known or damaged else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """The picture in the same folder."""
        try:
            image = text(read_object(path, "LabelMe").get("imagePath"))
        except ImageError:
            return frozenset()
        return pictures_beside(path, [_base_name(image)])

    def candidates(self, path: Path) -> Iterator[Candidate]:
        """One candidate, with the name of its image, else its own."""
        document = read_object(path, "LabelMe")
        image = text(document.get("imagePath"))
        drawing = _Drawing(
            document.get("imageHeight"),
            document.get("imageWidth"),
            tuple(objects(document.get("shapes"))),
        )
        yield Candidate(
            path,
            placed_beside(path, image) or path.as_posix(),
            "LabelMe",
            drawing.alone,
            names_image=bool(image),
            tool="LabelMe",
            load_onto=drawing.onto,
        )


IMPORTER = LabelMeImporter()


def _base_name(image: str) -> str:
    return image.replace("\\", "/").rpartition("/")[2]


@dataclass(frozen=True)
class _Drawing:
    """The shapes of one file, not yet decoded."""

    rows: Any
    columns: Any
    shapes: tuple[Mapping[str, Any], ...]

    def alone(self) -> MaskPixels:
        return self._drawn(Canvas(self.rows, self.columns))

    def onto(self, target: ScanTarget) -> MaskPixels:
        return self._drawn(Canvas.onto(target, self.rows, self.columns))

    def _drawn(self, canvas: Canvas) -> MaskPixels:
        thin = [text(one.get("shape_type")) for one in self.shapes if _is_thin(one)]
        areas = [one for one in self.shapes if not _is_thin(one)]
        if thin and not areas:
            raise ImageError(
                f"none of its {len(thin)} shapes has an area: {', '.join(sorted(set(thin)))}",
                remedy="Draw polygons or masks.",
                code="no-outlines",
            )
        if thin:
            canvas.notes.append(f"{len(thin)} shapes without an area passed over")
        for shape in areas:
            _draw(canvas, text(shape.get("label")), shape)
        return canvas.pixels()


def _is_thin(shape: Mapping[str, Any]) -> bool:
    return text(shape.get("shape_type")) in _THIN


def _draw(canvas: Canvas, name: str, shape: Mapping[str, Any]) -> None:
    kind = text(shape.get("shape_type")) or "polygon"
    points = canvas.points(shape.get("points")).tolist()
    needed = _CORNERS.get(kind, len(points))
    if len(points) != needed or len(points) < 2 or (kind == "polygon" and len(points) < 3):
        raise ImageError(
            f"a {kind} of {len(points)} points",
            remedy="Draw it again, or delete it.",
            code="damaged",
        )
    if kind == "mask":
        _paste(canvas, name, points, shape.get("mask"))
    else:
        canvas.patch(name, _fill(canvas, kind, [(x, y) for x, y in points]))


def _fill(canvas: Canvas, kind: str, points: list[tuple[float, float]]) -> Patch:
    """Fill a shape as labelme.utils.shape.shape_to_mask does: Pillow draws the outline, too."""
    from PIL import Image, ImageDraw

    image = Image.new("1", (canvas.columns, canvas.rows))
    draw = ImageDraw.Draw(image)
    if kind == "circle":
        (x, y), (rim_x, rim_y) = points
        radius = math.hypot(x - rim_x, y - rim_y)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=1, fill=1)
    elif kind == "rectangle":
        (x0, y0), (x1, y1) = points
        corners = ((min(x0, x1), min(y0, y1)), (max(x0, x1), max(y0, y1)))
        draw.rectangle(corners, outline=1, fill=1)
    elif kind in ("polygon", "oriented_rectangle"):
        draw.polygon(points, outline=1, fill=1)
    else:
        raise ImageError(
            f"a shape of the unknown type {kind!r}",
            remedy="Draw polygons or masks.",
            code="unknown-shape",
        )
    return Patch(np.asarray(image, dtype=bool))


def _paste(canvas: Canvas, name: str, corners: list[list[float]], data: Any) -> None:
    """Draw a base64 picture between two corners, both included."""
    try:
        picture = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise ImageError(
            "a mask holds no picture", remedy="Export it again.", code="damaged"
        ) from error
    (left, top), (right, bottom) = ((int(x), int(y)) for x, y in corners)
    drawn = decode_alpha(picture, bottom - top + 1, right - left + 1)
    canvas.patch(name, Patch(drawn, top, left))
