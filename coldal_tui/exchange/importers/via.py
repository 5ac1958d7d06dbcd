"""VGG Image Annotator (VIA) 1 and 2: projects, annotations as JSON or CSV; regions of many images.

The class of a region is the value of one of its attributes. The files state no size of an image.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import BLANK, Candidate, MaskPixels, PassedOver, ScanTarget
from coldal_tui.exchange.importers.shared.json_files import (
    LARGEST,
    objects,
    outline,
    read_object,
    text,
    unique_keys,
)
from coldal_tui.exchange.importers.shared.pictures_beside import pictures_beside
from coldal_tui.exchange.masks.rasterise import Canvas, fill_ellipse
from coldal_tui.exchange.refusals import unreadable, without_picture

_PROJECT = "_via_img_metadata"
_ENTRY = frozenset({"filename", "regions"})
_DAMAGED = frozenset({"filename", "regions", "shape_attributes"})
_SHAPE, _ATTRIBUTES = "region_shape_attributes", "region_attributes"
_AREAS = ("polygon", "circle", "ellipse")
_USUAL = ("class", "label", "name", "type", "category")
_UNCLASSIFIED = "Unclassified"

Options = Mapping[str, Mapping[str, str]]
"""The descriptions of the values of attributes: ``{"tissue": {"1": "Tumour"}}``."""


class ViaImporter:
    """Reads polygons, circles and ellipses; rectangles are boxes, lines and points have no area."""

    name = "via"
    priority = 31
    endings: Mapping[str, str] = {}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """A VIA project, a JSON of its annotations, or a CSV with VIA's column names."""
        first = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
        if b"filename" in first and _SHAPE.encode() in first:
            return "VIA CSV file"
        found = outline(path, head)
        if found is None or found.is_list:
            return None
        entry = next(iter(found.first.values()), frozenset())
        damaged = not found.whole and found.keys >= _DAMAGED
        known = _PROJECT in found.keys or entry >= _ENTRY or damaged
        return "VIA file" if known else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """The pictures in the same folder."""
        try:
            return pictures_beside(path, [image.name for image in read_images(path)])
        except ImageError:
            return frozenset()

    def candidates(self, path: Path) -> Iterator[Candidate | PassedOver]:
        """One candidate per image, including images without regions."""
        images = read_images(path)
        keys = unique_keys([image.name for image in images])
        attributes = _attributes(images)
        for image, key in zip(images, keys, strict=True):
            if not image.name:
                yield PassedOver(path, key, "an entry without the name of an image")
                continue
            drawing = _Drawing(image, attributes)
            yield Candidate(
                path,
                image.name,
                "VIA",
                drawing.alone,
                names_image=True,
                tool="VIA",
                load_onto=drawing.onto,
                key=key,
                weak="" if image.regions else BLANK,
            )


IMPORTER = ViaImporter()


@dataclass(frozen=True)
class Region:
    """A shape, and the values of its attributes (several for a checkbox); empty ones left out."""

    shape: Mapping[str, Any]
    values: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Image:
    """An image by its name, with its regions."""

    name: str
    regions: tuple[Region, ...]
    options: Options


def read_images(path: Path) -> list[Image]:
    """Read the images of a file with their regions, not yet decoded.

    Raises
    ------
    ImageError : ``damaged``, ``too-large``, ``unreadable``.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(256).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError as error:
        raise unreadable(path, error) from error
    return _of_csv(path) if start[:1] != b"{" else _of_json(path)


def _of_json(path: Path) -> list[Image]:
    document = read_object(path, "VIA file")
    options = _options(document)
    entries = document.get(_PROJECT, document)
    images = []
    for entry in entries.values() if isinstance(entries, Mapping) else ():
        if isinstance(entry, Mapping) and "regions" in entry:
            regions = entry["regions"]  # an object with numbers as its keys in VIA 1
            listed = [*regions.values()] if isinstance(regions, Mapping) else regions
            found = [
                _region(one.get("shape_attributes"), one.get(_ATTRIBUTES))
                for one in objects(listed)
            ]
            images.append(Image(_name(entry.get("filename")), tuple(found), options))
    return images


def _of_csv(path: Path) -> list[Image]:
    """The images of a CSV: a row for each region, and one for each image without regions."""
    found: dict[tuple[str, str], list[Region]] = {}
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it is larger than {LARGEST >> 20} MiB")
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for row in csv.DictReader(stream, strict=True):
                file = row.get("filename") or row.get("#filename") or ""
                image = found.setdefault((file, row.get("file_size") or ""), [])
                shape = msgspec.json.decode(row.get(_SHAPE) or "{}")
                if shape:
                    image.append(_region(shape, msgspec.json.decode(row.get(_ATTRIBUTES) or "{}")))
    except (OSError, ValueError, csv.Error, msgspec.DecodeError, RecursionError) as error:
        raise ImageError(
            f"the file can't be read as a CSV of VIA: {error}",
            where=str(path),
            remedy="Export it again, and do not save it with a spreadsheet.",
            code="damaged",
        ) from error
    return [Image(_name(name), tuple(regions), {}) for (name, _), regions in found.items()]


def _region(shape: Any, attributes: Any) -> Region:
    values = {}
    for name, value in attributes.items() if isinstance(attributes, Mapping) else ():
        ticked = [*value] if isinstance(value, Mapping) else [value]
        if isinstance(value, Mapping):
            ticked = [key for key in value if value[key] not in (False, None, "")]
        if said := tuple(word for one in ticked if (word := text(one))):
            values[text(name)] = said
    return Region(shape if isinstance(shape, Mapping) else {}, values)


def _options(document: Mapping[str, Any]) -> Options:
    kinds = document.get("_via_attributes")
    known = kinds.get("region") if isinstance(kinds, Mapping) else None
    return {
        name: {value: text(said) for value, said in kind["options"].items()}
        for name, kind in (known.items() if isinstance(known, Mapping) else ())
        if isinstance(kind, Mapping) and isinstance(kind.get("options"), Mapping)
    }


def _name(value: Any) -> str:
    """The name of an image; of a URL, the last part of its path."""
    name = text(value)
    if "://" in name:
        return unquote(urlsplit(name).path).rpartition("/")[2]
    return name.replace("\\", "/")


def _attributes(images: Iterable[Image]) -> Mapping[str, frozenset[str]]:
    """The attributes that regions of the whole file have, with their values."""
    found: dict[str, set[str]] = {}
    for image in images:
        for region in image.regions:
            for name, values in region.values.items():
                found.setdefault(name, set()).update(values)
    return {name: frozenset(values) for name, values in found.items()}


@dataclass(frozen=True)
class _Drawing:
    """The regions of one image, not yet decoded, and the attributes in its file."""

    image: Image
    attributes: Mapping[str, frozenset[str]]

    def alone(self) -> MaskPixels:
        raise without_picture()

    def onto(self, target: ScanTarget) -> MaskPixels:
        canvas = Canvas.onto(target, None, None)
        others = [kind for kind in map(_kind, self.image.regions) if kind not in _AREAS]
        said = ", ".join(f"{others.count(kind)} {kind}" for kind in sorted(set(others)))
        if others and len(others) == len(self.image.regions):
            raise ImageError(
                f"none of its {len(others)} regions has an outline: {said}",
                remedy="Draw polygons, circles or ellipses.",
                code="no-outlines",
            )
        if others:
            canvas.notes.append(f"regions without an outline passed over: {said}")
        attribute = self._class_attribute(canvas)
        for region in self.image.regions:
            if _kind(region) in _AREAS:
                for value in region.values.get(attribute, (_UNCLASSIFIED,)):
                    _draw(canvas, self._class(attribute, value, canvas), region.shape)
        return canvas.pixels()

    def _class_attribute(self, canvas: Canvas) -> str:
        """The attribute whose values are classes. Raises ImageError if several may be."""
        known = [
            name
            for name, values in self.attributes.items()
            if any(self._is_known(name, value, canvas) for value in values)
        ]
        usual = [name for name in self.attributes if name.casefold() in _USUAL]
        for found in (known or usual, [*self.attributes]):
            if len(found) == 1:
                return found[0]
        if not self.attributes:
            return ""
        names = ", ".join(
            f"{name} ({', '.join(sorted(self.attributes[name])[:3])})"
            for name in known or self.attributes
        )
        raise ImageError(
            f"the class of a region may be in any of its attributes: {names}",
            remedy="Map the values of the one that counts (--map VALUE=CLASS), or keep only it.",
            code="several-attributes",
        )

    def _is_known(self, attribute: str, value: str, canvas: Canvas) -> bool:
        meanings = canvas.meanings
        name = self._class(attribute, value, canvas)
        return meanings is not None and meanings.said(name) is not None

    def _class(self, attribute: str, value: str, canvas: Canvas) -> str:
        """A value as the class, or its description if that is known or the value is a number."""
        described = self.image.options.get(attribute, {}).get(value, "")
        meanings = canvas.meanings
        if not described or (meanings is not None and meanings.said(value) is not None):
            return value
        of_project = meanings is not None and meanings.said(described) is not None
        return described if of_project or value.isdigit() else value


def _kind(region: Region) -> str:
    return text(region.shape.get("name")) or "nothing"


def _draw(canvas: Canvas, name: str, shape: Mapping[str, Any]) -> None:
    if text(shape.get("name")) == "polygon":
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
            raise _bad("a polygon whose lists of x and y differ in length")
        if len(xs) < 3:
            raise _bad(f"a polygon of {len(xs)} points")
        canvas.polygon(name, [*zip(xs, ys, strict=True)])
        return
    round_ = text(shape.get("name")) == "circle"
    numbers = [shape.get(key) for key in ("cx", "cy", *(("r", "r") if round_ else ("rx", "ry")))]
    ((x, y), (a, b), (theta, _)) = canvas.points([*numbers, shape.get("theta") or 0, 0]).tolist()
    canvas.patch(
        name, fill_ellipse((x, y), (a, b), math.degrees(theta), canvas.rows, canvas.columns)
    )


def _bad(what: str) -> ImageError:
    return ImageError(what, remedy="Draw it again, or delete it.", code="damaged")
