"""Files that are either whole or absent: atomic writes, locks, and hashes of content."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, BinaryIO

from coldal_tui.errors import ColdalError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Error numbers of a disk, quota or file size that is used up."""

_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF})


def not_json(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """What decoding JSON of unknown origin raises: other types, no UTF-8, nested too deep.

    For an ``except`` clause, with ``others`` that it is to catch, too.
    """
    import msgspec  # commands that read no JSON start without it

    return *others, msgspec.MsgspecError, UnicodeDecodeError, RecursionError


def atomic_write(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Put what ``write`` writes at ``path``: temporary file, fsync, rename, fsync of the folder.

    A reader sees the whole old file or the whole new one; a failure leaves the old one and no
    temporary file behind. The file's mode follows the umask and the folder (see ``share``).

    Raises
    ------
    ColdalError : code ``disk``: the folder is missing, full or not writable.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        try:
            with temporary.open("xb") as stream:
                share(stream.fileno(), path.parent)
                write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_folder(path.parent)
    except OSError as error:
        raise disk_error(error, path) from error


def share(descriptor: int, folder: Path) -> None:
    """Give a new file the group bits that its folder stands for.

    In a folder that a group shares (setgid and group-writable) the group may write the file,
    whatever the umask; in one that is closed to others they may not read it.
    """
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    wanted = _shared(mode, folder)
    if wanted != mode:
        # Another's file system may know no modes; the file is good all the same.
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, wanted)


def share_tree(folder: Path) -> None:
    """Give a new folder, and all that is in it, the group bits of the folder around it.

    A file may be named, too.
    """
    for path in (folder, *sorted(folder.rglob("*"))):
        mode = path.lstat().st_mode
        wanted = _shared(stat.S_IMODE(mode), path.parent)
        if wanted != stat.S_IMODE(mode) and not stat.S_ISLNK(mode):
            with contextlib.suppress(OSError):
                path.chmod(wanted)


def share_all(folder: Path) -> None:
    """Give whatever this process makes from now on the bits that ``folder`` stands for.

    For processes that work on one project only: it changes their umask.
    """
    os.umask(~_shared(0o777 & ~_umask(), folder) & 0o777)


def open_to_append(path: Path) -> BinaryIO:
    """Open a log or a lock of the project for appending; a new one is shared as its folder is."""
    stream = path.open("ab")
    share(stream.fileno(), path.parent)
    return stream


def _shared(mode: int, folder: Path) -> int:
    around = folder.stat().st_mode
    if _of_a_group(around):
        mode |= (mode & 0o700) >> 3
    return mode if around & stat.S_IRWXO else mode & ~stat.S_IRWXO


def opening_mode(folder: Path) -> tuple[int, bool]:
    """The mode to open new files of a folder with, and whether each needs ``share``, too.

    For very many files: only in a folder that a group shares the umask has to be mended.
    """
    around = folder.stat().st_mode
    return 0o666 if around & stat.S_IRWXO else 0o660, _of_a_group(around)


def _of_a_group(around: int) -> bool:
    """Whether a folder of this mode is shared by a group: setgid, and the group may write."""
    return bool(around & stat.S_ISGID and around & stat.S_IWGRP)


def shared_mode(folder: Path, *, directory: bool = False) -> int:
    """The mode of a new file or folder that owner and group share: no bits for others.

    The umask takes bits of the group away unless ``folder`` is shared by it (setgid, writable).
    """
    mode = 0o770 if directory else 0o660
    return _shared(mode & ~_umask(), folder)


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, accessible to owner and group only.

    A file in a new folder is only safe when the folder's own name is on the disk, too. Raises
    OSError when that fails or a file has this name.
    """
    if folder.is_dir():
        return
    missing = [folder, *(above for above in folder.parents if not above.exists())]
    folder.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        around = made.parent.stat().st_mode & stat.S_ISGID
        with contextlib.suppress(OSError):
            made.chmod(shared_mode(made.parent, directory=True) | around)
        # A folder that others own may be closed for reading, and with it for fsync.
        with contextlib.suppress(PermissionError):
            fsync_folder(made.parent)


def _umask() -> int:
    """The process's umask, asked without changing it where the system tells."""
    try:
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    except (OSError, ValueError):
        pass
    found = os.umask(0o077)
    os.umask(found)
    return found


def disk_error(error: OSError, path: Path) -> ColdalError:
    """The error to show when ``path`` can't be written."""
    full = error.errno in FULL
    return ColdalError(
        "the disk is full" if full else f"can't write: {error.strerror or error}",
        where=str(path),
        remedy=f"{'free space' if full else 'mend the disk or the permissions'} there, then run "
        "the same command again",
        code="disk",
    )


def fsync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems refuse fsync on a folder; their rename is all there is.
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON object that can be made again, such as a cache; empty when it is absent or damaged."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def sha256_file(path: Path) -> str:
    """The file's SHA-256 as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def try_lock(stream: IO[bytes]) -> bool:
    """Take an exclusive lock that ends with the process; False when another holds it."""
    try:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path) -> bool:
    """Whether some process holds the exclusive lock of the file; asking disturbs nobody's."""
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
