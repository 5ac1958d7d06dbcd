"""The rank of one scan among all: in its cluster, on the map, and for the next batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from coldal_tui.maps import ScanIds, load_cluster_array, load_map
from coldal_tui.project.minutes.expected import read_expectation
from coldal_tui.project.project import Project
from coldal_tui.project.queue import candidates
from coldal_tui.project.queue.budget import batch_size, labelled_scans, next_round
from coldal_tui.project.queue.candidates import other_scans
from coldal_tui.project.queue.minute_budget import weighs_minutes
from coldal_tui.project.runs import entropy_kind, entropy_pages, latest_run
from coldal_tui.selection.acquisition import Acquired, cover, entropy_diversity, scaled_entropy
from coldal_tui.selection.geometry import nearest
from coldal_tui.selection.pool import Floats, Indices, Mask


@dataclass(frozen=True)
class Neighbour:
    """Another scan, its distance on the map, and its cluster."""

    scan_id: str
    distance: float
    cluster: int | None


@dataclass(frozen=True)
class Prospect:
    """How a candidate would do if a batch of ``batch`` scans were picked now.

    ``score`` = alpha · ``entropy_term`` + (1 - alpha) · ``diversity_term`` at the first pick;
    ``place`` among the ``candidates`` by it. ``step`` is the number of its pick, if it is picked.
    Otherwise it comes closest to the pick ``against``, whose S it misses by ``short_by``; with an
    entropy term of ``entropy_needed`` it would be picked (None: not even with 1). ``nearest`` is
    the nearest scan that is labelled, queued or exported. Without entropies alpha is 0.
    """

    alpha: float
    score: float
    entropy_term: float | None
    diversity_term: float
    place: int
    candidates: int
    batch: int
    step: int | None
    against: str | None
    short_by: float
    entropy_needed: float | None
    nearest: Neighbour | None


@dataclass(frozen=True)
class Standing:
    """Facts about one scan on the newest round's map.

    ``entropy_place`` of ``entropy_of``: its place by entropy among the scored scans of its
    cluster, 1 for the most uncertain, in the run that picked it or else the newest.
    """

    cluster: int | None
    cluster_size: int | None
    run_id: str | None
    entropy: float | None
    entropy_place: int | None
    entropy_of: int | None
    nearest_labelled: Neighbour | None
    prospect: Prospect | None


class Standings:
    """Finds the standing of scans; shared data is read once per state of the project."""

    def __init__(self) -> None:
        self._known: tuple[tuple[str, int], _Ground | None] | None = None

    def of(
        self, project: Project, scan_id: str, run_id: str | None = None, kind: str | None = None
    ) -> Standing | None:
        """The standing of a scan; None while it is on no map.

        ``run_id``: the run that picked it; ``kind``: which H (see ``runs.entropy_kind``).
        """
        ground = self._ground(project)
        row = None if ground is None else ground.row(scan_id)
        if ground is None or row is None:
            return None
        cluster = int(ground.cluster[row])
        run = run_id or latest_run(project)
        scores = ground.scores(project, run, kind or entropy_kind(project))
        place, among = ground.entropy_place(row, scores)
        others = ground.labelled[ground.labelled != row]
        return Standing(
            cluster=cluster if cluster >= 0 else None,
            cluster_size=int((ground.cluster == cluster).sum()) if cluster >= 0 else None,
            run_id=run if np.isfinite(scores[row]) else None,
            entropy=float(scores[row]) if np.isfinite(scores[row]) else None,
            entropy_place=place,
            entropy_of=among,
            nearest_labelled=ground.nearest(row, others),
            prospect=_prospect(project, row, ground)
            if candidates.scan_status(project, scan_id) == candidates.CANDIDATE
            else None,
        )

    def _ground(self, project: Project) -> _Ground | None:
        version = int(project.store.value("SELECT max(audit_id) FROM audit") or 0)
        key = str(project.root), version
        if self._known is None or self._known[0] != key:
            self._known = key, _read_ground(project)
        return self._known[1]


def _read_ground(project: Project) -> _Ground | None:
    row = project.store.row(
        "SELECT m.file, r.clusters FROM rounds r JOIN maps m ON m.map_id = r.map_id "
        "ORDER BY r.round DESC LIMIT 1"
    ) or project.store.row("SELECT file, NULL AS clusters FROM maps ORDER BY map_id DESC LIMIT 1")
    if row is None:
        return None
    placed = load_map(project.file_of(row["file"]))
    cluster = np.full(len(placed.scan_ids), -1, np.int16)
    if row["clusters"]:
        cluster = load_cluster_array(project.file_of(row["clusters"]), placed.scan_ids)
    ground = _Ground(placed.scan_ids, placed.xy, cluster)
    ground.labelled = np.sort(placed.scan_ids.known_rows(labelled_scans(project)))
    return ground


class _Ground:
    """The map with its clusters, N scans in ``scan_id`` order; caches what it computes."""

    def __init__(
        self, scan_ids: ScanIds, xy: NDArray[np.float64], cluster: NDArray[np.int16]
    ) -> None:
        self.scan_ids, self.xy, self.cluster = scan_ids, xy, cluster
        self.labelled: Indices = np.empty(0, np.int64)
        self._scores: tuple[tuple[str | None, str], NDArray[np.float64]] | None = None
        self._line: _Line | None = None

    def row(self, scan_id: str) -> int | None:
        return self.scan_ids.places.get(scan_id)

    def scores(self, project: Project, run: str | None, kind: str) -> NDArray[np.float64]:
        """(N,) entropies of a run, NaN where not scored."""
        if self._scores is None or self._scores[0] != (run, kind):
            values = self.scan_ids.numbers(entropy_pages(project, run, kind))
            self._scores = (run, kind), values
        return self._scores[1]

    def entropy_place(self, row: int, scores: NDArray[np.float64]) -> tuple[int | None, int | None]:
        if self.cluster[row] < 0 or not np.isfinite(scores[row]):
            return None, None
        peers = scores[(self.cluster == self.cluster[row]) & np.isfinite(scores)]
        return 1 + int((peers > scores[row]).sum()), len(peers)

    def nearest(self, row: int, others: Indices) -> Neighbour | None:
        if not len(others):
            return None
        distance, which = nearest(self.xy[row : row + 1], self.xy[others])
        return self.neighbour(int(others[which[0]]), float(distance[0]))

    def neighbour(self, row: int, distance: float) -> Neighbour:
        cluster = int(self.cluster[row])
        return Neighbour(self.scan_ids[row], distance, cluster if cluster >= 0 else None)

    def line(self, project: Project) -> _Line:
        if self._line is None:
            self._line = _line_up(project, self)
        return self._line


@dataclass(frozen=True, eq=False)
class _Line:
    """The candidates and their scores for the next batch; ``rows`` are their rows on the map."""

    alpha: float
    batch: int
    rows: Indices
    entropy: NDArray[np.float64]
    gap: NDArray[np.float64]
    nearest: Indices
    picks: tuple[Acquired, ...]
    minutes: NDArray[np.float64] | None = None
    """(M,) expected minutes, where the next batch is picked by S per minute."""

    @cached_property
    def worth(self) -> NDArray[np.float64]:
        """(M,) what the candidates are ranked by."""
        return self.score if self.minutes is None else self.score / self.minutes

    @cached_property
    def diversity(self) -> NDArray[np.float64]:
        """(M,) distance to covered scans divided by the largest; 0 when nothing is covered."""
        largest = float(self.gap.max()) if np.isfinite(self.gap).all() else 0.0
        return self.gap / largest if largest else np.zeros(len(self.gap))

    @cached_property
    def score(self) -> NDArray[np.float64]:
        return self.alpha * np.nan_to_num(self.entropy) + (1 - self.alpha) * self.diversity


def _line_up(project: Project, ground: _Ground) -> _Line:
    candidate, covered = _masks(project, ground)
    raw = ground.scores(project, latest_run(project), entropy_kind(project))
    minutes = None
    if weighs_minutes(project, project.config.selection.round_strategy):
        known = read_expectation(project, None)
        minutes = np.array([known.minutes(scan_id) for scan_id in ground.scan_ids])
    scored = bool(np.isfinite(raw[candidate]).any())
    alpha = _alpha(project) if scored else 0.0
    batch = max(1, min(batch_size(project, next_round(project)), int(candidate.sum())))
    coverage = cover(ground.xy, candidate, covered)
    picks = entropy_diversity(
        ground.xy,
        candidate,
        covered,
        raw if scored else None,
        batch,
        alpha,
        coverage,
        minutes=minutes,
    )
    return _Line(
        alpha=alpha,
        batch=batch,
        rows=np.flatnonzero(candidate).astype(np.int64),
        entropy=scaled_entropy(raw, candidate)[candidate],
        gap=coverage.distance[candidate],
        nearest=coverage.nearest[candidate],
        picks=tuple(picks),
        minutes=None if minutes is None else minutes[candidate],
    )


def _masks(project: Project, ground: _Ground) -> tuple[Mask, Mask]:
    """(N,) which scans of the map are candidates, and which are covered."""
    candidate = np.ones(len(ground.scan_ids), np.bool_)
    covered = np.zeros(len(ground.scan_ids), np.bool_)
    for some in other_scans(project):
        at = ground.scan_ids.rows(some.scan_ids)
        there = at >= 0
        candidate[at[there]] = False
        covered[at[there]] = np.array(some.covered, np.bool_)[there]
    return candidate, covered


def _prospect(project: Project, row: int, ground: _Ground) -> Prospect | None:
    """The prospect of a candidate; None for any other scan."""
    line = ground.line(project)
    own = int(line.rows.searchsorted(row))
    if own == len(line.rows) or line.rows[own] != row:
        return None
    term = float(line.entropy[own]) if np.isfinite(line.entropy[own]) else None
    minutes = None if line.minutes is None else float(line.minutes[own])
    gap = float(line.gap[own])
    race = _race(line.picks, ground.xy, row, line.alpha, term or 0.0, gap, minutes)
    near = int(line.nearest[own])
    return Prospect(
        alpha=line.alpha,
        score=float(line.score[own]),
        entropy_term=term,
        diversity_term=float(line.diversity[own]),
        place=1 + int((line.worth > line.worth[own]).sum()),
        candidates=len(line.rows),
        batch=line.batch,
        step=race.step,
        against=None if race.against < 0 else ground.scan_ids[race.against],
        short_by=race.short_by,
        entropy_needed=race.entropy_needed,
        nearest=ground.neighbour(near, float(line.gap[own])) if near >= 0 else None,
    )


@dataclass(frozen=True)
class _Race:
    """One scan compared with the picks of a batch; ``against`` is a pick's index, or -1."""

    step: int | None = None
    against: int = -1
    short_by: float = np.inf
    entropy_needed: float | None = None


def _race(
    picks: Sequence[Acquired],
    points: Floats,
    here: int,
    alpha: float,
    term: float,
    gap: float,
    minutes: float | None = None,
) -> _Race:
    """Compare one scan with each pick: where it comes closest, and what it lacks there.

    ``minutes``: of this scan, where picks are made by S per minute; what it lacks is S still.
    """
    closest, largest, needed = _Race(), 0.0, np.inf
    for pick in picks:
        if pick.index == here:
            return _Race(step=pick.step, short_by=0.0)
        if pick.diversity_term > 0:
            largest = pick.distance / pick.diversity_term
        diversity = min(1.0, gap / largest) if largest else 0.0
        wanted = pick.score
        if minutes is not None and pick.minutes is not None:
            wanted *= minutes / pick.minutes
        short = wanted - alpha * term - (1 - alpha) * diversity
        if alpha:
            needed = min(needed, term + short / alpha)
        if short < closest.short_by:
            closest = _Race(None, pick.index, short)
        gap = min(gap, float(np.hypot(*(points[here] - points[pick.index]))))
    return replace(closest, entropy_needed=needed if needed <= 1 else None)


def _alpha(project: Project) -> float:
    """The α of the newest round that had one, else of the configuration."""
    value = project.store.value(
        "SELECT alpha FROM rounds WHERE alpha IS NOT NULL ORDER BY round DESC LIMIT 1"
    )
    return float(project.config.selection.alpha if value is None else value)
