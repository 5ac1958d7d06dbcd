"""Arrays by key in a few files that only grow, for what can be made again.

Below a folder, each group of arrays has a folder of its own. There ``NAME.pack`` holds arrays one
after the other, and ``NAME.index`` a record for each. One process at a time appends to a pack, any
number read it, and no folder is listed but once, when it is opened. Nothing is flushed to the disk:
each record carries a checksum over its key, shape and values, and what doesn't agree with it counts
as absent.

Locks (``flock``): the writer of a pack has its index exclusively, whoever may read it has the pack
shared, and who removes a pack takes both first. So no array goes away under those that use it,
also where the file system knows no removed files that live on.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import os
import secrets
import shutil
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from coldal_tui.files import FULL, make_folder, share

KEY_BYTES = 20
PACK_BYTES = 256 * 1024**2
"""A pack of this size is not appended to."""
FREE_BYTES = 1024**3
"""So much of the disk is left free."""
UNUSED_S = 30 * 24 * 3600.0
"""A pack that nobody used for so long goes."""

_RECORD = struct.Struct("<20s4IQI")
"""Key, shape (0: no such axis), offset in the pack, checksum."""
_ALIGNED = 64
_TRIES = 5
_NAME = f"{'[0-9a-f]' * 16}.pack"
"""Only what is surely a pack is ever removed: a project's folder may be a stranger's link."""
_LOOK_BYTES = 64 * 1024**2
_GONE = frozenset({errno.ENOENT, errno.ESTALE})

Told = Callable[[str], None]


@dataclass
class _Pack:
    """An open pack, locked against removal by ``values``.

    ``end`` and ``index`` are open while this process appends to it.
    """

    path: Path
    values: BinaryIO
    end: BinaryIO | None = None
    index: BinaryIO | None = None
    used: bool = False

    def finish(self) -> None:
        """Let others append to it."""
        for stream in (self.end, self.index):
            if stream is not None:
                stream.close()
        self.end = self.index = None


class Packs:
    """float16 arrays of up to four axes by key, in at most ``most_bytes`` of disk.

    Threads may share an instance. What can't be written is not kept, and ``told`` hears why, once;
    reading and writing raise nothing.

    Parameters
    ----------
    folder : of all groups together; ``most_bytes`` count for all of them.
    group : the group that is read and written. The others are the first to make room.
    most_bytes : several processes that write at once may each go 64 MiB beyond. 0 removes what
        there is, and keeps nothing.
    """

    def __init__(
        self, folder: Path, group: str, most_bytes: int, told: Told = lambda words: None
    ) -> None:
        self._folder = folder
        self._group = folder / group
        self._most = most_bytes
        self._told = told
        self._lock = Lock()
        self._packs: list[_Pack] = []
        self._rows: dict[bytes, int] = {}
        self._records = bytearray()
        self._pack_of: list[int] = []
        self._writing: _Pack | None = None
        self._closed_to_new = most_bytes <= 0
        self._looked = 0  # so many bytes may be written before the disk is looked at again
        self._open()

    def close(self) -> None:
        """Give up files and locks; arrays that were returned stay usable."""
        with self._lock:
            for pack in self._packs:
                pack.finish()
                pack.values.close()
            self._packs.clear()
            self._rows.clear()
            self._writing = None
            self._closed_to_new = True

    def __contains__(self, key: bytes) -> bool:
        return key in self._rows

    def get(self, key: bytes, *, mapped: bool = False) -> NDArray[np.float16] | None:
        """The array of ``key``, read-only; None if there is none or it is damaged.

        With ``mapped`` its pages are read when they are used, and given up when memory is short.
        """
        with self._lock:
            row = self._rows.get(key)
            if row is None:
                return None
            _, *shape, offset, checksum = self._record(row)
            pack = self._packs[self._pack_of[row]]
            first = not pack.used
            pack.used = True
        if first:
            # The age of a pack is the time of its last use.
            with contextlib.suppress(OSError):
                os.utime(pack.path)
        found = _read(pack.values, offset, _axes(shape), mapped)
        if found is not None and _checksum(key, shape, found) == checksum:
            return found
        self._damaged(key, pack)
        return None

    def put(self, key: bytes, array: NDArray[np.float16]) -> None:
        """Keep an array, unless there is no room or the key has one."""
        with self._lock:
            if self._closed_to_new or key in self._rows or not 0 < array.ndim <= 4:
                return
            try:
                self._append(key, np.ascontiguousarray(array))
            except OSError as error:
                full = error.errno in FULL
                self._stop("the disk is full" if full else error.strerror or str(error))

    def _record(self, row: int) -> tuple[bytes, int, int, int, int, int, int]:
        found: tuple[bytes, int, int, int, int, int, int]
        found = _RECORD.unpack_from(self._records, row * _RECORD.size)
        return found

    def _open(self) -> None:
        """Open the packs of the group; before, what nobody uses and what is beyond the limit go."""
        for one in _stored(self._folder):
            if time.time() - one.age > UNUSED_S:
                _remove(one.path)
        self._make_room(0)
        try:
            paths = sorted(self._group.glob(_NAME))
        except OSError:
            paths = []
        for path in paths:
            with contextlib.suppress(OSError):
                self._take(path)

    def _take(self, path: Path) -> None:
        """Read the index of a pack that somebody made."""
        values = path.open("rb", buffering=0)
        try:
            fcntl.flock(values, fcntl.LOCK_SH | fcntl.LOCK_NB)
            records = _index(path).read_bytes()
        except OSError:
            values.close()
            raise
        self._packs.append(_Pack(path, values))
        for start in range(0, len(records) - _RECORD.size + 1, _RECORD.size):
            self._add(records[start : start + _RECORD.size], len(self._packs) - 1)

    def _add(self, record: bytes, pack: int) -> None:
        self._rows[record[:KEY_BYTES]] = len(self._pack_of)
        self._records += record
        self._pack_of.append(pack)

    def _append(self, key: bytes, array: NDArray[np.float16]) -> None:
        if not self._fits(array.nbytes):
            return
        pack = self._writer()
        assert pack.end is not None
        assert pack.index is not None
        at = -(-_size(pack.end) // _ALIGNED) * _ALIGNED
        try:
            _write(pack.end, array.data.cast("B"), at)
            shape = (*array.shape, 0, 0, 0, 0)[:4]
            record = _RECORD.pack(key, *shape, at, _checksum(key, shape, array))
            _write(pack.index, memoryview(record), _size(pack.index))
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(pack.end.fileno(), at)
            raise
        self._looked -= array.nbytes
        self._add(record, self._packs.index(pack))

    def _fits(self, size: int) -> bool:
        """Whether an array of ``size`` bytes may be kept; looks at the disk now and then."""
        if self._looked >= size:
            return True
        # Other processes write, too.
        room = self._make_room(size)
        if room < size:
            self._stop(f"its {self._most / 1e9:g} GB are used up")
            return False
        make_folder(self._folder)
        free = shutil.disk_usage(self._folder).free - FREE_BYTES
        if free < size:
            self._stop("the disk is nearly full")
            return False
        self._looked = min(room, free, max(size, _LOOK_BYTES))
        return True

    def _writer(self) -> _Pack:
        pack = self._writing
        if pack is not None and pack.end is not None:
            if _size(pack.end) < PACK_BYTES:
                return pack
            pack.finish()
        self._writing = self._continued()
        for _ in range(_TRIES):
            if self._writing is not None:
                return self._writing
            # Another process may remove a pack, or the empty folder, while it is begun.
            with contextlib.suppress(BlockingIOError, FileNotFoundError):
                make_folder(self._group)
                self._writing = self._begun()
        self._writing = self._writing or self._begun()
        return self._writing

    def _continued(self) -> _Pack | None:
        """A pack that has room and that nobody else appends to."""
        for pack in self._packs:
            if _size(pack.values) >= PACK_BYTES:
                continue
            with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
                index = opened.enter_context(_index(pack.path).open("r+b", buffering=0))
                fcntl.flock(index, fcntl.LOCK_EX | fcntl.LOCK_NB)
                pack.end = opened.enter_context(pack.path.open("r+b", buffering=0))
                # The rest of a record that a killed process began.
                os.ftruncate(index.fileno(), _size(index) // _RECORD.size * _RECORD.size)
                pack.index = index
                opened.pop_all()
                return pack
        return None

    def _begun(self) -> _Pack:
        """A new pack. It is complete when it has an index."""
        path = self._group / f"{secrets.token_hex(8)}.pack"
        with contextlib.ExitStack() as opened:
            end = opened.enter_context(path.open("x+b", buffering=0))
            share(end.fileno(), self._group)
            values = opened.enter_context(path.open("rb", buffering=0))
            fcntl.flock(values, fcntl.LOCK_SH | fcntl.LOCK_NB)
            index = opened.enter_context(_index(path).open("x+b", buffering=0))
            share(index.fileno(), self._group)
            fcntl.flock(index, fcntl.LOCK_EX | fcntl.LOCK_NB)
            opened.pop_all()
        pack = _Pack(path, values, end, index)
        self._packs.append(pack)
        return pack

    def _make_room(self, size: int) -> int:
        """Remove packs until ``size`` bytes fit, and return how many do.

        Other groups' packs go, used longest ago before others. Those of the group stay, unless
        they are beyond the limit: what would take their place is worth no more.
        """
        found = list(_stored(self._folder))
        used = sum(one.size for one in found)
        for one in sorted(found, key=lambda one: (one.path.parent == self._group, one.age)):
            wanted = 0 if one.path.parent == self._group else size
            if used + wanted > self._most and _remove(one.path):
                used -= one.size
        return self._most - used

    def _damaged(self, key: bytes, pack: _Pack) -> None:
        """Forget an array; its whole pack goes, unless somebody uses it."""
        with self._lock:
            self._rows.pop(key, None)
            if pack.index is not None or not pack.path.exists():
                return
            # Reading goes on from a removed file, or from one that nobody else could remove now.
            fcntl.flock(pack.values, fcntl.LOCK_UN)
            if _remove(pack.path):
                number = self._packs.index(pack)
                self._rows = {k: n for k, n in self._rows.items() if self._pack_of[n] != number}
                self._told(f"{pack.path.name} in the cache was damaged and is removed")
            else:
                with contextlib.suppress(OSError):
                    fcntl.flock(pack.values, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def _stop(self, why: str) -> None:
        if not self._closed_to_new:
            self._closed_to_new = True
            self._told(
                f"the cache of resized scans takes no more: {why}; others are read anew each time"
            )


@dataclass(frozen=True)
class _Stored:
    path: Path
    size: int
    age: float


def _stored(folder: Path) -> Iterator[_Stored]:
    """All packs below ``folder`` with their bytes and the time of their last use."""
    try:
        paths = list(folder.glob(f"*/{_NAME}"))
    except OSError:
        return
    for path in paths:
        with contextlib.suppress(OSError):
            facts = path.stat()
            index = _index(path).stat().st_size if _index(path).exists() else 0
            yield _Stored(path, facts.st_size + index, facts.st_mtime)


def _remove(path: Path) -> bool:
    """Remove a pack that no process uses; False when it stays."""
    try:
        with contextlib.ExitStack() as opened:
            if _index(path).exists():
                index = opened.enter_context(_index(path).open("r+b"))
                fcntl.flock(index, fcntl.LOCK_EX | fcntl.LOCK_NB)
            values = opened.enter_context(path.open("r+b"))
            fcntl.flock(values, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _index(path).unlink(missing_ok=True)
            path.unlink()
    except OSError as error:
        return error.errno in _GONE
    with contextlib.suppress(OSError):
        path.parent.rmdir()  # where it was the last one
    return True


def _index(pack: Path) -> Path:
    return pack.with_suffix(".index")


def _size(stream: BinaryIO) -> int:
    return os.fstat(stream.fileno()).st_size


def _axes(shape: list[int] | tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n)


def _checksum(key: bytes, shape: list[int] | tuple[int, ...], array: NDArray[np.float16]) -> int:
    return zlib.crc32(array.data.cast("B"), zlib.crc32(struct.pack("<20s4I", key, *shape)))


def _read(
    stream: BinaryIO, offset: int, shape: tuple[int, ...], mapped: bool
) -> NDArray[np.float16] | None:
    size = 2 * math.prod(shape)
    try:
        if not shape or offset + size > _size(stream):
            return None
        if mapped:
            return np.memmap(stream, np.float16, "r", offset, shape)
        content = bytearray(size)
        _fill(stream.fileno(), memoryview(content), offset)
    except (OSError, ValueError):
        return None
    found = np.frombuffer(content, dtype=np.float16).reshape(shape)
    found.flags.writeable = False
    return found


def _fill(descriptor: int, content: memoryview, offset: int) -> None:
    while content:
        count = os.preadv(descriptor, [content], offset)
        if not count:
            raise OSError(errno.EIO, "the file ends too early")
        content, offset = content[count:], offset + count


def _write(stream: BinaryIO, content: memoryview, offset: int) -> None:
    while content:
        count = os.pwrite(stream.fileno(), content, offset)
        content, offset = content[count:], offset + count
