"""Fetches one file over HTTP: resumed where it broke off, whole or absent, checked by its hash.

The hub's own library tells the address, the hash and the token, and its ``hf_hub_download`` is not
used: of version 2.4 on it throws away what a broken download brought, it only warns of a full disk,
and it takes no address but the hub's.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.files import atomic_write, disk_error, fsync_folder, sha256_file, try_lock

Progress = Callable[[int, int | None], None]
"""Told the bytes that are there and, where the server says it, how many there will be."""

TRIES = 5
TIMEOUT = 30.0
_BLOCK = 1 << 20
_ROOM = 64 << 20
"""Bytes that a download leaves free on the disk."""
_NOTHING: Mapping[str, str] = MappingProxyType({})


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
    secrets: Mapping[str, str] = _NOTHING,
    progress: Progress | None = None,
    pause: Callable[[float], None] = time.sleep,
    tries: int = TRIES,
) -> Fetched:
    """Bring ``url`` to ``target``.

    The bytes gather in ``<target>.part``. What an earlier call or a broken connection left there
    is gone on with when the server still has the same file (RFC 9110, ``Range`` with ``If-Range``),
    else begun anew. ``target`` appears by one rename, after length and hash were checked, and the
    part is on the disk by then. Only one process at a time fetches to one target.

    ``secrets`` are headers, such as a token, for the scheme, host and port of ``url`` alone: they
    do not follow a redirect to anywhere else. From https nothing is fetched over http.

    Raises
    ------
    UsageError : no http or https address.
    ColdalError : codes ``download`` (the server's answer, or no connection after ``tries``),
        ``weights-hash`` (what came is something else; the part is removed), ``busy``, ``disk``
        (also where there is less room than the server says it takes).
    """
    if not url.lower().startswith(("http://", "https://")):
        raise UsageError("this is no http or https address", where=url, remedy="check --url")
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as lock:
            # Whoever had it until now may have renamed it: then the lock is on the whole file.
            if not try_lock(lock) or not _same_file(lock, part):
                raise ColdalError(
                    "another process is fetching this file",
                    where=str(target),
                    remedy="wait for it, then ask again",
                    code="busy",
                )
            asking = _Asking(url, part, secrets, progress or _silent, known=sha256 is not None)
            try:
                _gather(asking, pause, tries)
            finally:
                if part.exists() and not part.stat().st_size:
                    part.unlink()
            digest, size = sha256_file(part), part.stat().st_size
            _check(url, part, digest, sha256)
            with part.open("rb") as stream:
                os.fsync(stream.fileno())
            part.replace(target)
            _validator_file(part).unlink(missing_ok=True)
            fsync_folder(target.parent)
    except OSError as error:
        raise disk_error(error, target) from error
    return Fetched(target, digest, size)


@dataclass(frozen=True)
class _Asking:
    """What is asked for, and where it gathers. ``known``: a hash will tell whether it is whole."""

    url: str
    part: Path
    secrets: Mapping[str, str]
    progress: Progress
    known: bool


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, with the secrets only to where they belong."""

    def __init__(self, asking: _Asking) -> None:
        self._asking = asking

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        old, new = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        if new.scheme not in ("http", "https") or (old.scheme, new.scheme) == ("https", "http"):
            raise _refused(
                self._asking.url, f"it leads to {newurl}, over which nothing is fetched from here"
            )
        found = super().redirect_request(req, fp, code, msg, headers, newurl)
        if found is not None and _origin(newurl) == _origin(self._asking.url):
            _add_secrets(found, self._asking.secrets)
        return found


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urllib.parse.urlsplit(url)
    standard = 443 if parts.scheme == "https" else 80
    return parts.scheme, parts.hostname, parts.port or standard


def _add_secrets(request: urllib.request.Request, secrets: Mapping[str, str]) -> None:
    for name, value in secrets.items():
        # An unredirected header is not copied into the request that a redirect makes.
        request.add_unredirected_header(name, value)


def _gather(asking: _Asking, pause: Callable[[float], None], tries: int) -> None:
    """Ask until the last byte is there; a try that brought bytes does not count as a failure."""
    url, part = asking.url, asking.part
    failures = 0
    while True:
        before = part.stat().st_size
        try:
            if _once(asking):
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


def _once(asking: _Asking) -> bool:
    """One request; True when the file is whole then."""
    part = asking.part
    have = part.stat().st_size
    validator = _read_validator(part)
    request = urllib.request.Request(asking.url, headers={"Accept-Encoding": "identity"})
    _add_secrets(request, asking.secrets)
    if have and validator:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", validator)
    try:
        opener = urllib.request.build_opener(_Redirects(asking))
        answer = opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            # All of it may be there; the hash will tell. Or it is another file: begin anew.
            if error.headers.get("Content-Range") == f"bytes */{have}":
                return True
            _restart(part)
            return False
        raise
    with answer:
        if not _goes_on(answer, have):
            _restart(part)
            if answer.status == 206:
                return False
            have = 0
        total = _total(asking, answer, have)
        found = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        # A weak validator does not promise the same bytes.
        _write_validator(part, "" if found.startswith("W/") else found)
        with part.open("ab") as stream:
            while block := answer.read(_BLOCK):
                _append(stream, block, part)
                have += len(block)
                asking.progress(have, total)
    return total is None or have >= total


def _goes_on(answer: Any, have: int) -> bool:
    """Whether an answer holds the bytes from where the part ends, as the server itself says."""
    said = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range") or "")
    return answer.status == 206 and said is not None and int(said[1]) == have


def _total(asking: _Asking, answer: Any, have: int) -> int | None:
    """How many bytes there will be, where the answer says so; refused what can't end well."""
    packed = (answer.headers.get("Content-Encoding") or "identity").lower()
    if packed != "identity":
        raise _refused(asking.url, f"the server sends it packed ({packed}), though not asked to")
    length = answer.headers.get("Content-Length")
    if length is None:
        chunked = (answer.headers.get("Transfer-Encoding") or "").lower() == "chunked"
        if not chunked and not asking.known:
            raise _refused(
                asking.url,
                "the server does not say how long it is, and without a SHA-256 nobody could tell "
                "whether all of it came",
            )
        return None
    free = shutil.disk_usage(asking.part.parent).free
    if int(length) + _ROOM > free:
        raise ColdalError(
            f"{int(length) / 1e6:.0f} MB are to come, and {free / 1e6:.0f} MB are free",
            where=str(asking.part.parent),
            remedy="free space there, or name another folder in COLDAL_ENCODERS",
            code="disk",
        )
    return have + int(length)


def _append(stream: BinaryIO, block: bytes, part: Path) -> None:
    try:
        stream.write(block)
        stream.flush()
    except OSError as error:  # the disk's, not the connection's
        raise disk_error(error, part) from error


def _same_file(stream: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


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
