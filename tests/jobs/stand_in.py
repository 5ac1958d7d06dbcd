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
    ``answers``: statuses to give first, before it behaves.
    """

    content: bytes
    etag: str | None = '"one"'
    ranges: bool = True
    breaks: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
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
            if behaviour.answers:
                status = behaviour.answers.pop(0)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = 0
            same = self.headers.get("If-Range") == behaviour.etag
            if wanted and behaviour.ranges and same:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(behaviour.content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(behaviour.content)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
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

        def _describe(self, length: int) -> None:
            if behaviour.etag:
                self.send_header("ETag", behaviour.etag)
            for name, value in behaviour.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(length))
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
