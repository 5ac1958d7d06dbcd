"""The cold start: medoids, then farthest points per cluster, with representative prefixes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from coldal_tui.selection.clustering import medoid, summed_distance
from coldal_tui.selection.geometry import cells, distances, nearest
from coldal_tui.selection.pool import Floats, Indices, Mask, Pick, Pool, Term
from coldal_tui.selection.shortcuts.buckets import WORTH, Buckets
from coldal_tui.selection.turns import Turns


@dataclass(frozen=True)
class FarthestPoint:
    """One step of farthest-point sampling: index, distance to the nearest pick, that pick."""

    index: int
    distance: float
    nearest: int


@dataclass(frozen=True)
class _Group:
    """A cluster with candidates: its candidates and its labelled scans, both ascending."""

    cluster: int
    members: Indices
    labels: Indices

    @property
    def size(self) -> int:
        return len(self.members)


@dataclass(frozen=True)
class _Share:
    """A cluster's number of farthest points (``places``), and its exact quota before limits."""

    places: int
    quota: float


def cold_start(pool: Pool, budget: int, points: Floats | None = None) -> list[Pick]:
    """The first round: ``budget`` picks in rank order (steps 4 to 7), all candidates if fewer.

    Distances are those of the map, or of (N, d) ``points``. A cluster's size |C_c| is its number
    of candidates; equal sizes go by cluster number. Clusters that hold a label get no medoid and
    their farthest points start from the labels. When the budget is below the number of medoids,
    the larger clusters get theirs.

    A point is occupied when a pick or a label has exactly the same coordinates. The room of a
    cluster is first its unoccupied points; only when no cluster has any left, the remaining budget
    goes, by the same quotas, to scans at occupied points.

    With one scan per patient, picks are made in rank order among open scans (``turns``): the medoid
    is the open scan nearest to all others. When a cluster has no open scan for one of its places,
    the place goes, after all others, to the open scan of any cluster that is farthest from its
    cluster's picks.

    Terms: ``cluster_size`` for all; medoids have ``summed_distance`` and ``mean_distance`` to the
    others; farthest points ``distance`` and ``nearest`` (the pick or label it was measured to),
    ``order`` (j), ``places`` (r_c), ``quota`` (q_c) and ``position`` ((j - 1/2) / r_c).
    """
    spots = pool.points if points is None else points
    turns = Turns.of(pool)
    groups = _groups(pool)
    budget = min(budget, sum(group.size for group in groups))
    medoids = _medoids(groups, spots, turns, budget)
    first = [_medoid_pick(spots, group, medoids) for group in groups if group.cluster in medoids]
    starts = [_starts(group, medoids) for group in groups]
    shares = _shares(spots, groups, starts, budget - len(first))
    walks = [Walk(spots, group.members, start) for group, start in zip(groups, starts, strict=True)]
    return first + _spread(groups, shares, walks, turns)


def _medoids(groups: list[_Group], points: Floats, turns: Turns, budget: int) -> dict[int, int]:
    """The medoid of each cluster that needs and can have one, larger clusters first."""
    found: dict[int, int] = {}
    needing = [group for group in groups if not len(group.labels)]
    for group in needing[: max(budget, 0)]:
        free = group.members[turns.open[group.members]]
        if len(free):
            among = None if len(free) == group.size else free
            found[group.cluster] = medoid(points, group.members, among)
            turns.take(found[group.cluster])
    return found


def _spread(
    groups: list[_Group], shares: list[_Share], walks: list[Walk], turns: Turns
) -> list[Pick]:
    """Steps 6 and 7: the farthest points of all clusters, picked in the order of their ranks."""
    queue = sorted(
        (Fraction(2 * order - 1, 2 * share.places), place, order)
        for place, share in enumerate(shares)
        for order in range(1, share.places + 1)
    )
    picks: list[Pick] = []
    taken = [0] * len(groups)
    for _, place, _ in queue:
        step = walks[place].step(turns.open)
        if step is not None:
            turns.take(step.index)
            taken[place] += 1
            picks.append(_farthest_pick(groups[place], step, taken[place], shares[place]))
    for _ in range(len(queue) - len(picks)):
        ahead = [walk.largest(turns.open) for walk in walks]
        place = ahead.index(max(ahead))
        step = walks[place].step(turns.open)
        if step is None:
            break
        turns.take(step.index)
        taken[place] += 1
        share = _Share(max(shares[place].places, taken[place]), shares[place].quota)
        picks.append(_farthest_pick(groups[place], step, taken[place], share))
    return picks


def replacement(pool: Pool, cluster: int, points: Floats | None = None) -> Pick | None:
    """The next pick of one cluster, for a skipped item of round 0; None without candidates.

    ``points`` (N, d) float: the rows to measure distances in, if not the map.

    The candidate farthest from all covered scans of the cluster; its medoid when none is covered.
    With one scan per patient, the cluster's open scans come first.
    """
    spots = pool.points if points is None else points
    group = next((group for group in _groups(pool) if group.cluster == cluster), None)
    if group is None:
        return None
    free = group.members[Turns.of(pool).open[group.members]]
    members = free if len(free) else group.members
    covered = np.flatnonzero(pool.covered & (pool.clusters == cluster)).astype(np.int64)
    if not len(covered):
        return _medoid_pick(spots, group, {cluster: medoid(spots, group.members, members)})
    (step,) = farthest_points(spots, members, covered, 1)
    return _farthest_pick(group, step, 1, _Share(1, 1.0))


class Walk:
    """Greedy farthest-point sampling on (N, d) ``points``, one pick at a time (step 6).

    ``members`` and ``starts`` are indices, members ascending; a member that is a start is not
    picked. Each next pick is the member with the largest distance to its nearest start or pick,
    ties to the lower index. (Gonzalez 1985.) Memory O(members · d). Many members of a map are kept
    in ``Buckets``: the picks are the same, and a step examines few members. When the same array
    ``open_`` is passed again, scans may have closed but not opened.
    """

    def __init__(self, points: Floats, members: Indices, starts: Indices) -> None:
        self._free = members[~np.isin(members, starts)]
        self._spots = np.asarray(points)[self._free]
        self._gap, which = nearest(self._spots, np.asarray(points)[starts])
        self._source = starts[which] if len(starts) else which
        self._buckets: Buckets | None = None
        if len(self._free) >= WORTH and self._spots.shape[1] == 2:
            self._buckets = Buckets(self._spots, self._gap, self._source, self._free)

    def largest(self, open_: Mask) -> float:
        """The distance of the next pick; -1 when no member is left."""
        if self._buckets is not None:
            return self._buckets.top(open_)[0]
        gap = self._gap[open_[self._free]]
        return float(gap.max()) if len(gap) else -1.0

    def step(self, open_: Mask) -> FarthestPoint | None:
        """The next pick among open scans; None when none is left."""
        if self._buckets is not None:
            return _step(self._buckets, open_)
        gap = np.where(open_[self._free], self._gap, -1.0)
        if not len(gap) or float(gap.max()) < 0.0:
            return None
        best = int(gap.argmax())
        found = FarthestPoint(int(self._free[best]), float(gap[best]), int(self._source[best]))
        fresh = distances(self._spots[best : best + 1], self._spots)[0]
        closer = fresh < self._gap
        self._gap[closer], self._source[closer] = fresh[closer], self._free[best]
        self._gap[best] = -1.0  # below any distance, and no later pick is closer than that
        return found


def _step(buckets: Buckets, open_: Mask) -> FarthestPoint | None:
    """A step when the members are in buckets."""
    gap, group, column = buckets.top(open_)
    if gap < 0.0:
        return None
    index, source = int(buckets.ids[group, column]), int(buckets.source[group, column])
    buckets.take(group, column, open_)
    return FarthestPoint(index, gap, source)


def farthest_points(
    points: Floats, members: Indices, starts: Indices, count: int
) -> list[FarthestPoint]:
    """At most ``count`` steps of a ``Walk``.

    ``points`` (N, 2) float; ``members`` and ``starts`` are indices, of shapes (M,) and (S,).
    """
    walk = Walk(points, members, starts)
    everyone = np.ones(len(points), np.bool_)
    steps: list[FarthestPoint] = []
    while len(steps) < count and (step := walk.step(everyone)) is not None:
        steps.append(step)
    return steps


def allocate(amount: int, sizes: Sequence[int], room: Sequence[int]) -> list[int]:
    """Share ``amount`` among clusters in proportion to ``sizes``, none above its ``room``.

    Largest remainder; what a full cluster can't take is shared among the others by the same rule
    until nothing or no room is left. ``sizes`` descend: ties go to the earlier cluster.
    """
    given = [0] * len(sizes)
    while amount > 0:
        free = [n for n in range(len(sizes)) if given[n] < room[n]]
        if not free:
            break
        for n, part in zip(free, largest_remainder(amount, [sizes[n] for n in free]), strict=True):
            taken = min(part, room[n] - given[n])
            given[n] += taken
            amount -= taken
    return given


def largest_remainder(amount: int, weights: Sequence[int]) -> list[int]:
    """Whole shares of ``amount`` in proportion to ``weights``: floors, then largest remainders.

    Computed in integers, so that equal remainders are exact ties: these go to the larger weight,
    then to the earlier one.
    """
    total = sum(weights)
    shares = [amount * weight // total for weight in weights]
    order = sorted(
        range(len(weights)), key=lambda n: (-(amount * weights[n] % total), -weights[n], n)
    )
    for n in order[: amount - sum(shares)]:
        shares[n] += 1
    return shares


def _groups(pool: Pool) -> list[_Group]:
    """Clusters that have candidates, larger first, ties by cluster number."""
    groups = []
    for cluster in np.unique(pool.clusters[pool.candidate]).tolist():
        inside = pool.clusters == cluster
        members = np.flatnonzero(inside & pool.candidate).astype(np.int64)
        labels = np.flatnonzero(inside & pool.labelled).astype(np.int64)
        groups.append(_Group(int(cluster), members, labels))
    return sorted(groups, key=lambda group: (-group.size, group.cluster))


def _starts(group: _Group, medoids: dict[int, int]) -> Indices:
    if group.cluster in medoids:
        return np.array([medoids[group.cluster]], dtype=np.int64)
    return group.labels


def _shares(
    points: Floats, groups: list[_Group], starts: list[Indices], amount: int
) -> list[_Share]:
    """Step 5: the share of each cluster in the remaining ``amount``."""
    if amount <= 0:
        return [_Share(0, 0.0) for _ in groups]
    sizes = [group.size for group in groups]
    unpicked = [int((~np.isin(g.members, s)).sum()) for g, s in zip(groups, starts, strict=True)]
    fresh = [
        len(set(cells(points[g.members])) - set(cells(points[s])))
        for g, s in zip(groups, starts, strict=True)
    ]
    given = allocate(amount, sizes, fresh)
    left = [all_ - taken for all_, taken in zip(unpicked, given, strict=True)]
    extra = allocate(amount - sum(given), sizes, left)
    return [
        _Share(one + more, amount * size / sum(sizes))
        for one, more, size in zip(given, extra, sizes, strict=True)
    ]


def _medoid_pick(points: Floats, group: _Group, medoids: dict[int, int]) -> Pick:
    index = medoids[group.cluster]
    total = summed_distance(points[group.members], points[index])
    terms: dict[str, Term] = {
        "cluster_size": group.size,
        "summed_distance": total,
        "mean_distance": total / max(group.size - 1, 1),
    }
    return Pick(index, "medoid", group.cluster, terms)


def _farthest_pick(group: _Group, step: FarthestPoint, order: int, share: _Share) -> Pick:
    terms: dict[str, Term] = {
        "cluster_size": group.size,
        "distance": step.distance,
        "nearest": step.nearest,
        "order": order,
        "places": share.places,
        "quota": share.quota,
        "position": (order - 0.5) / share.places,
    }
    return Pick(step.index, "farthest-point", group.cluster, terms)
