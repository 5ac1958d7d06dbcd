"""Opens the source of an import: a file or folder, with archives unpacked below ``.coldal``."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from coldal_tui.errors import ImageError
from coldal_tui.exchange.incoming.archives import Limits, archive_kind, unpack
from coldal_tui.exchange.incoming.verdict import Verdict
from coldal_tui.files import disk_error
from coldal_tui.project.labels.quarantine import ARCHIVE
from coldal_tui.project.project import Project

_PREFIX = "unpacked-"
_ABANDONED_S = 24 * 3600
_KEY_FILES = ("labelmap.txt",)
"""Files that labelers leave beside an archive when they pack it again, and that it needs."""

_DEEPEST = 3
"""Archives in archives: a project of CVAT holds tasks, and people pack what they send once more."""


@dataclass
class Opened:
    """An opened source: ``path``, and the archives that were unpacked.

    ``unpacked`` maps folders to the archives they were unpacked from. ``left_out`` are verdicts on
    archives that were not unpacked; ``saw`` describes a source that could not be opened.
    """

    path: Path
    room: Path
    unpacked: dict[Path, Path] = field(default_factory=dict)
    left_out: list[Verdict] = field(default_factory=list)
    saw: str = ""
    _bytes: int = Limits.total_bytes
    _members: int = Limits.members

    @property
    def place(self) -> str:
        """The location of the masks, in words."""
        return "an archive" if self.path in self.unpacked else "a folder"

    def open(self, archive: Path) -> Path | str:
        """Unpack an archive of the source; return the folder, or why it was not unpacked."""
        if self._depth(archive) >= _DEEPEST:
            return f"an archive {_DEEPEST} archives deep: unpack it yourself and import the folder"
        folder = self.room / str(len(self.unpacked)) / archive.stem
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise disk_error(error, folder) from error
        limits = Limits(members=max(1, self._members), total_bytes=max(1, self._bytes))
        shown = self.shown(archive)
        try:
            done = unpack(archive, folder, limits)
        except ImageError as error:
            shutil.rmtree(folder, ignore_errors=True)
            self.left_out.append(
                Verdict(
                    "quarantined",
                    archive,
                    None,
                    None,
                    error.code,
                    error.what,
                    error.remedy,
                    format=ARCHIVE,
                    source=shown,
                )
            )
            return "an archive that can't be opened"
        self.unpacked[folder] = archive
        self._members -= done.files
        self._bytes -= sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        for name in _KEY_FILES:
            beside = archive.parent / name
            if beside.is_file() and not next(folder.rglob(name), None):
                shutil.copyfile(beside, folder / name)
        self.left_out += [
            Verdict(
                "ignored",
                archive,
                code="ignored",
                message=f"not unpacked: {reason}",
                key=name,
                source=shown,
            )
            for name, reason in done.refused
        ]
        return folder

    def _depth(self, file: Path) -> int:
        root = self._root(file)
        return 0 if root is None else 1 + self._depth(self.unpacked[root])

    def _root(self, file: Path) -> Path | None:
        return next((root for root in self.unpacked if file.is_relative_to(root)), None)

    def shown(self, file: Path) -> str:
        """A file's path; for an unpacked file, the archive's path and the member in it."""
        root = self._root(file)
        if root is None:
            return str(file)
        return f"{self.shown(self.unpacked[root])}/{file.relative_to(root).as_posix()}"

    def named(self, verdict: Verdict) -> Verdict:
        """The verdict with the archive and the member as its source."""
        if verdict.source or self._root(verdict.file) is None:
            return verdict
        return replace(verdict, source=self.shown(verdict.file))


@contextlib.contextmanager
def open_source(project: Project, source: Path) -> Iterator[Opened]:
    """Open the source; unpacked files are removed when the context ends."""
    room = project.layout.cache / f"{_PREFIX}{secrets.token_hex(6)}"
    _remove_abandoned(project.layout.cache)
    opened = Opened(source, room)
    try:
        if source.is_file() and archive_kind(_head(source)) is not None:
            folder = opened.open(source)
            if isinstance(folder, str):
                opened.saw = folder
                folder = room / "nothing"
                folder.mkdir(parents=True, exist_ok=True)
            opened.path = folder
        yield opened
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(4096)
    except OSError:
        return b""


def _remove_abandoned(cache: Path) -> None:
    """Remove old unpacked files of a killed import; by age, as another import may be running."""
    for folder in cache.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(folder, ignore_errors=True)
