"""The journal beside the database: one line per action, with the labels that it added.

It outlives the database: ``doctor`` uses it to detect that an older database was restored, and
``--repair`` reads from it which scans the label files belong to. Lines are written after the
COMMIT, without fsync.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from coldal_tui.files import share

_TAIL = 64 * 1024


@dataclass(frozen=True)
class Entry:
    """The last action in the journal: its number and its unique token."""

    audit_id: int
    token: str
    at: str


def journal_of(database: Path) -> Path:
    """The journal of a database."""
    return database.with_name("journal.jsonl")


def append(database: Path, entry: Mapping[str, Any], labels: Iterable[Mapping[str, Any]]) -> None:
    """Append an action's lines, labels first; raises OSError when writing fails."""
    path = journal_of(database)
    lines = [json.dumps({"label": dict(label)}, default=str) for label in labels]
    data = "".join(f"{line}\n" for line in [*lines, json.dumps(dict(entry), default=str)]).encode()
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        share(descriptor, path.parent)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            # The last writer was killed in the middle of a line.
            data = b"\n" + data
        written = 0
        while written < len(data):
            written += os.write(descriptor, data[written:])
    finally:
        os.close(descriptor)


def last_entry(database: Path) -> Entry | None:
    """The newest action; None when there is no journal or no action in it."""
    try:
        with journal_of(database).open("rb") as stream:
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, end - _TAIL))
            lines = stream.read().splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        found = _parsed(line)
        with contextlib.suppress(KeyError, TypeError, ValueError):
            return Entry(int(found["audit"]), str(found["token"]), str(found.get("at", "")))
    return None


def labels_in(database: Path) -> Iterator[dict[str, Any]]:
    """Every label that any action added, oldest first; damaged lines are skipped."""
    try:
        stream = journal_of(database).open("rb")
    except OSError:
        return
    with stream:
        for line in stream:
            label = _parsed(line).get("label")
            if isinstance(label, dict):
                yield label


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def new_labels(changes: bytes, connection: apsw.Connection) -> list[dict[str, Any]]:
    """The rows of ``labels`` that a changeset adds."""
    names = [row[1] for row in connection.execute("PRAGMA table_info(labels)")]
    return [
        dict(zip(names, change.new, strict=True))
        for change in apsw.Changeset.iter(changes)
        if change.name == "labels" and change.op == "INSERT" and change.new is not None
    ]
