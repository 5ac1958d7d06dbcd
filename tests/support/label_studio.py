"""A real Label Studio on this machine, started once for all tests, and a line that is cut."""

from __future__ import annotations

import http.client
import http.cookiejar
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from coldal_tui.exchange.masks.rle_encode import brush_rle
from tests.support.places import ROOT
from tests.support.processes import free_port

ANA, BEN = "ana@lab.org", "ben@lab.org"
_PASSWORD = "Passw0rd-of-tests"
_START_S = 600.0
KEPT = "COLDAL_LABEL_STUDIO_DATA"
"""Names a data folder that outlives the tests: the next start takes seconds, not a minute."""


@dataclass
class LabelStudio:
    """A running server, and what people do there."""

    url: str
    root: Path
    tokens: dict[str, str] = field(default_factory=dict)
    _access: dict[str, tuple[float, str]] = field(default_factory=dict)

    def project(self, title: str = "test") -> str:
        """The number of a new, empty project."""
        return str(self.call("POST", "/api/projects/", {"title": title})["id"])

    def tasks(self, project: str, **query: str) -> list[dict[str, Any]]:
        """All tasks of a project with what was drawn, in the order of their ids."""
        asked = {"project": project, "page_size": "2000", "fields": "all", **query}
        found = self.call("GET", f"/api/tasks?{urllib.parse.urlencode(asked)}")["tasks"]
        return sorted(found, key=lambda task: task["id"])

    def draw(self, who: str, task: int, *regions: dict[str, Any], **more: Any) -> None:
        """Submit a drawing as a person; ``more`` such as ``lead_time`` or ``was_cancelled``."""
        body = {"result": list(regions), **more}
        self.call("POST", f"/api/tasks/{task}/annotations/", body, who)

    def call(self, method: str, path: str, body: Any = None, who: str = ANA) -> Any:
        known = self._access.get(who)
        if known is None or time.monotonic() - known[0] > 120:
            told = _json(f"{self.url}/api/token/refresh/", {"refresh": self.tokens[who]})
            known = self._access[who] = (time.monotonic(), told["access"])
        return _json(
            f"{self.url}{path}", body, {"Authorization": f"Bearer {known[1]}"}, method=method
        )


def brush(mask: Any, name: str = "foreground") -> dict[str, Any]:
    """A brush region as the server's own editor submits it."""
    rows, columns = mask.shape
    value = {"format": "rle", "rle": brush_rle(mask), "brushlabels": [name]}
    return _region("brushlabels", "tag", rows, columns, value)


def outline(
    points: Sequence[tuple[float, float]], rows: int, columns: int, name: str = "foreground"
) -> dict[str, Any]:
    """A polygon region; ``points`` are (x, y) in pixels."""
    percent = [[100 * x / columns, 100 * y / rows] for x, y in points]
    value = {"points": percent, "polygonlabels": [name]}
    return _region("polygonlabels", "outline", rows, columns, value)


def _region(kind: str, tag: str, rows: int, columns: int, value: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{tag}-{len(json.dumps(value))}",
        "type": kind,
        "from_name": tag,
        "to_name": "image",
        "original_width": columns,
        "original_height": rows,
        "image_rotation": 0,
        "value": value,
    }


@pytest.fixture(scope="session")
def label_studio() -> Iterator[LabelStudio]:
    """Started once; skipped where it is not installed."""
    program = ROOT / ".servers" / "label-studio" / "bin" / "label-studio"
    if not program.exists():
        pytest.skip("Label Studio is not installed: make servers")
    kept = os.environ.get(KEPT)
    folder = Path(kept or tempfile.mkdtemp(prefix="coldal-label-studio-"))
    try:
        with _running(program, folder) as server:
            yield server
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(program: Path, folder: Path) -> Iterator[LabelStudio]:
    port = free_port()
    root = folder / "files"
    (root / "coldal").mkdir(parents=True, exist_ok=True)
    environ = {
        **os.environ,
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder / "data"),
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(root),
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
    }
    words = ["start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)]
    words += ["--username", ANA, "--password", _PASSWORD]
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [str(program), *words], cwd=folder, env=environ, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        server = LabelStudio(f"http://127.0.0.1:{port}", root)
        _wait(process, server.url, folder / "log.txt")
        tokens = folder / "tokens.json"
        if tokens.exists():
            server.tokens |= json.loads(tokens.read_text())
        else:
            _enter(server, ANA, "/user/login/")
            _enter(server, BEN, server.call("GET", "/api/invite")["invite_url"])
            tokens.write_text(json.dumps(server.tokens))
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"Label Studio ended: {log.read_text('utf-8', 'replace')[-2000:]}")
        with suppress(OSError, ValueError, http.client.HTTPException):
            if _json(f"{url}/health")["status"] == "UP":
                return
        time.sleep(0.5)
    pytest.fail(f"Label Studio does not start: {log.read_text('utf-8', 'replace')[-2000:]}")


def _enter(server: LabelStudio, email: str, page: str) -> None:
    """Log in (or sign up) by the form, as a person does, and make a personal access token."""
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(
        urllib.request.HTTPCookieProcessor(jar), urllib.request.ProxyHandler({})
    )

    def post(path: str, body: bytes, kind: str) -> bytes:
        opener.open(f"{server.url}{page if kind.endswith('urlencoded') else '/'}").read()
        csrf = next(str(one.value) for one in jar if one.name == "csrftoken")
        if kind.endswith("urlencoded"):
            body += f"&csrfmiddlewaretoken={csrf}".encode()
        headers = {"Content-Type": kind, "X-CSRFToken": csrf, "Referer": server.url}
        found: bytes = opener.open(
            urllib.request.Request(f"{server.url}{path}", body, headers, method="POST")
        ).read()
        return found

    form = urllib.parse.urlencode({"email": email, "password": _PASSWORD}).encode()
    post(page, form, "application/x-www-form-urlencoded")
    server.tokens[email] = json.loads(post("/api/token/", b"", "application/json"))["token"]


def _json(
    url: str, body: Any = None, headers: dict[str, str] | None = None, *, method: str | None = None
) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data, {"Content-Type": "application/json", **(headers or {})}, method=method
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=120) as answer:
            found = answer.read()
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(f"{method} {url}: {error.code} {error.read()[:500]!r}") from error
    return json.loads(found) if found else None


PASS, LOSE, SWALLOW = "pass", "lose", "swallow"
"""Forward a request; lose it on its way; let the server do it and lose the answer."""
Fate = Callable[[int, str, str], str]


@dataclass
class Proxy:
    """What stands between; ``asked`` has the method, path and body of every request."""

    url: str
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)


@contextmanager
def proxied(
    server_url: str,
    fate: Fate = lambda number, method, path: PASS,
    done: Callable[[str, str], None] = lambda method, path: None,
) -> Iterator[Proxy]:
    """A proxy to a server; ``fate`` decides about the number-th request (from 1).

    ``done`` is called when the server has done what it was asked, before anybody hears of it.
    """
    target = urllib.parse.urlsplit(server_url).netloc
    counting = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with counting:
                told.asked.append((self.command, self.path, body))
                number = len(told.asked)
            kind = fate(number, self.command, self.path)
            self.close_connection = True
            if kind == LOSE:
                return
            line = http.client.HTTPConnection(target, timeout=120)
            try:
                headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
                line.request(self.command, self.path, body or None, headers)
                answer = line.getresponse()
                content = answer.read()
            finally:
                line.close()
            done(self.command, self.path)
            if kind == SWALLOW:
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told = Proxy(f"http://127.0.0.1:{proxy.server_address[1]}")
    thread = threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
