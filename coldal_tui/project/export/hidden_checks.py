"""Chooses honeypots and repeats: scans hidden among a person's others, to check that person.

A honeypot is a labelled scan that the person has not drawn; a repeat is one that they have. The
drawings that come back show in ``raters`` alone and never change a label.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from coldal_tui.errors import UsageError
from coldal_tui.exchange.names import person_key
from coldal_tui.project.database.store import Row
from coldal_tui.project.labels.raters.drawings import (
    ACTIVE,
    HONEYPOT,
    OUT,
    REPEAT,
    newest_by_person,
)
from coldal_tui.project.project import Project
from coldal_tui.project.records import ScanRecord


@dataclass(frozen=True)
class Check:
    """One scan that goes to one person as a check; ``kind`` is ``honeypot`` or ``repeat``."""

    scan: ScanRecord
    person: str
    kind: str


def choose_checks(
    project: Project,
    people: Sequence[str],
    *,
    honeypots: int,
    repeats: int,
    taken: Collection[str],
    seed: int,
) -> list[Check]:
    """Up to ``honeypots`` and ``repeats`` scans for each person, drawn at random by ``seed``.

    ``taken`` are the scans of the export itself. No scan goes twice to one person as the same kind
    of check, and none of which a check is out.

    Raises UsageError when nobody is named, or no scan can be a check for anybody.
    """
    if not people:
        raise UsageError(
            "honeypots and repeats check people, and nobody is named",
            remedy="name them: --assign ana,ben",
            code="checks",
        )
    by_scan: dict[str, list[Row]] = {}
    for row in project.store.rows(
        "SELECT scan_id, version, state, author, purpose, decided FROM labels ORDER BY scan_id"
    ):
        by_scan.setdefault(row["scan_id"], []).append(row)
    out = {
        (row["scan_id"], person_key(row["person"]))
        for row in project.store.rows(
            "SELECT scan_id, person FROM handouts WHERE state = ?", (OUT,)
        )
    }
    usable = {scan.scan_id: scan for scan in project.scans() if scan.usable}
    found: list[Check] = []
    for person in people:
        key = person_key(person)
        # A seed of its own, so that one person's checks don't depend on who else is named.
        draw = random.Random(f"{seed} {key}")
        free = [
            scan_id
            for scan_id in sorted(by_scan)
            if scan_id in usable and scan_id not in taken and (scan_id, key) not in out
        ]
        kinds = ((HONEYPOT, honeypots), (REPEAT, repeats))
        for kind, count in kinds:
            fit = [scan for scan in free if _fits(by_scan[scan], key, kind)]
            chosen = draw.sample(fit, min(count, len(fit)))
            found += [Check(usable[scan_id], person, kind) for scan_id in chosen]
    if not found:
        raise UsageError(
            "no scan can be a check: a honeypot is a labelled scan that the person has not drawn, "
            "a repeat one that the person has",
            where=project.name,
            remedy="hand out without --honeypots and --repeats until masks are back",
            code="checks",
        )
    return found


def _fits(rows: Sequence[Row], key: str, kind: str) -> bool:
    mine = [row for row in rows if row["author"] and person_key(row["author"]) == key]
    if kind == HONEYPOT:
        return not mine and any(row["state"] == ACTIVE for row in rows)
    return key in newest_by_person(rows) and not any(row["purpose"] for row in mine)


def mixed(queued: Sequence[str], checks: Collection[str], seed: int) -> dict[str, int]:
    """Ranks from 1 for all scans of an export: the queue's order, the checks anywhere in it."""
    order = list(queued)
    draw = random.Random(seed)
    for scan_id in sorted(checks):
        order.insert(draw.randint(0, len(order)), scan_id)
    return {scan_id: rank for rank, scan_id in enumerate(order, start=1)}


def with_checks(
    shares: Mapping[str, tuple[str, ...]], checks: Sequence[Check]
) -> dict[str, tuple[str, ...]]:
    """The people of each scan of an export, checks included."""
    found = dict(shares)
    for one in checks:
        found[one.scan.scan_id] = (*found.get(one.scan.scan_id, ()), one.person)
    return found
