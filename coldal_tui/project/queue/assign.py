"""Assigns scans to people evenly, some to several people, so that raters can be compared."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from coldal_tui.errors import UsageError

Shares = dict[str, tuple[str, ...]]
"""People by scan, in the order of the ranks; nobody's scans have an empty tuple."""


def people_of(assignee: str | None) -> tuple[str, ...]:
    """The people that a queue item names: ``ana,ben`` are two."""
    names = (name.strip() for name in (assignee or "").split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def parse_people(words: str | None, said: str = "--assign") -> tuple[str, ...]:
    """The people of a list such as ``ana,ben``; none without one.

    Raises UsageError for an empty name; ``said`` is how the list is called there.
    """
    people = tuple(name.strip() for name in words.split(",")) if words is not None else ()
    if not all(people):
        raise UsageError(f"{said} has an empty name", remedy="write ana,ben", code="people")
    return people


def deal(
    scans: Mapping[str, str | None],
    people: Sequence[str] = (),
    overlap: int = 0,
    *,
    each: int = 2,
    seed: int = 0,
) -> Shares:
    """Assign scans to people.

    Existing assignments are kept. ``overlap`` of the other scans, spread over the whole queue, go
    to ``each`` people. Every scan goes to whoever has the fewest scans (ties: of a shared scan
    those who share the fewest, then the person named first). The same seed, the same shares.

    Parameters
    ----------
    scans : the assignee of each scan, or None, in the order of the ranks.

    Raises
    ------
    UsageError : an overlap with fewer than ``each`` people, or of fewer than two.
    """
    names = tuple(dict.fromkeys(people))
    if overlap and (each < 2 or len(names) < each):
        raise UsageError(
            f"an overlap needs {'two' if each <= 2 else each} people",
            remedy="name them: --assign ana,ben --overlap 5",
            code="overlap",
        )
    shares = {scan: people_of(assignee) for scan, assignee in scans.items()}
    if not names:
        return shares
    load: Counter[str] = Counter(name for share in shares.values() for name in share)
    open_scans = [scan for scan, share in shares.items() if not share]
    shared = _spread(open_scans, overlap, seed)
    pairs: Counter[tuple[str, str]] = Counter()
    for scan in open_scans:
        group: tuple[str, ...] = ()
        for _ in range(each if scan in shared else 1):
            rest = [name for name in names if name not in group]
            together = {n: sum(pairs[one, n] + pairs[n, one] for one in group) for n in rest}
            group += (min(rest, key=lambda name: (load[name], together[name])),)
        pairs.update((a, b) for a in group for b in group if a != b)
        load.update(group)
        shares[scan] = group
    return shares


def _spread(scans: Sequence[str], count: int, seed: int) -> set[str]:
    """``count`` of the scans, one drawn at random from each of as many equal parts of the queue."""
    draw, count = random.Random(seed), min(count, len(scans))
    ends = [number * len(scans) // count for number in range(count + 1)] if count else []
    return {scans[draw.randrange(a, b)] for a, b in pairwise(ends)}


def by_person(shares: Shares) -> dict[str, list[str]]:
    """The scans of each person, people in the order in which they first appear."""
    found: dict[str, list[str]] = {}
    for scan, share in shares.items():
        for name in share:
            found.setdefault(name, []).append(scan)
    return found
