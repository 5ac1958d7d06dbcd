"""Label Studio's JSON and JSON-MIN: brushes, polygons and ellipses of all tasks of a project.

Coordinates are in percent of the stored picture: if an annotator rotated it on the screen
(``image_rotation``), Label Studio rotates them back before writing. Only a mask whose stated size
has the picture's sides swapped is still rotated, and is rotated back.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import BLANK, Candidate, MaskPixels, PassedOver, ScanTarget
from coldal_tui.exchange.importers.shared.alpha_bitmap import decode_alpha
from coldal_tui.exchange.importers.shared.json_files import objects, outline, text, unique_keys
from coldal_tui.exchange.importers.shared.labelstudio_tasks import (
    Annotation,
    Picture,
    Task,
    masks_of_tasks,
    picture_of,
    pictures_of,
    read_tasks,
    scan_id_of,
)
from coldal_tui.exchange.importers.shared.pictures_beside import pictures_beside
from coldal_tui.exchange.masks.rasterise import Canvas, Patch, fill_ellipse, read_points
from coldal_tui.exchange.masks.rle import decode_brush

_TASK_KEYS = frozenset({"data", "annotations"})
_OLD_TASK_KEYS = frozenset({"data", "completions"})
_ONE_KEYS = frozenset({"result", "task"})
_LABELS = "labels"
_AREAS = ("brush", "polygon", "ellipse", "bitmask", "vector outline")
_CURVES = "curves"
_DATA_URL = "base64,"


class LabelStudioImporter:
    """Reads exported tasks, a single task, and a single annotation (cloud storage)."""

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
        """The pictures near it, and exported masks of annotations that it also holds."""
        try:
            tasks = read_tasks(path)
        except ImageError:
            return frozenset()
        named = [picture.name for task in tasks for picture in pictures_of(task)]
        pictures = pictures_beside(path, named)
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
        """One candidate per annotation and image: a task may have several annotators."""
        tasks = read_tasks(path)
        drawn = [one for task in tasks for one in task.annotations]
        keys = iter(
            unique_keys([f"task {one.task_id} annotation {one.annotation_id}" for one in drawn])
        )
        shown = _keys_drawn_on(tasks)
        for task in tasks:
            if not task.annotations:
                yield PassedOver(path, f"task {task.task_id}", "nobody has drawn this task yet")
            for one in task.annotations:
                key = next(keys)
                if one.cancelled:
                    yield PassedOver(path, key, "the annotator skipped this task")
                else:
                    yield from _candidates(path, key, task, one, shown)


IMPORTER = LabelStudioImporter()


def _keys_drawn_on(tasks: Sequence[Task]) -> frozenset[str]:
    """The keys of pictures with regions: a task may hold further pictures for reference."""
    found = set()
    for task in tasks:
        pictures = pictures_of(task)
        for region in (region for one in task.annotations for region in one.regions):
            with contextlib.suppress(ImageError):
                found.add(picture_of(region, pictures).key if pictures else "")
    return frozenset(found)


def _candidates(
    path: Path, key: str, task: Task, one: Annotation, shown: frozenset[str]
) -> Iterator[Candidate]:
    """One candidate per image from one annotation; a single one if images can't be separated."""
    pictures = pictures_of(task)
    by_picture: dict[Picture, list[Mapping[str, Any]]] = {}
    drawings: dict[Picture, _Drawing]
    if len(pictures) < 2:
        picture = pictures[0] if pictures else Picture("", "")
        drawings = {picture: _Drawing(one.regions)}
    else:
        kept = [one for one in pictures if one.key in shown] or pictures
        by_picture = {picture: [] for picture in kept}
        try:
            for region in one.regions:
                if isinstance(region.get("value"), Mapping):
                    by_picture.setdefault(picture_of(region, pictures), []).append(region)
            drawings = {picture: _Drawing(found) for picture, found in by_picture.items()}
        except ImageError as error:
            drawings = {kept[0]: _Drawing(one.regions, error)}
    for picture, drawing in drawings.items():
        several = len(drawings) > 1
        said = scan_id_of(task) if len(pictures) < 2 else None
        yield Candidate(
            path,
            # An uploaded picture may have any name there; this is the one that it was exported by.
            f"{said}.png" if said else picture.name,
            "Label Studio",
            drawing.alone,
            names_image=True,
            other_names=(picture.name,),
            scan_id=said,
            author=one.author,
            tool="Label Studio",
            load_onto=drawing.onto,
            key=f"{key} {picture.place}" if several else key,
            updated=one.updated,
            weak=BLANK if several and not drawing.regions else "",
            # The time is of the whole task: of several pictures, nobody knows each one's part.
            minutes=None if several else one.minutes,
        )


@dataclass(frozen=True)
class _Drawing:
    """The undecoded regions of an annotation on one image, or why they can't be separated."""

    regions: Sequence[Mapping[str, Any]]
    fault: ImageError | None = None

    def alone(self) -> MaskPixels:
        rows, columns, _ = self._size()
        return self._drawn(Canvas(rows, columns))

    def onto(self, target: ScanTarget) -> MaskPixels:
        rows, columns, turned = self._size()
        return self._drawn(Canvas.onto(target, rows, columns, turned), turned)

    def _size(self) -> tuple[Any, Any, int]:
        """The picture's size and its rotation on the screen, as the regions state them."""
        if self.fault is not None:
            raise self.fault
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
        if _CURVES in others:
            raise ImageError(
                "it holds outlines of curves (Bezier), which are not drawn here",
                remedy="Draw them with straight edges, or with a brush.",
                code="unknown-shape",
            )
        if others and not areas:
            raise ImageError(
                f"none of its regions has an area that is read: {', '.join(others)}",
                remedy="Draw with a brush or polygons; answers and boxes are no mask.",
                code="no-outlines",
            )
        if others:
            canvas.notes.append(f"passed over, for they are no outlines: {', '.join(others)}")
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
    elif kind in ("polygon", "vector outline"):
        vertices = [(one.get("x"), one.get("y")) for one in objects(value.get("vertices"))]
        points = read_points(value.get("points") or vertices) * _percent(canvas)
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
    """``brush``, ``polygon``, ``choices`` …; empty for results that only add to others."""
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
    if isinstance(value.get("vertices"), list):
        return _vector_kind(value)
    kind = text(region.get("type")).lower()
    if kind == _LABELS:
        return ""  # the label belongs to another region
    if not kind:
        kind = next((key for key in value if isinstance(value[key], list)), "answer")
    return kind.removesuffix(_LABELS)


def _vector_kind(value: Mapping[str, Any]) -> str:
    """The kind of a vector: a closed one is an outline, an open one a line."""
    if not value.get("closed"):
        return "vector line"
    curved = any(isinstance(one, Mapping) and one.get("isBezier") for one in value["vertices"])
    return _CURVES if curved else "vector outline"


def _identity(region: Mapping[str, Any]) -> str:
    return text(region.get("id"))


def _names(regions: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Labels by region id: a brush and its label may be two results with the same id."""
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
