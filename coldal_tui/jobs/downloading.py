"""Fetches one file over HTTP: resumed where it broke off, whole or absent, checked by its hash."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.files import atomic_write, disk_error, fsync_folder, try_lock

Progress = Callable[[int, int | None], None]
"""Told the bytes that are there and, where the server says it, how many there will be."""

TRIES = 5
TIMEOUT = 30.0
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Fetched:
    """A file that is wholly there, its SHA-256 and its size in bytes."""

    path: Path
    sha256: str
    bytes: int


def fetch(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    progress: Progress | None = None,
    pause: Callable[[float], None] = time.sleep,
    tries: int = TRIES,
) -> Fetched:
    """Bring ``url`` to ``target``.

    The bytes gather in ``<target>.part``. What an earlier call or a broken connection left there
    is gone on with when the server still has the same file (RFC 9110, ``Range`` with ``If-Range``),
    else begun anew. ``target`` appears by one rename, after length and hash were checked, and the
    part is on the disk by then. Only one process at a time fetches to one target.

    Raises
    ------
    UsageError : no http or https address.
    ColdalError : codes ``download`` (the server's answer, or no connection after ``tries``),
        ``weights-hash`` (what came is something else; the part is removed), ``busy``, ``disk``.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise UsageError("this is no http or https address", where=url, remedy="check --url")
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as lock:
            if not try_lock(lock):
                raise ColdalError(
                    "another process is fetching this file",
                    where=str(target),
                    remedy="wait for it, then ask again",
                    code="busy",
                )
            _gather(url, part, progress or _silent, pause, tries)
            digest, size = _digest(part)
            _check(url, part, digest, sha256)
            with part.open("rb") as stream:
                os.fsync(stream.fileno())
            part.replace(target)
            _validator_file(part).unlink(missing_ok=True)
            fsync_folder(target.parent)
    except OSError as error:
        raise disk_error(error, target) from error
    return Fetched(target, digest, size)


def _gather(
    url: str, part: Path, progress: Progress, pause: Callable[[float], None], tries: int
) -> None:
    """Ask until the last byte is there; a try that brought bytes does not count as a failure."""
    failures = 0
    while True:
        before = part.stat().st_size
        try:
            if _once(url, part, progress):
                return
            problem: Exception | None = None
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                raise _refused(url, f"the server answers {error.code} {error.reason}") from error
            problem = error
        failures = 0 if part.stat().st_size > before else failures + 1
        if failures >= tries:
            reason = getattr(problem, "reason", None) or problem or "the connection ends too early"
            raise _refused(url, f"it can't be fetched ({reason})") from problem
        pause(min(2.0**failures, 30.0) if failures else 0.0)


def _once(url: str, part: Path, progress: Progress) -> bool:
    """One request; True when the file is whole then."""
    have = part.stat().st_size
    validator = _read_validator(part)
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity"})
    if have and validator:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", validator)
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            # All of it may be there; the hash will tell. Or it is another file: begin anew.
            if error.headers.get("Content-Range") == f"bytes */{have}":
                return True
            _restart(part)
            return False
        raise
    with answer:
        if answer.status != 206:
            _restart(part)
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        found = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        # A weak validator does not promise the same bytes.
        _write_validator(part, "" if found.startswith("W/") else found)
        with part.open("ab") as stream:
            while block := answer.read(_BLOCK):
                _append(stream, block, part)
                have += len(block)
                progress(have, total)
    return total is None or have >= total


def _append(stream: BinaryIO, block: bytes, part: Path) -> None:
    try:
        stream.write(block)
        stream.flush()
    except OSError as error:  # the disk's, not the connection's
        raise disk_error(error, part) from error


def _restart(part: Path) -> None:
    with part.open("r+b") as stream:
        stream.truncate()
    _validator_file(part).unlink(missing_ok=True)


def _validator_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.from")


def _read_validator(part: Path) -> str:
    try:
        return str(json.loads(_validator_file(part).read_text("utf-8"))["validator"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return ""


def _write_validator(part: Path, validator: str) -> None:
    content = json.dumps({"validator": validator}).encode()
    atomic_write(_validator_file(part), lambda stream: stream.write(content))


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest(), path.stat().st_size


def _check(url: str, part: Path, digest: str, wanted: str | None) -> None:
    if wanted is None or digest == wanted.lower():
        return
    part.unlink()
    _validator_file(part).unlink(missing_ok=True)
    raise ColdalError(
        f"what came has SHA-256 {digest}, expected {wanted}",
        where=url,
        remedy="try again; if it stays so, the file there is another one than was published",
        code="weights-hash",
    )


def _refused(url: str, what: str) -> ColdalError:
    return ColdalError(
        what,
        where=url,
        remedy="ask again to go on where it broke off, or bring the file yourself with --from FILE",
        code="download",
    )


def _silent(done: int, total: int | None) -> None:
    """Progress that nobody watches."""
