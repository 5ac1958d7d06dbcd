"""What is known of each server: how many scans are there, who drew what, when it was asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from coldal_tui.project.project import Project
from coldal_tui.project.settings.config_connections import DICOMWEB


@dataclass(frozen=True)
class ServerState:
    """A connection, and how many scans went there and came back.

    ``drawn`` and ``skipped`` count scans, ``out`` those there that are out with labelers now;
    ``asked_at`` is the last pull, empty for never.
    """

    name: str
    kind: str
    url: str
    project: str
    on_server: int
    drawn: int
    skipped: int
    asked_at: str
    out: int = 0

    def as_json(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in self.__dataclass_fields__}


def read_server_states(project: Project) -> list[ServerState]:
    """Every connection of coldal.toml, in its order."""
    return [
        ServerState(
            name,
            section.kind,
            section.url,
            section.project,
            _count(project, "SELECT count(*) FROM server_items WHERE connection = ?", name),
            _count(project, _DRAWN, name, "drawn"),
            _count(project, _DRAWN, name, "skipped"),
            str(project.store.value(_ASKED, (name,)) or ""),
            _count(project, _OUT, name),
        )
        for name, section in project.config.connections.items()
    ]


_DRAWN = "SELECT count(DISTINCT scan_id) FROM server_drawings WHERE connection = ? AND state = ?"
_OUT = (
    "SELECT count(*) FROM server_items JOIN queue USING (scan_id, round) "
    "WHERE connection = ? AND queue.status = 'exported'"
)
_ASKED = "SELECT asked_at FROM server_cursors WHERE connection = ?"


def _count(project: Project, query: str, *values: str) -> int:
    return int(project.store.value(query, values) or 0)


def server_words(project: Project) -> dict[str, str]:
    """What is known of each scan that was pushed, in a few words: ``drawn by ana@lab.org``."""
    said: dict[str, list[str]] = {}
    pushed = "SELECT DISTINCT scan_id, connection FROM server_items WHERE round >= 0 ORDER BY 1, 2"
    for row in project.store.rows(pushed):
        said.setdefault(row["scan_id"], []).append(f"on {row['connection']}")
    people: dict[str, list[str]] = {}
    query = "SELECT scan_id, person, state FROM server_drawings ORDER BY scan_id, person"
    for row in project.store.rows(query):
        people.setdefault(row["scan_id"], []).append(f"{row['state']} by {row['person']}")
    return {scan: ", ".join(people.get(scan) or words) for scan, words in said.items()}


PUSHED = "pushed"
_FARTHEST = (PUSHED, "skipped", "partly", "drawn")
"""States of a scan on a server; of several people, the one that is farthest counts."""


@dataclass(frozen=True)
class ItemState:
    """One scan on a server, as last known: ``state`` since ``at`` (an ISO time)."""

    connection: str
    state: str
    at: str

    @property
    def words(self) -> str:
        """``drawn 28 Nov 14:02``, in this machine's time zone."""
        try:
            at = datetime.fromisoformat(self.at).astimezone()
        except ValueError:
            return self.state
        return f"{self.state} {at.day} {at:%b %H:%M}"


def read_item_states(project: Project) -> dict[str, ItemState]:
    """The state of every scan that was pushed for labelling; where it went twice, the newest."""
    found: dict[str, ItemState] = {}
    pushed = (
        "SELECT scan_id, connection, pushed_at FROM server_items WHERE round >= 0 "
        "ORDER BY pushed_at, round"
    )
    for row in project.store.rows(pushed):
        found[row["scan_id"]] = ItemState(row["connection"], PUSHED, row["pushed_at"])
    query = "SELECT scan_id, connection, state, updated_at FROM server_drawings ORDER BY updated_at"
    for row in project.store.rows(query):
        known = found.get(row["scan_id"])
        if known is None or known.connection != row["connection"]:
            continue
        if _FARTHEST.index(row["state"]) >= _FARTHEST.index(known.state):
            found[row["scan_id"]] = ItemState(row["connection"], row["state"], row["updated_at"])
    return found


def labelers(states: list[ServerState]) -> tuple[ServerState, ...]:
    """The servers of labelers, without archives of images."""
    return tuple(one for one in states if one.kind != DICOMWEB)
