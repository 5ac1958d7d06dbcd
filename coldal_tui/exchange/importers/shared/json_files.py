"""Reads labelers' JSON files: a quick look at the kind of document, and the whole content."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from coldal_tui.errors import ImageError
from coldal_tui.exchange.refusals import damaged, unreadable

LARGEST = 512 << 20
"""Size of the largest document that is read, in bytes; in memory it takes many times more."""

_MARK = b"\xef\xbb\xbf"
_FIRST = frozenset((b"{", b"[", _MARK[:1], b" ", b"\t", b"\r", b"\n", b"\v", b"\f"))
"""First bytes of a document: its own, white space, or the mark of UTF-8."""
_START = 256
"""Bytes within which a document must begin, after any white space."""
_KEY = re.compile(rb'"((?:[^"\\]|\\.){1,40})"\s*:')
_DAMAGED = (msgspec.DecodeError, RecursionError, UnicodeError, ValueError)


@dataclass(frozen=True)
class Outline:
    """The outline of a JSON document: its ``keys``, or those of its ``first`` entry for a list.

    ``whole`` is False where the document is damaged, and the keys are guessed from its beginning.
    """

    is_list: bool
    keys: frozenset[str]
    whole: bool = True
    first: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """For each key that holds objects (or a list of them): the keys of the first one."""


def outline(path: Path, head: bytes) -> Outline | None:
    """The outline of the JSON document in a file; None if it is no JSON.

    ``head`` is the file's beginning. Results are cached.
    """
    if head[:1] not in _FIRST or head[:_START].removeprefix(_MARK).lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return _outline(path, status.st_size, status.st_mtime_ns, bytes(head))


@lru_cache(maxsize=32)
def _outline(path: Path, size: int, changed: int, head: bytes) -> Outline | None:
    try:
        if size > LARGEST:
            raise ValueError
        data = path.read_bytes().removeprefix(_MARK)
        document: Any = msgspec.json.decode(data, type=msgspec.Raw)
        if data.lstrip()[:1] == b"[":
            entries = msgspec.json.decode(document, type=list[msgspec.Raw])
            return Outline(True, _keys(entries[0]) if entries else frozenset())
        fields = msgspec.json.decode(document, type=dict[str, msgspec.Raw])
    except (OSError, *_DAMAGED):
        return _guess(head)
    return Outline(False, frozenset(fields), first={k: _first(raw) for k, raw in fields.items()})


def _first(raw: msgspec.Raw) -> frozenset[str]:
    start = bytes(raw).lstrip()[:1]
    with contextlib.suppress(*_DAMAGED):
        if start == b"[":
            entries = msgspec.json.decode(raw, type=list[msgspec.Raw])
            return _keys(entries[0]) if entries else frozenset()
        if start == b"{":
            return _keys(raw)
    return frozenset()


def _keys(raw: msgspec.Raw) -> frozenset[str]:
    try:
        return frozenset(msgspec.json.decode(raw, type=dict[str, msgspec.Raw]))
    except _DAMAGED:
        return frozenset()


def _guess(head: bytes) -> Outline:
    """The keys in the beginning of a damaged document, at any level."""
    text = head.removeprefix(_MARK).lstrip()
    keys = {found.decode("utf-8", "replace") for found in _KEY.findall(text)}
    return Outline(text[:1] == b"[", frozenset(keys), whole=False)


def read_json(path: Path) -> Any:
    """Read the document in a file.

    Raises
    ------
    ImageError : ``damaged``, ``too-large``, ``unreadable``.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ImageError(
                f"the file is larger than {LARGEST >> 20} MiB",
                where=str(path),
                remedy="Export the masks in several files.",
                code="too-large",
            )
        return msgspec.json.decode(path.read_bytes().removeprefix(_MARK))
    except _DAMAGED as error:
        why = " ".join(str(error).split())
        raise damaged(path, f"the file is no whole JSON document: {why}") from error
    except OSError as error:
        raise unreadable(path, error) from error


def read_object(path: Path, format: str) -> dict[str, Any]:
    """Read the JSON object in a file. Errors as :func:`read_json`; ``damaged`` if no object."""
    document = read_json(path)
    if not isinstance(document, dict):
        raise ImageError(
            f"it holds no JSON object, so it is no {format}",
            where=str(path),
            remedy="Choose another --format, or leave it out.",
            code="damaged",
        )
    return document


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; empty if it is not a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    """A name as text, also if it is a number; empty for anything else."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def seconds(value: Any) -> float | None:
    """Seconds since 1970 of an ISO 8601 time (UTC if it states no zone); None for others."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def unique_keys(names: list[str]) -> list[str]:
    """Make names unique: the second of equal names gets `` #2``, and so on."""
    seen: dict[str, int] = {}
    keys = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        keys.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return keys
