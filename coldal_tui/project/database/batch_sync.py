"""Brings many new files to the disk at once: one syncfs where that is certain, else fsync of each.

An fsync commits the file system's journal for every file; one syncfs does it for all. Since Linux
5.8 syncfs reports errors of writing that came after its descriptor was opened, and since 5.17 those
of the file system's journal, too (syncfs(2), and ``sync_filesystem`` in the kernel).
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from coldal_tui.files import disk_error

MANY = 8
"""From this number of files on one syncfs is worth it: it also writes what others have written."""

_THREADS = 32
_MUCH_KIB = 256 << 10
"""Unwritten KiB in the whole system, above which a syncfs might have to wait for other programs."""

_REPORTS_ERRORS = (5, 17)
_CERTAIN = frozenset({0xEF53, 0x58465342, 0x9123683E, 0x01021994})
"""ext2 to ext4, XFS, Btrfs and tmpfs (statfs(2)). Others, such as FUSE and overlayfs, may not write
to the disk, or may not tell an error."""

_NOT_OFFERED = frozenset({errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP})


class BatchSync:
    """Syncs the new files of one folder; opened before the first of them is written."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError when the folder can't be opened."""
        self._folder = folder
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the folder; what was not synced may be lost with the power."""
        os.close(self._descriptor)

    def sync(self, files: Sequence[Path]) -> None:
        """Bring the files' content to the disk; their names need an fsync of the folder.

        Raises
        ------
        ColdalError : code ``disk``: something could not be written.
        """
        try:
            together = len(files) >= MANY and _is_certain(self._descriptor) and self._sync_all()
        except OSError as error:
            raise disk_error(error, self._folder) from error
        if not together:
            _sync_each(files)

    def _sync_all(self) -> bool:
        """Whether one syncfs has written everything; raises OSError when it could not."""
        ctypes.set_errno(0)
        if _libc().syncfs(self._descriptor) == 0:
            return True
        number = ctypes.get_errno()
        if number in _NOT_OFFERED:
            return False
        raise OSError(number, os.strerror(number))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _is_certain(descriptor: int) -> bool:
    """Whether syncfs is durable here, reports every error, and waits for little else."""
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if os.uname().sysname != "Linux" or release is None:
        return False
    if (int(release[1]), int(release[2])) < _REPORTS_ERRORS:
        return False
    return _kind_of(descriptor) in _CERTAIN and _unwritten_kib() <= _MUCH_KIB


def _kind_of(descriptor: int) -> int | None:
    """The file system's magic number: the first word of ``struct statfs``."""
    found = (ctypes.c_long * 64)()
    known = _libc().fstatfs(descriptor, ctypes.byref(found)) == 0
    return found[0] & 0xFFFFFFFF if known else None


def _unwritten_kib() -> float:
    """KiB that wait in memory to be written to any disk; infinite when the system does not say."""
    try:
        text = Path("/proc/meminfo").read_text("ascii")
    except (OSError, ValueError):
        return float("inf")
    found = re.findall(r"^(?:Dirty|Writeback):\s+(\d+) kB$", text, re.MULTILINE)
    return sum(map(int, found)) if len(found) == 2 else float("inf")


def _sync_each(files: Sequence[Path]) -> None:
    """In parallel: each sync waits for the disk."""
    if not files:
        return
    threads = min(_THREADS, len(files))
    with ThreadPoolExecutor(threads, thread_name_prefix="sync") as pool:
        list(pool.map(_sync_files, (files[n::threads] for n in range(threads))))


def _sync_files(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise disk_error(error, path) from error
