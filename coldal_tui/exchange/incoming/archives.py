"""Archives of masks (.zip, .tar, .tar.gz …) unpacked into one folder only.

A member is refused if its name leads out of the folder, if it is a link, a device or encrypted, or
if it would overwrite another one. The number of members, their total size and their compression
ratio are limited; sizes are counted while unpacking, never taken from the archive.
"""

from __future__ import annotations

import bz2
import lzma
import os
import shutil
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Self

from coldal_tui.errors import ImageError
from coldal_tui.files import disk_error

_BLOCK = 1 << 20
_TAR_MAGIC_AT = 257
_TAR_BLOCK = 512
_SHOWN_NAME = 120
_DIRECTORY_BYTES = 128 << 20
_HEADER_BYTES = 1 << 20
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    UnicodeError,
    OverflowError,
)


@dataclass(frozen=True)
class Limits:
    """Limits on the unpacked content of an archive."""

    members: int = 200_000
    total_bytes: int = 64 << 30
    free_growth: int = 4 << 30
    """Total size that is always allowed; above it ``growth`` limits the ratio."""
    growth: int = 100
    """Unpacked bytes per packed byte; simple masks of volumes compress a thousandfold."""
    disk_share: float = 0.5
    """Share of the free disk space."""

    def bytes_of(self, packed: int, folder: Path) -> int:
        """Bytes that an archive of ``packed`` bytes may unpack to below ``folder``."""
        disk = int(shutil.disk_usage(folder).free * self.disk_share)
        return min(self.total_bytes, disk, max(self.free_growth, packed * self.growth))


@dataclass
class Unpacked:
    """The result: the number of files, and the refused members with reasons."""

    files: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


def archive_kind(head: bytes) -> str | None:
    """``ZIP`` or ``tar`` by the first bytes of a file, inside gzip, bzip2 and xz too; else None."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "ZIP"
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")):
        head = _first_block(head)
    return "tar" if head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar" else None


def _first_block(packed: bytes) -> bytes:
    """The decompressed beginning of a gzip, bzip2 or xz file."""
    try:
        if packed.startswith(b"\x1f\x8b"):
            return zlib.decompressobj(wbits=31).decompress(packed, _TAR_BLOCK)
        if packed.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(packed, _TAR_BLOCK)
        return lzma.LZMADecompressor().decompress(packed, _TAR_BLOCK)
    except (OSError, *_DAMAGED):
        return b""


def unpack(archive: Path, folder: Path, limits: Limits | None = None) -> Unpacked:
    """Unpack ``archive`` below ``folder``, which is empty.

    Files get the modification times from the archive, and no other property.

    Raises
    ------
    ImageError : the archive is damaged (``damaged-archive``) or beyond the limits
        (``archive-limits``); files unpacked before the error stay in the folder.
    ColdalError : code ``disk``.
    """
    limits = limits or Limits()
    try:
        size = archive.stat().st_size
        with archive.open("rb") as stream:
            head = stream.read(4096)
        members = _zip_members if archive_kind(head) == "ZIP" else _tar_members
        unpacking = _Unpacking(archive, folder, limits.members, limits.bytes_of(size, folder))
        return unpacking.run(members(archive, unpacking.check_promise))
    except _DAMAGED as error:
        raise ImageError(
            f"the archive can't be read: {' '.join(str(error).split()) or type(error).__name__}",
            where=str(archive),
            remedy="Download or copy it again.",
            code="damaged-archive",
        ) from error
    except OSError as error:
        if error.filename is not None and Path(error.filename).is_relative_to(folder):
            raise disk_error(error, folder) from error
        raise ImageError(
            f"the archive can't be read: {error.strerror or error}",
            where=str(archive),
            remedy="Download or copy it again.",
            code="damaged-archive",
        ) from error


@dataclass(frozen=True)
class _Member:
    """One entry; ``refusal`` is the reason why it may not be unpacked."""

    name: str
    time: float | None
    size: int
    open: Callable[[], IO[bytes] | None]
    folder: bool = False
    refusal: str | None = None


@dataclass
class _Unpacking:
    archive: Path
    folder: Path
    most: int
    room: int
    done: Unpacked = field(default_factory=Unpacked)

    def run(self, members: Iterator[_Member]) -> Unpacked:
        for number, member in enumerate(members, start=1):
            if number > self.most:
                raise self._beyond(f"it holds more than {self.most:,} files")
            if member.folder:
                continue
            target, why = self._target(member)
            if target is None:
                self.done.refused.append((member.name[:_SHOWN_NAME], why))
                continue
            self.check_promise(member.size)
            self._write(member, target)
        return self.done

    def check_promise(self, size: int) -> None:
        """Refuse an archive whose own stated sizes exceed the limits, before writing anything."""
        if size > self.room:
            raise self._beyond("it says itself that it unpacks to far more than masks do")

    def _target(self, member: _Member) -> tuple[Path | None, str]:
        """The target path of a member, or None and the reason for its refusal."""
        if member.refusal is not None:
            return None, member.refusal
        name = member.name.replace("\\", "/")
        parts = PurePosixPath(name).parts
        if not parts or "\0" in name:
            return None, "its name is no file name"
        if name.startswith("/") or ".." in parts or parts[0].endswith(":"):
            return None, "its name leads out of the archive's folder"
        target = self.folder.joinpath(*(part for part in parts if part != "."))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists() or target.is_symlink():
                return None, "another file of the archive has this name"
        except OSError as error:
            return None, f"its name can't be used here: {error.strerror}"
        return target, ""

    def _write(self, member: _Member, target: Path) -> None:
        source = member.open()
        if source is None:
            self.done.refused.append((member.name[:_SHOWN_NAME], "it is no plain file"))
            return
        try:
            out = target.open("xb")
        except OSError as error:
            why = f"its name can't be used here: {error.strerror}"
            self.done.refused.append((member.name[:_SHOWN_NAME], why))
            return
        with source, out:
            while block := source.read(_BLOCK):
                self.room -= len(block)
                if self.room < 0:
                    raise self._beyond("it unpacks to far more than archives of masks do")
                out.write(block)
        if member.time is not None:
            with suppress(OSError, OverflowError):
                os.utime(target, (member.time, member.time))
        self.done.files += 1

    def _beyond(self, what: str) -> ImageError:
        return ImageError(
            f"the archive is not safe to unpack: {what}",
            where=str(self.archive),
            remedy="If you trust it, unpack it yourself and import the folder.",
            code="archive-limits",
        )


def _zip_members(archive: Path, check: Callable[[int], None]) -> Iterator[_Member]:
    if _directory_size(archive) > _DIRECTORY_BYTES:
        raise zipfile.BadZipFile("its table of contents is too large")
    with zipfile.ZipFile(archive) as opened:
        check(sum(info.file_size for info in opened.infolist()))
        for info in opened.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            refusal = None
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                refusal = "it is a link or a device, not a file"
            elif info.flag_bits & 1:
                refusal = "it is encrypted"
            yield _Member(
                info.filename,
                _zip_time(info),
                info.file_size,
                lambda info=info: opened.open(info),  # type: ignore[misc]
                info.is_dir() or kind == stat.S_IFDIR,
                refusal,
            )


def _directory_size(archive: Path) -> int:
    """Size of a ZIP's central directory, which is read into memory completely (APPNOTE 4.3.16)."""
    with archive.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, end - (1 << 16) - 22))
        tail = stream.read()
    at = tail.rfind(b"PK\x05\x06")
    size = int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0
    return end if size == 0xFFFFFFFF else size


def _zip_time(info: zipfile.ZipInfo) -> float | None:
    try:
        return time.mktime((*info.date_time, 0, 0, -1))
    except (ValueError, OverflowError):
        return None


class _TarInfo(tarfile.TarInfo):
    """Limits extension headers, which are read into memory, and requires the end mark.

    An archive ends with blocks of zeros (POSIX ustar); tarfile accepts any end, so an archive cut
    between two files would silently lose the rest.
    """

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except (tarfile.TruncatedHeaderError, tarfile.EmptyHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError("it was cut: it has no end mark") from error

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        special = (
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
        )
        if self.type in special and self.size > _HEADER_BYTES:
            raise tarfile.ReadError(f"one of its headers takes {self.size} bytes")
        made: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return made


def _tar_members(archive: Path, _check: Callable[[int], None]) -> Iterator[_Member]:
    with tarfile.open(archive, "r|*", tarinfo=_TarInfo) as opened:
        for info in opened:
            refusal = None if info.isreg() or info.isdir() else "it is a link or a device"
            yield _Member(
                info.name,
                float(info.mtime),
                info.size,
                lambda info=info: opened.extractfile(info),  # type: ignore[misc]
                info.isdir(),
                refusal,
            )
