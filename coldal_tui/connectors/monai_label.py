"""MONAI Label: images and pre-labels into its datastore, final labels back.

The datastore is reached through its server, or as the folder that the server was started on. Every
image carries ``coldal_id`` in its info: what is there already is found by it, whoever was cut off
when. Seen with MONAI Label 0.8.5 (``monailabel.datastore.local``, ``monailabel.endpoints``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from coldal_tui.connectors import Address, Drawing, Parcel, Person, Progress, Pulled, Sent
from coldal_tui.connectors.monai_label_images import (
    FINAL,
    KEY,
    ORIGINAL,
    PERSON,
    ImageToAdd,
    Objects,
    Store,
    images_to_add,
    info_of,
    labels_of,
)
from coldal_tui.connectors.monai_label_stores import FolderStore, ServerStore
from coldal_tui.connectors.web import CUT, Web
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.importers.monai_label import user_of
from coldal_tui.visible import counted

_NOBODY = "user-xyz"
"""The ``client_id`` of 3D Slicer where nobody has set one."""


def connect_monai_label(address: Address) -> MonaiLabel:
    """The connector to a server, or to the folder of a ``file:`` address. Asks nothing yet."""
    parts = urlsplit(address.url)
    if parts.scheme != "file":
        return MonaiLabel(address, ServerStore(address, Web(address.url, ca=address.ca)))
    folder = Path(unquote(parts.path))
    if parts.netloc or not folder.is_absolute():
        raise UsageError(
            "this is no address of a folder", where=address.url, remedy="file:///srv/studies"
        )
    return MonaiLabel(address, FolderStore(folder))


class MonaiLabel:
    """See :class:`coldal_tui.connectors.Connector`."""

    exporter = "monai-label"

    def __init__(self, address: Address, store: Store) -> None:
        self._address = address
        self._store = store
        self._told: dict[str, tuple[float, int]] = {}
        self._cursor = ""

    @property
    def requests(self) -> int:
        return self._store.requests

    def check(self) -> str:
        """Enter the server, and count the images of its datastore."""
        name = self._store.check()
        images = self._store.read()
        labelled = sum(FINAL in labels_of(entry) for entry in images.values())
        return f"{name} with {counted(len(images), 'image')}, {labelled:,} labelled"

    def people(self) -> tuple[Person, ...]:
        """Nobody: MONAI Label keeps no list of users."""
        return ()

    # What goes there

    def push(self, parcels: Sequence[Parcel], progress: Progress) -> Iterator[Sent]:
        """Add the missing images in the order of the ranks, each with its pre-label.

        A connection that is cut leaves open whether the server added an image: it is asked.
        """
        jobs = images_to_add(parcels)
        by_key: dict[str, list[ImageToAdd]] = {}
        for job in jobs:
            by_key.setdefault(job.key, []).append(job)
        there = _There(self._store.read())
        before = {key for key, some in by_key.items() if all(map(there.has, some))}
        done: set[str] = set()

        def complete(keys: Iterable[str]) -> Iterator[Sent]:
            for key in dict.fromkeys(keys):
                if key not in done and all(map(there.has, by_key[key])):
                    done.add(key)
                    progress(len(done), len(by_key), key)
                    ids = tuple(str(there.id_of(job)) for job in by_key[key])
                    yield Sent(key, ids, key in before)

        yield from complete(by_key)
        todo = [job for job in jobs if not there.has(job)]
        cut = 0
        while todo:
            batch = [self._named(job, there) for job in todo[: self._store.batch]]
            try:
                self._store.add(batch, there.objects)
                for job in batch:
                    there.note(job.image_id, job.entry())
                cut = 0
            except ColdalError as error:
                cut += 1
                if error.code not in (CUT, "server") or cut > 3:
                    raise
                self._store.rest(cut)
                there = _There(self._store.read())
            todo = [job for job in todo if not there.has(job)]
            yield from complete(job.key for job in batch)

    def _named(self, job: ImageToAdd, there: _There) -> ImageToAdd:
        """The image with an id under which nothing else lies; the one that it has, if it is there.

        A server that has forgotten what it was told of an image is told again.
        """
        known = there.id_of(job)
        if known is not None:
            return replace(job, image_id=known)
        same = there.objects.get(job.image_id)
        if same is None or (not info_of(same).get(KEY) and self._store.holds(job)):
            return job
        return replace(job, image_id=f"{job.image_id}-{job.key[:8]}")

    # What comes back

    def pull(self, tasks: Mapping[str, Sequence[str]], since: str, progress: Progress) -> Pulled:
        """Read the final labels that are as new as the newest of the last pull, or newer.

        The server counts whole seconds: what has the newest time is read again.
        """
        known = {one: key for key, some in tasks.items() for one in some}
        last = float(since or 0)
        changed: list[tuple[str, str, float]] = []
        newest, strangers = last, 0
        objects = self._store.read()
        for image_id, entry in objects.items():
            final = labels_of(entry).get(FINAL)
            if final is None:
                continue
            stamp = self._store.stamp(image_id, final)
            if stamp < last:
                continue
            newest = max(newest, stamp)
            key = str(info_of(entry).get(KEY) or known.get(image_id) or "")
            if key:
                changed.append((image_id, key, stamp))
            else:
                strangers += 1
        told = self._told if since and since == self._cursor else {}
        todo = [one for one in changed if told.get(one[0]) != (one[2], 2)]
        found: list[Drawing] = []
        gone: set[str] = set()
        for number, (image_id, key, stamp) in enumerate(todo, start=1):
            drawing = self._drawing(image_id, key, objects[image_id], stamp)
            if drawing is not None:
                found.append(drawing)
            else:  # listed, and its file is not there: it may come, and is asked for again
                gone.add(image_id)
                newest = last
            progress(number, len(todo), image_id)
        # Read twice, a label is known for good: its second was over the second time.
        self._told = {
            name: (stamp, 2 if told.get(name, (0.0, 0))[0] == stamp else 1)
            for name, _, stamp in changed
            if name not in gone
        }
        self._cursor = repr(newest) if newest else since
        return Pulled(tuple(found), self._cursor, strangers)

    def _drawing(
        self, image_id: str, key: str, entry: Mapping[str, Any], stamp: float
    ) -> Drawing | None:
        label = labels_of(entry)[FINAL]
        ending = str(label.get("ext") or "")
        content = self._store.final(image_id, ending)
        if content is None:
            return None
        told = label.get("info")
        said = told if isinstance(told, dict) else {}
        # Whoever saved it is kept as the drawing's person, and nowhere else.
        info = {"label_info": said["label_info"]} if "label_info" in said else {}
        image = entry.get("image")
        about = {
            "objects": {
                image_id: {
                    "image": {"ext": image.get("ext", "") if isinstance(image, dict) else ""},
                    "labels": {FINAL: {"ext": ending, "info": info}},
                }
            }
        }
        text = json.dumps(about, ensure_ascii=False, sort_keys=True) + "\n"
        return Drawing(
            key,
            self._person(entry, said),
            "drawn",
            datetime.fromtimestamp(stamp, UTC).isoformat(),
            files=(
                ("datastore_v2.json", text.encode()),
                (f"labels/{FINAL}/{image_id}{ending}", content),
            ),
        )

    def _person(self, entry: Mapping[str, Any], said: Mapping[str, Any]) -> str:
        """Whoever was asked to draw it, else who says so, else the connection's name."""
        asked = str(info_of(entry).get(PERSON) or "")
        client = str(said.get("client_id") or "")
        named = user_of(said) or (client if client != _NOBODY else "")
        return asked or named or self._address.name


class _There:
    """What is in the datastore, by the keys of scans."""

    def __init__(self, objects: Objects) -> None:
        self.objects: Objects = {}
        self._ids: dict[tuple[str, str], str] = {}
        self._first: dict[str, str] = {}
        for image_id, entry in objects.items():
            self.note(image_id, entry)

    def note(self, image_id: str, entry: Mapping[str, Any]) -> None:
        self.objects[image_id] = entry
        key, person = (str(info_of(entry).get(name) or "") for name in (KEY, PERSON))
        if key:
            self._ids.setdefault((key, person), image_id)
            self._first.setdefault(key, image_id)

    def id_of(self, job: ImageToAdd) -> str | None:
        """This person's image, or anybody's where the scan goes to one person."""
        if job.shared:
            return self._ids.get((job.key, job.person))
        return self._first.get(job.key)

    def has(self, job: ImageToAdd) -> bool:
        """Whether the image is there, with its pre-label, or drawn already."""
        found = self.id_of(job)
        if found is None:
            return False
        tags = labels_of(self.objects[found]).keys()
        return job.prelabel is None or bool({ORIGINAL, FINAL} & tags)
