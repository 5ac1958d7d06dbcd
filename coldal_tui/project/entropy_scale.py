"""Entropies on the scale that the queue shows: 0 for the surest candidate, 1 for the least sure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def scaled_entropy(raw: NDArray[np.float64], candidate: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N,) entropies, min-max over the candidates; NaN where there is none.

    All candidates alike: 0. No candidate has one: NaN throughout.
    """
    known = raw[candidate & np.isfinite(raw)]
    if not len(known):
        return np.full(len(raw), np.nan)
    span = float(known.max() - known.min())
    return (raw - known.min()) / span if span else np.where(np.isnan(raw), np.nan, 0.0)
