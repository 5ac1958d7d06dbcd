"""The tasks that Label Studio exports hold, in the order of the ranks, each with its picture."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from coldal_tui.connectors import Parcel
from coldal_tui.errors import ColdalError
from coldal_tui.exchange.manifest import read_manifest

_TASKS, _IMAGES = "tasks.json", "images"
_BATCH_TASKS, _BATCH_BYTES = 50, 32 << 20


@dataclass(frozen=True)
class TaskToMake:
    """One task to make: its id, the scan's key, and the task with its picture."""

    task_id: str
    key: str
    people: tuple[str, ...]
    task: Mapping[str, Any]
    image: Path


def tasks_to_make(parcels: Sequence[Parcel]) -> list[TaskToMake]:
    """All tasks in the order of the ranks; a scan for several people is one task."""
    found: dict[str, tuple[tuple[int, int], TaskToMake]] = {}
    for parcel in parcels:
        manifest = read_manifest(parcel.folder)
        items = {item.scan_id: item for item in parcel.items}
        tasks = json.loads((parcel.folder / _TASKS).read_text("utf-8"))
        for number, task in enumerate(tasks):
            name = str(task["data"]["scan_id"])
            entry = manifest.entry_for(name) if manifest is not None else None
            item = items.get(entry.scan_id) if entry is not None else None
            if entry is not None and item is None:
                continue  # it is not wanted any more
            if item is None:
                raise ColdalError(
                    f"the export holds a picture of no scan: {name}",
                    where=str(parcel.folder / _TASKS),
                    remedy="export again: somebody has changed this folder",
                    code="export-changed",
                )
            task_id = f"{item.key}{name[len(item.scan_id) :]}"
            image = parcel.folder / _IMAGES / _picture_of(task)
            if not image.is_file():
                raise ColdalError(
                    "a picture of the export is gone",
                    where=str(image),
                    remedy="put it back, or export again",
                    code="export-changed",
                )
            if task_id in found:
                place, known = found[task_id]
                people = tuple(dict.fromkeys((*known.people, *item.people)))
                job = TaskToMake(task_id, item.key, people, known.task, known.image)
                found[task_id] = place, job
            else:
                job = TaskToMake(task_id, item.key, item.people, task, image)
                found[task_id] = (item.rank, number), job
    return [job for _, job in sorted(found.values(), key=lambda one: one[0])]


def _picture_of(task: Mapping[str, Any]) -> str:
    return unquote(str(task["data"]["image"])).rpartition("/")[2]


def next_batch(jobs: Sequence[TaskToMake]) -> list[TaskToMake]:
    """The next tasks to make: by count, and by the size of pictures and predictions."""
    found: list[TaskToMake] = []
    size = 0
    for job in jobs[:_BATCH_TASKS]:
        size += job.image.stat().st_size + len(json.dumps(job.task.get("predictions") or ""))
        if found and size > _BATCH_BYTES:
            break
        found.append(job)
    return found


def upload_name(job: TaskToMake) -> str:
    """A name that the server keeps as it is, and that names the picture by its content."""
    with job.image.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    return f"{digest}{job.image.suffix.lower()}"
