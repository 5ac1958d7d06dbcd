"""The same picks as scikit-activeml makes, where it has the strategy and both rules say the same.

It is an extra (`make extras`): without it these are skipped.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from coldal_tui.selection.methods.covering import prob_cover
from coldal_tui.selection.pool import Pool
from coldal_tui.selection.projection import normalise
from coldal_tui.selection.strategies import strategy

published = pytest.importorskip("skactiveml.pool", reason="scikit-activeml is not installed")


def _pool(seed: int, labelled: int, clumps: int = 4) -> Pool:
    rng = np.random.default_rng(seed)
    centres = 8 * rng.normal(size=(clumps, 12))
    rows = normalise(centres[np.arange(240) % clumps] + rng.normal(size=(240, 12)))
    covered = np.arange(240) < labelled
    nothing = np.zeros((240, 2))
    return Pool(nothing, np.zeros(240, int), ~covered, covered, covered, embeddings=rows)


def _labels(pool: Pool) -> np.ndarray:
    return np.where(pool.labelled, 0.0, np.nan)


def _picks(pool: Pool, name: str, batch: int) -> list[int]:
    return [pick.index for pick in strategy(name)(pool, batch, seed=0)]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("labelled", [1, 7])
def test_k_center(seed: int, labelled: int) -> None:
    pool = _pool(seed, labelled)
    theirs = published.CoreSet(random_state=0).query(
        pool.embeddings.astype(np.float64), _labels(pool), batch_size=12
    )
    assert _picks(pool, "k-center", 12) == theirs.tolist()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("labelled", [0, 1])
def test_typiclust(seed: int, labelled: int) -> None:
    """Clumps of unlike size, more than twice 20, so that both take 20 neighbours."""
    pool = _pool(seed, labelled, clumps=3)
    keep = np.r_[:240][(np.arange(240) % 3 != 1) | (np.arange(240) < 200)]
    keep = keep[(keep % 3 != 2) | (keep < 150)]
    pool = Pool(
        pool.points[keep],
        pool.clusters[keep],
        pool.candidate[keep],
        pool.covered[keep],
        pool.labelled[keep],
        embeddings=pool.embeddings[keep],
    )
    theirs = published.TypiClust(k=20, random_state=0, cluster_algo_dict={"n_init": 10}).query(
        pool.embeddings.astype(np.float64), _labels(pool), batch_size=3 - labelled
    )
    assert _picks(pool, "typiclust", 3 - labelled) == theirs.tolist()


def test_probcover() -> None:
    """Both greedy sequences, as far as no two scans tie for the most that is newly covered."""
    compared = 0
    for seed in range(50):
        pool = _pool(seed, labelled=3)
        rows = normalise(np.random.default_rng(seed).normal(size=(240, 4)))
        pool = replace(pool, embeddings=rows)
        theirs, utilities = published.ProbCover(deltas=[0.5], random_state=0).query(
            pool.embeddings.astype(np.float64),
            _labels(pool),
            batch_size=8,
            return_utilities=True,
        )
        ties = [(step == np.nanmax(step)).sum() > 1 for step in utilities]
        clear = ties.index(True) if any(ties) else len(ties)
        ours = [pick.index for pick in prob_cover(pool, 8, 0, 0.5 + 2e-7)]
        assert ours[:clear] == theirs.tolist()[:clear]
        compared += clear
    assert compared >= 20
