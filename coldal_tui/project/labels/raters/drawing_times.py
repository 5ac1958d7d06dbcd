"""How many minutes each drawing took, and how that is known: the only place that answers it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from coldal_tui.exchange.names import person_key
from coldal_tui.project.database.store import Row, Store
from coldal_tui.project.labels.raters.drawings import RULES

How = Literal["file", "manifest", "server", "stated", "pace", ""]
"""``file``: the labeler's file says it; ``manifest``: the column ``minutes`` of the manifest that
came back; ``server``: the labelers' server; ``stated``: one of these, stored by an older version;
``pace``: an estimate, from the time since the same person's drawing before; empty: not known."""

SITTING = timedelta(minutes=60)
"""A longer time between two drawings of a person is no time of drawing: a new sitting began."""
COPIED = timedelta(seconds=15)
"""A shorter time between two drawings of a person is no time of drawing: files were copied."""

_USED = ("drawn", "active", "superseded")


@dataclass(frozen=True)
class DrawingTime:
    """One drawing of a scan, by ``author`` (empty: not known).

    ``minutes`` is None where nobody knows them; ``how`` says how they are known (see ``How``).
    ``purpose`` is ``honeypot`` or ``repeat`` for a drawing that checks its author. ``classes``: how
    many the project had then.
    """

    scan_id: str
    author: str
    version: int
    minutes: float | None
    how: How
    created_at: str
    purpose: str = ""
    classes: int = 1

    @property
    def estimated(self) -> bool:
        return self.how == "pace"


def read_drawing_times(store: Store) -> tuple[DrawingTime, ...]:
    """The times of all drawings, oldest first.

    Of a scan that one person drew several times only the newest drawing counts (labelers' files
    and manifests state the time spent on a scan in all), with the newest time that is known. Joint
    labels of several drawings are nobody's work and are left out.
    """
    rows = store.rows(
        "SELECT label_id, scan_id, version, author, purpose, decided, minutes, minutes_from, "
        f"drawn_at, created_at, voxels FROM labels WHERE state IN {_USED} ORDER BY label_id"
    )
    rows = [row for row in rows if row["author"] or row["decided"] not in RULES]
    paces = _paces(rows)
    told = {
        (row["scan_id"], person_key(row["person"])): row["minutes"]
        for row in store.rows(
            "SELECT scan_id, person, minutes FROM server_drawings WHERE minutes IS NOT NULL"
        )
    }
    found: dict[tuple[str, str, str], DrawingTime] = {}
    for row in rows:
        key = row["scan_id"], person_key(row["author"] or ""), row["purpose"]
        server = None if row["purpose"] else told.get(key[:2])
        one = _time(row, server, paces.get(row["label_id"]))
        before = found.pop(key, None)
        if before is not None and _better(before, one):
            one = replace(one, minutes=before.minutes, how=before.how)
        found[key] = one
    return tuple(found.values())


def _better(before: DrawingTime, after: DrawingTime) -> bool:
    """Whether the time of the drawing before says more: a stated one more than an estimate."""
    if before.minutes is None:
        return False
    return after.minutes is None or (after.estimated and not before.estimated)


def _time(row: Row, server: float | None, pace: float | None) -> DrawingTime:
    how: How = ""
    minutes = row["minutes"]
    if minutes is not None:
        how = row["minutes_from"] or "stated"
    elif server is not None:
        minutes, how = server, "server"
    elif pace is not None:
        minutes, how = pace, "pace"
    return DrawingTime(
        row["scan_id"],
        row["author"] or "",
        row["version"],
        minutes,
        how,
        row["created_at"],
        row["purpose"],
        _classes(row["voxels"]),
    )


def _classes(voxels: str) -> int:
    """How many classes the project had when a label was stored, at least 1."""
    try:
        names = dict(json.loads(voxels))
    except (TypeError, ValueError):
        return 1
    return max(1, len(names.keys() - {"ignore"}))


def _paces(rows: Iterable[Row]) -> dict[int, float]:
    """Minutes since the same person's drawing before, by ``label_id``, where they are of a sitting.

    Drawings without a known author or time are left out, and the first one of each sitting.
    """
    people: dict[str, list[tuple[datetime, int]]] = {}
    for row in rows:
        at = _moment(row["drawn_at"])
        if at is not None and row["author"]:
            people.setdefault(person_key(row["author"]), []).append((at, row["label_id"]))
    found = {}
    for drawn in people.values():
        drawn.sort()
        for (before, _), (at, label_id) in pairwise(drawn):
            if COPIED <= at - before <= SITTING:
                found[label_id] = (at - before) / timedelta(minutes=1)
    return found


def _moment(text: str | None) -> datetime | None:
    """A stored time; None for one that is missing, damaged or without a time zone."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
