"""Imports masks from a watched folder when they stop growing, each content once.

It polls sizes and times of files, which also works on network file systems and does not depend on
other machines' clocks. Nothing in the folder is moved or changed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.incoming.archives import archive_kind
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.files import (
    atomic_write,
    disk_error,
    make_folder,
    open_to_append,
    sha256_file,
    try_lock,
)
from coldal_tui.project.labels.importing import ImportReport, import_masks
from coldal_tui.project.project import Project

INCOMING = "incoming"
SETTLE_S = 2.0
"""How long a file must have kept its size and time."""

_STATE = "watched.json"
_LOCK = "watched.lock"
_UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp", ".swp", "~")

Stamp = tuple[int, int]
"""Size in bytes and time of the last change in nanoseconds."""


@dataclass(frozen=True)
class Arrival:
    """One import of new files: its report, or why it failed."""

    source: Path
    files: tuple[Path, ...]
    report: ImportReport | None = None
    error: ColdalError | None = None


@dataclass(frozen=True)
class _Done:
    """An imported file: its size and time at the import, and its hash."""

    stamp: Stamp
    sha256: str


@dataclass
class _Memory:
    """The record of a folder: imported files, and those without a scan yet."""

    done: dict[str, _Done] = field(default_factory=dict)
    unsettled: set[str] = field(default_factory=set)


class Watch:
    """Watches one folder for one project; call :meth:`poll` every few seconds.

    The project records imported files by path and hash, so that the next watch does not import them
    again. Masks without a scan are retried whenever new files arrive, which may be what they
    lacked.
    """

    def __init__(
        self,
        project: Project,
        folder: Path | None = None,
        *,
        format: str = "auto",
        match: str | None = None,
        options: ImportOptions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``folder``: None means ``incoming/`` in the project, created if missing.

        Raises
        ------
        UsageError : the folder does not exist, or another process watches for this project.
        """
        self.project = project
        self.folder = (folder or project.root / INCOMING).absolute()
        self._asked: dict[str, Any] = {"format": format, "match": match, "options": options}
        self._clock = clock
        self._seen: dict[Path, tuple[Stamp, float]] = {}
        self._failed: dict[Path, Stamp] = {}
        if folder is None:
            make_folder(self.folder)
        elif not self.folder.is_dir():
            raise UsageError("there is no such folder", where=str(folder), code="missing")
        self._lock = open_to_append(project.layout.state / _LOCK)
        if not try_lock(self._lock):
            self._lock.close()
            raise UsageError(
                "another process watches a folder for this project",
                where=str(project.root),
                remedy="end that one first, or leave it at work",
                code="watched",
            )
        self._memory = self._load()

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.close()

    def poll(self) -> list[Arrival]:
        """Check once; import new files that have stopped growing, each archive separately."""
        ready = self._ready()
        if not ready:
            return []
        archives = [path for path in ready if _is_archive(path)]
        plain = {path: stamp for path, stamp in ready.items() if path not in archives}
        arrivals = [self._import(path, {path: ready[path]}) for path in archives]
        if plain:
            arrivals.append(self._import(self.folder, plain))
        self._save()
        return arrivals

    def _ready(self) -> dict[Path, Stamp]:
        """New or changed files whose size and time have been constant long enough."""
        now = self._clock()
        found = dict(_files(self.folder))
        ready: dict[Path, Stamp] = {}
        seen: dict[Path, tuple[Stamp, float]] = {}
        for path, stamp in found.items():
            done = self._memory.done.get(self._name(path))
            if (done is not None and done.stamp == stamp) or self._failed.get(path) == stamp:
                continue
            earlier, since = self._seen.get(path, (stamp, now))
            seen[path] = stamp, since if earlier == stamp else now
            if earlier == stamp and now - since >= SETTLE_S:
                ready[path] = stamp
        self._seen = seen
        return self._unless_known(ready)

    def _unless_known(self, ready: dict[Path, Stamp]) -> dict[Path, Stamp]:
        """Leave out files that were only touched: their content was imported before."""
        new: dict[Path, Stamp] = {}
        for path, stamp in ready.items():
            done = self._memory.done.get(self._name(path))
            digest = _try_hash(path) if done is not None else None
            if done is not None and digest == done.sha256:
                self._memory.done[self._name(path)] = _Done(stamp, digest)
            else:
                new[path] = stamp
        return new

    def _import(self, source: Path, files: dict[Path, Stamp]) -> Arrival:
        hashes = {path: _try_hash(path) for path in files}
        waiting = {self.folder / name for name in self._memory.unsettled}
        only = None if source in files else {*files, *waiting}
        try:
            report = import_masks(self.project, source, only=only, **self._asked)
        except ColdalError as error:
            self._failed |= files
            return Arrival(source, tuple(files), error=error)
        for path, stamp in files.items():
            digest = hashes[path]
            if digest is not None:
                self._memory.done[self._name(path)] = _Done(stamp, digest)
        if only is not None:
            lost = {v.file for v in (*report.quarantined, *report.unmatched)}
            self._memory.unsettled = {
                self._name(path) for path in lost if path.is_relative_to(self.folder)
            }
        return Arrival(source, tuple(files), report)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _load(self) -> _Memory:
        """The record of an earlier watch of this folder; empty when it can't be read."""
        try:
            stored = json.loads(self._file.read_bytes())[str(self.folder)]
            done = {
                name: _Done((int(size), int(changed)), str(digest))
                for name, (size, changed, digest) in stored["done"].items()
            }
            return _Memory(done, {str(name) for name in stored["unsettled"]})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return _Memory()

    def _save(self) -> None:
        try:
            stored = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            stored = {}
        folders: dict[str, Any] = stored if isinstance(stored, dict) else {}
        folders[str(self.folder)] = {
            "done": {name: [*one.stamp, one.sha256] for name, one in self._memory.done.items()},
            "unsettled": sorted(self._memory.unsettled),
        }
        text = json.dumps(folders, indent=1)
        atomic_write(self._file, lambda stream: stream.write(text.encode()))

    @property
    def _file(self) -> Path:
        return self.project.layout.state / _STATE


def _files(folder: Path) -> Iterator[tuple[Path, Stamp]]:
    """Files below a folder with size and time; hidden and unfinished ones are skipped."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise disk_error(error, folder) from error
    for entry in entries:
        if entry.name.startswith(".") or entry.name.lower().endswith(_UNFINISHED):
            continue
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            elif entry.is_file():
                status = entry.stat()
                yield Path(entry.path), (status.st_size, status.st_mtime_ns)
        except OSError:
            continue  # gone meanwhile, or not readable now: the next poll decides


def _is_archive(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return archive_kind(stream.read(4096)) is not None
    except OSError:
        return False


def _try_hash(path: Path) -> str | None:
    try:
        return sha256_file(path)
    except OSError:
        return None
