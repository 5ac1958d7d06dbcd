"""Connections to the project's database: create it, open it for writing or for reading.

Reading leaves no files behind. A user with write permission opens the database as a writer does and
only reads. A user without it must not create the files beside a database in WAL mode, because they
would lock its owner out.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import apsw

from coldal_tui.errors import ColdalError
from coldal_tui.files import shared_mode
from coldal_tui.project.database.foreign_schema import harden

BUSY_MS = 15_000
"""How long a statement waits for another process before it gives up."""

Signature = tuple[tuple[int, int] | None, tuple[int, int] | None]


@dataclass
class Reading:
    """A connection for reading only.

    ``frozen``: it sees the state of one moment; ``signature`` is that of the files at that moment.
    ``copy`` is a temporary copy of the database, removed by :meth:`close`.
    """

    connection: apsw.Connection
    frozen: bool = False
    signature: Signature = (None, None)
    copy: Path | None = None

    def close(self) -> None:
        self.connection.close()
        if self.copy is not None:
            shutil.rmtree(self.copy, ignore_errors=True)


def create(path: Path) -> None:
    """Create an empty database file with the mode of its folder; keep an existing one."""
    with contextlib.suppress(FileExistsError):
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        descriptor = os.open(path, flags, 0o600)
        try:
            os.fchmod(descriptor, shared_mode(path.parent))
        finally:
            os.close(descriptor)


def _connected(name: str, flags: int) -> apsw.Connection:
    """A connection that waits for others from its first statement on.

    The last process that closes the database holds it alone for a moment.
    """
    connection = apsw.Connection(name, flags=flags)
    connection.set_busy_timeout(BUSY_MS)
    return connection


def open_for_writing(path: Path) -> apsw.Connection:
    """Open an existing database for writing.

    Raises ColdalError (code ``no-database``) when it is missing or empty: only ``init`` creates
    one.
    """
    _must_be_there(path)
    connection = _connected(str(path), apsw.SQLITE_OPEN_READWRITE)
    harden(connection)
    return connection


def open_for_reading(path: Path) -> Reading:
    """Open the database without changing anything; works on full and read-only disks, too."""
    _must_be_there(path)
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        connection = _connected(str(path), apsw.SQLITE_OPEN_READWRITE)
        try:
            harden(connection)
            connection.execute("PRAGMA query_only=1")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            return Reading(connection)
        except (apsw.IOError, apsw.FullError, apsw.CantOpenError, apsw.ReadOnlyError):
            # The disk may be full: the database can still be read.
            connection.close()
    signature = signature_of(path)
    wal = wal_of(path)
    if wal.exists() and path.with_name(f"{path.name}-shm").exists():
        # Another process writes. If a file were missing, SQLite would create it as ours.
        with contextlib.suppress(apsw.CantOpenError, apsw.ReadOnlyError):
            return Reading(_read_only(path, "readonly_shm=1"), False, signature)
    if wal.exists() and wal.stat().st_size > 0:
        return _of_copy(path, wal, signature)
    # No process writes now: the one file holds everything.
    return Reading(_read_only(path, "immutable=1"), True, signature)


def _of_copy(path: Path, wal: Path, signature: Signature) -> Reading:
    folder = Path(tempfile.mkdtemp(prefix="coldal-read-"))
    try:
        for source in (path, wal):
            shutil.copyfile(source, folder / source.name)
        connection = _connected(str(folder / path.name), apsw.SQLITE_OPEN_READWRITE)
        harden(connection)
        connection.execute("PRAGMA query_only=1")
        return Reading(connection, True, signature, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _read_only(path: Path, how: str) -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    connection = _connected(f"{path.absolute().as_uri()}?{how}", flags)
    try:
        harden(connection)
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def signature_of(path: Path) -> Signature:
    """Sizes and times of the database's files; they differ after any write."""
    return _stamp(path), _stamp(wal_of(path))


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def wal_of(path: Path) -> Path:
    """The write-ahead log of a database."""
    return path.with_name(f"{path.name}-wal")


def _must_be_there(path: Path) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        if path.parent.is_dir():
            raise _no_database("missing", path) from None
        raise _cant_open(path, error) from error
    except OSError as error:
        raise _cant_open(path, error) from error
    if size == 0:
        raise _no_database("empty", path)


def _cant_open(path: Path, error: OSError) -> ColdalError:
    return ColdalError(
        f"the project's database can't be opened: {error.strerror}",
        where=str(path),
        remedy="check that the folder exists and that you may read it",
        code="cant-open",
    )


def _no_database(how: str, path: Path) -> ColdalError:
    return ColdalError(
        f"the project's database is {how}; labels, images and coldal.toml are not touched by this",
        where=str(path),
        remedy="put a backup back: coldal-tui restore; without one, make it anew from the labels "
        "and the journal: coldal-tui doctor --repair",
        code="no-database",
    )
