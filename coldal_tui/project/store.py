"""The project's SQLite database: opening, migrations, short transactions, undoable actions."""

from __future__ import annotations

import contextlib
import getpass
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw

from coldal_tui.errors import ColdalError
from coldal_tui.project.one_host import WritingHost
from coldal_tui.project.schema import MIGRATIONS, UNDOABLE_TABLES

Row = dict[str, Any]
Values = Mapping[str, Any] | tuple[Any, ...]

NETWORK_FILE_SYSTEMS = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "ncpfs",
        "afs",
        "ceph",
        "lustre",
        "gpfs",
        "beegfs",
        "glusterfs",
        "9p",
        "panfs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.ceph",
    }
)
BUSY_MS = 15_000
"""How long a write waits for another process before it gives up."""


_TROUBLES: dict[type[apsw.Error], tuple[str, str, str]] = {
    apsw.BusyError: (
        "another process holds the project's database",
        "try again in a moment; coldal-tui jobs list shows what is running",
        "busy",
    ),
    apsw.FullError: (
        "the disk is full; nothing was changed",
        "free space and run the same command again",
        "disk",
    ),
    apsw.CantOpenError: (
        "the project's database can't be opened",
        "check that the folder exists and that you may write to it",
        "cant-open",
    ),
    apsw.ReadOnlyError: (
        "the project's database can't be written",
        "check that you may write to its folder",
        "read-only",
    ),
    apsw.IOError: (
        "the disk failed to read or write the project's database",
        "check the disk or the network, then run the same command again",
        "disk",
    ),
    apsw.NotADBError: (
        "the project's database is damaged",
        "put back a copy; images, labels and coldal.toml are not touched by this",
        "damaged",
    ),
}
_TROUBLES[apsw.CorruptError] = _TROUBLES[apsw.NotADBError]


@dataclass
class Action:
    """What the audit trail will say of a transaction; filled in while it runs."""

    summary: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None


class Store:
    """One connection. Never share it between threads or across a fork; open another."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], datetime] | None = None,
        *,
        busy_ms: int = BUSY_MS,
        readonly: bool = False,
    ) -> None:
        self.path = path
        self._clock = clock or (lambda: datetime.now(UTC))
        self._host: WritingHost | None = None
        with self._errors():
            self._connection = _connect_readonly(path) if readonly else apsw.Connection(str(path))
            try:
                self._connection.set_busy_timeout(busy_ms)
                if readonly:
                    self._check_schema()
                else:
                    self._prepare()
            except BaseException:
                self._connection.close()
                raise

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """What SQLite can meet on a disk, as errors that a person can act on."""
        try:
            yield
        except tuple(_TROUBLES) as error:
            trouble = next(known for kind, known in _TROUBLES.items() if isinstance(error, kind))
            what, remedy, code = trouble
            raise ColdalError(what, where=str(self.path), remedy=remedy, code=code) from error

    def _prepare(self) -> None:
        shared = on_network_file_system(self.path)
        self._host = WritingHost(self.path.with_name("host.json")) if shared else None
        mode = "DELETE" if shared else "WAL"
        connection = self._connection
        if next(connection.execute("PRAGMA journal_mode"))[0].upper() != mode:
            connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        version = self._known_version()
        if version < len(MIGRATIONS):
            with self._immediate():
                for number in range(self._version(), len(MIGRATIONS)):
                    connection.execute(MIGRATIONS[number])
                    connection.execute(f"PRAGMA user_version={number + 1}")

    def _known_version(self) -> int:
        """The schema's version; ColdalError when this program is too old for it."""
        version = self._version()
        if version > len(MIGRATIONS):
            raise ColdalError(
                f"this project was written by a newer coldal-tui (schema {version})",
                where=str(self.path),
                remedy="update coldal-tui",
            )
        return version

    def _check_schema(self) -> None:
        if self._known_version() < len(MIGRATIONS):
            raise ColdalError(
                "this project was written by an older coldal-tui, and reading can't update it",
                where=str(self.path),
                remedy="run any command that may write to it once, such as coldal-tui index",
                code="old-schema",
            )

    def _version(self) -> int:
        return int(next(self._connection.execute("PRAGMA user_version"))[0])

    def close(self) -> None:
        self._connection.close()

    def hold(self) -> None:
        """Stay the host that writes, where there can be only one; for those that write rarely.

        Raises ColdalError (code ``other-host``) when another host has come in between.
        """
        if self._host is not None:
            self._host.claim()

    def now(self) -> str:
        """The clock, as stored: UTC, ISO 8601, seconds."""
        return self._clock().astimezone(UTC).isoformat(timespec="seconds")

    def data_version(self) -> int:
        """Changes whenever another connection has committed."""
        return int(next(self._connection.execute("PRAGMA data_version"))[0])

    def rows(self, sql: str, values: Values = ()) -> list[Row]:
        with self._errors():
            cursor = self._connection.execute(sql, values)
            try:
                names = [column[0] for column in cursor.get_description()]
            except apsw.ExecutionCompleteError:
                return []
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def tuples(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """Rows without the names of their columns, for very many of them."""
        with self._errors():
            return list(self._connection.execute(sql, values))

    def row(self, sql: str, values: Values = ()) -> Row | None:
        return next(iter(self.rows(sql, values)), None)

    def value(self, sql: str, values: Values = ()) -> Any:
        """The first column of the first row; None when there is none."""
        with self._errors():
            return next((row[0] for row in self._connection.execute(sql, values)), None)

    def execute(self, sql: str, values: Values = ()) -> None:
        with self._errors():
            self._connection.execute(sql, values)

    def insert(self, table: str, **values: Any) -> int:
        """Insert a row; lists and dicts are stored as JSON. Returns the rowid."""
        self._insert("INSERT", table, values)
        return self._connection.last_insert_rowid()

    def replace(self, table: str, **values: Any) -> None:
        """Insert, or replace the row with the same key."""
        self._insert("INSERT OR REPLACE", table, values)

    def _insert(self, verb: str, table: str, values: dict[str, Any]) -> None:
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        packed = {name: pack(value) for name, value in values.items()}
        self.execute(f"{verb} INTO {table} ({names}) VALUES ({marks})", packed)

    def update(self, table: str, where: Mapping[str, Any], **values: Any) -> int:
        """Update rows that match ``where``; returns how many changed."""
        sets = ", ".join(f"{name} = :{name}" for name in values)
        matches = " AND ".join(f"{name} = :w_{name}" for name in where)
        packed = {name: pack(value) for name, value in values.items()}
        packed |= {f"w_{name}": value for name, value in where.items()}
        self.execute(f"UPDATE {table} SET {sets} WHERE {matches}", packed)
        return self._connection.changes()

    @contextlib.contextmanager
    def _immediate(self) -> Iterator[None]:
        self.hold()
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            # Some errors, such as a full disk, have rolled it back already.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """One consistent view for several queries; holds no lock against writers."""
        self.execute("BEGIN")
        try:
            yield
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """A short write that is no person's action (job bookkeeping)."""
        with self._immediate():
            yield

    @contextlib.contextmanager
    def action(self, name: str, *, undoable: bool = True, **params: Any) -> Iterator[Action]:
        """A write that the audit trail records, with its inverse when ``undoable``."""
        action = Action(params=dict(params))
        with self._immediate():
            if undoable:
                with contextlib.closing(apsw.Session(self._connection, "main")) as session:
                    for table in UNDOABLE_TABLES:
                        session.attach(table)
                    yield action
                    changes = session.changeset()
            else:
                yield action
                changes = b""
            self._audit(name, action, changes or None)

    def _audit(self, name: str, action: Action, changes: bytes | None) -> int:
        return self.insert(
            "audit",
            at=self.now(),
            who=current_user(),
            host=socket.gethostname(),
            action=name,
            summary=action.summary,
            params=action.params,
            inputs=action.inputs,
            seed=action.seed,
            changes=changes,
        )

    def undo_last(self) -> Row | None:
        """Take back the last undoable action that still stands; returns its audit row.

        Raises ColdalError (code ``undo-conflict``) when later changes stand on it.
        """
        with self._immediate():
            last = self.row(
                "SELECT audit_id, at, who, action, summary, params, changes FROM audit "
                "WHERE changes IS NOT NULL AND undone_by IS NULL ORDER BY audit_id DESC LIMIT 1"
            )
            if last is None:
                return None
            inverse = apsw.Changeset.invert(last["changes"])
            conflicts: list[str] = []

            def on_conflict(_reason: int, change: apsw.TableChange) -> int:
                conflicts.append(change.name)
                return apsw.SQLITE_CHANGESET_ABORT

            try:
                apsw.Changeset.apply(inverse, self._connection, conflict=on_conflict)
            except apsw.AbortError as error:
                raise ColdalError(
                    f"can't take back {last['action']!r}: later changes in "
                    f"{', '.join(sorted(set(conflicts)))} stand on it",
                    where=str(self.path),
                    remedy="nothing was changed",
                    code="undo-conflict",
                ) from error
            action = Action(summary=f"took back: {last['summary'] or last['action']}")
            action.params = {"audit_id": last["audit_id"]}
            undo_id = self._audit("undo", action, None)
            self.update("audit", {"audit_id": last["audit_id"]}, undone_by=undo_id)
        return last


def _connect_readonly(path: Path) -> apsw.Connection:
    """A connection that can't write; works in folders that may not be written, too."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.execute("PRAGMA schema_version").fetchall()
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        # A WAL database needs a file beside it; where that can't be made nobody here writes.
        connection.close()
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        connection = apsw.Connection(f"{path.absolute().as_uri()}?immutable=1", flags=flags)
    return connection


def pack(value: Any) -> Any:
    """Lists, tuples and dicts as JSON text; all else as it is."""
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value, separators=(",", ":"))
    return value


def current_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def on_network_file_system(path: Path) -> bool:
    """Whether ``path`` lies on a mount whose locks SQLite's WAL can't rely on."""
    return file_system(path) in NETWORK_FILE_SYSTEMS


def file_system(path: Path) -> str:
    """The kind of the file system that ``path`` lies on, in lower case; empty when unknown."""
    import psutil

    target = path.resolve()
    best, kind = "", ""
    for mount in psutil.disk_partitions(all=True):
        point = mount.mountpoint
        if target.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, mount.fstype
    return str(kind).lower()
