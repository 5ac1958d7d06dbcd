"""Walks a folder of images: regular files in a fixed order, each folder once."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_SILENT = ("thumbs.db", "desktop.ini", "__macosx")
_PROJECT_FOLDERS = ("labels", "exports")
_PROJECT_FILE = "coldal.toml"


class FileFacts(NamedTuple):
    """The facts that show a change of a file; a fifth of the memory of a full stat."""

    st_size: int
    st_mtime_ns: int


@dataclass
class Walk:
    """``files``: facts by relative path, in sorted order; ``lost``: path, code, reason."""

    files: dict[str, FileFacts] = field(default_factory=dict)
    lost: list[tuple[str, str, str]] = field(default_factory=list)


def found_files(root: Path, *, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Walk:
    """Every regular file under ``root`` that is neither hidden nor excluded.

    Links are followed, each folder once. Pipes, sockets and devices are never opened.
    """
    walk = Walk()
    seen: set[tuple[int, int]] = set()
    _enter(root, "", walk, seen, tuple(include), tuple(exclude))
    names = sorted(walk.files, key=os.fsencode)
    walk.files = {name: walk.files.pop(name) for name in names}
    return walk


def matches(rel_path: str, patterns: Sequence[str]) -> bool:
    """Whether a glob pattern names the path, a folder on the way to it, or (no slash) any part."""
    if not patterns:
        return False
    path = PurePosixPath(rel_path)
    ways = [str(path), *(str(p) for p in path.parents if str(p) != ".")]
    for pattern in patterns:
        wanted = pattern.strip("/") if pattern.strip("/") else pattern
        names = ways if "/" in wanted else path.parts
        if any(fnmatchcase(name, wanted) for name in names):
            return True
    return False


def _enter(
    folder: Path,
    prefix: str,
    walk: Walk,
    seen: set[tuple[int, int]],
    include: tuple[str, ...],
    exclude: tuple[str, ...],
) -> None:
    try:
        here = folder.stat()
        if (here.st_dev, here.st_ino) in seen:
            return
        seen.add((here.st_dev, here.st_ino))
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda e: os.fsencode(e.name))
    except OSError as error:
        walk.lost.append((prefix.rstrip("/") or ".", "no-permission", _reason(error)))
        return
    project = any(e.name == _PROJECT_FILE for e in entries)
    for entry in entries:
        name = entry.name
        if name.startswith(".") or name.lower() in _SILENT:
            continue
        if project and name in (*_PROJECT_FOLDERS, _PROJECT_FILE):
            continue
        rel_path = prefix + name
        if matches(rel_path, exclude):
            continue
        try:
            status = entry.stat()
        except OSError as error:
            reason = "a link to a file that is not there" if entry.is_symlink() else _reason(error)
            walk.lost.append((_printable(rel_path), "missing", reason))
            continue
        if stat.S_ISDIR(status.st_mode):
            _enter(folder / name, rel_path + "/", walk, seen, include, exclude)
        elif stat.S_ISREG(status.st_mode) and (not include or matches(rel_path, include)):
            walk.files[rel_path] = FileFacts(status.st_size, status.st_mtime_ns)


def _reason(error: OSError) -> str:
    return f"it can't be opened ({error.strerror or error})"


def _printable(rel_path: str) -> str:
    return os.fsencode(rel_path).decode("utf-8", "backslashreplace")
