"""The selection of the method written a second time, plainly: loops, lists, fractions, no numpy.

Used only to check the fast implementation; shares no code with it.
"""

from __future__ import annotations

import math
from fractions import Fraction

Point = tuple[float, float]


def distance(a: Point, b: Point) -> float:
    dx, dy = a[0] - b[0], a[1] - b[1]
    return math.sqrt(dx * dx + dy * dy)


def medoid(points: list[Point], members: list[int]) -> int:
    best, least = -1, math.inf
    for i in sorted(members):
        total = math.fsum(distance(points[i], points[j]) for j in members)
        if total < least:
            best, least = i, total
    return best


def share_out(amount: int, sizes: dict[int, int], room: dict[int, int]) -> dict[int, int]:
    """Step 5's rule: proportional, floor, largest remainder, overflow to the others."""
    given = dict.fromkeys(sizes, 0)
    while amount > 0 and any(given[c] < room[c] for c in sizes):
        open_clusters = [c for c in sizes if given[c] < room[c]]
        whole = sum(sizes[c] for c in open_clusters)
        exact = {c: Fraction(amount * sizes[c], whole) for c in open_clusters}
        portion = {c: math.floor(exact[c]) for c in open_clusters}
        while sum(portion.values()) < amount:
            # The largest remainder that has not been served; ties: larger cluster, lower number.
            waiting = [c for c in open_clusters if portion[c] == math.floor(exact[c])]
            winner = waiting[0]
            for c in waiting[1:]:
                mine, theirs = exact[c] - math.floor(exact[c]), exact[winner] - portion[winner]
                if (mine, sizes[c], -c) > (theirs, sizes[winner], -winner):
                    winner = c
            portion[winner] += 1
        for c in open_clusters:
            while portion[c] > 0 and given[c] < room[c]:
                portion[c] -= 1
                given[c] += 1
                amount -= 1
    return given


def farthest(points: list[Point], members: list[int], picks: list[int], count: int) -> list[int]:
    picks = list(picks)
    found: list[int] = []
    for _ in range(count):
        best, largest = -1, -1.0
        for i in sorted(members):
            if i in picks:
                continue
            gap = min(distance(points[i], points[j]) for j in picks)
            if gap > largest:
                best, largest = i, gap
        picks.append(best)
        found.append(best)
    return found


def cold_start(
    points: list[Point],
    clusters: list[int],
    candidate: list[bool],
    labelled: list[bool],
    budget: int,
) -> list[tuple[int, str]]:
    members: dict[int, list[int]] = {}
    labels: dict[int, list[int]] = {}
    for i, c in enumerate(clusters):
        if candidate[i]:
            members.setdefault(c, []).append(i)
        if labelled[i]:
            labels.setdefault(c, []).append(i)
    pool_size = sum(candidate)
    budget = min(budget, pool_size)
    sizes = {c: len(members[c]) for c in members}
    larger_first = sorted(sizes, key=lambda c: (-sizes[c], c))

    picks: dict[int, list[int]] = {c: list(labels.get(c, [])) for c in sizes}
    ranked: list[tuple[int, str]] = []
    for c in larger_first:
        if c not in labels and len(ranked) < budget:
            centre = medoid(points, members[c])
            picks[c].append(centre)
            ranked.append((centre, "medoid"))

    # Room at points that nobody occupies; when that is used up everywhere, at the others.
    unpicked = {c: [i for i in members[c] if i not in picks[c]] for c in sizes}
    new_points = {
        c: len({points[i] for i in members[c]} - {points[i] for i in picks[c]}) for c in sizes
    }
    rest = budget - len(ranked)
    r = share_out(rest, sizes, new_points)
    rest -= sum(r.values())
    more = share_out(rest, sizes, {c: len(unpicked[c]) - r[c] for c in sizes})
    r = {c: r[c] + more[c] for c in sizes}

    queue: list[tuple[Fraction, int, int, int]] = []
    for c in sizes:
        if r[c]:
            for j, i in enumerate(farthest(points, unpicked[c], picks[c], r[c]), 1):
                queue.append(((j - Fraction(1, 2)) / r[c], -sizes[c], c, i))
    return ranked + [(i, "farthest-point") for _, _, _, i in sorted(queue)]


def entropy_diversity(
    points: list[Point],
    candidate: list[bool],
    covered: list[bool],
    entropy: list[float],
    batch: int,
    alpha: float,
) -> list[tuple[int, float]]:
    left = [i for i in range(len(points)) if candidate[i] and not math.isnan(entropy[i])]
    sources = [i for i in range(len(points)) if covered[i]]
    if not left:
        return []
    low, high = min(entropy[i] for i in left), max(entropy[i] for i in left)
    picked: list[tuple[int, float]] = []
    while left and len(picked) < batch:
        gap = {i: min((distance(points[i], points[j]) for j in sources), default=0) for i in left}
        largest = max(gap.values())
        best, highest = -1, -math.inf
        for i in left:
            h = (entropy[i] - low) / (high - low) if high > low else 0.0
            d = gap[i] / largest if largest > 0 else 0.0
            score = alpha * h + (1 - alpha) * d
            if score > highest:
                best, highest = i, score
        left.remove(best)
        sources.append(best)
        picked.append((best, highest))
    return picked


def silhouette(points: list[Point], labels: list[int]) -> float:
    values = []
    for i, own in enumerate(labels):
        mean = {}
        for c in set(labels):
            others = [j for j in range(len(points)) if labels[j] == c and j != i]
            if others:
                mean[c] = sum(distance(points[i], points[j]) for j in others) / len(others)
        if own not in mean:
            values.append(0.0)
            continue
        a, b = mean[own], min(m for c, m in mean.items() if c != own)
        values.append((b - a) / max(a, b) if max(a, b) > 0 else 0.0)
    return sum(values) / len(values)
