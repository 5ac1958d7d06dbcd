"""A stand-in for a server of files on this machine: it breaks off, changes its mind, or refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """What the server has and does.

    ``breaks``: after how many bytes of the body each answer breaks off, one entry an answer.
    ``answers``: statuses to give first, before it behaves. ``leads_to``: it answers with a
    redirect there. ``token``: without it in the header Authorization it refuses. ``length``: it
    says how long an answer is. ``off_by``: how far behind what was asked for a part begins.
    ``tokens``: what came in the header, one entry an answer.
    """

    content: bytes
    etag: str | None = '"one"'
    ranges: bool = True
    breaks: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    leads_to: str = ""
    token: str = ""
    length: bool = True
    off_by: int = 0
    tokens: list[str | None] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(content: bytes, **how: object) -> Iterator[Behaviour]:
    """Serve ``content`` at ``behaviour.url`` and below, until the block ends."""
    behaviour = Behaviour(content, **how)  # type: ignore[arg-type]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            behaviour.asked.append(("HEAD", None))
            self.send_response(200)
            self._describe(len(behaviour.content))

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            behaviour.asked.append(("GET", wanted))
            token = self.headers.get("Authorization")
            behaviour.tokens.append(token)
            if behaviour.answers:
                self._say(behaviour.answers.pop(0))
                return
            if behaviour.token and token != behaviour.token:
                self._say(401)
                return
            if behaviour.leads_to and self.path != "/here":
                self._say(302, {"Location": behaviour.leads_to})
                return
            start = 0
            same = self.headers.get("If-Range") == behaviour.etag
            if wanted and behaviour.ranges and same:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                size = len(behaviour.content)
                if start >= size:
                    self._say(416, {"Content-Range": f"bytes */{size}"})
                    return
                start -= behaviour.off_by
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            else:
                self.send_response(200)
            body = behaviour.content[start:]
            self._describe(len(body))
            if behaviour.breaks:
                self.wfile.write(body[: behaviour.breaks.pop(0)])
                self.wfile.flush()
                self.close_connection = True
                return
            self.wfile.write(body)

        def _say(self, status: int, headers: dict[str, str] | None = None) -> None:
            """An answer without a body."""
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _describe(self, length: int) -> None:
            if behaviour.etag:
                self.send_header("ETag", behaviour.etag)
            for name, value in behaviour.headers.items():
                self.send_header(name, value)
            if behaviour.length:
                self.send_header("Content-Length", str(length))
            else:
                self.close_connection = True
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    behaviour.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield behaviour
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
