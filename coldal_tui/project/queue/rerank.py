"""Re-ranks a picked round with another α: its waiting items are picked again.

Nothing is trained. Only queued items that are neither pinned nor assigned can be replaced; with the
round's own α an unchanged queue stays as selection made it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ColdalError
from coldal_tui.maps import load_clusters, load_map
from coldal_tui.project.database.store import Row
from coldal_tui.project.minutes.expected import read_expectation
from coldal_tui.project.project import Project
from coldal_tui.project.queue import candidates
from coldal_tui.project.queue.minute_budget import by_minutes, with_minutes
from coldal_tui.selection.acquisition import Coverage, check_alpha, cover, entropy_diversity
from coldal_tui.selection.assembly import assemble
from coldal_tui.selection.pool import Floats, Pick, queue_row

STRATEGY = "entropy-diversity"


@dataclass(frozen=True)
class Place:
    """A replaceable item of the round: its scan, rank and S."""

    scan_id: str
    rank: int
    score: float | None


@dataclass(frozen=True, eq=False)
class Bench:
    """One round's pool as arrays in ``scan_id`` order, ready to be ranked with any α.

    ``free`` are the replaceable items, in rank order. Their scans are candidates again here; all
    other items count as covered. ``stamp`` shows whether the queue has changed since. ``minutes``
    (N,) are the expected ones, of a round that was picked by S per minute.
    """

    round: int
    alpha: float
    free: tuple[Place, ...]
    scan_ids: tuple[str, ...]
    clusters: NDArray[np.int64]
    points: NDArray[np.float64]
    candidate: NDArray[np.bool_]
    covered: NDArray[np.bool_]
    entropy: NDArray[np.float64]
    coverage: Coverage
    stamp: int
    minutes: Floats | None = None


@dataclass(frozen=True)
class Reranked:
    """The round as it would be with ``alpha``: rows of the queue in rank order, with ``rank``.

    ``came`` are the added scans, ``left`` the removed ones.
    """

    alpha: float
    rows: tuple[Row, ...]
    came: tuple[str, ...]
    left: tuple[str, ...]


def read_bench(project: Project) -> Bench:
    """Read what re-ranking the newest round needs, with the distances, which don't depend on α.

    Raises
    ------
    ColdalError : no round, or one without entropies or drawn at random (code ``no-alpha``);
        none of its items is replaceable any more (code ``no-free``).
    """
    with project.store.reading():
        row = _round(project)
        free = _free(project, row["round"])
        if not free:
            raise ColdalError(
                f"no scan of round {row['round']} can make room: all are exported, labelled, "
                "pinned or given to somebody",
                where=project.name,
                remedy="α has a say again in the next round",
                code="no-free",
            )
        map_file = project.store.value("SELECT file FROM maps WHERE map_id = ?", (row["map_id"],))
        placed = load_map(project.file_of(map_file))
        of = load_clusters(project.file_of(row["clusters"])).of
        rows = candidates.pool_rows(project, row["run_id"])
        if by_minutes(row):
            rows = with_minutes(read_expectation(project, None), rows)
        stamp = _stamp(project)
    found = assemble(rows, placed.index(), placed.xy, of)
    waiting = {place.scan_id for place in free}
    back = np.array([scan_id in waiting for scan_id in found.scan_ids], np.bool_)
    candidate, covered = found.pool.candidate | back, found.pool.covered & ~back
    entropy = found.pool.entropy
    scored = np.full(len(back), np.nan) if entropy is None else entropy.astype(np.float64)
    if not np.isfinite(scored[candidate]).any():
        raise ColdalError(
            f"no candidate has an entropy of {row['run_id']}",
            where=project.name,
            remedy="score the pool: coldal-tui score",
            code="no-alpha",
        )
    return Bench(
        round=row["round"],
        alpha=1.0 if row["strategy"] == "entropy" else row["alpha"],
        free=free,
        scan_ids=found.scan_ids,
        clusters=found.pool.clusters.astype(np.int64),
        points=found.pool.points.astype(np.float64),
        candidate=candidate,
        covered=covered,
        entropy=scored,
        coverage=cover(found.pool.points, candidate, covered),
        stamp=stamp,
        minutes=found.pool.minutes,
    )


def _round(project: Project) -> Row:
    row = project.store.row("SELECT * FROM rounds ORDER BY round DESC LIMIT 1")
    if row is None:
        what, remedy = "nothing is selected yet", "select the first round: coldal-tui select"
    elif row["round"] == 0 or row["run_id"] is None:
        what = "α weighs entropy, and the first round is picked before there is any"
        remedy = "label it, then train, score and pick the next round: coldal-tui next"
    elif row["alpha"] is None:
        what = f"round {row['round']} was picked by {row['strategy']}, which has no α"
        remedy = "pick the next round with --strategy entropy-diversity"
    else:
        return row
    raise ColdalError(what, where=project.name, remedy=remedy, code="no-alpha")


def _free(project: Project, round_: int) -> tuple[Place, ...]:
    rows = project.store.rows(
        "SELECT scan_id, rank, score FROM queue WHERE round = ? AND status = 'queued' AND "
        "role = 'acquired' AND pinned = 0 AND assignee IS NULL ORDER BY rank, scan_id",
        (round_,),
    )
    return tuple(Place(row["scan_id"], row["rank"], row["score"]) for row in rows)


def _stamp(project: Project) -> int:
    """A number that changes with the queue, the labels or the pool."""
    store = project.store
    queue = store.rows(
        "SELECT scan_id, round, rank, status, pinned, assignee FROM queue ORDER BY scan_id"
    )
    return hash(
        (
            tuple(tuple(row.values()) for row in queue),
            tuple(candidates.scan_statuses(project).items()),
        )
    )


def rerank(bench: Bench, alpha: float) -> Reranked:
    """Pick the round's replaceable items again with ``alpha``, as selection does. Numpy only.

    Raises UsageError when ``alpha`` is outside 0..1.
    """
    check_alpha(alpha)
    found = entropy_diversity(
        bench.points,
        bench.candidate,
        bench.covered,
        bench.entropy,
        len(bench.free),
        alpha,
        bench.coverage,
        minutes=bench.minutes,
    )
    rows = []
    for place, one in zip(bench.free, found, strict=False):
        pick = Pick(one.index, "acquired", int(bench.clusters[one.index]), one.terms(alpha))
        rows.append(queue_row(pick, bench.scan_ids) | {"rank": place.rank})
    before = {place.scan_id for place in bench.free}
    after = {row["scan_id"] for row in rows}
    return Reranked(
        alpha=alpha,
        rows=tuple(rows),
        came=tuple(row["scan_id"] for row in rows if row["scan_id"] not in before),
        left=tuple(p.scan_id for p in bench.free if p.scan_id not in after),
    )


def apply(project: Project, bench: Bench, found: Reranked) -> str:
    """Store a re-ranked round in the queue, in one undoable action; return what was done.

    Raises
    ------
    ColdalError : the queue, the labels or the pool have changed since ``read_bench`` (code
        ``stale``); nothing is changed then.
    """
    store = project.store
    with store.action("queue rerank", round=bench.round, alpha=found.alpha) as action:
        if _stamp(project) != bench.stamp:
            raise ColdalError(
                "the queue has changed meanwhile; nothing was re-ranked",
                where=f"round {bench.round}",
                remedy="look at the queue as it is now, then set α again",
                code="stale",
            )
        for scan_id in found.left:
            store.execute("DELETE FROM queue WHERE scan_id = ?", (scan_id,))
        came = set(found.came)
        for row in found.rows:
            _put(project, bench.round, row, new=row["scan_id"] in came)
        _follow_places(project, bench, found)
        store.update("rounds", {"round": bench.round}, alpha=found.alpha, strategy=STRATEGY)
        action.summary = (
            f"round {bench.round} re-ranked with α {found.alpha:.2f}: "
            f"{len(found.came)} in, {len(found.left)} out"
        )
        action.inputs = {"came": list(found.came), "left": list(found.left)}
    return action.summary


def _put(project: Project, round_: int, row: Row, *, new: bool) -> None:
    values: dict[str, Any] = {key: value for key, value in row.items() if key != "scan_id"}
    if new:
        project.store.insert("queue", scan_id=row["scan_id"], round=round_, **values)
    else:
        project.store.update("queue", {"scan_id": row["scan_id"]}, **values)


def _follow_places(project: Project, bench: Bench, found: Reranked) -> None:
    """Make the new item at a skipped item's place its substitute."""
    holder = {row["rank"]: row["scan_id"] for row in found.rows}
    rank_of = {place.scan_id: place.rank for place in bench.free}
    for scan_id in found.left:
        heir = holder.get(rank_of[scan_id])
        project.store.update("queue", {"replaced_by": scan_id}, replaced_by=heir)
