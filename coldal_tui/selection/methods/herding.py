"""Herding on the embeddings: scans that together represent the pool (kernel mean, coverage)."""

from __future__ import annotations

import numpy as np

from coldal_tui.selection.pool import Floats64, Indices, Mask, Pick, Pool, Term
from coldal_tui.selection.turns import Turns
from coldal_tui.selection.vectors import (
    DOUBLE_ROWS,
    Rows,
    distance_tiles,
    population,
    unit_rows,
)

COLUMNS = 20_000
"""Scans up to which kernel sums are exact; above, they are over so many, drawn at random."""
COVER_WIDTH = 1.0
"""The kernel's width for coverage on unit rows, as its authors have it."""
_WIDTH_ROWS = 1_000
_NARROWEST = 1e-6
_AT_ONCE = 256


def herding(pool: Pool, batch: int, seed: int) -> list[Pick]:
    """Kernel herding: pick scans whose mean in kernel space is closest to the pool's.

    Chen, Welling and Smola 2010 ("Super-samples from kernel herding", equation 8; arXiv
    1203.3472): the next scan is argmax of μ(x) − 1/(t + 1) · Σ_s k(x, s) over the t scans s that
    are covered or picked, where μ(x) is the mean of k(x, ·) over candidates and covered scans. For
    a kernel with k(x, x) = 1 that is greedy minimisation of the maximum mean discrepancy. On
    L2-normalised embeddings, k(a, b) = exp(−(|a − b| / h)²), h the median distance of two scans
    (the source leaves the kernel open). Ties to the lower index.

    O(N · B) after one pass for μ, O(N) memory; above 20,000 scans μ is over 20,000 of them, drawn
    by ``seed``.

    Terms: ``step``, ``typical`` (μ), ``crowded`` (the sum's share), ``value`` (their difference).
    """
    index = population(pool)
    batch = min(batch, int(pool.candidate.sum()))
    if batch <= 0:
        return []
    walk = HerdingWalk(unit_rows(pool, index), seed)
    for start in np.flatnonzero(pool.covered[index]).tolist():
        walk.take(start)
    turns = Turns.of(pool)
    picks: list[Pick] = []
    for step in range(1, batch + 1):
        best, terms = walk.best(turns.open[index])
        walk.take(best)
        scan = int(index[best])
        picks.append(Pick(scan, "medoid", int(pool.clusters[scan]), {"step": step} | terms))
        turns.take(scan)
    return picks


class HerdingWalk:
    """The state of kernel herding over (n, d) unit ``rows``: sums over the picks so far."""

    def __init__(self, rows: Rows, seed: int) -> None:
        self._rows = rows
        self._columns = _columns(len(rows), seed)
        self._width = median_distance(rows)
        self._typical = _kernel_means(rows, rows[self._columns], self._width)
        self._sum = np.zeros(len(rows))
        self._taken = 0
        self._tie = 1e-12 if len(rows) <= DOUBLE_ROWS else 1e-7

    def best(self, open_: Mask) -> tuple[int, dict[str, Term]]:
        """The open row with the largest value, and the terms behind it."""
        crowded = self._sum / (self._taken + 1)
        value = np.where(open_, self._typical - crowded, -np.inf)
        best = int(np.flatnonzero(value >= value.max() - self._tie)[0])
        return best, {
            "typical": float(self._typical[best]),
            "crowded": float(crowded[best]),
            "value": float(value[best]),
        }

    def take(self, row: int) -> None:
        self._sum += _kernel_column(self._rows, row, self._width)
        self._taken += 1


def max_herding(pool: Pool, batch: int, seed: int) -> list[Pick]:
    """MaxHerding: pick the scan that most raises the pool's coverage.

    Bae, Oliveira and Sutherland, "Generalized coverage for more robust low-budget active
    learning" (ECCV 2024, arXiv 2407.12212): greedy maximisation of Σ_x max_s k(x, s) with
    k(a, b) = exp(−(|a − b| / h)²) on L2-normalised embeddings and h = 1. S starts from the
    covered scans. Deviation: the authors' code draws 35,000 candidates of a larger pool; here all
    are candidates and the sum is over at most 20,000 scans, drawn by ``seed``.

    Terms: ``step``, ``gain`` (mean over the scans), ``coverage`` (the mean after the pick).
    """
    return _cover(pool, batch, seed, np.ones(len(pool)), COVER_WIDTH)


def uherding(pool: Pool, batch: int, seed: int) -> list[Pick]:
    """UHerding: MaxHerding with each scan weighted by the last run's uncertainty.

    Bae, Oliveira and Sutherland, "Uncertainty herding" (ICLR 2025, arXiv 2412.20644, algorithm 1):
    greedy maximisation of Σ_x U(x) · max_s k(x, s). U is the entropy of the last run, 0 for covered
    and for unscored scans. The kernel's width is the least distance between two labelled scans, so
    that it shrinks as labels are added (section 3.3), and 1 before there are two. Deviation: the
    paper calibrates the softmax by a temperature first; the entropy of a segmentation is a mean
    over pixels and is used uncalibrated.

    Terms: as ``max_herding``, and ``weight``, the entropy of the scan.
    """
    assert pool.entropy is not None, "the registry asks for it"
    weights = np.where(pool.covered, 0.0, np.nan_to_num(pool.entropy, nan=0.0))
    width = COVER_WIDTH
    labelled = np.flatnonzero(pool.labelled).astype(np.int64)
    if len(labelled) > 1:
        width = least_distance(unit_rows(pool, labelled))
    return _cover(pool, batch, seed, np.asarray(weights, np.float64), width, weighted=True)


def _cover(
    pool: Pool, batch: int, seed: int, weights: Floats64, width: float, *, weighted: bool = False
) -> list[Pick]:
    index = population(pool)
    batch = min(batch, int(pool.candidate.sum()))
    if batch <= 0:
        return []
    columns = _columns(len(index), seed)
    coverage = _Coverage(unit_rows(pool, index), columns, weights[index][columns], width)
    for start in np.flatnonzero(pool.covered[index]).tolist():
        coverage.take(start)
    turns = Turns.of(pool)
    picks: list[Pick] = []
    for step in range(1, batch + 1):
        best, gain = coverage.largest(turns.open[index])
        coverage.take(best)
        scan = int(index[best])
        terms: dict[str, Term] = {"step": step, "gain": gain, "coverage": coverage.mean}
        if weighted:
            terms["weight"] = float(weights[scan])
        picks.append(Pick(scan, "medoid", int(pool.clusters[scan]), terms))
        turns.take(scan)
    return picks


class _Coverage:
    """The weighted coverage of ``columns`` and the gain of each row.

    Gains only decrease as rows are taken, so only those that could still win are recomputed (Minoux
    1978): O(n) memory.
    """

    def __init__(self, rows: Rows, columns: Indices, weights: Floats64, width: float) -> None:
        self._rows, self._columns, self._weights, self._width = rows, columns, weights, width
        self._seen = rows[columns]
        self._best = np.zeros(len(columns))
        self._bound = np.full(len(rows), np.inf)
        self._tie = 1e-12 if len(rows) <= DOUBLE_ROWS else 1e-7

    @property
    def mean(self) -> float:
        return float(self._weights @ self._best) / len(self._best)

    def largest(self, open_: Mask) -> tuple[int, float]:
        """The open row with the largest gain (ties: the first), and its gain."""
        exact = np.zeros(len(open_), np.bool_)
        while True:
            top = np.where(open_ & exact, self._bound, -np.inf).max()
            stale = np.flatnonzero(open_ & ~exact & (self._bound >= top - self._tie))
            if not len(stale):
                break
            order = np.argsort(-self._bound[stale], kind="stable")[:_AT_ONCE]
            asked = np.sort(stale[order])
            self._bound[asked] = self._gains(asked)
            exact[asked] = True
        winner = int(np.flatnonzero(open_ & exact & (self._bound >= top - self._tie))[0])
        return winner, float(self._bound[winner])

    def take(self, row: int) -> None:
        column = _kernel_column(self._rows, row, self._width)[self._columns]
        np.maximum(self._best, column, out=self._best)

    def _gains(self, asked: Indices) -> Floats64:
        gains = np.empty(len(asked))
        double = len(self._rows) <= DOUBLE_ROWS
        for part, gaps in distance_tiles(self._rows[asked], self._seen, double=double):
            more = _kernel(gaps, self._width)
            more -= self._best[None, :]
            np.maximum(more, 0.0, out=more)
            more *= self._weights[None, :]
            gains[part] = more.sum(axis=1) / len(self._seen)
        return gains


def median_distance(rows: Rows) -> float:
    """The median pairwise distance of (n, d) rows, over at most 1,000 evenly spaced rows."""
    some = rows[:: max(1, -(-len(rows) // _WIDTH_ROWS))]
    found = [
        gaps[np.arange(part.start, part.start + len(gaps))[:, None] < np.arange(len(some))]
        for part, gaps in distance_tiles(some, some, double=True)
    ]
    gaps = np.concatenate(found)
    gaps = gaps[gaps > _NARROWEST]
    return float(np.median(gaps)) if len(gaps) else 1.0


def least_distance(rows: Rows) -> float:
    """The least distance between two different rows of (n, d); 1 when all are equal."""
    least = np.inf
    for _, gaps in distance_tiles(rows, rows, double=True):
        least = min(least, float(np.where(gaps > _NARROWEST, gaps, np.inf).min()))
    return least if np.isfinite(least) else 1.0


def _columns(count: int, seed: int) -> Indices:
    if count <= COLUMNS:
        return np.arange(count, dtype=np.int64)
    drawn = np.random.default_rng(seed).choice(count, COLUMNS, replace=False)
    return np.sort(drawn).astype(np.int64)


def _kernel(gaps: Floats64, width: float) -> Floats64:
    """exp(−(gap / width)²), in place."""
    gaps /= width
    np.multiply(gaps, gaps, out=gaps)
    np.negative(gaps, out=gaps)
    return np.exp(gaps, out=gaps)


def _kernel_column(rows: Rows, row: int, width: float) -> Floats64:
    one = rows[row].astype(np.float64)
    squares = np.empty(len(rows))
    for start in range(0, len(rows), _WIDTH_ROWS):
        gap = rows[start : start + _WIDTH_ROWS].astype(np.float64) - one
        squares[start : start + _WIDTH_ROWS] = np.einsum("ij,ij->i", gap, gap)
    return _kernel(np.sqrt(squares, out=squares), width)


def _kernel_means(rows: Rows, others: Rows, width: float) -> Floats64:
    means = np.empty(len(rows))
    for part, gaps in distance_tiles(rows, others, double=len(rows) <= DOUBLE_ROWS):
        means[part] = _kernel(gaps, width).mean(axis=1)
    return means
