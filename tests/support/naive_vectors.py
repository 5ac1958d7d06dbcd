"""The strategies on embeddings and scores written a second time, plainly: loops and lists.

Used only to check the fast implementations; shares no code with them. Rows come normalised, and
k-means is given: what a library clusters is no matter of a strategy.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

Row = Sequence[float]
CLOSE = 1e-11


def distance(a: Row, b: Row) -> float:
    return math.sqrt(math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True)))


class Field:
    """Who may be picked: candidates, and where patients are known one scan of each first."""

    def __init__(
        self, candidate: list[bool], covered: list[bool], patients: list[int] | None = None
    ) -> None:
        self.left = [i for i, yes in enumerate(candidate) if yes]
        self.taken = [i for i, yes in enumerate(covered) if yes]
        self.patients = patients

    def open(self) -> list[int]:
        if self.patients is None:
            return self.left
        served = {self.patients[i] for i in self.taken}
        return [i for i in self.left if self.patients[i] not in served] or self.left

    def take(self, i: int) -> int:
        self.left = [j for j in self.left if j != i]
        self.taken.append(i)
        return i


def first_largest(among: list[int], value: Callable[[int], float]) -> int:
    """The lowest index of those whose value is the largest but for rounding."""
    values = {i: value(i) for i in among}
    top = max(values.values())
    return min(i for i in among if values[i] == top or values[i] > top - CLOSE)


def middle(rows: list[Row], everyone: list[int]) -> list[float]:
    return [math.fsum(rows[i][k] for i in everyone) / len(everyone) for k in range(len(rows[0]))]


def k_center(rows: list[Row], field: Field, everyone: list[int], batch: int) -> list[int]:
    mean = middle(rows, everyone) if everyone else []

    def gap(i: int) -> float:
        return min(distance(rows[i], rows[j]) for j in field.taken)

    def off_centre(i: int) -> float:
        return -distance(rows[i], mean)

    picks: list[int] = []
    while field.left and len(picks) < batch:
        picks.append(field.take(first_largest(field.open(), gap if field.taken else off_centre)))
    return picks


def facility_location(rows: list[Row], field: Field, everyone: list[int], batch: int) -> list[int]:
    def similar(i: int, j: int) -> float:
        return (1 + math.fsum(x * y for x, y in zip(rows[i], rows[j], strict=True))) / 2

    def value(chosen: list[int]) -> float:
        return math.fsum(max((similar(x, s) for s in chosen), default=0.0) for x in everyone)

    picks: list[int] = []
    while field.left and len(picks) < batch:
        picks.append(field.take(first_largest(field.open(), lambda i: value([*field.taken, i]))))
    return picks


def purity_radius(rows: list[Row], labels: list[int], purity: float = 0.95) -> float:
    """The largest of all pairs' distances at which enough open balls are pure."""

    def pure(i: int, delta: float) -> bool:
        return all(
            labels[i] == labels[j] for j in range(len(rows)) if distance(rows[i], rows[j]) < delta
        )

    pairs = sorted({distance(a, b) for a in rows for b in rows}, reverse=True)
    for delta in [math.inf, *pairs]:
        if sum(pure(i, delta) for i in range(len(rows))) >= purity * len(rows):
            return delta
    raise AssertionError("balls of radius 0 are empty and pure")


def prob_cover(
    rows: list[Row], field: Field, everyone: list[int], delta: float, batch: int
) -> list[int]:
    def ball(i: int) -> set[int]:
        return {i} | {j for j in everyone if distance(rows[i], rows[j]) < delta - 1e-7}

    def covers(i: int) -> int:
        return len(ball(i) - set().union(*(ball(j) for j in field.taken)))

    picks: list[int] = []
    while field.left and len(picks) < batch:
        best = first_largest(field.open(), covers)
        if not covers(best):
            return picks + k_center(rows, field, everyone, batch - len(picks))
        picks.append(field.take(best))
    return picks


def from_clusters(
    rows: list[Row],
    field: Field,
    labels: dict[int, int],
    batch: int,
    choose: Callable[[list[int], list[int], int], int],
) -> list[int]:
    """The least covered cluster, then the larger, then the lower number, gives the next.

    Clusters of at most 5 are left out where clusters have 20 scans on average.
    """
    members: dict[int, list[int]] = {}
    for i, c in labels.items():
        members.setdefault(c, []).append(i)
    roomy = len(labels) >= 20 * len(members)
    picks: list[int] = []
    while field.left and len(picks) < batch:
        open_ = set(field.open())
        usable = [c for c in members if open_ & set(members[c])]
        usable = [c for c in usable if len(members[c]) > 5 or not roomy] or usable
        group = min(
            usable,
            key=lambda c: (len(set(members[c]) & set(field.taken)), -len(members[c]), c),
        )
        left = sorted(set(members[group]) & set(field.left))
        among = [i for i in left if i in open_]
        picks.append(field.take(choose(left, among, group)))
    return picks


def most_typical(rows: list[Row], left: list[int], among: list[int]) -> int:
    k = min(20, max(1, len(left) // 2), len(left) - 1)
    if k < 1:
        return left[0]

    def nearness(i: int) -> float:
        gaps = sorted(distance(rows[i], rows[j]) for j in left if j != i)[:k]
        return -math.fsum(gaps) / k

    return first_largest(among, nearness)


def highest(values: list[float], field: Field, batch: int) -> list[int]:
    """The largest values of those that have one."""
    field.left = [i for i in field.left if not math.isnan(values[i])]
    picks: list[int] = []
    while field.left and len(picks) < batch:
        top = max(values[i] for i in field.open())
        picks.append(field.take(min(i for i in field.open() if values[i] == top)))
    return picks


def kernel(a: Row, b: Row, width: float) -> float:
    return math.exp(-((distance(a, b) / width) ** 2))


def median_distance(rows: list[Row]) -> float:
    gaps = [distance(a, b) for i, a in enumerate(rows) for b in rows[:i]]
    gaps = [gap for gap in gaps if gap > 1e-6]
    return statistics.median(gaps) if gaps else 1.0


def herding(rows: list[Row], field: Field, everyone: list[int], batch: int) -> list[int]:
    width = median_distance([rows[i] for i in everyone])

    def value(i: int) -> float:
        typical = math.fsum(kernel(rows[i], rows[j], width) for j in everyone) / len(everyone)
        crowd = math.fsum(kernel(rows[i], rows[j], width) for j in field.taken)
        return typical - crowd / (len(field.taken) + 1)

    picks: list[int] = []
    while field.left and len(picks) < batch:
        picks.append(field.take(first_largest(field.open(), value)))
    return picks


def coverage(
    rows: list[Row],
    field: Field,
    everyone: list[int],
    batch: int,
    weight: Callable[[int], float],
    width: float,
) -> list[int]:
    def value(chosen: list[int]) -> float:
        return math.fsum(
            weight(x) * max((kernel(rows[x], rows[s], width) for s in chosen), default=0.0)
            for x in everyone
        ) / len(everyone)

    picks: list[int] = []
    while field.left and len(picks) < batch:
        picks.append(field.take(first_largest(field.open(), lambda i: value([*field.taken, i]))))
    return picks
