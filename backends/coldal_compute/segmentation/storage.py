"""Writes a run's files atomically: complete or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from coldal_tui.files import atomic_write


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically, and flush it to disk."""

    def write(stream: BinaryIO) -> None:
        stream.write(content)

    atomic_write(path, write)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` (JSON types, or msgspec structs) as indented JSON."""
    write_bytes(path, msgspec.json.format(msgspec.json.encode(value), indent=1))


def write_json_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one JSON document per line."""
    write_bytes(path, msgspec.json.Encoder().encode_lines(rows))
