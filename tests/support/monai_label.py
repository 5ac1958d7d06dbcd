"""MONAI Label's datastore in three forms: a folder, a played server, and the real server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest

from tests.support.places import ROOT
from tests.support.played_server import Asked, Reply, played
from tests.support.processes import free_port

PROGRAM = ROOT / ".servers" / "monai-label" / "bin" / "python"
APP = '''
from monailabel.interfaces.app import MONAILabelApp


class Plain(MONAILabelApp):
    """An app without models: the datastore alone is tested."""

    def __init__(self, app_dir, studies, conf):
        super().__init__(app_dir, studies, conf, name="plain", description="", version="1.0")
'''


@dataclass
class Datastore:
    """A folder of studies, the address that a connection has for it, and what people do there."""

    folder: Path
    url: str

    def project(self) -> str:
        """It has none."""
        return ""

    def objects(self) -> dict[str, Any]:
        if self.url.startswith("http"):
            asked = f"{self.url}/datastore/?output=all"
            document = json.loads(_opener().open(asked, timeout=60).read())
        else:
            document = _load(self.folder)
        found: dict[str, Any] = document["objects"]
        return found

    def add(self, image: str, content: bytes, ending: str) -> None:
        """Add an image, as somebody else does."""
        if self.url.startswith("http"):
            self._put(f"/datastore/image?image={image}", "file", f"image{ending}", content, {})
        else:
            add_image(self.folder, image, ending, content, {})

    def submit(self, image: str, content: bytes, ending: str, **info: Any) -> None:
        """Save a final label, as a client of the server does."""
        if self.url.startswith("http"):
            path = f"/datastore/label?image={urllib.parse.quote(image, safe='')}&tag=final"
            self._put(path, "label", f"label{ending}", content, info)
            return
        save_label(self.folder, image, "final", ending, content, info)

    def _put(self, path: str, field: str, name: str, content: bytes, info: Any) -> None:
        body, kind = _form(field, name, content, info)
        request = urllib.request.Request(
            f"{self.url}{path}", body, {"Content-Type": kind}, method="PUT"
        )
        _opener().open(request, timeout=60).read()


def _form(field: str, name: str, content: bytes, info: Mapping[str, Any]) -> tuple[bytes, str]:
    parts = [
        b'Content-Disposition: form-data; name="params"\r\n\r\n' + json.dumps(info).encode(),
        f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'.encode()
        + content,
    ]
    joined = b"".join(b"--edge\r\n" + part + b"\r\n" for part in parts) + b"--edge--\r\n"
    return joined, "multipart/form-data; boundary=edge"


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


# As monailabel.datastore.local and monailabel.endpoints.datastore (0.8.5) do it.


def _load(folder: Path) -> dict[str, Any]:
    file = folder / "datastore_v2.json"
    if file.exists():
        found: dict[str, Any] = json.loads(file.read_text())
        return found
    empty = {"name": "new-dataset", "description": "New Dataset"}
    return {**empty, "images_dir": ".", "labels_dir": "labels", "objects": {}}


def _save(folder: Path, document: Mapping[str, Any]) -> None:
    (folder / "datastore_v2.json").write_text(json.dumps(document, indent=2))


def add_image(folder: Path, image: str, ending: str, content: bytes, info: dict[str, Any]) -> None:
    document = _load(folder)
    (folder / f"{image}{ending}").write_bytes(content)
    told = {**info, "ts": int(time.time()), "name": f"{image}{ending}"}
    document["objects"][image] = {"image": {"ext": ending, "info": told}, "labels": {}}
    _save(folder, document)


def save_label(
    folder: Path, image: str, tag: str, ending: str, content: bytes, info: dict[str, Any]
) -> None:
    document = _load(folder)
    place = folder / "labels" / tag
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{image}{ending}").write_bytes(content)
    told = {**info, "ts": int(time.time()), "name": f"{image}{ending}"}
    document["objects"][image]["labels"][tag] = {"ext": ending, "info": told}
    _save(folder, document)


def play(folder: Path, asked: Asked) -> Reply:
    """An answer of the server's datastore and info endpoints."""
    parts = urllib.parse.urlsplit(asked.path)
    query = dict(urllib.parse.parse_qsl(parts.query))
    what = f"{asked.method} {parts.path}"
    if what == "GET /info/":
        return _json({"name": "plain", "description": "", "version": "1.0"})
    if what == "GET /datastore/":
        return _json(_load(folder))
    if what == "PUT /datastore/image":
        name, content, fields = _parts(asked)
        add_image(folder, query["image"], _ending(name), content, json.loads(fields["params"]))
        return _json({"image": query["image"]})
    if what == "PUT /datastore/image/info":
        document = _load(folder)
        _, _, fields = _parts(asked)
        document["objects"][query["image"]]["image"]["info"] |= json.loads(fields["info"])
        _save(folder, document)
        return _json(None)
    if what == "PUT /datastore/label":
        name, content, fields = _parts(asked)
        info = json.loads(fields["params"])
        save_label(folder, query["image"], query["tag"], _ending(name), content, info)
        return _json({"image": query["image"], "label": query["image"]})
    if what in ("GET /datastore/image", "GET /datastore/label"):
        entry = _load(folder)["objects"].get(query.get("image") or query.get("label"))
        held = entry and (entry["labels"].get(query["tag"]) if "tag" in query else entry["image"])
        place = folder / "labels" / query["tag"] if "tag" in query else folder
        name = query.get("image") or query.get("label")
        if held and (file := place / f"{name}{held['ext']}").is_file():
            return Reply(body=file.read_bytes())
    return Reply(404, b'{"detail":"Not Found"}')


def _ending(name: str) -> str:
    return "".join(Path(name).suffixes)


def _json(found: Any) -> Reply:
    return Reply(body=json.dumps(found).encode())


def _parts(asked: Asked) -> tuple[str, bytes, dict[str, str]]:
    """The file's name and content, and the plain fields of a form."""
    kind = next(value for key, value in asked.headers.items() if key.lower() == "content-type")
    found = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + asked.body)
    name, content, fields = "", b"", {}
    for part in found.get_payload():
        held = part.get_payload(decode=True)
        if part.get_filename():
            name, content = part.get_filename(), held
        else:
            fields[part.get_param("name", header="content-disposition")] = held.decode()
    return name, content, fields


@pytest.fixture(
    params=[
        "folder",
        "played",
        pytest.param("real", marks=pytest.mark.xdist_group("monai-label")),
    ]
)
def datastore(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Datastore]:
    """A datastore: by its folder, behind a played server, and behind the real one."""
    folder = tmp_path / "studies"
    if request.param == "real":
        store = request.getfixturevalue("real_datastore")
        _empty(store)
        yield store
        return
    folder.mkdir()
    if request.param == "folder":
        yield Datastore(folder, folder.as_uri())
        return
    with played(lambda asked: play(folder, asked)) as server:
        yield Datastore(folder, server.url)


def _empty(store: Datastore) -> None:
    """Remove all images; the server forgets them when it notices that their files are gone."""
    for image in store.objects():
        ask = f"{store.url}/datastore/image?id={urllib.parse.quote(image, safe='')}"
        _opener().open(urllib.request.Request(ask, method="DELETE"), timeout=60).read()
    end = time.monotonic() + 120
    while store.objects():
        assert time.monotonic() < end, "the server does not forget its images"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def real_datastore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Datastore]:
    """The real server, started once for all tests: that takes longer than they do."""
    place = tmp_path_factory.mktemp("monai-label")
    (place / "studies").mkdir()
    with real_server(place / "studies", place) as url:
        yield Datastore(place / "studies", url)


@contextmanager
def real_server(folder: Path, place: Path) -> Iterator[str]:
    """MONAI Label's own server on a folder of studies; skipped where it is not installed."""
    if not PROGRAM.exists():
        pytest.skip("MONAI Label is not installed: make monai-label")
    port = free_port()
    app = place / "app"
    app.mkdir()
    (app / "main.py").write_text(APP)
    words = ["-m", "monailabel.main", "start_server", "--app", str(app), "--studies", str(folder)]
    words += ["--host", "127.0.0.1", "--port", str(port)]
    log = place / "log.txt"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(PROGRAM), *words], cwd=place, stdout=out, stderr=out, start_new_session=True
        )
    try:
        _wait(process, f"http://127.0.0.1:{port}", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(app, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + 600
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"MONAI Label ended: {log.read_text('utf-8', 'replace')[-2000:]}")
        with suppress(OSError, urllib.error.URLError):
            _opener().open(f"{url}/info/", timeout=30).read()
            return
        time.sleep(0.5)
    pytest.fail(f"MONAI Label does not start: {log.read_text('utf-8', 'replace')[-2000:]}")
