"""Coverage of the map by labels: the share of scans near a labelled scan.

"Near" means within a radius that is fixed per project, not per round: the median, over all scans of
the map, of the distance to the nearest scan of the first queue. So the complete labels of round 0
cover half of the map by definition, and later rounds show progress from there. The radius is the
same for every cluster, round and run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coldal_tui.project.views.map_view import STATUSES, MapView
from coldal_tui.project.views.snapshot import QueueItem
from coldal_tui.selection.geometry import nearest

LABELLED = STATUSES.index("labelled")


@dataclass(frozen=True)
class Coverage:
    """Shares (0 to 1) of scans within ``radius`` (map units) of a labelled scan.

    ``clusters[n]`` belongs to cluster n; None for a cluster without a scan on the map.
    """

    radius: float
    overall: float
    clusters: tuple[float | None, ...]


def first_picks(queue: Iterable[QueueItem]) -> tuple[str, ...]:
    """The scans of the first round's current queue, without skipped ones."""
    kept = [item for item in queue if item.status != "skipped"]
    first = min((item.round for item in kept), default=0)
    return tuple(item.scan_id for item in kept if item.round == first)


def map_coverage(map_view: MapView, picks: Sequence[str], k: int) -> Coverage | None:
    """Coverage of every cluster by the current labels; None before the first queue.

    100,000 scans and 1,000 labels take about 0.6 s: don't call it from the UI thread.
    """
    radius = near_radius(map_view, picks)
    if radius is None:
        return None
    labelled = np.flatnonzero(map_view.status == LABELLED)
    near = nearest(map_view.xy, map_view.xy[labelled])[0] <= radius
    shares = tuple(_share(near[map_view.cluster == number]) for number in range(k))
    return Coverage(radius, _share(near) or 0.0, shares)


def coverage_by(
    map_view: MapView, picks: Sequence[str], labels: Iterable[Iterable[str]]
) -> list[float] | None:
    """The overall coverage by each of several sets of scans (for example, of each run).

    Growing sets cost no more than the last set alone. None before the first queue.
    """
    radius = near_radius(map_view, picks)
    if radius is None:
        return None
    shares: list[float] = []
    seen: set[str] = set()
    distance = np.full(len(map_view), np.inf)
    for scans in labels:
        now = {scan_id for scan_id in scans if scan_id in map_view.index}
        if not seen <= now:
            seen, distance = set(), np.full(len(map_view), np.inf)
        fresh = _rows(map_view, now - seen)
        distance = np.minimum(distance, nearest(map_view.xy, map_view.xy[fresh])[0])
        seen = now
        shares.append(_share(distance <= radius) or 0.0)
    return shares


def near_radius(map_view: MapView, picks: Iterable[str]) -> float | None:
    """The median distance of all scans to the nearest of ``picks``; None without picks."""
    rows = _rows(map_view, picks)
    if not len(rows):
        return None
    return float(np.median(nearest(map_view.xy, map_view.xy[rows])[0]))


def _rows(map_view: MapView, scan_ids: Iterable[str]) -> NDArray[np.int64]:
    return np.sort(map_view.scan_ids.known_rows(scan_ids))


def _share(near: NDArray[np.bool_]) -> float | None:
    return float(near.mean()) if len(near) else None
