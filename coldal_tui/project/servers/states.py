"""What is known of each server: how many scans are there, who drew what, when it was asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coldal_tui.project.project import Project


@dataclass(frozen=True)
class ServerState:
    """A connection, and how many scans went there and came back.

    ``drawn`` and ``skipped`` count scans; ``asked_at`` is the last pull, empty for never.
    """

    name: str
    kind: str
    url: str
    project: str
    on_server: int
    drawn: int
    skipped: int
    asked_at: str

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
        )
        for name, section in project.config.connections.items()
    ]


_DRAWN = "SELECT count(DISTINCT scan_id) FROM server_drawings WHERE connection = ? AND state = ?"
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
