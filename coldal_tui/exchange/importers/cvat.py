"""CVAT for images 1.1: one XML of polygons, masks and ellipses for all images of a task.

Images are identified by ``image/@name``, never by ``@id``. The file is read as a stream by expat; a
file that declares a document type or entities is refused: these can make a small file fill the
memory, or read other files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import BLANK, Candidate, MaskPixels, ScanTarget
from coldal_tui.exchange.importers.shared.json_files import LARGEST, seconds, unique_keys
from coldal_tui.exchange.importers.shared.pictures_beside import pictures_beside
from coldal_tui.exchange.masks.rasterise import Canvas, Patch, fill_ellipse
from coldal_tui.exchange.masks.rle import check_size, decode_cvat
from coldal_tui.exchange.refusals import damaged, unreadable

_AREAS = ("polygon", "mask", "ellipse")
_OTHER = ("box", "polyline", "points", "cuboid", "skeleton")
_BLOCK = 1 << 20
_START = 256
_SPACE = b"\xef\xbb\xbf \t\r\n"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class CvatImporter:
    """Reads ``annotations.xml`` of CVAT's native image format."""

    name = "cvat"
    priority = 30
    endings: Mapping[str, str] = {}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """An XML with CVAT's root element."""
        wide = head.startswith(_UTF16)
        if not wide and not head[:_START].lstrip(_SPACE).startswith(b"<"):
            return None
        encoding = "utf-16" if wide else "utf-8"
        text = head.decode(encoding, "replace").lstrip("\ufeff \t\r\n")
        return "CVAT XML file" if text.startswith("<") and "<annotations" in text else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """The pictures exported together with it."""
        try:
            images = read_images(path).images
        except ImageError:
            return frozenset()
        return pictures_beside(path, [image.name for image in images])

    def candidates(self, path: Path) -> Iterator[Candidate]:
        """One candidate per image, including images without annotations.

        Tasks of one project may have images of the same name: then the task's name serves as the
        folder, and an image without annotations is not replaced by the other's mask.
        """
        document = read_images(path)
        names = [image.name for image in document.images]
        often = Counter(names)
        placed = [document.placed_name(image) for image in document.images]
        keys = unique_keys(placed if len(often) < len(names) else names)
        for image, name, key in zip(document.images, placed, keys, strict=True):
            yield Candidate(
                path,
                name,
                "CVAT",
                image.alone,
                names_image=True,
                author=document.assignee_of(image),
                tool="CVAT",
                load_onto=image.onto,
                key=key,
                updated=document.updated,
                weak="" if image.shapes or often[image.name] > 1 else BLANK,
            )


IMPORTER = CvatImporter()


@dataclass(frozen=True)
class _Image:
    """One image and its annotations: XML elements with their attributes, not yet decoded."""

    name: str
    columns: str | None
    rows: str | None
    task: str = ""
    shapes: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def alone(self) -> MaskPixels:
        return self._drawn(Canvas(*check_size(self.rows, self.columns)))

    def onto(self, target: ScanTarget) -> MaskPixels:
        return self._drawn(Canvas.onto(target, self.rows, self.columns))

    def _drawn(self, canvas: Canvas) -> MaskPixels:
        areas = [(kind, shape) for kind, shape in self.shapes if kind in _AREAS]
        for kind, shape in sorted(areas, key=lambda area: _level(area[1])):
            canvas.on_level(_level(shape))
            _draw(canvas, kind, shape)
        others = [kind for kind, _ in self.shapes if kind in _OTHER]
        if others and not areas:
            raise ImageError(
                f"none of its {len(others)} drawings has an area: {', '.join(sorted(set(others)))}",
                remedy="Draw polygons or masks.",
                code="no-outlines",
            )
        if others:
            kinds = ", ".join(f"{others.count(kind)} {kind}" for kind in sorted(set(others)))
            canvas.notes.append(f"drawings without an area passed over: {kinds}")
        return canvas.pixels()


def _level(shape: Mapping[str, str]) -> int:
    """The layer from ``z_order``: higher values cover lower ones."""
    try:
        return int(shape.get("z_order") or 0)
    except ValueError:
        return 0


def _draw(canvas: Canvas, kind: str, shape: Mapping[str, str]) -> None:
    name = shape.get("label", "")
    if kind == "polygon":
        canvas.polygon(name, _numbers(shape.get("points", "").replace(";", ",")))
    elif kind == "mask":
        rows, columns = check_size(shape.get("height"), shape.get("width"))
        drawn = decode_cvat(shape.get("rle", ""), rows, columns)
        top, left = (int(n) for n in _numbers(f"{shape.get('top')},{shape.get('left')}"))
        canvas.patch(name, Patch(drawn, top, left))
    else:
        x, y, a, b, angle = _numbers(
            ",".join(shape.get(key, "0") for key in ("cx", "cy", "rx", "ry", "rotation"))
        )
        canvas.patch(name, fill_ellipse((x, y), (a, b), angle, canvas.rows, canvas.columns))


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ImageError(
            "a drawing has coordinates that are no numbers",
            remedy="Export it again.",
            code="damaged",
        ) from error


@dataclass
class _Task:
    """One task of a project: its number, name and assignee."""

    number: str = ""
    name: str = ""
    assignee: str = ""


@dataclass(frozen=True)
class Document:
    """The content of an XML: images, their tasks, assignees, and the last change."""

    images: tuple[_Image, ...]
    tasks: Mapping[str, _Task]
    assignee: str | None = None
    updated: float | None = None

    def placed_name(self, image: _Image) -> str:
        """The image's name, prefixed with its task's name if there are several tasks."""
        task = self.tasks.get(image.task)
        return (
            f"{task.name}/{image.name}"
            if task and task.name and len(self.tasks) > 1
            else image.name
        )

    def assignee_of(self, image: _Image) -> str | None:
        """The assignee of an image: its task's, else the only one in the document."""
        task = self.tasks.get(image.task)
        return (task.assignee if task and len(self.tasks) > 1 else None) or self.assignee


def read_images(path: Path) -> Document:
    """Read the images of a file with their annotations, not yet decoded.

    Raises
    ------
    ImageError : ``damaged``, ``entities``, ``video`` (tracks have no image names), ``unreadable``.
    """
    reader = _Reader(path)
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.EntityDeclHandler = reader.refuse
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it is larger than {LARGEST >> 20} MiB")
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                parser.Parse(block, False)
        parser.Parse(b"", True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise damaged(path, f"the file is no whole XML document: {error}") from error
    except OSError as error:
        raise unreadable(path, error) from error
    return reader.document()


class _Reader:
    """Collects images from expat's events."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._images: list[_Image] = []
        self._current: _Image | None = None
        self._open: list[str] = []
        self._text: list[str] = []
        self._assignees: set[str] = set()
        self._tasks: list[_Task] = []
        self._times: list[float] = []
        self._tracks = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._open.append(tag)
        self._text = []
        if tag == "image":
            name = attributes.get("name", "")
            size = attributes.get("width"), attributes.get("height")
            self._current = _Image(name, *size, attributes.get("task_id", ""))
            self._images.append(self._current)
        elif tag == "task":
            self._tasks.append(_Task())
        elif tag == "track":
            self._tracks += 1
        elif self._current is not None and self._open[-2:-1] == ["image"]:
            # Only direct children: a skeleton has its own points.
            self._current.shapes.append((tag, attributes))

    def text(self, data: str) -> None:
        self._text.append(data)

    def end(self, tag: str) -> None:
        self._open.pop()
        if tag == "image":
            self._current = None
            return
        word = "".join(self._text).strip()
        inside = self._open[-1:]
        if tag == "updated" and (moment := seconds(word)) is not None:
            self._times.append(moment)
        elif word and (tag == "assignee" or (tag == "username" and inside == ["assignee"])):
            self._assignees.add(word)
        if self._tasks and "task" in self._open:
            self._tell_task(tag, word, inside)

    def _tell_task(self, tag: str, word: str, inside: list[str]) -> None:
        """Set a field of the current task; segments and jobs have fields of the same names."""
        task = self._tasks[-1]
        if inside == ["task"] and tag == "id":
            task.number = word
        elif inside == ["task"] and tag == "name":
            task.name = word
        elif word and (
            (tag == "assignee" and inside == ["task"])
            or (tag == "username" and self._open[-2:] == ["task", "assignee"])
        ):
            task.assignee = word

    def refuse(self, *_declaration: Any) -> None:
        raise ImageError(
            "the XML declares a document type or entities, which masks do not need",
            where=str(self._path),
            remedy="Export it from CVAT again.",
            code="entities",
        )

    def document(self) -> Document:
        if self._tracks and not self._images:
            raise ImageError(
                "it is CVAT for video: its tracks name frames, not images",
                where=str(self._path),
                remedy="Export it as 'CVAT for images 1.1'.",
                code="video",
            )
        assignee = self._assignees.pop() if len(self._assignees) == 1 else None
        tasks = {task.number: task for task in self._tasks}
        return Document(
            tuple(self._images),
            tasks,
            assignee,
            max(self._times, default=None),
        )
