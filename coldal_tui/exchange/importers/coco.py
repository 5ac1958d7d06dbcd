"""COCO 1.0 (CVAT, V7, Roboflow, Label Studio …): one JSON of polygons and run-length codes.

An image is known by its ``file_name``, never by its ``id``; a class by its category's name.
"""

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
    seconds,
    text,
    unique_keys,
)
from coldal_tui.exchange.importers.shared.pictures_beside import pictures_beside
from coldal_tui.exchange.masks.rasterise import Canvas, Patch
from coldal_tui.exchange.masks.rle import decode_coco

_TITLE = "COCO file"


class CocoImporter:
    """Reads instance and stuff segmentations; refuses captions, labels and keypoints."""

    name = "coco"
    priority = 30
    endings: Mapping[str, str] = {}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """A JSON object with images and annotations."""
        found = outline(path, head)
        if found is None or found.is_list:
            return None
        needed = {"images", "annotations"} if found.whole else {"images", "categories"}
        return _TITLE if needed <= found.keys and "items" not in found.keys else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """The pictures that were exported with it."""
        try:
            images = objects(read_object(path, "COCO").get("images"))
        except ImageError:
            return frozenset()
        return pictures_beside(path, [text(image.get("file_name")) for image in images])

    def candidates(self, path: Path) -> Iterator[Candidate | PassedOver]:
        """One candidate per image, also for those without a drawing."""
        document = read_object(path, "COCO")
        images = objects(document.get("images"))
        drawn = objects(document.get("annotations"))
        _check_kind(drawn, path)
        names = {
            one.get("id"): text(one.get("name")) for one in objects(document.get("categories"))
        }
        by_image: dict[Any, list[dict[str, Any]]] = {}
        for one in drawn:
            by_image.setdefault(_key(one.get("image_id")), []).append(one)
        info = document.get("info")
        updated = seconds(info.get("date_created")) if isinstance(info, dict) else None
        file_names = [text(image.get("file_name")) for image in images]
        for image, name, key in zip(images, file_names, unique_keys(file_names), strict=True):
            shapes = by_image.pop(_key(image.get("id")), [])
            picture = _Picture(image.get("height"), image.get("width"), shapes, names)
            if not name:
                yield PassedOver(path, key, "an image without a file name")
                continue
            yield Candidate(
                path,
                name,
                "COCO",
                picture.alone,
                names_image=True,
                tool="COCO",
                load_onto=picture.onto,
                key=key,
                updated=updated,
                weak="" if shapes else BLANK,
            )
        for image_id, shapes in by_image.items():
            yield PassedOver(
                path, "", f"{len(shapes)} drawings of image {image_id!r}, which is not listed"
            )


IMPORTER = CocoImporter()


def _key(value: Any) -> Any:
    """Something that can be looked up: identifiers may be numbers or text."""
    return value if isinstance(value, (int, float, str)) else repr(value)


def _check_kind(drawn: list[dict[str, Any]], path: Path) -> None:
    if not drawn or any("segmentation" in one for one in drawn):
        return
    if any("segments_info" in one for one in drawn):
        what = "it is COCO panoptic, whose pixels lie in pictures of their own"
    else:
        what = "it holds captions, labels, boxes or keypoints, and no outlines"
    raise ImageError(
        what,
        where=str(path),
        remedy="Export it as COCO instances (segmentation).",
        code="no-outlines",
    )


@dataclass(frozen=True)
class _Picture:
    """One image and its drawings, undecoded."""

    rows: Any
    columns: Any
    shapes: list[dict[str, Any]]
    names: Mapping[Any, str]

    def alone(self) -> MaskPixels:
        return self._drawn(Canvas(self.rows, self.columns))

    def onto(self, target: ScanTarget) -> MaskPixels:
        return self._drawn(Canvas.onto(target, self.rows, self.columns))

    def _drawn(self, canvas: Canvas) -> MaskPixels:
        without = 0
        for shape in self.shapes:
            category = shape.get("category_id")
            name = self.names.get(_key(category)) or f"category {category}"
            without += not _draw(canvas, name, shape.get("segmentation"))
        if without:
            noun = "drawing has" if without == 1 else "drawings have"
            canvas.notes.append(f"{without} {noun} no outline (a box or points): passed over")
        if without and without == len(self.shapes):
            raise ImageError(
                f"none of its {without} drawings has an outline: boxes or points only",
                remedy="Draw or export polygons or masks.",
                code="no-outlines",
            )
        return canvas.pixels()


def _draw(canvas: Canvas, name: str, segmentation: Any) -> bool:
    """Draw one annotation; False where it has no area."""
    if isinstance(segmentation, dict):
        drawn = decode_coco(segmentation)
        if drawn.shape != (canvas.rows, canvas.columns):
            raise ImageError(
                f"a run-length code is {drawn.shape[1]}×{drawn.shape[0]} pixels, "
                f"its image {canvas.columns}×{canvas.rows}",
                remedy="Export it again.",
                code="damaged",
            )
        canvas.patch(name, Patch(drawn))
        return True
    if not isinstance(segmentation, list):
        return False
    polygons = [one for one in segmentation if isinstance(one, list) and len(one) >= 6]
    for polygon in polygons:
        canvas.polygon(name, polygon)
    return bool(polygons)
