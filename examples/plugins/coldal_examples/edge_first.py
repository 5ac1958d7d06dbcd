"""A strategy: the scans at the edge of the map first, farthest from its middle."""

import numpy as np

from coldal_tui.selection.pool import Pick
from coldal_tui.selection.strategies import Strategy


def select(pool, batch, *, seed, alpha):
    candidates = pool.candidates()
    if not len(candidates):
        return []
    middle = pool.points.mean(axis=0)
    distance = np.linalg.norm(pool.points[candidates] - middle, axis=1)
    order = np.argsort(-distance, kind="stable")[:batch]
    return [
        Pick(int(candidates[n]), "acquired", int(pool.clusters[candidates[n]]),
             {"from_middle": float(distance[n])})
        for n in order
    ]  # fmt: skip


def explain(terms):
    return [f"at the edge of the map, {terms['from_middle']:.2f} from its middle"]


STRATEGY = Strategy("edge-first", ("cold", "active"), (), "the edge of the map first", select,
                    explain=explain)  # fmt: skip
