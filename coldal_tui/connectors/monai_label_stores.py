"""The two ways into a MONAI Label datastore: its server, and the folder that the server reads."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from coldal_tui.connectors import Address
from coldal_tui.connectors.monai_label_images import (
    FINAL,
    KEY,
    ORIGINAL,
    ImageToAdd,
    Objects,
    ending,
    info_of,
    labels_of,
)
from coldal_tui.connectors.web import Answer, Upload, Web, multipart, not_json, read_json_answer
from coldal_tui.errors import ColdalError
from coldal_tui.files import atomic_write, disk_error, try_lock

_FILE, _LOCK = "datastore_v2.json", ".lock"
_NEW = {"name": "coldal-tui", "description": "", "images_dir": ".", "labels_dir": "labels"}
_LOCK_S = 60.0


class ServerStore:
    """A datastore behind its server. See :class:`monai_label_images.Store`."""

    batch = 1

    def __init__(self, address: Address, web: Web) -> None:
        self._address = address
        self._web = web

    @property
    def requests(self) -> int:
        return self._web.requests

    def check(self) -> str:
        found = self._json("/info/")
        if not isinstance(found, dict):
            raise not_json(json.dumps(found).encode(), self._address.url)
        return f"MONAI Label {found.get('version') or ''}: app {found.get('name')!r}"

    def rest(self, number: int) -> None:
        self._web.rest(number)

    def read(self) -> Objects:
        found = self._json("/datastore/?output=all")
        if isinstance(found, str):  # as some versions answer: JSON in JSON
            with suppress(ValueError):
                found = json.loads(found)
        objects = found.get("objects") if isinstance(found, dict) else None
        if not isinstance(objects, dict):
            # Taken for an empty datastore, it would get every image once more.
            raise ColdalError(
                "the server's datastore lists no images by id",
                where=self._address.url,
                remedy="coldal-tui speaks to a server that was started on a folder (--studies DIR)",
                code="server-garbage",
            )
        return {str(name): one for name, one in objects.items() if isinstance(one, dict)}

    def holds(self, job: ImageToAdd) -> bool:
        asked = f"/datastore/image?image={quote(job.image_id, safe='')}"
        return self._ask("GET", asked).body == job.file.read_bytes()

    def add(self, jobs: Sequence[ImageToAdd], there: Objects) -> None:
        for job in jobs:
            image = quote(job.image_id, safe="")
            if job.image_id not in there:
                told = _form(params=job.info)
                file = Upload("file", f"image{ending(job.file.name)}", job.file.read_bytes())
                # Added again, an image would lose the labels that it has by now.
                self._put(f"/datastore/image?image={image}", [file, told])
            elif not info_of(there[job.image_id]).get(KEY):
                self._put(f"/datastore/image/info?image={image}", [_form(info=job.info)])
            if job.prelabel is not None:
                told = _form(params={"label_info": list(job.names)})
                name = f"label{ending(job.prelabel.name)}"
                file = Upload("label", name, job.prelabel.read_bytes())
                self._put(f"/datastore/label?image={image}&tag={ORIGINAL}", [file, told])

    def stamp(self, image_id: str, label: Mapping[str, Any]) -> float:
        return _stamp(label)

    def final(self, image_id: str, ending: str) -> bytes | None:
        path = f"/datastore/label?label={quote(image_id, safe='')}&tag={FINAL}"
        try:
            return self._ask("GET", path).body
        except ColdalError as error:
            if error.code == "server-missing":
                return None
            raise

    def _put(self, path: str, parts: Sequence[Upload]) -> None:
        body, kind = multipart(parts)
        answer = self._ask("PUT", path, body, kind, again=False)
        read_json_answer(answer, self._address.url)

    def _json(self, path: str) -> Any:
        return read_json_answer(self._ask("GET", path), self._address.url)

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "",
        again: bool | None = None,
    ) -> Answer:
        headers = {"Content-Type": kind} if kind else {}
        if self._address.token:
            headers["Authorization"] = f"Bearer {self._address.token}"
        return self._web.ask(method, path, headers=lambda: headers, body=body, again=again)


class FolderStore:
    """The folder of a datastore. See :class:`monai_label_images.Store`.

    The server's own lock is taken. Files come to their place whole and as new ones, since the
    server notices only those (watchdog: created); its list is written before them, since it would
    list them without their info.
    """

    batch = 50
    requests = 0

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._labels_dir = "labels"

    def check(self) -> str:
        if not self._folder.is_dir():
            raise self._gone()
        return f"MONAI Label datastore {self._folder}"

    def rest(self, number: int) -> None:
        """Nothing is away."""

    def read(self) -> Objects:
        return self._objects(self._document())

    def holds(self, job: ImageToAdd) -> bool:
        path = self._images(self._document()) / f"{job.image_id}{ending(job.file.name)}"
        with suppress(OSError):
            return path.read_bytes() == job.file.read_bytes()
        return False

    def add(self, jobs: Sequence[ImageToAdd], there: Objects) -> None:
        if not self._folder.is_dir():
            raise self._gone()
        try:
            with self._locked():
                document = self._document()
                objects = document["objects"]
                self._check_names(document, jobs)
                stamp = {"ts": int(time.time())}
                for job in jobs:
                    entry = job.entry()
                    entry["image"]["info"] |= stamp | {"name": f"{job.image_id}{_ext(job.file)}"}
                    for label in entry["labels"].values():
                        label["info"] |= stamp | {"name": f"{job.image_id}{label['ext']}"}
                    known = objects.get(job.image_id)
                    if isinstance(known, dict):
                        entry["labels"] |= labels_of(known)
                        entry["image"]["info"] = {**info_of(known), **entry["image"]["info"]}
                    objects[job.image_id] = entry
                text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
                atomic_write(self._folder / _FILE, lambda stream: stream.write(text.encode()))
                for job in jobs:
                    self._place(document, job)
        except OSError as error:
            raise disk_error(error, self._folder) from error

    def stamp(self, image_id: str, label: Mapping[str, Any]) -> float:
        """The server's time, or the file's where somebody has saved over it."""
        path = self._label(image_id, str(label.get("ext") or ""))
        with suppress(OSError):
            return max(_stamp(label), path.stat().st_mtime)
        return _stamp(label)

    def final(self, image_id: str, ending: str) -> bytes | None:
        try:
            return self._label(image_id, ending).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error(error, self._folder) from error

    def _label(self, image_id: str, ending: str) -> Path:
        return self._folder / self._labels_dir / FINAL / f"{image_id}{ending}"

    def _check_names(self, document: Mapping[str, Any], jobs: Sequence[ImageToAdd]) -> None:
        """Refuse to list an image under the name of a file that is another."""
        for job in jobs:
            path = self._images(document) / f"{job.image_id}{_ext(job.file)}"
            if path.exists() and not self.holds(job):
                raise ColdalError(
                    "another image has the name of a scan's, and is not in the datastore's list",
                    where=str(path),
                    remedy="move it away, or start MONAI Label once: it lists it",
                    code="name-taken",
                )

    def _place(self, document: Mapping[str, Any], job: ImageToAdd) -> None:
        if job.prelabel is not None:
            labels = self._labels(document, ORIGINAL)
            labels.mkdir(parents=True, exist_ok=True)
            _link(job.prelabel, labels / f"{job.image_id}{_ext(job.prelabel)}")
        images = self._images(document)
        images.mkdir(parents=True, exist_ok=True)
        _link(job.file, images / f"{job.image_id}{_ext(job.file)}")

    def _images(self, document: Mapping[str, Any]) -> Path:
        return self._folder / str(document.get("images_dir") or ".")

    def _labels(self, document: Mapping[str, Any], tag: str) -> Path:
        return self._folder / str(document.get("labels_dir") or "labels") / tag

    def _document(self) -> dict[str, Any]:
        path = self._folder / _FILE
        try:
            found = json.loads(path.read_bytes())
        except FileNotFoundError:
            if not self._folder.is_dir():
                raise self._gone() from None
            return {**_NEW, "objects": {}}
        except OSError as error:
            raise disk_error(error, path) from error
        except ValueError:
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("objects"), dict):
            raise ColdalError(
                "the list of the datastore can't be read",
                where=str(path),
                remedy="the server writes it: try again, and look at the server's log",
                code="server-garbage",
            )
        return found

    def _objects(self, document: Mapping[str, Any]) -> Objects:
        """The listed images and labels whose files are there, as the server keeps its list."""
        found: Objects = {}
        self._labels_dir = str(document.get("labels_dir") or "labels")
        images = self._images(document)
        for name, entry in document["objects"].items():
            image = entry.get("image") if isinstance(entry, dict) else None
            ext = str(image.get("ext") or "") if isinstance(image, dict) else ""
            if (images / f"{name}{ext}").is_file():
                kept = {
                    tag: label
                    for tag, label in labels_of(entry).items()
                    if (self._labels(document, tag) / f"{name}{label.get('ext') or ''}").is_file()
                }
                found[str(name)] = {**entry, "labels": kept}
        return found

    @contextmanager
    def _locked(self) -> Iterator[None]:
        path = self._folder / _LOCK
        end = time.monotonic() + _LOCK_S
        while True:
            with path.open("ab") as stream:
                # Another version of the server's lock removes the file when it lets go.
                if try_lock(stream) and _is_still(path, stream.fileno()):
                    yield
                    return
            if time.monotonic() > end:
                raise ColdalError(
                    "the server keeps its datastore locked",
                    where=str(path),
                    remedy="look at the server; the same command goes on where it was",
                    code="busy",
                )
            time.sleep(0.1)

    def _gone(self) -> ColdalError:
        return ColdalError(
            "the folder of the datastore is not there",
            where=str(self._folder),
            remedy="is it mounted? it is the one that MONAI Label was started on (--studies)",
            code="connection",
        )


def _link(source: Path, target: Path) -> None:
    """Put a file to its place at once, where nothing lies yet."""
    if target.exists():
        return
    temporary = target.with_name(f".{os.getpid()}.coldal.tmp")
    temporary.write_bytes(source.read_bytes())
    try:
        os.link(temporary, target)
    except FileExistsError:
        pass
    except OSError:  # a file system without links: the server notices it when it starts
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _is_still(path: Path, descriptor: int) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def _form(**field: Mapping[str, Any]) -> Upload:
    ((name, value),) = field.items()
    return Upload(name, "", json.dumps(value, ensure_ascii=False).encode(), "text/plain")


def _ext(path: Path) -> str:
    return ending(path.name)


def _stamp(label: Mapping[str, Any]) -> float:
    info = label.get("info")
    found = info.get("ts") if isinstance(info, dict) else None
    return float(found) if isinstance(found, (int, float)) else 0.0
