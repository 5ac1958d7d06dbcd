"""Datumaro JSON, which CVAT exports too: items with masks and polygons, classes by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import BLANK, Candidate, MaskPixels, PassedOver, ScanTarget
from coldal_tui.exchange.importers.shared.json_files import (
    objects,
    outline,
    read_object,
    text,
    unique_keys,
)
from coldal_tui.exchange.masks.rasterise import Canvas, Patch
from coldal_tui.exchange.masks.rle import decode_coco

_AREAS = ("polygon", "mask")
_OF_IMAGE = ("label", "caption")
_IMAGES = "images"


class DatumaroImporter:
    """Reads ``annotations/<subset>.json``."""

    name = "datumaro"
    priority = 31
    endings: Mapping[str, str] = {}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """A JSON object of items, with label categories."""
        found = outline(path, head)
        if found is None or found.is_list or not {"items", "categories"} <= found.keys:
            return None
        known = not found.whole or "label" in found.first.get("categories", ())
        return "Datumaro file" if known else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """The images of the data set."""
        folder = path.parent.parent / _IMAGES
        return frozenset(folder.rglob("*.*")) if folder.is_dir() else frozenset()

    def candidates(self, path: Path) -> Iterator[Candidate | PassedOver]:
        """One candidate per item, including items without annotations."""
        document = read_object(path, "Datumaro JSON")
        names = _labels(document)
        items = objects(document.get("items"))
        keys = unique_keys([text(one.get("id")) for one in items])
        for item, key in zip(items, keys, strict=True):
            image = item.get("image")
            image = image if isinstance(image, Mapping) else {}
            name = text(image.get("path")) or text(item.get("id"))
            if not name or "point_cloud" in item:
                yield PassedOver(path, key, "an item without an image")
                continue
            size = image.get("size")
            rows, columns = size if isinstance(size, list) and len(size) == 2 else (None, None)
            drawing = _Drawing(rows, columns, tuple(objects(item.get("annotations"))), names)
            yield Candidate(
                path,
                name,
                "Datumaro",
                drawing.alone,
                names_image=bool(text(image.get("path"))),
                other_names=(text(item.get("id")),),
                tool="Datumaro",
                load_onto=drawing.onto,
                key=key,
                weak="" if drawing.annotations else BLANK,
            )


IMPORTER = DatumaroImporter()


def _labels(document: Mapping[str, Any]) -> list[str]:
    categories = document.get("categories")
    label = categories.get("label") if isinstance(categories, Mapping) else None
    return [
        text(one.get("name"))
        for one in objects(label.get("labels") if isinstance(label, Mapping) else None)
    ]


@dataclass(frozen=True)
class _Drawing:
    """The annotations of one item, not yet decoded."""

    rows: Any
    columns: Any
    annotations: tuple[Mapping[str, Any], ...]
    names: list[str]

    def alone(self) -> MaskPixels:
        return self._drawn(Canvas(self.rows, self.columns))

    def onto(self, target: ScanTarget) -> MaskPixels:
        return self._drawn(Canvas.onto(target, self.rows, self.columns))

    def _drawn(self, canvas: Canvas) -> MaskPixels:
        areas = [one for one in self.annotations if text(one.get("type")) in _AREAS]
        others = sorted({text(one.get("type")) for one in self.annotations} - {*_AREAS})
        if others and not areas:
            raise ImageError(
                f"none of its annotations has an area: {', '.join(others)}",
                remedy="Export polygons or masks.",
                code="no-outlines",
            )
        if left := [kind for kind in others if kind not in _OF_IMAGE]:
            canvas.notes.append(f"annotations without an area passed over: {', '.join(left)}")
        for one in sorted(areas, key=_level):
            canvas.on_level(_level(one))
            self._draw(canvas, one)
        return canvas.pixels()

    def _draw(self, canvas: Canvas, one: Mapping[str, Any]) -> None:
        number = one.get("label_id")
        known = isinstance(number, int) and 0 <= number < len(self.names)
        name = self.names[number] if known else f"label {number}"  # type: ignore[index]
        if text(one.get("type")) == "polygon":
            canvas.polygon(name, one.get("points"))
            return
        drawn = decode_coco(one.get("rle"))
        if drawn.shape != (canvas.rows, canvas.columns):
            raise ImageError(
                f"a mask is {drawn.shape[1]}×{drawn.shape[0]} pixels, "
                f"its image {canvas.columns}×{canvas.rows}",
                remedy="Export it again.",
                code="damaged",
            )
        canvas.patch(name, Patch(drawn))


def _level(one: Mapping[str, Any]) -> int:
    """The layer from ``z_order``: higher values cover lower ones."""
    level = one.get("z_order")
    return level if isinstance(level, int) else 0
