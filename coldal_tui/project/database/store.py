"""The project's SQLite database: opening, migrations, short transactions, undoable actions."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import apsw

from coldal_tui.errors import ColdalError
from coldal_tui.project.database import connecting
from coldal_tui.project.database.backups import UNTIDY_KEY, Backup, back_up, is_due
from coldal_tui.project.database.database_errors import database_errors, is_full
from coldal_tui.project.database.file_systems import on_network_file_system
from coldal_tui.project.database.foreign_schema import check_schema
from coldal_tui.project.database.journal import append, new_labels
from coldal_tui.project.database.one_host import WritingHost
from coldal_tui.project.database.schema import MIGRATIONS, UNDOABLE_TABLES
from coldal_tui.project.database.waiting import Waiting
from coldal_tui.visible import escaped

Row = dict[str, Any]
Values = Mapping[str, Any] | tuple[Any, ...]

_ASKED = "asked"
UNSURE = "unsure"
"""The code of a failed COMMIT of which nobody knows yet whether it is stored."""


@dataclass
class Action:
    """The audit entry of a transaction; filled in while the transaction runs."""

    summary: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    undoes: int | None = None
    """The audit row that this action takes back."""


@dataclass
class _Written:
    """The part of a transaction that the journal and the check after a failed COMMIT need."""

    token: str = ""
    audit_id: int = 0
    at: str = ""
    name: str = ""
    summary: str = ""
    labels: list[dict[str, Any]] = field(default_factory=list)


class Store:
    """One connection. Never share it between threads or across a fork; open another."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], datetime] | None = None,
        *,
        busy_ms: int = connecting.BUSY_MS,
        readonly: bool = False,
        create: bool = False,
        patient: bool = False,
    ) -> None:
        """``create``: create the database when it is missing; only for a new project.

        ``patient``: wait as long as another process holds it, and say which one; else give up after
        ``busy_ms``.
        """
        self.path = path
        limit = None if patient else busy_ms / 1000
        self._waiting = Waiting(path, limit, told if patient else None)
        self._reading: connecting.Reading | None = None
        self._clock = clock or (lambda: datetime.now(UTC))
        self._host: WritingHost | None = None
        with self._errors():
            if readonly:
                self._reading = connecting.open_for_reading(path)
                self._connection = self._reading.connection
            elif create:
                connecting.create(path)
                self._connection = apsw.Connection(str(path))
            else:
                self._connection = connecting.open_for_writing(path)
            try:
                self._connection.set_busy_handler(self._waiting)
                if readonly:
                    self._check_version()
                else:
                    self._prepare()
            except BaseException:
                self.close()
                raise

    def _errors(self) -> contextlib.AbstractContextManager[None]:
        return database_errors(self.path)

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
            if version:
                back_up(connection, self.path, self._clock(), "migration")
            with self._immediate():
                for number in range(self._version(), len(MIGRATIONS)):
                    connection.execute(MIGRATIONS[number])
                    connection.execute(f"PRAGMA user_version={number + 1}")

    def _known_version(self) -> int:
        """The schema version; ColdalError when this program is too old for it."""
        version = self._version()
        if version > len(MIGRATIONS):
            raise ColdalError(
                f"this project was written by a newer coldal-tui (schema {version})",
                where=str(self.path),
                remedy="update coldal-tui",
            )
        check_schema(self._connection, MIGRATIONS[:version], str(self.path))
        return version

    def _check_version(self) -> None:
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
        if self._reading is not None:
            self._reading.close()
        else:
            self._connection.close()

    def hold(self) -> None:
        """Remain the writing host on a network file system; for processes that write rarely.

        Raises ColdalError (code ``other-host``) when another host has taken over.
        """
        if self._host is not None:
            self._host.claim()

    def now(self) -> str:
        """The clock, as stored: UTC, ISO 8601, seconds."""
        return self._clock().astimezone(UTC).isoformat(timespec="seconds")

    def data_version(self) -> int:
        """Changes whenever another connection has committed."""
        if self._reading is not None and self._reading.frozen:
            return self._look_again(self._reading)
        return int(next(self._connection.execute("PRAGMA data_version"))[0])

    def _look_again(self, reading: connecting.Reading) -> int:
        """Reopen a frozen connection when the database's files have changed."""
        if connecting.signature_of(self.path) != reading.signature:
            with self._errors():
                newer = connecting.open_for_reading(self.path)
                reading.close()
                self._reading, self._connection = newer, newer.connection
                self._connection.set_busy_handler(self._waiting)
        return hash(self._reading.signature if self._reading else None)

    def rows(self, sql: str, values: Values = ()) -> list[Row]:
        with self._errors():
            cursor = self._connection.execute(sql, values)
            try:
                names = [column[0] for column in cursor.get_description()]
            except apsw.ExecutionCompleteError:
                return []
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def tuples(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """Rows as tuples without column names, faster for very many rows."""
        with self._errors():
            return list(self._connection.execute(sql, values))

    def pages(
        self, sql: str, values: Values = (), size: int = 20_000
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Rows as tuples, up to ``size`` at a time, so that they never stand in memory together."""
        with self._errors():
            rows = iter(self._connection.execute(sql, values))
            while page := list(islice(rows, size)):
                yield page

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
    def _immediate(self) -> Iterator[_Written]:
        self.hold()
        self.execute("BEGIN IMMEDIATE")
        written = _Written()
        try:
            yield written
        except BaseException:
            self._roll_back()
            raise
        try:
            with self._errors():
                self._connection.execute("COMMIT")
        except BaseException as error:
            self._roll_back()
            if not (isinstance(error, ColdalError) and written.token and self._found(written)):
                raise

    def _roll_back(self) -> None:
        # After some errors, such as a full disk, SQLite has already rolled back.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _found(self, written: _Written) -> bool:
        """Whether a write was stored although its COMMIT failed, seen by a new connection.

        SQLite may find the transaction complete when the database is opened next, although the disk
        did not confirm it. When it is not there, another transaction is stored in its place, so
        that it can't reappear later.

        Raises ColdalError (code ``unsure``) when the disk allows neither check nor write.
        """
        try:
            with self._errors():
                self._connection.close()
                self._connection = connecting.open_for_writing(self.path)
                self._connection.set_busy_handler(self._waiting)
                self._connection.execute("PRAGMA synchronous=FULL")
                self._connection.execute("PRAGMA foreign_keys=ON")
                if self._has(written.token):
                    told("the disk failed while this was stored, but it is stored: check the disk")
                    return True
                self.execute("BEGIN IMMEDIATE")
                self.replace("meta", key="settled", value=written.token)
                self.execute("COMMIT")
        except (ColdalError, apsw.Error) as error:
            full = is_full(self.path)
            raise ColdalError(
                f"the disk {'is full' if full else 'failed'} while this was being stored; whether "
                "it was shows only when the disk answers again",
                where=str(self.path),
                remedy=f"{'free space' if full else 'mend the disk'}, then look with coldal-tui "
                "status; nothing was deleted",
                code=UNSURE,
            ) from error
        return False

    def _has(self, token: str) -> bool:
        return bool(
            self.value(
                "SELECT 1 FROM audit WHERE token = :token "
                "UNION ALL SELECT 1 FROM meta WHERE key = :key AND value = :token",
                {"token": token, "key": _ASKED},
            )
        )

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """One consistent view for several queries; doesn't block writers."""
        self.execute("BEGIN")
        try:
            yield
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def transaction(self, *, asked: bool = False) -> Iterator[None]:
        """A short write that is not a user action (job bookkeeping).

        ``asked``: a person waits for the answer, so that a COMMIT that failed is looked up.
        """
        with self._immediate() as written:
            yield
            if asked:
                written.token = secrets.token_hex(8)
                self.replace("meta", key=_ASKED, value=written.token)

    @contextlib.contextmanager
    def action(self, name: str, *, undoable: bool = True, **params: Any) -> Iterator[Action]:
        """A write that the audit trail records, with its inverse when ``undoable``."""
        action = Action(params=dict(params))
        with self._immediate() as written:
            if undoable:
                with contextlib.closing(apsw.Session(self._connection, "main")) as session:
                    for table in UNDOABLE_TABLES:
                        session.attach(table)
                    yield action
                    changes = session.changeset()
            else:
                yield action
                changes = b""
            self._audit(name, action, changes or None, written)
            self._note_untidy(changes)
        self._after(written)

    def _audit(self, name: str, action: Action, changes: bytes | None, written: _Written) -> int:
        written.token, written.at, written.name = secrets.token_hex(8), self.now(), name
        written.summary = action.summary
        written.labels = new_labels(changes, self._connection) if changes else []
        written.audit_id = self.insert(
            "audit",
            at=written.at,
            who=current_user(),
            uid=os.getuid(),
            token=written.token,
            host=socket.gethostname(),
            action=name,
            summary=action.summary,
            params=action.params,
            inputs=action.inputs,
            seed=action.seed,
            changes=changes,
        )
        return written.audit_id

    def _note_untidy(self, changes: bytes) -> None:
        """Note that label files still have to be matched to their rows, in case that fails."""
        if changes and any(change.name == "labels" for change in apsw.Changeset.iter(changes)):
            self.replace("meta", key=UNTIDY_KEY, value="1")

    def _after(self, written: _Written) -> None:
        """Run what follows a COMMIT; the action is stored, so errors are reported, not raised."""
        try:
            append(
                self.path,
                {
                    "audit": written.audit_id,
                    "token": written.token,
                    "at": written.at,
                    "who": current_user(),
                    "uid": os.getuid(),
                    "action": written.name,
                    "summary": written.summary,
                },
                written.labels,
            )
        except OSError as error:
            told(f"the journal beside the database can't be written: {error.strerror}")
        try:
            if is_due(self.path, self._clock()):
                back_up(self._connection, self.path, self._clock(), "daily")
        except (ColdalError, OSError, apsw.Error) as error:
            told(f"the daily backup of the database failed: {error}")

    def back_up(self) -> Backup:
        """A verified copy of the database, made now."""
        with self._errors():
            return back_up(self._connection, self.path, self._clock(), "asked")

    def last_undoable(self) -> Row | None:
        """The audit row that ``undo_last`` would undo."""
        return self.row(
            "SELECT audit_id, at, who, uid, action, summary FROM audit "
            "WHERE changes IS NOT NULL AND undone_by IS NULL ORDER BY audit_id DESC LIMIT 1"
        )

    def undo_last(self, expected: int | None = None) -> Row | None:
        """Undo the last undoable action that is not undone yet; return its audit row.

        ``expected``: the ``audit_id`` of the action that the user saw.

        Raises ColdalError when later changes depend on it (code ``undo-conflict``), or when another
        action is now the last one (``stale``).
        """
        if self.last_undoable() is None:
            return None
        with self.recording("undo") as action:
            last = self.row(
                "SELECT audit_id, at, who, uid, action, summary, params, changes FROM audit "
                "WHERE changes IS NOT NULL AND undone_by IS NULL ORDER BY audit_id DESC LIMIT 1"
            )
            if last is None or expected not in (None, last["audit_id"]):
                newer = self.row("SELECT * FROM audit ORDER BY audit_id DESC LIMIT 1") or {}
                raise ColdalError(
                    f"{newer.get('who')} has meanwhile done something else: "
                    f"{newer.get('summary') or newer.get('action')}",
                    where=str(self.path),
                    remedy="nothing was changed; look, then undo again",
                    code="stale",
                )
            inverse = apsw.Changeset.invert(last["changes"])
            self.apply_changes(inverse, f"can't take back {last['action']!r}")
            action.summary = f"took back: {last['summary'] or last['action']}"
            action.undoes = last["audit_id"]
            action.params = {"audit_id": last["audit_id"]}
        return last

    @contextlib.contextmanager
    def recording(self, name: str) -> Iterator[Action]:
        """A write that the audit trail records without its own changeset: an undo or a redo."""
        action = Action(params={})
        with self._immediate() as written:
            yield action
            number = self._audit(name, action, None, written)
            if action.undoes is not None:
                self.update("audit", {"audit_id": action.undoes}, undone_by=number)
        self._after(written)

    def apply_changes(self, changes: bytes, failed: str) -> None:
        """Apply a changeset inside the caller's transaction.

        Raises ColdalError (code ``undo-conflict``, beginning with ``failed``) when the current rows
        differ from those that the changeset was made on.
        """
        self._note_untidy(changes)
        conflicts: list[str] = []

        def on_conflict(_reason: int, change: apsw.TableChange) -> int:
            conflicts.append(change.name)
            return apsw.SQLITE_CHANGESET_ABORT

        try:
            apsw.Changeset.apply(changes, self._connection, conflict=on_conflict)
        except apsw.AbortError as error:
            raise ColdalError(
                f"{failed}: later changes in {', '.join(sorted(set(conflicts)))} stand on it",
                where=str(self.path),
                remedy="nothing was changed",
                code="undo-conflict",
            ) from error


def is_anothers(action: Row) -> bool:
    """Whether an audit row belongs to another user: by uid when recorded, else by name."""
    uid = action["uid"]
    return bool(action["who"] != current_user() if uid is None else uid != os.getuid())


def told(what: str) -> None:
    """Report a warning: on stderr, or in the app's log."""
    logging.getLogger(__name__).warning("%s", escaped(what))


def pack(value: Any) -> Any:
    """Lists, tuples and dicts as JSON text; other values unchanged."""
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value, separators=(",", ":"))
    return value


def current_user() -> str:
    """The user name that the system has for the process's uid; LOGNAME is ignored."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
