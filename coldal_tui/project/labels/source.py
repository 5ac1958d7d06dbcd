"""The source of an import: a file or folder as it is, an archive unpacked below ``.coldal``."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from coldal_tui.errors import ImageError
from coldal_tui.exchange.incoming.archives import archive_kind, unpack
from coldal_tui.exchange.incoming.verdict import Verdict
from coldal_tui.files import disk_error
from coldal_tui.project.labels.quarantine import ARCHIVE
from coldal_tui.project.project import Project

_PREFIX = "unpacked-"
_ABANDONED_S = 24 * 3600
_KEY_FILES = ("labelmap.txt",)
"""Files that labelers leave beside an archive when they pack it again, and that it needs."""


@dataclass(frozen=True)
class Opened:
    """What to import: ``path``, and the archive that it came from.

    ``left_out`` are verdicts on what was not unpacked; ``saw`` describes an archive that could
    not be opened.
    """

    path: Path
    archive: Path | None = None
    left_out: tuple[Verdict, ...] = ()
    saw: str = ""

    @property
    def place(self) -> str:
        """Where the masks lie, in words."""
        return "an archive" if self.archive is not None else "a folder"

    def named(self, verdict: Verdict) -> Verdict:
        """The verdict with the archive and the member as its source."""
        if self.archive is None or verdict.source or not verdict.file.is_relative_to(self.path):
            return verdict
        member = verdict.file.relative_to(self.path).as_posix()
        return replace(verdict, source=f"{self.archive}/{member}")


@contextlib.contextmanager
def open_source(project: Project, source: Path) -> Iterator[Opened]:
    """The source ready to be walked; what was unpacked is gone afterwards."""
    if not source.is_file() or archive_kind(_head(source)) is None:
        yield Opened(source)
        return
    folder = project.layout.cache / f"{_PREFIX}{secrets.token_hex(6)}"
    _remove_abandoned(project.layout.cache)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise disk_error(error, folder) from error
    try:
        yield _unpacked(source, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpacked(archive: Path, folder: Path) -> Opened:
    try:
        done = unpack(archive, folder)
    except ImageError as error:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        verdict = Verdict(
            "quarantined",
            archive,
            None,
            None,
            error.code,
            error.what,
            error.remedy,
            format=ARCHIVE,
            source=str(archive),
        )
        return Opened(folder, archive, (verdict,), "an archive that can't be opened")
    for name in _KEY_FILES:
        beside = archive.parent / name
        if beside.is_file() and not next(folder.rglob(name), None):
            shutil.copyfile(beside, folder / name)
    left_out = tuple(
        Verdict("ignored", archive, code="ignored", message=f"not unpacked: {reason}", key=name)
        for name, reason in done.refused
    )
    return Opened(folder, archive, left_out)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(4096)
    except OSError:
        return b""


def _remove_abandoned(cache: Path) -> None:
    """Remove what a killed import had unpacked; another import may be at work, so by age."""
    for folder in cache.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(folder, ignore_errors=True)
