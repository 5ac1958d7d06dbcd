"""Writes an export folder completely or not at all, and hashes files while copying."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.files import FULL, fsync_folder, make_folder, sha256_file, share_tree

_BLOCK = 1 << 20
_PARTIAL = re.compile(r"^\..*\.[0-9a-f]{12}\.partial$")
_JUST_MADE_S = 60


@dataclass
class Stage:
    """A folder under construction; collects the SHA-256 of everything written to it.

    The files in ``linked`` become symbolic links where they would be copied, so that nothing that
    is done to the folder reaches them.
    """

    folder: Path
    files: dict[str, str] = field(default_factory=dict)
    linked: frozenset[Path] = frozenset()
    links: int = 0

    def copy(self, source: Path, relative: str) -> str:
        """Copy a file byte for byte, or link it (see the class); returns its SHA-256.

        Raises
        ------
        ColdalError : the source can't be read.
        OSError : the destination can't be written.
        """
        digest = hashlib.sha256()
        target = self._place(relative)
        if source in self.linked:
            return self._link(source, target, relative)
        with _opened(source) as reader, target.open("xb") as writer:
            while block := _read(reader, source):
                digest.update(block)
                writer.write(block)
        self.files[relative] = digest.hexdigest()
        return self.files[relative]

    def _link(self, source: Path, target: Path, relative: str) -> str:
        try:
            self.files[relative] = sha256_file(source)
        except OSError as error:
            raise _source_error(source, error) from error
        target.symlink_to(source)
        self.links += 1
        return self.files[relative]

    def write_text(self, relative: str, text: str) -> str:
        """Write a text file in UTF-8; returns its SHA-256."""
        return self.write_bytes(relative, text.encode())

    def write_bytes(self, relative: str, data: bytes) -> str:
        """Write a file; returns its SHA-256."""
        with self._place(relative).open("xb") as stream:
            stream.write(data)
        self.files[relative] = hashlib.sha256(data).hexdigest()
        return self.files[relative]

    def write(self, relative: str, write: Callable[[Path], object]) -> str:
        """Call ``write`` with the path of a new file; returns the file's SHA-256."""
        target = self._place(relative)
        write(target)
        self.files[relative] = sha256_file(target)
        return self.files[relative]

    def make_folder(self, relative: str) -> None:
        """Make an empty folder."""
        (self.folder / relative).mkdir(parents=True, exist_ok=True)

    def _place(self, relative: str) -> Path:
        target = self.folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


@contextlib.contextmanager
def staged(out: Path, bytes_needed: int, linked: frozenset[Path] = frozenset()) -> Iterator[Stage]:
    """A temporary folder that is renamed to ``out`` on success and removed on failure.

    ``linked`` as in :class:`Stage`.

    Raises
    ------
    UsageError : ``out`` exists and is not an empty folder.
    ColdalError : the disk is full (``disk-full``) or can't be written (``not-writable``).
    """
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise UsageError(
            "the export folder exists and is not empty",
            where=str(out),
            remedy="Choose a new folder with --out.",
            code="exists",
        )
    stage = Stage(out.with_name(f".{out.name}.{secrets.token_hex(6)}.partial"), linked=linked)
    try:
        make_folder(stage.folder.parent)
        remove_leftovers(stage.folder.parent)
        _check_room(stage.folder.parent, bytes_needed)
        stage.folder.mkdir()
        with _held(stage.folder):
            yield stage
            share_tree(stage.folder)
            _sync_tree(stage.folder)
            stage.folder.rename(out)
            fsync_folder(out.parent)
    except OSError as error:
        raise _disk_error(out, error) from error
    finally:
        shutil.rmtree(stage.folder, ignore_errors=True)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold a lock that marks the folder as in use; it ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems don't support locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove the partial output of killed exports into ``folder``: it holds patients' images."""
    try:
        found = [path for path in folder.iterdir() if _PARTIAL.match(path.name)]
    except OSError:
        return
    for path in found:
        with contextlib.suppress(OSError):
            if path.is_symlink() or time.time() - path.stat().st_mtime < _JUST_MADE_S:
                continue
            descriptor = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)


def _check_room(folder: Path, bytes_needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < bytes_needed:
        raise OSError(errno.ENOSPC, f"{bytes_needed:,} bytes are needed, {free:,} are free")


def _sync_tree(folder: Path) -> None:
    """Flush all files to disk before the folder is renamed."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())


def _disk_error(out: Path, error: OSError) -> ColdalError:
    why = error.strerror or str(error)
    if error.errno in FULL:
        return ColdalError(
            f"the disk is full: {why}",
            where=str(out),
            remedy="Free space, export fewer scans with --top, or choose another disk with --out. "
            "Nothing was left behind.",
            code="disk-full",
        )
    return ColdalError(
        f"the export can't be written: {why}",
        where=error.filename if isinstance(error.filename, str) else str(out),
        remedy="Choose a folder that you may write to with --out.",
        code="not-writable",
    )


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[int]:
    try:
        descriptor = os.open(source, os.O_RDONLY)
    except OSError as error:
        raise _source_error(source, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(descriptor: int, source: Path) -> bytes:
    # Handled apart from a failing write: the remedy differs.
    try:
        return os.read(descriptor, _BLOCK)
    except OSError as error:
        raise _source_error(source, error) from error


def _source_error(source: Path, error: OSError) -> ColdalError:
    return ColdalError(
        f"the image can't be read: {error.strerror}",
        where=str(source),
        remedy="Bring the file back, or skip the scan: queue skip SCAN.",
        code="missing" if error.errno == errno.ENOENT else "unreadable",
    )
