"""QuPath GeoJSON: annotations of one image in pixel coordinates, classes by classification.

The file does not name its image, so its own name must match the image's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels, ScanTarget
from coldal_tui.exchange.importers.shared.json_files import objects, outline, read_json, text
from coldal_tui.exchange.masks.rasterise import Canvas
from coldal_tui.exchange.refusals import without_picture

_COLLECTION = frozenset({"type", "features"})
_FEATURE = frozenset({"type", "geometry", "properties"})
_UNCLASSIFIED = "Unclassified"


class QuPathImporter:
    """Reads polygons with holes; lines and points have no area."""

    name = "qupath"
    priority = 31
    endings: Mapping[str, str] = {".geojson": "GeoJSON"}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """A GeoJSON of features, as a collection or as a list."""
        found = outline(path, head)
        if found is None:
            return None
        known = found.keys >= (_FEATURE if found.is_list else _COLLECTION)
        alone = not found.is_list and found.keys >= _FEATURE
        return "QuPath GeoJSON file" if known or alone else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """No other files belong to it."""
        return frozenset()

    def candidates(self, path: Path) -> Iterator[Candidate]:
        """One candidate, with its file's name."""
        document = read_json(path)
        if isinstance(document, dict):
            document = document.get("features", [document])
        drawing = _Drawing(tuple(objects(document)))
        yield Candidate(
            path,
            path.with_suffix("").as_posix(),
            "QuPath",
            drawing.alone,
            tool="QuPath",
            load_onto=drawing.onto,
        )


IMPORTER = QuPathImporter()


@dataclass(frozen=True)
class _Drawing:
    """The features of one image, not yet decoded."""

    features: tuple[Mapping[str, Any], ...]

    def alone(self) -> MaskPixels:
        raise without_picture()

    def onto(self, target: ScanTarget) -> MaskPixels:
        canvas = Canvas.onto(target, None, None)
        others: set[str] = set()
        drawn = False
        for one in self.features:
            geometry = one.get("geometry")
            geometry = geometry if isinstance(geometry, Mapping) else {}
            kind, places = text(geometry.get("type")), geometry.get("coordinates")
            shapes = {"Polygon": [places], "MultiPolygon": places}.get(kind)
            if not isinstance(shapes, list):
                others.add(kind or "nothing")
                continue
            drawn = True
            for rings in shapes:
                canvas.outlines(_class(one), rings if isinstance(rings, list) else [None])
        if others and not drawn:
            raise ImageError(
                f"none of its objects has an area: {', '.join(sorted(others))}",
                remedy="Draw with the brush, the wand or polygons.",
                code="no-outlines",
            )
        if others:
            canvas.notes.append(f"objects without an area passed over: {', '.join(sorted(others))}")
        return canvas.pixels()


def _class(feature: Mapping[str, Any]) -> str:
    """The classification of an object, or ``Unclassified``."""
    properties = feature.get("properties")
    found = properties.get("classification") if isinstance(properties, Mapping) else None
    if isinstance(found, Mapping):
        names = found.get("names")
        joined = ": ".join(map(str, names)) if isinstance(names, list) else ""
        return text(found.get("name")) or joined or _UNCLASSIFIED
    return text(found) or _UNCLASSIFIED
