"""Reads the stored drawings of scans: who drew what, who is still out, what is in dispute.

Every drawing is a version of its scan's label, with its author. State ``drawn``: it is kept beside
the label, or waits for those of others, or is in dispute. ``superseded``: nothing is open about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from coldal_tui.exchange.names import person_key
from coldal_tui.project.database.store import Row, Store
from coldal_tui.project.queue.assign import people_of

DRAWN, ACTIVE, SUPERSEDED = "drawn", "active", "superseded"
BY_PERSON = "person"
RULES = ("majority", "staple", "ignore")
HONEYPOT, REPEAT, THIRD = "honeypot", "repeat", "third"
OUT, BACK = "out", "back"

_COLUMNS = (
    "label_id, scan_id, version, file, sha256, state, author, purpose, decided, minutes, "
    "voxels, created_at"
)


@dataclass(frozen=True)
class Drawing:
    """One person's newest drawing of a scan. ``version`` is 0 before it is stored."""

    author: str
    sha256: str
    version: int = 0
    new: bool = False
    open: bool = True
    """Not the label, and no label was decided on it: state ``drawn``."""


@dataclass(frozen=True)
class Counting:
    """The active label of a scan: its author (None: unknown, or joint) and what decided on it."""

    version: int
    author: str | None
    sha256: str
    decided: str = ""


@dataclass(frozen=True)
class Standing:
    """What is known of one scan: its label, everybody's newest drawing, and who was asked.

    ``asked`` are the people that the queue names; ``third`` those to whom a dispute was sent and
    whose drawing is still out.
    """

    label: Counting | None
    drawings: tuple[Drawing, ...]
    asked: tuple[str, ...] = ()
    third: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """People who were asked and whose drawing is not back."""
        back = {person_key(one.author) for one in self.drawings}
        return tuple(name for name in (*self.asked, *self.third) if person_key(name) not in back)

    @property
    def back(self) -> str:
        """Such as ``1 of 2 back``."""
        people = {person_key(name) for name in (*self.asked, *self.third)}
        return f"{len(people) - len(self.missing)} of {len(people)} back"

    @property
    def waits(self) -> bool:
        """Whether a drawing is back and others that were asked for are not; no label yet."""
        asked = {person_key(name) for name in (*self.asked, *self.third)}
        return self.label is None and bool(self.drawings) and bool(self.missing) and len(asked) > 1

    @property
    def words(self) -> str:
        """What is open, in words: ``1 of 2 back`` or ``in dispute``; empty where nothing is."""
        if self.waits:
            return self.back
        return "in dispute" if self.disputed else ""

    @property
    def disputed(self) -> bool:
        """Whether drawings differ and a person has to decide."""
        return not self.waits and any(one.open for one in self.drawings)


def newest_by_person(rows: Iterable[Row]) -> dict[str, Row]:
    """The newest drawing of each person in rows of ``labels`` of one scan, in order of versions.

    A drawing that was rejected is none, and does not bring back an earlier one. Drawings that check
    their authors are left out.
    """
    found: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: int(row["version"])):
        if row["author"] and not row["purpose"] and row["decided"] not in RULES:
            found.pop(person_key(row["author"]), None)
            found[person_key(row["author"])] = row
    return {key: row for key, row in found.items() if row["state"] in (DRAWN, ACTIVE, SUPERSEDED)}


def drawing_rows(store: Store, scan_id: str) -> list[Row]:
    """All versions of a scan's label, in their order."""
    return store.rows(
        f"SELECT {_COLUMNS} FROM labels WHERE scan_id = ? ORDER BY version", (scan_id,)
    )


def standing_of(store: Store, scan_id: str) -> Standing:
    """The standing of one scan, as stored."""
    item = store.row("SELECT status, assignee FROM queue WHERE scan_id = ?", (scan_id,))
    thirds = store.tuples(
        "SELECT person FROM handouts WHERE scan_id = ? AND kind = ? AND state = ? "
        "ORDER BY handout_id",
        (scan_id, THIRD, OUT),
    )
    return make_standing(
        drawing_rows(store, scan_id), item, tuple(str(person) for (person,) in thirds)
    )


def make_standing(rows: Iterable[Row], item: Row | None, third: tuple[str, ...]) -> Standing:
    """A standing from rows of ``labels``, the row of ``queue``, and the thirds that are out."""
    rows = list(rows)
    active = next((row for row in rows if row["state"] == ACTIVE), None)
    people = people_of(item["assignee"]) if item and item["status"] != "skipped" else ()
    return Standing(
        None
        if active is None
        else Counting(active["version"], active["author"], active["sha256"], active["decided"]),
        tuple(
            Drawing(row["author"], row["sha256"], row["version"], open=row["state"] == DRAWN)
            for row in newest_by_person(rows).values()
        ),
        people,
        third,
    )


def read_standings(store: Store) -> dict[str, Standing]:
    """The standings of all scans of which a drawing waits or is in dispute."""
    scans = store.tuples(
        "SELECT DISTINCT scan_id FROM labels WHERE state = ? AND purpose = '' ORDER BY scan_id",
        (DRAWN,),
    )
    return {scan_id: standing_of(store, scan_id) for (scan_id,) in scans}


def read_disputes(store: Store) -> dict[str, Standing]:
    """The standings of the scans whose drawings differ, so that a person has to decide."""
    return {scan: one for scan, one in read_standings(store).items() if one.disputed}


def with_new(standing: Standing, new: Mapping[str, str]) -> Standing:
    """A standing with drawings (SHA-256 by author) that are about to be stored."""
    keys = {person_key(author) for author in new}
    kept = [one for one in standing.drawings if person_key(one.author) not in keys]
    added = [Drawing(author, sha256, new=True) for author, sha256 in new.items()]
    return Standing(standing.label, (*kept, *added), standing.asked, standing.third)


def shared_scans(store: Store) -> set[str]:
    """Scans that are out to several people and have no label yet."""
    rows = store.tuples(
        "SELECT scan_id, assignee FROM queue WHERE status = 'exported' AND assignee LIKE '%,%'"
    )
    return {scan_id for scan_id, assignee in rows if len(people_of(assignee)) > 1}
