"""Reads Label Studio's tasks: images, annotators, regions, and masks exported near them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from coldal_tui.errors import ImageError
from coldal_tui.exchange.importers.shared.json_files import objects, read_json, seconds, text

_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")
_PICTURE = re.compile(
    r"\.(?:png|jpe?g|jpe|jfif|bmp|gif|tiff?|webp|dcm|nii|gz|nrrd)$", re.IGNORECASE
)
_MASK = re.compile(
    r"task-(?P<task>\d+)-annotation-(?P<annotation>\d+)-by-[^-]*-[^-]+-"
    r"(?P<label>.+)-\d+\.(?:png|npy)$",
    re.IGNORECASE,
)
_SCAN_ID = "scan_id"
_IMAGE_KEYS = ("image", "img")
_NEAR = 2
"""Depth of folders below a JSON in which its masks are searched for."""


@dataclass(frozen=True)
class Annotation:
    """One annotator's result for a task."""

    task_id: str
    annotation_id: str
    regions: tuple[Mapping[str, Any], ...]
    author: str | None = None
    updated: float | None = None
    cancelled: bool = False
    minutes: float | None = None


@dataclass(frozen=True)
class Task:
    """One task: its data and its annotations."""

    task_id: str
    data: Mapping[str, Any]
    annotations: tuple[Annotation, ...]


def read_tasks(path: Path) -> list[Task]:
    """The tasks in a JSON.

    Raises
    ------
    ImageError : as ``read_json``; ``damaged`` for other documents.
    """
    document = read_json(path)
    entries = objects(document if isinstance(document, list) else [document])
    tasks = [_task(entry) for entry in entries]
    if not entries or not all(tasks):
        raise ImageError(
            "it holds something that is no task of Label Studio",
            where=str(path),
            remedy="Export the tasks as JSON again.",
            code="damaged",
        )
    return [task for task in tasks if task is not None]


def _task(entry: Mapping[str, Any]) -> Task | None:
    """Parse a task, a single annotation with its task inside, or an entry of JSON-MIN."""
    inside = entry.get("task")
    if isinstance(inside, dict) and "result" in entry:
        data = inside.get("data")
        task_id = text(inside.get("id"))
        drawn = [dict(entry)]
    elif isinstance(entry.get("data"), dict):
        data = entry["data"]
        task_id = text(entry.get("id"))
        drawn = objects(entry.get("annotations") or entry.get("completions") or [])
    elif "annotation_id" in entry:
        return _minimal(entry)
    else:
        return None
    if not isinstance(data, dict):
        return None
    upload = text(entry.get("file_upload"))
    named = data | ({"file_upload": upload} if upload else {})
    return Task(task_id, named, tuple(_annotation(task_id, one) for one in drawn))


def _annotation(task_id: str, one: Mapping[str, Any]) -> Annotation:
    who = one.get("completed_by")
    author = text(who.get("email") or who.get("id")) if isinstance(who, dict) else text(who)
    return Annotation(
        task_id,
        text(one.get("id")),
        tuple(objects(one.get("result"))),
        author or None,
        seconds(one.get("updated_at")) or seconds(one.get("created_at")),
        bool(one.get("was_cancelled")),
        _minutes(one.get("lead_time")),
    )


def _minutes(lead_time: object) -> float | None:
    """Label Studio's ``lead_time``, in seconds, as minutes; None where it is no time."""
    if isinstance(lead_time, bool) or not isinstance(lead_time, (int, float)):
        return None
    return lead_time / 60 if 0 <= lead_time < math.inf else None


def _minimal(entry: Mapping[str, Any]) -> Task:
    """Parse JSON-MIN: bare regions, under the name of the control that drew them."""
    regions = [
        {"value": dict(region), **{key: region.get(key) for key in _FRAME}}
        for value in entry.values()
        for region in objects(value)
        if "original_width" in region
    ]
    task_id = text(entry.get("id"))
    annotation = Annotation(
        task_id,
        text(entry.get("annotation_id")),
        # An entry without regions may hold an answer, which looks like the task's data.
        tuple(regions) or ({"type": "JSON-MIN line without a region", "value": {}},),
        text(entry.get("annotator")) or None,
        seconds(entry.get("updated_at")),
        minutes=_minutes(entry.get("lead_time")),
    )
    data = {
        key: value
        for key, value in entry.items()
        if isinstance(value, str) or (isinstance(value, list) and not objects(value))
    }
    return Task(task_id, data, (annotation,))


_FRAME = ("original_width", "original_height", "image_rotation", "item_index", "to_name")


@dataclass(frozen=True)
class Picture:
    """One picture of a task: its name, the key in the task's data, its place in a list of pages."""

    name: str
    key: str
    page: int | None = None

    @property
    def place(self) -> str:
        """The key (and page) that distinguishes it from the task's other pictures."""
        return self.key if self.page is None else f"{self.key} page {self.page + 1}"


def scan_id_of(task: Task) -> str | None:
    """The scan id that this program's export gave to a task; such a task has one picture."""
    return text(task.data.get(_SCAN_ID)) or None


def pictures_of(task: Task) -> list[Picture]:
    """The pictures of a task: single ones, and the pages of lists (``valueList``)."""
    found: list[Picture] = []
    for key, value in task.data.items():
        if key == _SCAN_ID:
            continue
        if isinstance(value, str) and value and (key in _IMAGE_KEYS or _is_picture(value)):
            found.append(Picture(_plain(value), key))
        elif isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            pages = [Picture(_plain(one), key, page) for page, one in enumerate(value)]
            found += pages if all(_is_picture(one) for one in value) else []
    upload = text(task.data.get("file_upload"))
    if not [one for one in found if one.name]:
        return [Picture(_UPLOAD_PREFIX.sub("", upload), "file_upload")] if upload else []
    # Label Studio repeats an upload's name next to the data made from it, and people keep the
    # file's name next to its URL.
    own = [one for one in found if one.key != "file_upload"] or found
    single = [one for one in own if one.page is None]
    seen = {PurePosixPath(one.name).name for one in single}
    return single[:1] if len(seen) == 1 and len(single) == len(own) else own


def picture_of(region: Mapping[str, Any], pictures: Sequence[Picture]) -> Picture:
    """The picture that a region was drawn on: by ``to_name`` and ``item_index``.

    ``to_name`` is the name of an Image tag; it is resolved when it equals the key of the task's
    data. A task with one picture needs neither.

    Raises
    ------
    ImageError : ``several-images``: the file does not tell which picture it was.
    """
    keys = list(dict.fromkeys(one.key for one in pictures))
    name = text(region.get("to_name"))
    key = name if name in keys else keys[0] if len(keys) == 1 else None
    pages = [one for one in pictures if one.key == key]
    if len(pages) == 1:
        return pages[0]
    index = region.get("item_index")
    if pages and isinstance(index, int) and 0 <= index < len(pages):
        return pages[index]
    if pages:
        raise ImageError(
            f"its task has {len(pages)} pages, and a region does not say which one it is on",
            remedy="Export the project as JSON (not JSON-MIN).",
            code="several-images",
        )
    raise ImageError(
        f"its task has {len(keys)} images ({', '.join(keys)}), and a region is of "
        f"{name or 'none of them by name'}",
        remedy='Name each Image tag like its data (<Image name="lat" value="$lat"/>) and export '
        "JSON, or give every task one image.",
        code="several-images",
    )


def _is_picture(address: str) -> bool:
    return _PICTURE.search(_plain(address)) is not None


def _plain(address: str) -> str:
    """The path in a URL, without the prefix that Label Studio adds to uploads."""
    parts = urlsplit(address.replace("\\", "/"))
    local = parse_qs(parts.query).get("d")
    path = local[0] if local else unquote(parts.path)
    if "/upload/" in path:
        name = PurePosixPath(path).name
        return _UPLOAD_PREFIX.sub("", name)
    return path.lstrip("/") if parts.scheme else path


def masks_of_tasks(folder: Path) -> dict[tuple[str, str], list[Path]]:
    """Masks exported as PNG or NumPy near a JSON, by task and annotation."""
    found: dict[tuple[str, str], list[Path]] = {}
    levels = [folder]
    for _ in range(_NEAR):
        for one in levels:
            for file in _listed(one):
                if match := _MASK.match(file.name):
                    found.setdefault((match["task"], match["annotation"]), []).append(file)
        levels = [sub for one in levels for sub in _folders(one)]
    return found


def mask_name(name: str) -> re.Match[str] | None:
    """Task, annotation and label in the name of an exported mask."""
    return _MASK.match(name)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if entry.is_file())
    except OSError:
        return []


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(
            entry
            for entry in folder.iterdir()
            if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith(".")
        )
    except OSError:
        return []
