"""The images that MONAI Label exports hold, in the order of the ranks, each with its pre-label."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from coldal_tui.connectors import Item, Parcel
from coldal_tui.errors import ColdalError
from coldal_tui.exchange.manifest import Manifest, ManifestEntry, read_manifest
from coldal_tui.exchange.names import file_stem

KEY, PERSON, RANK = "coldal_id", "assignee", "rank"
"""What an image's info says: the scan's key, whom it is for, and its place in the queue."""
FINAL, ORIGINAL = "final", "original"
"""The tags of labels: submitted ones, and a model's."""

Objects = dict[str, Mapping[str, Any]]
"""The ``objects`` of a datastore: images with their labels, by image id."""


@dataclass(frozen=True)
class ImageToAdd:
    """One image to add. ``shared``: the scan goes to several people, each with an image of it.

    ``names`` are the classes of the pre-label's values.
    """

    image_id: str
    key: str
    rank: int
    person: str
    file: Path
    prelabel: Path | None
    names: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    shared: bool = False

    @property
    def info(self) -> dict[str, Any]:
        """What the datastore is told of the image; nothing of why it was chosen (blinding)."""
        told: dict[str, Any] = {KEY: self.key, RANK: self.rank}
        return told | ({PERSON: self.person} if self.person else {})

    def entry(self) -> dict[str, Any]:
        """The image as the datastore lists it, without times."""
        labels: dict[str, Any] = {}
        if self.prelabel is not None:
            info = {"label_info": list(self.names)}
            labels[ORIGINAL] = {"ext": ending(self.prelabel.name), "info": info}
        return {"image": {"ext": ending(self.file.name), "info": self.info}, "labels": labels}


class Store(Protocol):
    """A datastore. ``batch``: so many images are added at once; ``requests`` counts questions.

    Methods raise ColdalError when the datastore refuses or can't be reached.
    """

    batch: int

    @property
    def requests(self) -> int: ...

    def check(self) -> str:
        """Enter it; return what it is, in words."""

    def rest(self, number: int) -> None:
        """Wait after a failure."""

    def read(self) -> Objects:
        """All images whose files are there."""

    def holds(self, job: ImageToAdd) -> bool:
        """Whether the image of this id is the same file."""

    def add(self, jobs: Sequence[ImageToAdd], there: Objects) -> None:
        """Add images and pre-labels, or what is missing of them."""

    def stamp(self, image_id: str, label: Mapping[str, Any]) -> float:
        """When a final label was saved, in seconds since 1970."""

    def final(self, image_id: str, ending: str) -> bytes | None:
        """The file of a final label; None where it is gone."""


def images_to_add(parcels: Sequence[Parcel]) -> list[ImageToAdd]:
    """All images in the order of the ranks: one for each scan, or one for each of its people.

    MONAI Label keeps one final label of an image. Its strategy "first" goes by the ids of images:
    these begin with the rank.
    """
    found: dict[str, dict[str, ImageToAdd]] = {}
    for parcel in parcels:
        manifest = read_manifest(parcel.folder)
        items = {item.scan_id: item for item in parcel.items}
        for entry in manifest.entries if manifest is not None else ():
            item = items.get(entry.scan_id)
            if manifest is None or item is None:
                continue  # it is not wanted any more
            for person in item.people or ("",):
                job = _image(parcel.folder, manifest, entry, item, person)
                found.setdefault(item.key, {}).setdefault(person, job)
    jobs = []
    for copies in found.values():
        shared = len(copies) > 1
        for person, job in copies.items():
            name = f"{job.image_id}--{_safe(person)}" if shared else job.image_id
            jobs.append(replace(job, image_id=name, shared=shared))
    return sorted(jobs, key=lambda job: (job.rank, job.image_id))


def _image(
    folder: Path, manifest: Manifest, entry: ManifestEntry, item: Item, person: str
) -> ImageToAdd:
    names = tuple({"name": one, "idx": n} for n, one in enumerate(manifest.classes, start=1))
    prelabel = folder / entry.prelabel if entry.prelabel else None
    for file in (folder / entry.image, prelabel):
        if file is not None and not file.is_file():
            raise ColdalError(
                "a file of the export is gone",
                where=str(file),
                remedy="put it back, or export again",
                code="export-changed",
            )
    name = f"{item.rank:04d}-{entry.scan_id}"
    return ImageToAdd(name, item.key, item.rank, person, folder / entry.image, prelabel, names)


def info_of(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a datastore says of an image."""
    image = entry.get("image")
    info = image.get("info") if isinstance(image, dict) else None
    return info if isinstance(info, dict) else {}


def labels_of(entry: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The labels of an image by tag."""
    found = entry.get("labels")
    labels = found if isinstance(found, dict) else {}
    return {str(tag): one for tag, one in labels.items() if isinstance(one, dict)}


def ending(name: str) -> str:
    return name[len(file_stem(name)) :]


def _safe(person: str) -> str:
    return re.sub(r"[^\w.@-]", "_", person)
