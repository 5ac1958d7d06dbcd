"""Greedy covers of the embeddings: core-set (k-center), ProbCover and facility location."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from coldal_tui.selection.clustering import Labels
from coldal_tui.selection.coldstart import Walk
from coldal_tui.selection.geometry import distances
from coldal_tui.selection.pool import Floats64, Indices, Mask, Pick, Pool, Term
from coldal_tui.selection.turns import Turns
from coldal_tui.selection.vectors import (
    DOUBLE_ROWS,
    Rows,
    distance_tiles,
    kmeans,
    population,
    product_tiles,
    tolerance,
    unit_rows,
)

PURITY = 0.95
"""Share of the balls that may hold no scan of another cluster (ProbCover, section 3.2)."""
EXACT_COVER, COVER_SAMPLE = 20_000, 4_000
"""Scans up to which covers are measured on all of them; above, on so many drawn ones."""
_FEWEST_AT_ONCE, _MOST_AT_ONCE = 32, 1024


def k_center(pool: Pool, batch: int) -> list[Pick]:
    """Core-set selection: always the scan farthest from everything covered or picked.

    The greedy 2-approximation of k-center (Sener and Savarese 2018, arXiv 1708.00489, algorithm 1),
    on L2-normalised embeddings of the frozen encoder. Deviations: the paper measures on the
    features of the trained model and goes on to the robust variant by mixed-integer programming,
    which adds little there; when nothing is covered the paper has no rule, and here the first pick
    is the scan nearest to the mean of all. Ties to the lower index.

    Terms: ``step``; ``distance`` and ``nearest``, or ``distance_to_mean`` of a first pick.
    """
    turns = Turns.of(pool)
    index = population(pool)
    if batch <= 0 or not pool.candidate.any():
        return []
    rows = unit_rows(pool, index)
    picks: list[Pick] = []
    starts = np.flatnonzero(pool.covered[index]).astype(np.int64)
    if not len(starts):
        mean = rows.mean(axis=0, dtype=np.float64)[None, :]
        gap = distances(mean, rows)[0]
        first = int(np.where(turns.open[index], gap, np.inf).argmin())
        starts = np.array([first])
        picks.append(_pick(pool, index, first, 1, {"distance_to_mean": float(gap[first])}))
        turns.take(int(index[first]))
    walk = Walk(rows, np.flatnonzero(pool.candidate[index]).astype(np.int64), starts)
    while len(picks) < batch and (step := walk.step(turns.open[index])) is not None:
        terms: dict[str, Term] = {
            "distance": step.distance,
            "nearest": int(index[step.nearest]),
        }
        picks.append(_pick(pool, index, step.index, len(picks) + 1, terms))
        turns.take(int(index[step.index]))
    return picks


def k_center_of_model(pool: Pool, batch: int) -> list[Pick]:
    """``k_center`` on the features of the last run's network, as in Sener and Savarese.

    The features are the means over places of the U-Net's coarsest level; the paper takes the last
    layer before a classifier, which a segmentation network does not have. They are L2-normalised
    like the embeddings. Scans without features are neither picked nor used as covered.
    """
    assert pool.features is not None, "the registry asks for it"
    seen = np.asarray(np.isfinite(pool.features).all(axis=1), np.bool_)
    known = replace(
        pool,
        candidate=pool.candidate & seen,
        covered=pool.covered & seen,
        labelled=pool.labelled & seen,
        embeddings=np.where(np.reshape(seen, (-1, 1)), pool.features, 0.0),
    )
    return k_center(known, batch)


def prob_cover(pool: Pool, batch: int, seed: int, delta: float | None = None) -> list[Pick]:
    """ProbCover: pick the scan whose ball of radius δ holds the most uncovered scans.

    Yehuda et al. 2022, arXiv 2205.11320, algorithm 1: balls around covered scans and picks cover;
    each pick has the largest out-degree among what is not covered. On L2-normalised embeddings;
    ties to the lower index.

    ``delta`` by the purity rule of section 3.2: the largest δ at which 95 % of the balls hold scans
    of one k-means cluster only. Deviations: (1) the paper takes as many clusters as the task has
    classes; segmentation has none, so they are as many as the map's clusters, at least 2. (2) δ is
    found exactly, as the distance at which the 95th percent of the scans meets another cluster, not
    on a grid. (3) When everything is covered the paper's degrees are all 0; here the scans farthest
    from everything covered come next.

    O(N · d) memory: no graph is kept; each scan's neighbours are looked up twice. Above 20,000
    scans δ and the balls' contents are estimated on a random sample of 4,000 (``measured_on``): a
    share of p of all scans has the standard error √(p (1 - p) / 4,000), at most 0.8 %. Every scan
    may still be picked; a scan whose ball holds no sampled scan comes after all others.

    Terms: ``step``, ``covers`` (scans newly covered), ``covered_share`` (after the pick),
    ``radius``; ``distance`` and ``nearest`` of picks after everything was covered;
    ``estimated_on``.
    """
    index = population(pool)
    batch = min(batch, int(pool.candidate.sum()))
    if batch <= 0:
        return []
    rows = unit_rows(pool, index)
    measured = measured_on(len(rows), seed)
    if delta is None:
        groups = max(2, len(np.unique(pool.clusters[index])))
        delta = purity_radius(rows, kmeans(rows, groups, seed)[0], measured=measured)
    balls = _Balls(rows, delta, measured)
    balls.cover(np.flatnonzero(pool.covered[index]).astype(np.int64))
    balls.count()
    turns = Turns.of(pool)
    picks: list[Pick] = []
    while len(picks) < batch:
        degree = np.where(turns.open[index], balls.degree, -1)
        best = int(degree.argmax())
        if degree[best] <= 0:
            break
        terms: dict[str, Term] = {
            "covers": round(balls.take(best) * len(rows) / len(measured)),
            "covered_share": float(balls.covered.mean()),
            "radius": float(delta),
            **_estimate(rows, measured),
        }
        picks.append(_pick(pool, index, best, len(picks) + 1, terms))
        turns.take(int(index[best]))
    return picks + _farthest(pool, index, rows, picks, turns, batch - len(picks))


def measured_on(count: int, seed: int) -> Indices:
    """Rows on which covers are measured: all, and above 20,000 a random 4,000 of them."""
    if count <= EXACT_COVER:
        return np.arange(count, dtype=np.int64)
    drawn = np.random.default_rng(seed).choice(count, COVER_SAMPLE, replace=False)
    return np.sort(drawn).astype(np.int64)


def _estimate(rows: Rows, measured: Indices) -> dict[str, Term]:
    return {"estimated_on": len(measured)} if len(measured) < len(rows) else {}


def purity_radius(
    rows: Rows, labels: Labels, purity: float = PURITY, measured: Indices | None = None
) -> float:
    """The largest δ at which at least ``purity`` of the open balls hold only one cluster.

    ``rows`` (N, d) float of unit length; ``labels`` of shape (N,).

    A scan's ball is pure up to its distance to the nearest scan of another cluster; δ is the
    ⌈purity · n⌉-th largest of these. Infinite with one cluster. With ``measured``, only the balls
    of these scans count, each over all scans.
    """
    asked = np.arange(len(rows)) if measured is None else measured
    reach = np.empty(len(asked))
    for part, gaps in distance_tiles(rows[asked], rows, double=len(rows) <= DOUBLE_ROWS):
        gaps[labels[asked[part], None] == labels[None, :]] = np.inf
        reach[part] = gaps.min(axis=1)
    wanted = int(np.ceil(purity * len(asked)))
    return float(np.sort(reach)[::-1][wanted - 1])


@dataclass
class _Balls:
    """The scans covered so far, and how many more each scan's ball would cover.

    ``covered`` (m,) of the ``measured`` scans (m,), ascending; ``degree`` (n,) counts these.
    """

    rows: Rows
    delta: float
    measured: Indices
    covered: Mask = field(init=False)
    degree: Labels = field(init=False)

    def __post_init__(self) -> None:
        self._double = len(self.rows) <= DOUBLE_ROWS
        # A pair at distance δ is outside, independent of rounding.
        self._inner = self.delta - tolerance(self.rows)
        everyone = len(self.measured) == len(self.rows)
        self._seen = self.rows if everyone else self.rows[self.measured]
        self.covered = np.zeros(len(self.measured), np.bool_)
        self.degree = np.zeros(len(self.rows), np.int64)

    def cover(self, centres: Indices) -> None:
        """Cover the balls of some scans, before degrees are counted."""
        for _, gaps in distance_tiles(self.rows[centres], self._seen, double=self._double):
            self.covered |= self._inside(gaps).any(axis=0)
        self.covered |= np.isin(self.measured, centres)

    def count(self) -> None:
        """Count every scan's uncovered neighbours, itself included."""
        waiting = self.measured[~self.covered]
        for part, gaps in distance_tiles(self.rows, self.rows[waiting], double=self._double):
            self.degree[part] = self._inside(gaps).sum(axis=1)
            own = np.isin(waiting, np.arange(part.start, part.stop))
            alone = waiting[own]
            self.degree[alone] += ~self._inside(gaps[alone - part.start, np.flatnonzero(own)])

    def take(self, centre: int) -> int:
        """Cover one scan's ball and lower the other degrees; return how many it newly covered."""
        gap = distances(self.rows[centre : centre + 1], self._seen)[0]
        own = self.measured == centre
        fresh = ~self.covered & (self._inside(gap) | own)
        self.covered |= fresh
        new = self.measured[fresh]
        for part, gaps in distance_tiles(self.rows[new], self.rows, double=self._double):
            inside = self._inside(gaps)
            inside[np.arange(len(inside)), new[part]] = True
            self.degree -= inside.sum(axis=0)
        return len(new)

    def _inside(self, gaps: Floats64) -> Mask:
        inside: Mask = gaps < self._inner
        return inside


def _farthest(
    pool: Pool, index: Indices, rows: Rows, picks: list[Pick], turns: Turns, count: int
) -> list[Pick]:
    """Picks after everything is covered: the farthest from everything covered or picked."""
    if count <= 0:
        return []
    taken = pool.covered.copy()
    taken[[pick.index for pick in picks]] = True
    candidates = np.flatnonzero(pool.candidate[index]).astype(np.int64)
    walk = Walk(rows, candidates, np.flatnonzero(taken[index]).astype(np.int64))
    more: list[Pick] = []
    while len(more) < count and (step := walk.step(turns.open[index])) is not None:
        terms: dict[str, Term] = {"covers": 0, "distance": step.distance}
        if step.nearest >= 0:
            terms["nearest"] = int(index[step.nearest])
        more.append(_pick(pool, index, step.index, len(picks) + len(more) + 1, terms))
        turns.take(int(index[step.index]))
    return more


def facility_location(pool: Pool, batch: int, seed: int = 0) -> list[Pick]:
    """Pick the scan that most raises the summed similarity of all scans to their nearest pick.

    Greedy maximisation of f(S) = Σ_x max_{s ∈ S} (1 + cos(x, s)) / 2 (Wei, Iyer and Bilmes 2015,
    "Submodularity in data subset selection and active learning", section 4), which is within 1 -
    1/e of the best. S starts from the covered scans. Deviation: the source filters the pool by the
    uncertainty of the last model first (FASS); this is the plain function, so that it also suits
    the cold start.

    Gains only decrease as S grows, so each step recomputes only those that could still win (Minoux
    1978), in O(N · d) memory. Gains equal up to rounding are ties: the lower index.

    Above 20,000 scans f is estimated on a random sample of 4,000 (``measured_on``): a mean
    similarity has the standard error of a mean of 4,000, 1.6 % of the similarities' spread. Every
    scan may still be picked.

    Terms: ``step``, ``gain``, and ``similarity``, the mean over all scans after the pick;
    ``estimated_on``.
    """
    index = population(pool)
    batch = min(batch, int(pool.candidate.sum()))
    if batch <= 0:
        return []
    rows = unit_rows(pool, index)
    turns = Turns.of(pool)
    measured = measured_on(len(rows), seed)
    gains = _Gains(rows, np.flatnonzero(pool.covered[index]).astype(np.int64), measured)
    picks: list[Pick] = []
    for step in range(1, batch + 1):
        best, gain = gains.largest(turns.open[index])
        gains.take(best)
        terms: dict[str, Term] = {
            "gain": gain * (len(rows) / len(measured)),
            "similarity": float(gains.best.mean()),
            **_estimate(rows, measured),
        }
        picks.append(_pick(pool, index, best, step, terms))
        turns.take(int(index[best]))
    return picks


class _Gains:
    """The gain of each scan in f(S): bounds from earlier steps, recomputed when needed."""

    def __init__(self, rows: Rows, chosen: Indices, measured: Indices) -> None:
        self._double = len(rows) <= DOUBLE_ROWS
        self._rows = rows.astype(np.float64) if self._double else rows
        self._seen = self._rows if len(measured) == len(rows) else self._rows[measured]
        self.best = np.zeros(len(measured))
        """(m,) similarity of each measured scan to the nearest chosen one, 0 while none is."""
        for scan in chosen.tolist():
            self.take(scan)
        self._bound = np.full(len(rows), np.inf)
        if not len(chosen):
            total = rows[measured].sum(axis=0, dtype=np.float64)
            self._bound = (len(measured) + np.einsum("ij,j->i", rows, total)) / 2
        self._tie = len(measured) * (1e-10 if self._double else 1e-8)

    def largest(self, open_: Mask) -> tuple[int, float]:
        """The open scan with the largest gain, and its gain."""
        exact = np.zeros(len(open_), np.bool_)
        at_once = _FEWEST_AT_ONCE
        while True:
            top = np.where(open_ & exact, self._bound, -np.inf).max()
            stale = np.flatnonzero(open_ & ~exact & (self._bound >= top - self._tie))
            if not len(stale):
                break
            order = np.argsort(-self._bound[stale], kind="stable")[:at_once]
            asked = np.sort(stale[order])
            self._bound[asked] = self._gain(asked)
            exact[asked] = True
            at_once = min(2 * at_once, _MOST_AT_ONCE)
        winners = np.flatnonzero(open_ & exact & (self._bound >= top - self._tie))
        return int(winners[0]), float(self._bound[winners[0]])

    def take(self, scan: int) -> None:
        """Choose one scan."""
        products = np.einsum("ij,j->i", self._seen, self._rows[scan].astype(np.float64))
        np.maximum(self.best, self._similarity(products), out=self.best)

    def _gain(self, asked: Indices) -> Floats64:
        gains = np.empty(len(asked))
        for part, products in product_tiles(self._rows[asked], self._seen, double=self._double):
            more = self._similarity(products) - self.best[None, :]
            np.maximum(more, 0.0, out=more)
            gains[part] = more.sum(axis=1)
        return gains

    @staticmethod
    def _similarity(products: Floats64) -> Floats64:
        products += 1.0
        products *= 0.5
        return products


def _pick(pool: Pool, index: Indices, place: int, step: int, terms: dict[str, Term]) -> Pick:
    scan = int(index[place])
    role = "farthest-point" if "distance" in terms else "medoid"
    return Pick(scan, role, int(pool.clusters[scan]), {"step": step} | terms)
