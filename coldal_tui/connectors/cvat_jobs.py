"""The jobs that CVAT exports hold, and what was drawn in one as a file of CVAT's own XML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from coldal_tui.connectors import Item, Parcel
from coldal_tui.errors import ColdalError
from coldal_tui.exchange.exporters.cvat import ANNOTATIONS
from coldal_tui.exchange.importers.cvat import read_images
from coldal_tui.exchange.manifest import ManifestEntry, read_manifest

_NAME = re.compile(r"^\d+_([0-9a-f]{20})_(.+)$")
_BATCH_JOBS, _BATCH_BYTES = 100, 64 << 20
_KINDS = {"rectangle": "box"}
_POINTS = ("polygon", "polyline", "points")


@dataclass(frozen=True)
class JobToMake:
    """One scan for one person: its frames' names on the server with their pictures.

    ``shapes`` are the masks of the pre-label, as attributes of the XML, by frame name. ``shared``:
    the scan goes to several people, each with a job of it.
    """

    key: str
    rank: int
    person: str
    frames: tuple[tuple[str, Path], ...]
    shapes: Mapping[str, tuple[Mapping[str, str], ...]] = field(default_factory=dict, repr=False)
    shared: bool = False


def jobs_to_make(parcels: Sequence[Parcel]) -> list[JobToMake]:
    """All jobs, those of one person together and in the order of the ranks."""
    found: dict[str, dict[str, JobToMake]] = {}
    for parcel in parcels:
        manifest = read_manifest(parcel.folder)
        items = {item.scan_id: item for item in parcel.items}
        drawn = _prelabels(parcel.folder)
        for entry in manifest.entries if manifest is not None else ():
            item = items.get(entry.scan_id)
            if item is None:
                continue  # it is not wanted any more
            for person in item.people or ("",):
                job = _job(parcel.folder, entry, item, person, drawn)
                found.setdefault(item.key, {}).setdefault(person, job)
    jobs = [replace(job, shared=len(some) > 1) for some in found.values() for job in some.values()]
    return sorted(jobs, key=lambda job: (job.person, job.rank, job.key))


def _job(
    folder: Path,
    entry: ManifestEntry,
    item: Item,
    person: str,
    drawn: Mapping[str, tuple[Mapping[str, str], ...]],
) -> JobToMake:
    frames, shapes = [], {}
    for image in entry.slice_images or (entry.image,):
        path = folder / image
        if not path.is_file():
            raise ColdalError(
                "a picture of the export is gone",
                where=str(path),
                remedy="put it back, or export again",
                code="export-changed",
            )
        name = f"{item.rank:04d}_{item.key}_{path.name}"
        frames.append((name, path))
        if found := drawn.get(path.name):
            shapes[name] = found
    return JobToMake(item.key, item.rank, person, tuple(frames), shapes)


def _prelabels(folder: Path) -> dict[str, tuple[Mapping[str, str], ...]]:
    """The masks in an export's annotations by the pictures' names."""
    return {
        image.name: tuple(shape for kind, shape in image.shapes if kind == "mask")
        for image in read_images(folder / ANNOTATIONS).images
    }


def next_batch(jobs: Sequence[JobToMake]) -> list[JobToMake]:
    """The next jobs to make, of one person: by count, and by the size of their pictures."""
    found: list[JobToMake] = []
    size = 0
    for job in jobs[:_BATCH_JOBS]:
        size += sum(path.stat().st_size for _, path in job.frames)
        if found and (job.person != found[0].person or size > _BATCH_BYTES):
            break
        found.append(job)
    return found


def key_and_name(frame: str) -> tuple[str, str]:
    """The scan's key and the exported picture's name; no key for frames that are not ours."""
    found = _NAME.match(frame.rpartition("/")[2])
    return (found[1], found[2]) if found else ("", frame)


def shapes_of(
    job: JobToMake, frames: Mapping[str, int], labels: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    """The pre-label as fields of the SDK's ``LabeledShapeRequest``."""
    for name, shapes in job.shapes.items():
        for one in shapes:
            left, top, width, height = (int(one[key]) for key in ("left", "top", "width", "height"))
            runs = [float(run) for run in one["rle"].split(",")]
            corners = (left, top, left + width - 1, top + height - 1)
            yield {
                "type": "mask",
                "label_id": labels[one["label"]],
                "frame": frames[name],
                "points": [*runs, *map(float, corners)],
                "source": "auto",
            }


def drawing_file(
    frames: Mapping[int, str],
    sizes: Sequence[tuple[int, int]],
    shapes: Iterable[Mapping[str, Any]],
    labels: Mapping[int, str],
) -> bytes:
    """A job's shapes as "CVAT for images 1.1"; the same bytes as long as nothing changed.

    ``sizes`` are (width, height) of all frames of the task, ``frames`` the names of the job's.
    """
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    images = {}
    for number, name in sorted(frames.items()):
        width, height = sizes[number]
        picture = key_and_name(name)[1]
        images[number] = ElementTree.SubElement(
            root, "image", id=str(number), name=picture, width=str(width), height=str(height)
        )
    for shape in sorted(shapes, key=lambda one: (one.get("z_order") or 0, one.get("id") or 0)):
        image = images.get(int(shape["frame"]))
        if image is not None:
            kind = str(shape["type"])
            label = labels.get(int(shape["label_id"]), "")
            about = {"label": label, "z_order": str(shape.get("z_order") or 0)}
            about |= _geometry(kind, [float(one) for one in shape.get("points") or ()])
            if shape.get("rotation"):
                about["rotation"] = str(shape["rotation"])
            ElementTree.SubElement(image, _KINDS.get(kind, kind), about)
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _geometry(kind: str, points: Sequence[float]) -> dict[str, str]:
    """A shape's points as the attributes of CVAT's XML (its documentation, formats)."""
    if kind == "mask" and len(points) > 4:
        left, top, right, bottom = (int(one) for one in points[-4:])
        return {
            "rle": ", ".join(str(int(one)) for one in points[:-4]),
            "left": str(left),
            "top": str(top),
            "width": str(right - left + 1),
            "height": str(bottom - top + 1),
        }
    if kind == "ellipse" and len(points) == 4:
        x, y, most_x, least_y = points
        return {"cx": str(x), "cy": str(y), "rx": str(most_x - x), "ry": str(y - least_y)}
    if kind in _POINTS:
        pairs = zip(points[::2], points[1::2], strict=False)
        return {"points": ";".join(f"{x},{y}" for x, y in pairs)}
    return {}
