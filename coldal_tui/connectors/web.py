"""Asks a server over HTTP: bounded, verified, tried again with growing pauses, never redirected.

The program's own downloads (``encoders.download``) bring single big files and go on in the middle
of one; here many small questions are asked, most of which change something.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import re
import secrets
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coldal_tui.errors import ColdalError, UsageError

TRIES = 6
TIMEOUT_S = 120.0
_LONGEST_PAUSE_S = 60.0
_MOST_BYTES = 2 << 30
_SHOWN = 200
CUT = "connection"
"""The code of an error after which nobody knows whether the server did what it was asked."""

Headers = Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """A successful answer."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True)
class Upload:
    """One file of a multipart form (RFC 7578); a plain field where ``filename`` is empty."""

    field: str
    filename: str
    content: bytes
    kind: str = "application/octet-stream"


class Web:
    """One server. ``requests`` counts what was asked, tries included."""

    def __init__(
        self,
        base: str,
        *,
        ca: Path | None = None,
        pause: Callable[[float], None] = time.sleep,
        tries: int = TRIES,
    ) -> None:
        """``base``: the server's address; paths are appended to it.

        Raises
        ------
        UsageError : no http or https address, one with a password in it, or plain http to another
            machine: everybody between could read the token and the images.
        ColdalError : the certificates in ``ca`` can't be read.
        """
        self.base = check_url(base).rstrip("/")
        self.requests = 0
        self._pause = pause
        self._tries = tries
        handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
        if is_loopback(self.base):
            handlers.append(urllib.request.ProxyHandler({}))
        if self.base.startswith("https:"):
            handlers.append(urllib.request.HTTPSHandler(context=_context(ca)))
        self._opener = urllib.request.build_opener(*handlers)

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | Sequence[str]] | None = None,
        headers: Callable[[], Headers] = dict,
        body: bytes | None = None,
        again: bool | None = None,
        refused: Callable[[int], bool] = lambda status: False,
    ) -> Answer:
        """One question.

        ``headers`` is called before every try. ``again``: whether it may be asked twice when nobody
        knows if it arrived; by default unless it is a POST. ``refused`` is asked about an answer of
        401 or 403 and may renew what the next try sends: True means to try again.

        Raises
        ------
        ColdalError : codes ``connection`` (no answer), ``server`` (5xx), ``server-busy`` (429),
            ``server-login``, ``server-missing``, ``server-refused``, ``server-page``.
        """
        url = f"{self.base}{path}"
        if query:
            url += f"?{urllib.parse.urlencode(query, doseq=True)}"
        repeatable = method != "POST" if again is None else again
        renewed, number = False, 0
        while True:
            number += 1
            last = number >= self._tries
            try:
                return self._once(method, url, dict(headers()), body)
            except urllib.error.HTTPError as error:
                with error:
                    said = _said(error)
                if error.code in (401, 403) and not renewed and refused(error.code):
                    renewed, number = True, number - 1
                    continue
                wait = _wait_of(error, number)
                busy = error.code == 429
                if not last and (busy or (error.code >= 500 and repeatable)):
                    self._pause(wait)
                    continue
                raise _problem(url, error, said) from None
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                if last or not repeatable or _is_certificate(error):
                    raise _cut(self.base, error) from error
                self._pause(min(2.0 ** (number - 1), _LONGEST_PAUSE_S))

    def rest(self, number: int) -> None:
        """Wait before the next attempt at something that failed ``number`` times."""
        self._pause(min(2.0**number, _LONGEST_PAUSE_S))

    def _once(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Answer:
        self.requests += 1
        request = urllib.request.Request(url, body, method=method)
        for name, value in headers.items():
            request.add_unredirected_header(name, value)
        with self._opener.open(request, timeout=TIMEOUT_S) as answer:
            found = answer.read(_MOST_BYTES + 1)
            if len(found) > _MOST_BYTES:
                raise ColdalError(
                    "the server's answer is larger than 2 GiB",
                    where=self.base,
                    remedy="check that this is the right server",
                    code="server-garbage",
                )
            said = answer.headers.get("Content-Length")
            if said is not None and said.isdigit() and int(said) != len(found):
                raise http.client.IncompleteRead(found, int(said) - len(found))
            return Answer(answer.status, dict(answer.headers.items()), found)


def read_json_answer(answer: Answer, where: str) -> Any:
    """The JSON of an answer.

    Raises
    ------
    ColdalError : ``server-page`` for a web page, such as a login form; ``server-garbage``.
    """
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise not_json(answer.body, where) from error


def not_json(body: bytes, where: str) -> ColdalError:
    """The error of an answer that is something else than the JSON that was asked for."""
    text = body[: 1 << 16].decode("utf-8", "replace")
    if re.search(r"<(!doctype|html|head|body)\b", text, re.IGNORECASE):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        named = f" ({' '.join(title[1].split())[:80]!r})" if title and title[1].strip() else ""
        return ColdalError(
            f"a web page answers{named}, not the server's interface for programs",
            where=where,
            remedy="is it a login page or another site? check the address and the token: "
            "coldal-tui connect test",
            code="server-page",
        )
    return ColdalError(
        f"the server's answer can't be read: {' '.join(text.split())[:60]!r}",
        where=where,
        remedy="check that this is the right server, then ask again",
        code="server-garbage",
    )


def multipart(files: Sequence[Upload]) -> tuple[bytes, str]:
    """A form of files, and its ``Content-Type``."""
    boundary = f"coldal-{secrets.token_hex(16)}"
    parts = []
    for one in files:
        name = one.filename.replace('"', "_").replace("\r", "_").replace("\n", "_")
        named = f'; filename="{name}"' if name else ""
        head = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="{one.field}"{named}\r\n'
            f"Content-Type: {one.kind}\r\n\r\n"
        )
        parts += [head.encode(), one.content, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def check_url(url: str) -> str:
    """The address without its end, checked; see :class:`Web`."""
    try:
        parts = urllib.parse.urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise UsageError(f"no address of a server: {error}", where=url) from error
    del port
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(
            "this is no http or https address", where=url, remedy="write https://server/path"
        )
    if parts.username or parts.password:
        raise UsageError(
            "the address holds a user name or a password",
            where=f"{parts.scheme}://{host}",
            remedy="leave it out; coldal-tui connect add asks for the token and keeps it apart",
        )
    if parts.query or parts.fragment:
        raise UsageError("the address has more than a path", where=url, remedy="leave ? and # out")
    if parts.scheme == "http" and not is_loopback(url):
        raise UsageError(
            "over plain http everybody between could read the token and the images",
            where=url,
            remedy="use https (--ca names the certificates of a private authority), or a tunnel: "
            "ssh -L 8080:localhost:8080 SERVER, then http://localhost:8080",
            code="plain-http",
        )
    return url


def is_loopback(url: str) -> bool:
    """Whether the address is this machine's own."""
    host = urllib.parse.urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a login page is no answer, and a token belongs to one address."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


def _context(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca) if ca else None)
    except (OSError, ssl.SSLError) as error:
        raise ColdalError(
            f"the certificates can't be read: {getattr(error, 'strerror', None) or error}",
            where=str(ca),
            remedy="name a PEM file with the authority's certificate",
            code="ca",
        ) from error


def _is_certificate(error: Exception) -> bool:
    return isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError)


def _wait_of(error: urllib.error.HTTPError, number: int) -> float:
    """Seconds to wait: what the server says (RFC 9110, ``Retry-After``), else ever longer."""
    said = (error.headers.get("Retry-After") or "").strip()
    wait = float(said) if re.fullmatch(r"\d{1,6}", said) else 2.0 ** (number - 1)
    return min(wait, _LONGEST_PAUSE_S)


def _said(error: urllib.error.HTTPError) -> str:
    """What a refusing server says, in one short line; nothing of a web page."""
    try:
        body = error.read(1 << 16)
    except (OSError, http.client.HTTPException):
        return ""
    text = body.decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except ValueError:
        return "" if "<" in text else " ".join(text.split())[:_SHOWN]
    if isinstance(found, dict):
        parts = [found.get("detail"), found.get("validation_errors"), found.get("Message")]
        text = "; ".join(str(part) for part in parts if part) or text
    return " ".join(text.split())[:_SHOWN]


def _problem(url: str, error: urllib.error.HTTPError, said: str) -> ColdalError:
    code, words = error.code, f": {said}" if said else ""
    where = urllib.parse.urlunsplit(urllib.parse.urlsplit(url)._replace(query=""))
    if code in (401, 403):
        return ColdalError(
            f"the server does not accept the token ({code}){words}",
            where=where,
            remedy="give it a new one: coldal-tui connect token NAME; then coldal-tui connect test",
            code="server-login",
        )
    if code == 404:
        return ColdalError(
            f"the server knows no such thing (404){words}",
            where=where,
            remedy="check the address and the project's number: coldal-tui connect list",
            code="server-missing",
        )
    if 300 <= code < 400:
        to = error.headers.get("Location", "another address")
        return ColdalError(
            f"the server sends on to {to[:120]} ({code}): a login page, or it has moved",
            where=where,
            remedy="check the address (https? a path?) and the token",
            code="server-page",
        )
    if code == 429:
        return ColdalError(
            f"the server has too much to do (429){words}",
            where=where,
            remedy="try again later: the same command goes on where it was",
            code="server-busy",
        )
    if code >= 500:
        return ColdalError(
            f"the server failed ({code} {error.reason}){words}",
            where=where,
            remedy="look at the server's own log; the same command goes on where it was",
            code="server",
        )
    return ColdalError(
        f"the server refuses ({code} {error.reason}){words}",
        where=where,
        remedy="check what the connection says: coldal-tui connect test",
        code="server-refused",
    )


def _cut(base: str, error: Exception) -> ColdalError:
    if _is_certificate(error):
        return ColdalError(
            f"the server's certificate is not trusted: {getattr(error, 'reason', error)}",
            where=base,
            remedy="name the certificates of your private authority with --ca FILE",
            code="certificate",
        )
    reason = getattr(error, "reason", None) or error
    return ColdalError(
        f"the connection failed: {reason}" if str(reason) else "the connection was cut",
        where=base,
        remedy="is the server running? the same command goes on where it was",
        code=CUT,
    )
