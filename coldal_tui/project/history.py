"""Reads the audit trail, and undoes and redoes actions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from coldal_tui.errors import ColdalError
from coldal_tui.project.database.store import Row, is_anothers
from coldal_tui.project.labels.files import tidy_label_files
from coldal_tui.project.project import Project
from coldal_tui.visible import counted

NOTHING = "nothing-to-undo"


@dataclass(frozen=True)
class Entry:
    """One row of the audit trail.

    ``undone``: undone and not redone. ``undoable``: it can be undone after all later actions.
    """

    number: int
    at: str
    who: str
    host: str
    action: str
    summary: str
    undone: bool
    undoable: bool

    def json(self) -> dict[str, Any]:
        return asdict(self)


def read_log(project: Project, *, since: str | None = None, newest: int = 50) -> list[Entry]:
    """The newest entries, oldest first; ``since`` is an ISO date or time (UTC by default).

    Raises ColdalError (code ``time``) for a time that can't be read.
    """
    where = "at >= ?" if since else "?"
    rows = project.store.rows(
        "SELECT * FROM (SELECT audit_id, at, who, host, action, summary, undone_by, "
        f"changes IS NOT NULL AS undoable FROM audit WHERE {where} ORDER BY audit_id DESC LIMIT ?) "
        "ORDER BY audit_id",
        (_utc(since) if since else 1, newest),
    )
    return [_entry(row) for row in rows]


def undoable(project: Project, newest: int = 20) -> list[Entry]:
    """The actions that undo can take back, newest first."""
    rows = project.store.rows(
        "SELECT audit_id, at, who, host, action, summary, undone_by, 1 AS undoable FROM audit "
        "WHERE changes IS NOT NULL AND undone_by IS NULL ORDER BY audit_id DESC LIMIT ?",
        (newest,),
    )
    return [_entry(row) for row in rows]


def _entry(row: Row) -> Entry:
    is_action = row["action"] not in ("undo", "redo")
    return Entry(
        number=row["audit_id"],
        at=row["at"],
        who=row["who"],
        host=row["host"],
        action=row["action"],
        summary=row["summary"] or "",
        undone=is_action and row["undone_by"] is not None,
        undoable=bool(row["undoable"]) and row["undone_by"] is None,
    )


def _utc(since: str) -> str:
    try:
        found = datetime.fromisoformat(since)
    except ValueError as error:
        raise ColdalError(
            f"{since!r} is no date or time",
            where="--since",
            remedy="write it like 2026-01-31 or 2026-01-31T14:00",
            code="time",
        ) from error
    aware = found if found.tzinfo else found.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="seconds")


def next_undo(project: Project, *, anybody: bool = False) -> Row:
    """The action that ``undo`` would undo next.

    Raises ColdalError when there is none (code ``nothing-to-undo``), or when it belongs to another
    user and ``anybody`` is false (``anothers``).
    """
    last = project.store.last_undoable()
    if last is None:
        raise _nothing(project, "there is nothing to take back")
    if is_anothers(last) and not anybody:
        raise ColdalError(
            f"{last['who']} did this ({last['at']}): {told(last)}",
            where=project.name,
            remedy="coldal-tui undo --yes takes back what somebody else did",
            code="anothers",
        )
    return last


def undo(project: Project, expected: int) -> Row:
    """Undo the action with this number, which must be the last one; return its audit row.

    Raises ColdalError as ``Store.undo_last`` does.
    """
    undone = project.store.undo_last(expected)
    if undone is None:
        raise _nothing(project, "there is nothing to take back")
    tidy_label_files(project)
    return undone


def redo(project: Project) -> Row:
    """Redo the action that was undone last; return its audit row.

    Only directly after undos: later user actions were made on another state.

    Raises ColdalError: nothing to redo (code ``nothing-to-undo``), or a conflict with what a job
    changed meanwhile (``undo-conflict``).
    """
    store = project.store
    with store.recording("redo") as action:
        taken_back = store.row(
            "SELECT audit_id, json_extract(params, '$.audit_id') AS of FROM audit AS u "
            "WHERE action = 'undo' AND undone_by IS NULL AND NOT EXISTS (SELECT 1 FROM audit "
            "WHERE changes IS NOT NULL AND audit_id > u.audit_id) ORDER BY audit_id DESC LIMIT 1"
        )
        if taken_back is None:
            raise _nothing(project, "nothing was taken back that could be done again")
        first = store.row("SELECT * FROM audit WHERE audit_id = ?", (taken_back["of"],))
        assert first is not None, "an undo names the action that it took back"
        store.apply_changes(first["changes"], f"can't do {first['action']!r} again")
        action.summary = f"did again: {told(first)}"
        action.params = {"audit_id": first["audit_id"], "undo": taken_back["audit_id"]}
        store.update("audit", {"audit_id": first["audit_id"]}, undone_by=None)
        store.update(
            "audit", {"audit_id": taken_back["audit_id"]}, undone_by=taken_back["audit_id"]
        )
    tidy_label_files(project)
    return first


def age(at: str) -> str:
    """How long ago a stored time is: ``2 hours ago``."""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return f"{counted(int(seconds // length), unit)} ago"
    return "just now"


def told(action: Row) -> str:
    """An action in words."""
    return str(action["summary"] or action["action"])


def _nothing(project: Project, what: str) -> ColdalError:
    return ColdalError(
        what,
        where=project.name,
        remedy="coldal-tui log shows what was done",
        code=NOTHING,
    )
