"""Label Studio's JSON and JSON-MIN: brushes, polygons and ellipses of all tasks of a project.

Coordinates are in percent of the picture as it is stored: where an annotator turned it on the
screen (``image_rotation``), Label Studio turns them back before it writes them. Only a drawing
whose stated size has the sides of the picture swapped is of a turned one, and is turned back.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels, PassedOver, ScanTarget
from coldal_tui.exchange.importers.shared.alpha_bitmap import decode_alpha
from coldal_tui.exchange.importers.shared.json_files import outline, text, unique_keys
from coldal_tui.exchange.importers.shared.labelstudio_tasks import (
    image_of,
    masks_of_tasks,
    read_tasks,
)
from coldal_tui.exchange.importers.shared.pictures_beside import pictures_beside
from coldal_tui.exchange.masks.rasterise import Canvas, Patch, fill_ellipse, read_points
from coldal_tui.exchange.masks.rle import decode_brush

_TASK_KEYS = frozenset({"data", "annotations"})
_OLD_TASK_KEYS = frozenset({"data", "completions"})
_ONE_KEYS = frozenset({"result", "task"})
_LABELS = "labels"
_AREAS = ("brush", "polygon", "ellipse", "bitmask")
_DATA_URL = "base64,"


class LabelStudioImporter:
    """Reads exports of tasks, one task, and one annotation as cloud storages get it."""

    name = "labelstudio"
    priority = 31
    endings: Mapping[str, str] = {}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """A JSON of tasks."""
        found = outline(path, head)
        if found is None:
            return None
        keys = found.keys
        if (
            keys >= _TASK_KEYS
            or keys >= _OLD_TASK_KEYS
            or (keys >= _ONE_KEYS and not found.is_list)
        ):
            return "Label Studio file"
        minimal = found.is_list and {"id", "annotation_id", "annotator"} <= keys
        return "Label Studio JSON-MIN file" if minimal else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """The pictures beside it, and masks exported of annotations that it holds itself."""
        try:
            tasks = read_tasks(path)
        except ImageError:
            return frozenset()
        pictures = pictures_beside(path, [image_of(task)[0] for task in tasks])
        drawn = {
            (one.task_id, one.annotation_id)
            for task in tasks
            for one in task.annotations
            if any(_kind(region) in _AREAS for region in one.regions)
        }
        masks = (
            file
            for key, files in masks_of_tasks(path.parent).items()
            for file in files
            if key in drawn
        )
        return pictures | frozenset(masks)

    def candidates(self, path: Path) -> Iterator[Candidate | PassedOver]:
        """One candidate per annotation: several people may have drawn one task."""
        tasks = read_tasks(path)
        drawn = [one for task in tasks for one in task.annotations]
        keys = iter(
            unique_keys([f"task {one.task_id} annotation {one.annotation_id}" for one in drawn])
        )
        for task in tasks:
            name, scan_id = image_of(task)
            if not task.annotations:
                yield PassedOver(path, f"task {task.task_id}", "nobody has drawn this task yet")
            for one in task.annotations:
                key = next(keys)
                if one.cancelled:
                    yield PassedOver(path, key, "the annotator skipped this task")
                    continue
                drawing = _Drawing(one.regions)
                yield Candidate(
                    path,
                    name,
                    "Label Studio",
                    drawing.alone,
                    names_image=True,
                    scan_id=scan_id,
                    author=one.author,
                    tool="Label Studio",
                    load_onto=drawing.onto,
                    key=key,
                    updated=one.updated,
                )


IMPORTER = LabelStudioImporter()


@dataclass(frozen=True)
class _Drawing:
    """The regions of one annotation, undecoded."""

    regions: Sequence[Mapping[str, Any]]

    def alone(self) -> MaskPixels:
        rows, columns, _ = self._size()
        return self._drawn(Canvas(rows, columns))

    def onto(self, target: ScanTarget) -> MaskPixels:
        rows, columns, turned = self._size()
        return self._drawn(Canvas.onto(target, rows, columns, turned), turned)

    def _size(self) -> tuple[Any, Any, int]:
        """The picture's size, and how it was turned on the screen, as the regions state them."""
        stated = {
            (one.get("original_height"), one.get("original_width"), _angle(one))
            for one in self.regions
            if one.get("original_width") is not None
        }
        if len(stated) > 1:
            raise ImageError(
                "its regions state different sizes of the picture",
                remedy="Export it again.",
                code="damaged",
            )
        return stated.pop() if stated else (None, None, 0)

    def _drawn(self, canvas: Canvas, turned: int = 0) -> MaskPixels:
        areas = [one for one in self.regions if _kind(one) in _AREAS]
        others = sorted({_kind(one) for one in self.regions if _kind(one) not in (*_AREAS, "")})
        if others and not areas:
            raise ImageError(
                f"none of its regions has an area: {', '.join(others)}",
                remedy="Draw with a brush or polygons.",
                code="no-outlines",
            )
        if others:
            canvas.notes.append(f"regions without an area passed over: {', '.join(others)}")
        names = _names(self.regions)
        for region in areas:
            for name in names.get(_identity(region)) or _own_names(region) or [""]:
                _draw(canvas, name, region)
        return canvas.pixels(turned)


def _draw(canvas: Canvas, name: str, region: Mapping[str, Any]) -> None:
    value = region["value"]
    kind = _kind(region)
    if kind == "brush":
        alpha = decode_brush(value.get("rle"), canvas.rows, canvas.columns)
        canvas.patch(name, Patch(alpha > 0))
    elif kind == "bitmask":
        drawn = decode_alpha(_picture_bytes(value.get("imageDataURL")), canvas.rows, canvas.columns)
        canvas.patch(name, Patch(drawn))
    elif kind == "polygon":
        points = read_points(value.get("points")) * _percent(canvas)
        canvas.polygon(name, points)
    else:
        numbers = [value.get(key, 0) for key in ("x", "y", "radiusX", "radiusY")]
        (x, y), (a, b) = (read_points(numbers) * _percent(canvas)).tolist()
        angle = read_points([value.get("rotation", 0) or 0, 0]).tolist()[0][0]
        canvas.patch(name, fill_ellipse((x, y), (a, b), angle, canvas.rows, canvas.columns))


def _percent(canvas: Canvas) -> NDArray[np.float64]:
    return np.array([canvas.columns, canvas.rows]) / 100


def _picture_bytes(url: Any) -> bytes:
    _, found, data = url.partition(_DATA_URL) if isinstance(url, str) else ("", "", "")
    try:
        if not found:
            raise ValueError
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(
            "a bitmask holds no picture", remedy="Export it again.", code="damaged"
        ) from error


def _kind(region: Mapping[str, Any]) -> str:
    """``brush``, ``polygon`` …; empty for results that are no regions."""
    value = region.get("value")
    if not isinstance(value, Mapping):
        return ""
    if "rle" in value:
        return "brush"
    if "imageDataURL" in value:
        return "bitmask"
    if "points" in value:
        return "polygon"
    if "radiusX" in value:
        return "ellipse"
    kind = text(region.get("type")).lower().removesuffix("labels")
    return kind if "x" in value and kind else ""


def _identity(region: Mapping[str, Any]) -> str:
    return text(region.get("id"))


def _names(regions: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Labels by region: a brush and its label may be two results with one id."""
    found: dict[str, list[str]] = {}
    for region in regions:
        if identity := _identity(region):
            found.setdefault(identity, []).extend(
                name for name in _own_names(region) if name not in found.get(identity, ())
            )
    return found


def _own_names(region: Mapping[str, Any]) -> list[str]:
    value = region.get("value")
    if not isinstance(value, Mapping):
        return []
    lists = [
        words for key, words in value.items() if key.endswith(_LABELS) and isinstance(words, list)
    ]
    return [text(word) for words in lists for word in words if text(word)]


def _angle(region: Mapping[str, Any]) -> int:
    angle = region.get("image_rotation")
    whole = isinstance(angle, (int, float)) and angle == angle and abs(angle) < 1e6
    return int(angle) % 360 if whole and int(angle) % 90 == 0 else 0  # type: ignore[arg-type]
