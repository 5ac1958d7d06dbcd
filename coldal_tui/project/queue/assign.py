"""Assigns scans to people evenly, some to two people, so that raters can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from coldal_tui.errors import UsageError

Shares = dict[str, tuple[str, ...]]
"""People by scan, in the order of the ranks; nobody's scans have an empty tuple."""


def people_of(assignee: str | None) -> tuple[str, ...]:
    """The people that a queue item names: ``ana,ben`` are two."""
    names = (name.strip() for name in (assignee or "").split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def deal(scans: Mapping[str, str | None], people: Sequence[str] = (), overlap: int = 0) -> Shares:
    """Assign scans to people.

    Existing assignments are kept. The first ``overlap`` of the other scans go to two people each,
    every pair in turn; then each scan goes to the person with the fewest scans (ties: the person
    named first).

    Parameters
    ----------
    scans : the assignee of each scan, or None, in the order of the ranks.

    Raises
    ------
    UsageError : an overlap without two people.
    """
    names = tuple(dict.fromkeys(people))
    if overlap and len(names) < 2:
        raise UsageError(
            "an overlap needs two people",
            remedy="name them: --assign ana,ben --overlap 5",
            code="overlap",
        )
    shares = {scan: people_of(assignee) for scan, assignee in scans.items()}
    if not names:
        return shares
    load: Counter[str] = Counter(name for share in shares.values() for name in share)
    open_scans = [scan for scan, share in shares.items() if not share]
    for number, scan in enumerate(open_scans):
        if number < overlap:
            shares[scan] = (names[number % len(names)], names[(number + 1) % len(names)])
        else:
            shares[scan] = (min(names, key=lambda name: load[name]),)
        load.update(shares[scan])
    return shares


def by_person(shares: Shares) -> dict[str, list[str]]:
    """The scans of each person, people in the order in which they first appear."""
    found: dict[str, list[str]] = {}
    for scan, share in shares.items():
        for name in share:
            found.setdefault(name, []).append(scan)
    return found
