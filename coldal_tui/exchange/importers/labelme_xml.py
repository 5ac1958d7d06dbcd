"""LabelMe 3.0 XML (the web tool; CVAT exports it): polygons, and masks in separate pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels, ScanTarget
from coldal_tui.exchange.importers.shared.alpha_bitmap import decode_alpha
from coldal_tui.exchange.importers.shared.label_xml import parsed_xml
from coldal_tui.exchange.importers.shared.pictures_beside import pictures_beside, placed_beside
from coldal_tui.exchange.masks.rasterise import Canvas, Patch
from coldal_tui.exchange.refusals import damaged, unreadable

_MASKS, _SCRIBBLES = "Masks", "Scribbles"
_BOX = "bounding_box"
_MARKS = (b"<polygon", b"<segm", b"<imagesize")


class LabelMeXmlImporter:
    """Reads one file per image; deleted objects and boxes are skipped."""

    name = "labelme-xml"
    priority = 32
    endings: Mapping[str, str] = {}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """An XML of one annotation, with polygons or masks (VOC's has boxes alone)."""
        known = b"<annotation>" in head[:512] and any(mark in head for mark in _MARKS)
        return "LabelMe XML file" if known else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """The picture in the same folder, and the masks and scribbles that its objects name."""
        try:
            document = read_document(path)
        except ImageError:
            return frozenset()
        names = [*(one.findtext("mask") or "" for one in document.root.iter("segm"))]
        scribbles = [one.text or "" for one in document.root.iter("scribble_name")]
        return pictures_beside(path, [document.image]) | frozenset(
            path.parent / folder / name
            for folder, found in ((_MASKS, names), (_SCRIBBLES, scribbles))
            for name in found
            if name and _plain(name)
        )

    def candidates(self, path: Path) -> Iterator[Candidate]:
        """One candidate, with the name of its image."""
        document = read_document(path)
        drawing = _Drawing(document, path)
        users = {(one.text or "").strip() for one in document.root.iter("username")} - {""}
        yield Candidate(
            path,
            placed_beside(path, document.image) or path.as_posix(),
            "LabelMe",
            drawing.alone,
            names_image=bool(document.image),
            author=users.pop() if len(users) == 1 else None,
            tool="LabelMe",
            load_onto=drawing.onto,
        )


IMPORTER = LabelMeXmlImporter()


@dataclass(frozen=True)
class Document:
    """The content of a file: its image's name and size, and its objects."""

    root: Any
    image: str
    rows: Any
    columns: Any


def read_document(path: Path) -> Document:
    """Read the document in a file. Raises ImageError: ``damaged``, ``unreadable``."""
    try:
        root = parsed_xml(path.read_text("utf-8-sig"))
    except (OSError, UnicodeError) as error:
        raise unreadable(path, error) from error
    if root is None:
        raise damaged(path, "the file is no whole XML document, or declares entities")
    return Document(
        root,
        (root.findtext("filename") or "").strip(),
        root.findtext("imagesize/nrows"),
        root.findtext("imagesize/ncols"),
    )


def _plain(name: str) -> bool:
    """Whether a name is a plain file name without folders."""
    return not any(mark in name for mark in ("/", "\\", ".."))


@dataclass(frozen=True)
class _Drawing:
    document: Document
    path: Path

    def alone(self) -> MaskPixels:
        return self._drawn(Canvas(self.document.rows, self.document.columns))

    def onto(self, target: ScanTarget) -> MaskPixels:
        return self._drawn(Canvas.onto(target, self.document.rows, self.document.columns))

    def _drawn(self, canvas: Canvas) -> MaskPixels:
        boxes = areas = 0
        for one in self.document.root.iter("object"):
            if (one.findtext("deleted") or "0").strip() == "1":
                continue
            name = (one.findtext("name") or "").strip()
            segment, polygon = one.find("segm"), one.find("polygon")
            if segment is not None:
                canvas.patch(name, self._mask(segment, canvas))
            elif polygon is not None and (one.findtext("type") or "").strip() != _BOX:
                points = [(pt.findtext("x"), pt.findtext("y")) for pt in polygon.iter("pt")]
                if len(points) < 3:  # points and lines
                    boxes += 1
                    continue
                canvas.polygon(name, points)
            else:
                boxes += 1
                continue
            areas += 1
        if boxes and not areas:
            raise ImageError(
                f"none of its {boxes} objects has an outline: boxes, lines or points only",
                remedy="Draw polygons or masks.",
                code="no-outlines",
            )
        if boxes:
            canvas.notes.append(f"{boxes} objects without an outline passed over")
        return canvas.pixels()

    def _mask(self, segment: Any, canvas: Canvas) -> Patch:
        name = (segment.findtext("mask") or "").strip()
        file = self.path.parent / _MASKS / name
        if not name or not _plain(name) or not file.is_file():
            raise ImageError(
                f"its mask {name!r} does not lie in {_MASKS}/ beside it",
                remedy="Import the whole export, with its pictures.",
                code="missing-part",
            )
        return Patch(decode_alpha(file.read_bytes(), canvas.rows, canvas.columns))
