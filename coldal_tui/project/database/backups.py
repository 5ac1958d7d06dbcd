"""Backups of the project's database: made by SQLite, verified, rotated and restored."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw

from coldal_tui.errors import ColdalError
from coldal_tui.files import disk_error, fsync_folder, make_folder, shared_mode
from coldal_tui.project.database.connecting import wal_of
from coldal_tui.project.database.database_errors import database_errors
from coldal_tui.project.database.foreign_schema import harden

KEPT = {"daily": 7, "migration": 3, "asked": 10, "restore": 3}
"""How many of each kind stay; the oldest go."""
UNTIDY_KEY = "untidy"
"""Under this ``meta`` key stands that label files have yet to follow their rows."""
EVERY = timedelta(hours=24)
_NAME = re.compile(r"^project-(\d{8}T\d{6})(?:-\d+)?-(daily|migration|asked|restore)\.db$")


@dataclass(frozen=True)
class Backup:
    """One backup: when it was made (UTC) and why."""

    file: Path
    at: datetime
    kind: str


def folder_of(database: Path) -> Path:
    """The folder with the backups of a database."""
    return database.parent / "backups"


def backups(database: Path) -> list[Backup]:
    """The existing backups, oldest first."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for file in folder_of(database).iterdir():
            match = _NAME.match(file.name)
            if match:
                at = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
                # Within one second, the files' times decide which is newer.
                made = file.stat().st_mtime_ns
                found.append((at, made, Backup(file, at, match[2])))
    return [backup for *_, backup in sorted(found, key=lambda one: one[:2])]


def is_due(database: Path, now: datetime) -> bool:
    """Whether the newest backup is a day old, or none exists."""
    there = backups(database)
    # A clock that was set back must not stop the backups.
    return not there or abs(now - there[-1].at) >= EVERY


def back_up(connection: apsw.Connection, database: Path, now: datetime, kind: str) -> Backup:
    """Back up the database, verify the backup, and remove the oldest of its kind.

    The backup shows one moment, even while others write; it is complete or absent.

    Raises ColdalError when writing fails (``disk``) or the backup is damaged (``backup``), which
    also happens when the database itself is damaged.
    """
    folder = folder_of(database)
    try:
        if not folder.exists():
            make_folder(folder)
        file, number = folder / f"project-{_stamp(now)}-{kind}.db", 2
        while file.exists():
            file, number = folder / f"project-{_stamp(now)}-{number}-{kind}.db", number + 1
        _copy(connection, file)
        for old in [one for one in backups(database) if one.kind == kind][: -KEPT[kind]]:
            old.file.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from error
    return Backup(file, now, kind)


def _stamp(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y%m%dT%H%M%S")


def _copy(connection: apsw.Connection, file: Path) -> None:
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(6)}.tmp")
    try:
        target = apsw.Connection(str(temporary))
        try:
            with target.backup("main", connection, "main") as copying:
                while not copying.done:
                    copying.step(10_000)
            # On restore, the folders hold other files than when the backup was made.
            target.execute("DELETE FROM meta WHERE key = ?", (UNTIDY_KEY,)).fetchall()
            # A single file, which can also be opened on a read-only disk.
            target.execute("PRAGMA journal_mode=DELETE").fetchall()
            found = target.execute("PRAGMA quick_check(1)").fetchall()
        finally:
            target.close()
        if found != [("ok",)]:
            raise _damaged(file, str(found[0][0]))
        with temporary.open("rb") as stream:
            os.fchmod(stream.fileno(), shared_mode(file.parent))
            os.fsync(stream.fileno())
        temporary.replace(file)
        fsync_folder(file.parent)
    except BaseException:
        for left in _with_sides(temporary):
            left.unlink(missing_ok=True)
        raise


def verify(file: Path) -> int:
    """The schema version of an intact backup.

    Raises ColdalError (code ``backup``) for a file that is damaged or not a coldal-tui database.
    """
    try:
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        uri = f"{file.absolute().as_uri()}?immutable=1"
        connection = apsw.Connection(uri, flags=flags)
        try:
            harden(connection)
            found = connection.execute("PRAGMA quick_check(1)").fetchall()
            version = int(str(connection.execute("PRAGMA user_version").fetchall()[0][0]))
        finally:
            connection.close()
    except apsw.Error as error:
        raise _damaged(file, str(error)) from error
    if found != [("ok",)] or version < 1:
        raise _damaged(file, str(found[0][0]) if version else "it holds no project")
    return version


def put_back(file: Path, database: Path) -> Path | None:
    """Replace the database by a verified backup; return where the old one is kept.

    No other process may have the database open: see ``be_alone``.
    """
    verify(file)
    aside = None
    try:
        folder = folder_of(database)
        make_folder(folder)
        temporary = database.with_name(f".{database.name}.{secrets.token_hex(6)}.tmp")
        with file.open("rb") as source, temporary.open("xb") as target:
            os.fchmod(target.fileno(), shared_mode(database.parent))
            while block := source.read(1 << 20):
                target.write(block)
            target.flush()
            os.fsync(target.fileno())
        if database.exists():
            aside = folder / f"replaced-{secrets.token_hex(4)}.db"
            # At no moment is there no database; its log, which is empty by now, must go first.
            _keep(database, aside)
            for old, new in zip(_with_sides(database)[1:], _with_sides(aside)[1:], strict=True):
                with contextlib.suppress(FileNotFoundError):
                    old.replace(new)
        temporary.replace(database)
        fsync_folder(database.parent)
    except OSError as error:
        raise disk_error(error, database) from error
    return aside


def _keep(file: Path, copy: Path) -> None:
    """Give a file a second name, or copy it where the file system can't."""
    try:
        os.link(file, copy)
    except OSError:
        shutil.copyfile(file, copy)
        copy.chmod(shared_mode(copy.parent))


def be_alone(database: Path) -> None:
    """Ensure that no other process has the database open, and that one file holds all of it.

    Raises ColdalError: another process has it open (code ``busy``), or the disk is full or fails.
    """
    if not database.exists() or database.stat().st_size == 0:
        return
    with database_errors(database):
        _empty_log(database)


def _empty_log(database: Path) -> None:
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(2000)
        try:
            # The write-ahead log belongs to the file: its content goes into the kept copy.
            connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
            connection.execute("BEGIN EXCLUSIVE").fetchall()
            connection.execute("COMMIT").fetchall()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except (apsw.NotADBError, apsw.CorruptError):
            pass
        except (apsw.BusyError, apsw.LockedError) as error:
            raise ColdalError(
                "another process has the project's database open",
                where=str(database),
                remedy="close the app and wait for the jobs (coldal-tui jobs list), then again",
                code="busy",
            ) from error
    finally:
        with contextlib.suppress(apsw.Error):
            connection.close()


def _with_sides(database: Path) -> tuple[Path, Path, Path, Path]:
    """A database and the files that SQLite may create beside it."""
    return (
        database,
        wal_of(database),
        database.with_name(f"{database.name}-shm"),
        database.with_name(f"{database.name}-journal"),
    )


def _damaged(file: Path, why: str) -> ColdalError:
    return ColdalError(
        f"this copy of the database is not whole: {why}",
        where=str(file),
        remedy="choose another one: coldal-tui restore --list; doctor --repair makes the database "
        "anew from the labels and the journal",
        code="backup",
    )
