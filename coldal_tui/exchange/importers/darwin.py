"""V7 Darwin JSON, versions 1 and 2: one file per image, polygons with holes and raster masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels, ScanTarget
from coldal_tui.exchange.importers.shared.json_files import objects, outline, read_object, text
from coldal_tui.exchange.importers.shared.pictures_beside import pictures_beside
from coldal_tui.exchange.masks.rasterise import Canvas, Patch, fill_ellipse, read_points

_RASTER = "raster_layer"
_AREAS = ("polygon", "complex_polygon", "ellipse", _RASTER)
_PARTS = ("mask",)
"""The annotation type drawn in a raster layer; the annotation itself holds no pixels."""

_LEVELS = ("z_index", "z_order")
_BESIDE = ("id", "name", "slot_names", "annotators", "reviewers", "properties", "ranges", *_LEVELS)


class DarwinImporter:
    """Reads polygons, ellipses and raster layers; boxes, lines and points have no area."""

    name = "darwin"
    priority = 31
    endings: Mapping[str, str] = {}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """A JSON object of annotations with one image (version 1) or item (version 2)."""
        found = outline(path, head)
        if found is None or found.is_list or "annotations" not in found.keys:
            return None
        first = "filename" in found.first.get("image", ())
        second = "slots" in found.first.get("item", ())
        return "V7 Darwin file" if first or second else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """The picture in the same folder."""
        try:
            picture = _picture(read_object(path, "Darwin"))
        except ImageError:
            return frozenset()
        return pictures_beside(path, list(picture.names))

    def candidates(self, path: Path) -> Iterator[Candidate]:
        """One candidate, with its image's name at upload."""
        document = read_object(path, "Darwin")
        picture = _picture(document)
        drawing = _Drawing(
            picture.rows, picture.columns, tuple(objects(document.get("annotations")))
        )
        first, *others = picture.names or (path.as_posix(),)
        yield Candidate(
            path,
            f"{picture.folder}/{first}" if picture.folder else first,
            "V7 Darwin",
            drawing.alone,
            names_image=bool(picture.names),
            other_names=tuple(others),
            tool="V7",
            load_onto=drawing.onto,
        )


IMPORTER = DarwinImporter()


@dataclass(frozen=True)
class _Picture:
    names: tuple[str, ...]
    rows: Any
    columns: Any
    folder: str = ""


def _picture(document: Mapping[str, Any]) -> _Picture:
    """The image of a file: its names (the uploaded one first), size and folder.

    Raises
    ------
    ImageError : ``several-images``: an item of several pictures, or a video.
    """
    image = document.get("image")
    if isinstance(image, Mapping):
        names = [text(image.get(key)) for key in ("original_filename", "filename")]
        return _Picture(_distinct(names), image.get("height"), image.get("width"))
    item = document.get("item")
    slots = objects(item.get("slots")) if isinstance(item, Mapping) else []
    if len(slots) != 1 or any("frames" in one for one in objects(document.get("annotations"))):
        raise ImageError(
            f"an item of {len(slots)} pictures, or a video, is not read",
            remedy="Export single images.",
            code="several-images",
        )
    (slot,) = slots
    files = [text(one.get("file_name")) for one in objects(slot.get("source_files"))]
    name = text(item.get("name")) if isinstance(item, Mapping) else ""
    folder = text(item.get("path")).strip("/") if isinstance(item, Mapping) else ""
    return _Picture(_distinct([name, *files]), slot.get("height"), slot.get("width"), folder)


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))


@dataclass(frozen=True)
class _Drawing:
    """The annotations of one image, not yet decoded."""

    rows: Any
    columns: Any
    annotations: tuple[Mapping[str, Any], ...]

    def alone(self) -> MaskPixels:
        return self._drawn(Canvas(self.rows, self.columns))

    def onto(self, target: ScanTarget) -> MaskPixels:
        return self._drawn(Canvas.onto(target, self.rows, self.columns))

    def _drawn(self, canvas: Canvas) -> MaskPixels:
        names = {text(one.get("id")): text(one.get("name")) for one in self.annotations}
        drawn = False
        others: set[str] = set()
        for one in sorted(self.annotations, key=_level):
            kind = next((key for key in _AREAS if isinstance(one.get(key), Mapping)), None)
            if kind is None:
                kinds = [key for key in one if key not in (*_PARTS, *_BESIDE)]
                others.update(kinds if not any(key in one for key in _PARTS) else ())
                continue
            drawn = True
            canvas.on_level(_level(one))
            _draw(canvas, kind, text(one.get("name")), one[kind], names)
        if others and not drawn:
            raise ImageError(
                f"none of its annotations has an area: {', '.join(sorted(others))}",
                remedy="Draw polygons or masks.",
                code="no-outlines",
            )
        if others:
            canvas.notes.append(
                f"annotations without an area passed over: {', '.join(sorted(others))}"
            )
        return canvas.pixels()


def _level(one: Mapping[str, Any]) -> int:
    """The layer, if the file states one: higher values cover lower ones."""
    return next((one[key] for key in _LEVELS if isinstance(one.get(key), int)), 0)


def _draw(
    canvas: Canvas, kind: str, name: str, value: Mapping[str, Any], names: Mapping[str, str]
) -> None:
    if kind == _RASTER:
        _draw_layer(canvas, value, names)
    elif kind == "ellipse":
        centre, radius = value.get("center") or {}, value.get("radius") or {}
        numbers = [(one.get("x"), one.get("y")) for one in (centre, radius)]
        (x, y), (a, b) = read_points(numbers).tolist()
        turn = read_points([value.get("angle") or 0, 0]).tolist()[0][0]
        canvas.patch(
            name, fill_ellipse((x, y), (a, b), np.degrees(turn), canvas.rows, canvas.columns)
        )
    else:
        canvas.outlines(name, [_points(path) for path in _paths(value)])


def _paths(value: Mapping[str, Any]) -> list[Any]:
    """All outlines of a polygon: version 2 and complex ones list several."""
    paths = value.get("paths")
    if isinstance(paths, list):
        return paths
    path = value.get("path")
    if isinstance(path, list) and path and isinstance(path[0], list):
        return path
    further = value.get("additional_paths")
    return [path, *(further if isinstance(further, list) else [])]


def _points(path: Any) -> list[tuple[Any, Any]]:
    return [(one.get("x"), one.get("y")) for one in objects(path)]


def _draw_layer(canvas: Canvas, value: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Draw a raster layer: (number, count) pairs along the rows, and each number's annotation.

    Source: V7's Darwin JSON 2.0 schema, ``dense_rle`` and ``mask_annotation_ids_mapping``.
    """
    code, which = value.get("dense_rle"), value.get("mask_annotation_ids_mapping")
    try:
        runs = np.array(code, dtype=np.int64).reshape(-1, 2)
        numbers = {int(number): names[one] for one, number in dict(which or {}).items()}
    except (TypeError, ValueError, OverflowError, KeyError) as error:
        raise _damaged() from error
    if (runs < 0).any() or int(runs[:, 1].sum()) != canvas.rows * canvas.columns:
        raise _damaged()
    layer = np.repeat(runs[:, 0], runs[:, 1]).reshape(canvas.rows, canvas.columns)
    for number in np.unique(layer).tolist():
        if number:
            if number not in numbers:
                raise _damaged()
            canvas.patch(numbers[number], Patch(layer == number))


def _damaged() -> ImageError:
    return ImageError(
        "its raster layer does not cover the picture, or names annotations that are not there",
        remedy="Export it again.",
        code="damaged",
    )
