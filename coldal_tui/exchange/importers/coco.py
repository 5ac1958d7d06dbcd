"""COCO 1.0 (CVAT, V7, Roboflow, Label Studio …): one JSON of polygons and run-length codes.

Images are identified by ``file_name``, never by ``id``; classes by category name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

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
from coldal_tui.visible import counted

_TITLE = "COCO file"
_LABEL_STUDIO = "Label Studio"
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")
_ROBOFLOW = re.compile(
    r"(?P<stem>.+)[_.](?P<ending>png|jpe?g|bmp|tiff?|webp)\.rf\.[0-9A-Za-z]+\.[a-z]+$",
    re.IGNORECASE,
)
"""``photo_png.rf.<hash>.jpg``: Roboflow's new name for ``photo.png``."""


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
        """The pictures exported together with it."""
        try:
            images = objects(read_object(path, "COCO").get("images"))
        except ImageError:
            return frozenset()
        return pictures_beside(path, [text(image.get("file_name")) for image in images])

    def candidates(self, path: Path) -> Iterator[Candidate | PassedOver]:
        """One candidate per image, including images without annotations."""
        document = read_object(path, "COCO")
        images = objects(document.get("images"))
        drawn = objects(document.get("annotations"))
        _check_kind(drawn, path)
        categories = _Categories.of(objects(document.get("categories")))
        by_image: dict[str, list[dict[str, Any]]] = {}
        for one in drawn:
            by_image.setdefault(_key(one.get("image_id")), []).append(one)
        listed = Counter(_key(image.get("id")) for image in images)
        lost = {image_id: found for image_id, found in by_image.items() if image_id not in listed}
        for image_id, shapes in lost.items():
            reason = f"{counted(len(shapes), 'drawing')} of an image that it does not list"
            yield PassedOver(path, f"image {image_id}", reason)
        about = _About(document, sum(map(len, lost.values())))
        file_names = [text(image.get("file_name")) for image in images]
        for image, name, key in zip(images, file_names, unique_keys(file_names), strict=True):
            image_id = _key(image.get("id"))
            if not name:
                yield PassedOver(path, key, "an image without a file name")
                continue
            shared = listed[image_id] if image_id in by_image else 1
            for author, shapes in _by_annotator(by_image.get(image_id, [])).items():
                picture = _Picture(
                    image.get("height"),
                    image.get("width"),
                    shapes,
                    categories.names,
                    about.fault(shapes, shared, image_id) or categories.fault(shapes),
                    about.warnings(shapes),
                )
                yield Candidate(
                    path,
                    name,
                    "COCO",
                    picture.alone,
                    names_image=True,
                    other_names=_other_names(image, name),
                    author=author,
                    tool=about.tool,
                    load_onto=picture.onto,
                    key=f"{key} by {author}" if author else key,
                    updated=about.updated,
                    weak="" if shapes or picture.fault else BLANK,
                )


IMPORTER = CocoImporter()


def _key(value: Any) -> str:
    """An identifier as text: writers use 1, 1.0 and "1" for the same image."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() if isinstance(value, (int, float, str)) else repr(value)


@dataclass(frozen=True)
class _Categories:
    """Class names by category id, and the ids that several names share."""

    names: Mapping[str, str]
    shared: Mapping[str, tuple[str, ...]]

    @staticmethod
    def of(listed: list[dict[str, Any]]) -> _Categories:
        found: dict[str, list[str]] = {}
        for one in listed:
            found.setdefault(_key(one.get("id")), []).append(text(one.get("name")))
        distinct = {key: tuple(dict.fromkeys(names)) for key, names in found.items()}
        return _Categories(
            {key: names[0] for key, names in distinct.items()},
            {key: names for key, names in distinct.items() if len(names) > 1},
        )

    def fault(self, shapes: list[dict[str, Any]]) -> ImageError | None:
        """The error if a drawing's category could be one of several classes."""
        used = {_key(shape.get("category_id")) for shape in shapes} & self.shared.keys()
        if not used:
            return None
        one = min(used)
        return ImageError(
            f"the category id {one} has several names: {', '.join(self.shared[one])}",
            remedy="Export it again, with an id for each category.",
            code="damaged",
        )


def _by_annotator(shapes: list[dict[str, Any]]) -> dict[str | None, list[dict[str, Any]]]:
    """Annotations by annotator, if each one names it (Label Studio's "brush to COCO")."""
    found: dict[str | None, list[dict[str, Any]]] = {}
    for shape in shapes:
        found.setdefault(text(shape.get("annotator")) or None, []).append(shape)
    return found if found and None not in found else {None: shapes}


def _other_names(image: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Possible names of a picture before Roboflow or Label Studio renamed it."""
    extra = image.get("extra")
    before = text(extra.get("name")) if isinstance(extra, Mapping) else ""
    base = name.replace("\\", "/").rpartition("/")[2]
    found = [before]
    if "://" in name:
        base = unquote(urlsplit(name).path).rpartition("/")[2]
        found.append(base)
    if match := _ROBOFLOW.match(base):
        found.append(f"{match['stem']}.{match['ending']}")
    elif _UPLOAD_PREFIX.match(base):
        found.append(_UPLOAD_PREFIX.sub("", base))
    return tuple(dict.fromkeys(one for one in found if one))


class _About:
    """Facts about a document, and about the limits of its annotations."""

    def __init__(self, document: Mapping[str, Any], lost: int) -> None:
        info = document.get("info")
        info = info if isinstance(info, Mapping) else {}
        self.updated = seconds(info.get("date_created"))
        self._label_studio = text(info.get("contributor")) == _LABEL_STUDIO
        self._lost = lost
        self.tool = _LABEL_STUDIO if self._label_studio else "COCO"

    def fault(self, shapes: list[dict[str, Any]], shared: int, image_id: str) -> ImageError | None:
        """The reason why an image's annotations, or their absence, can't be used."""
        if shared > 1:
            return ImageError(
                f"{shared} images have the id {image_id}, so whose its drawings are is not known",
                remedy="Export it again, with an id for each image.",
                code="damaged",
            )
        if shapes:
            return None
        if self._label_studio:
            return ImageError(
                "Label Studio's COCO leaves brush drawings out, and shows none here",
                remedy="Export the project as JSON, and import that.",
                code="no-outlines",
            )
        if self._lost:
            return ImageError(
                f"nothing is drawn on it, but {counted(self._lost, 'drawing')} of the file "
                f"belong{'s' if self._lost == 1 else ''} to images that it does not list",
                remedy="Export it again, whole; its ids of images and drawings do not agree.",
                code="lost-drawings",
            )
        return None

    def warnings(self, shapes: list[dict[str, Any]]) -> tuple[str, ...]:
        """Warnings about information that the exporting tool lost."""
        if any(text(shape.get("annotator")) for shape in shapes):
            return (
                "contours made of brush drawings: holes are lost, and edges moved; export JSON",
            )
        return ()


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
    """One image and its annotations, not yet decoded."""

    rows: Any
    columns: Any
    shapes: list[dict[str, Any]]
    names: Mapping[str, str]
    fault: ImageError | None = None
    warnings: tuple[str, ...] = ()

    def alone(self) -> MaskPixels:
        return self._drawn(Canvas(self.rows, self.columns))

    def onto(self, target: ScanTarget) -> MaskPixels:
        return self._drawn(Canvas.onto(target, self.rows, self.columns))

    def _drawn(self, canvas: Canvas) -> MaskPixels:
        if self.fault is not None:
            raise self.fault
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
        return _with(canvas.pixels(), self.warnings)


def _with(pixels: MaskPixels, warnings: tuple[str, ...]) -> MaskPixels:
    return replace(pixels, warnings=(*pixels.warnings, *warnings))


def _draw(canvas: Canvas, name: str, segmentation: Any) -> bool:
    """Draw one annotation; returns False if it has no area."""
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
    if len(segmentation) >= 6 and not any(isinstance(one, list) for one in segmentation):
        segmentation = [segmentation]  # one outline without the list around it
    polygons = [one for one in segmentation if isinstance(one, list) and len(one) >= 6]
    for polygon in polygons:
        canvas.polygon(name, polygon)
    return bool(polygons)
