"""Label Studio's PNG and NumPy exports: a picture per region, named by task and label.

The JSON of the same project, which must be near them, gives each task's image. The pictures of one
label are joined. E-mail addresses in their names are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels, PassedOver, ScanTarget
from coldal_tui.exchange.importers.numpy_array import NPY, read_array
from coldal_tui.exchange.importers.shared.labelstudio_tasks import (
    Annotation,
    Task,
    mask_name,
    masks_of_tasks,
    picture_of,
    pictures_of,
    read_tasks,
    scan_id_of,
)
from coldal_tui.exchange.masks.rasterise import Canvas, Patch

_PNG = b"\x89PNG\r\n\x1a\n"
_LEVELS = 2


class LabelStudioMaskImporter:
    """Groups the pictures of one annotation; the first one represents all."""

    name = "labelstudio-masks"
    priority = 45
    endings: Mapping[str, str] = {}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """Recognise a PNG or NumPy array by the name that Label Studio gives it."""
        known = head.startswith((_PNG, NPY)) and mask_name(path.name) is not None
        return "Label Studio mask" if known else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """The annotation's other pictures, which the first one represents."""
        first, *others = _group(path)
        return frozenset(others) if path == first else frozenset()

    def candidates(self, path: Path) -> Iterator[Candidate | PassedOver]:
        """One candidate per annotation."""
        found = mask_name(path.name)
        group = _group(path)
        if found is None or path != group[0]:
            return
        document, task = _task_of(path, found["task"])
        if task is None or document is None:
            raise ImageError(
                f"which image task {found['task']} is does not stand in its name",
                where=str(path),
                remedy="Export the project as JSON, too, and put that beside the masks.",
                code="no-json",
            )
        annotation = next(
            (one for one in task.annotations if one.annotation_id == found["annotation"]), None
        )
        name = _image_of(task, annotation, path)
        pictures = _Pictures(tuple(group))
        yield Candidate(
            path,
            name,
            "Label Studio",
            pictures.alone,
            names_image=True,
            other_names=(name,),
            scan_id=scan_id_of(task),
            author=annotation.author if annotation else None,
            tool="Label Studio",
            load_onto=pictures.onto,
            parts=(*group[1:], document),
            updated=annotation.updated if annotation else None,
            minutes=annotation.minutes if annotation else None,
        )


IMPORTER = LabelStudioMaskImporter()


def _image_of(task: Task, annotation: Annotation | None, path: Path) -> str:
    """The name of the image that an annotation was drawn on. Raises ImageError if there are two.

    The masks' own names don't identify the image.
    """
    pictures = pictures_of(task)
    if len(pictures) < 2:
        return pictures[0].name if pictures else ""
    found = {picture_of(region, pictures) for region in (annotation.regions if annotation else ())}
    if len(found) != 1:
        raise ImageError(
            f"its task has {len(pictures)} images, and which one it is of does not stand in its "
            "name",
            where=str(path),
            remedy="Export the project as JSON, and import that.",
            code="several-images",
        )
    return found.pop().name


def _group(path: Path) -> list[Path]:
    """All pictures of the same annotation, in name order."""
    found = mask_name(path.name)
    if found is None:
        return [path]
    return masks_of_tasks(path.parent).get((found["task"], found["annotation"]), [path])


def _task_of(path: Path, task_id: str) -> tuple[Path | None, Task | None]:
    """The JSON near a picture that lists a task, and the task."""
    folder = path.parent
    for _ in range(_LEVELS):
        for document in sorted(folder.glob("*.json")):
            tasks = _tasks(document, document.stat().st_mtime_ns)
            if task_id in tasks:
                return document, tasks[task_id]
        folder = folder.parent
    return None, None


@lru_cache(maxsize=16)
def _tasks(document: Path, _changed: int) -> Mapping[str, Task]:
    try:
        return {task.task_id: task for task in read_tasks(document)}
    except ImageError:
        return {}


@dataclass(frozen=True)
class _Pictures:
    """The pictures of one annotation, not yet decoded."""

    files: tuple[Path, ...]

    def alone(self) -> MaskPixels:
        first = _read(self.files[0])
        return self._drawn(Canvas(*first.shape))

    def onto(self, target: ScanTarget) -> MaskPixels:
        first = _read(self.files[0])
        return self._drawn(Canvas.onto(target, *first.shape))

    def _drawn(self, canvas: Canvas) -> MaskPixels:
        for file in self.files:
            found = mask_name(file.name)
            drawn = _read(file)
            if drawn.shape != (canvas.rows, canvas.columns):
                raise ImageError(
                    f"{file.name} has another size than {self.files[0].name}",
                    remedy="Export the masks again.",
                    code="damaged",
                )
            canvas.patch(found["label"] if found else "", Patch(drawn))
        return canvas.pixels()


def _read(file: Path) -> NDArray[np.bool_]:
    """The drawn pixels of a picture: all that are not 0."""
    from coldal_tui.exchange.importers.raster import read_picture_mask

    with file.open("rb") as stream:
        if stream.read(len(NPY)) != NPY:
            return np.asarray(read_picture_mask(file).array != 0)
    return np.asarray(read_array(file) != 0)
