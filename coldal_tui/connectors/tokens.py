"""Where tokens of servers are kept: the environment, a keyring, or a file of one person alone.

Never in the project, the database, a log or the arguments of a process. A stored token belongs to
an address, not to a connection's name: a project from elsewhere can't have it sent to another
server.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.files import disk_error, fsync_folder
from coldal_tui.trust_store import state_folder

_SERVICE = "coldal-tui"
FILE = "tokens.json"


def variable_of(name: str) -> str:
    """The variable that holds a connection's token: ``COLDAL_TOKEN_LAB`` for ``lab``."""
    return f"COLDAL_TOKEN_{re.sub(r'[^A-Z0-9]', '_', name.upper())}"


def find_token(name: str, url: str, environ: Mapping[str, str] = os.environ) -> str:
    """The token of a connection; empty where there is none.

    Raises
    ------
    ColdalError : others may read the file of tokens, or it can't be read.
    """
    said = environ.get(variable_of(name), "").strip()
    if said:
        return said
    ring = _keyring()
    if ring is not None:
        found = _try(ring, "get_password", url)
        if found:
            return str(found)
    value = _read(_file(environ)).get(url)
    return value if isinstance(value, str) else ""


def keep_token(url: str, token: str, environ: Mapping[str, str] = os.environ) -> str:
    """Keep a token for an address; returns where, in words. An empty one is removed.

    Raises
    ------
    UsageError : it holds characters that no token has.
    ColdalError : the file can't be written, or others may read it.
    """
    if not re.fullmatch(r"[\x21-\x7e]*", token):
        raise UsageError("a token is one word of plain letters", where=url)
    ring = _keyring()
    if ring is not None:
        if token and _try(ring, "set_password", url, token) is not _FAILED:
            return "the keyring"
        if not token:
            _try(ring, "delete_password", url)
    path = _file(environ)
    known = _read(path)
    if token:
        known[url] = token
    elif known.pop(url, None) is None:
        return str(path)
    _write(path, known)
    return str(path)


def _file(environ: Mapping[str, str]) -> Path:
    return state_folder(environ) / FILE


def _read(path: Path) -> dict[str, Any]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(stream.fileno())
        if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.getuid():
            raise ColdalError(
                "other people may read the file of tokens",
                where=str(path),
                remedy=f"chmod 600 {path}, and replace the tokens in it",
                code="token-file",
            )
        try:
            content = json.loads(stream.read())
        except ValueError as error:
            raise _unreadable(path, "it is no JSON") from error
    if not isinstance(content, dict):
        raise _unreadable(path, "it is no JSON object")
    return content


def _unreadable(path: Path, reason: str) -> ColdalError:
    return ColdalError(
        f"the file of tokens can't be read: {reason}",
        where=str(path),
        remedy="mend it, or move it away and give the tokens again: coldal-tui connect token NAME",
        code="token-file",
    )


def _write(path: Path, content: Mapping[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary.unlink(missing_ok=True)
        # Never readable by others, not for a moment.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                os.fchmod(stream.fileno(), 0o600)
                stream.write(json.dumps(content, indent=1).encode())
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        fsync_folder(path.parent)
    except OSError as error:
        raise disk_error(error, path) from error


_FAILED = object()


def _keyring() -> Any:
    """The package ``keyring`` where it is installed and can keep secrets; else None."""
    try:
        import keyring
        from keyring.backends import fail
    except ImportError:
        return None
    try:
        return None if isinstance(keyring.get_keyring(), fail.Keyring) else keyring
    except Exception:  # whatever a desktop's service does
        return None


def _try(ring: Any, method: str, *words: str) -> Any:
    try:
        return getattr(ring, method)(_SERVICE, *words)
    except Exception:  # a locked keyring, or one without a service: the file is used
        return _FAILED if method == "set_password" else None
