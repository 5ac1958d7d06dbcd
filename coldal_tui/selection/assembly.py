"""Converts rows about scans to the arrays of a pool; the only place that does.

It opens no file: callers read the map, the clusters and the scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.selection.pool import Floats64, Indices, Pool, patient_numbers
from coldal_tui.selection.rows import PoolRow

Features = tuple[float, ...] | NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class Assembly:
    """The N scans of a pool that lie on a map, in ``scan_id`` order.

    ``scan_ids[n]`` and ``patients[n]`` belong to row ``n`` of ``pool``; ``on_map`` (N,) int64 is
    the row of each on the map.
    """

    scan_ids: tuple[str, ...]
    patients: tuple[str, ...]
    on_map: Indices
    pool: Pool

    def one_per_patient(self) -> Assembly:
        """The same pool with ``patients``: a second scan of a patient only after all have one."""
        return replace(self, pool=replace(self.pool, patients=patient_numbers(self.patients)))


def assemble(
    rows: Iterable[PoolRow],
    index: Mapping[str, int],
    xy: Floats64,
    clusters: Mapping[str, int] | None = None,
    **more: Any,
) -> Assembly:
    """The pool of those ``rows`` whose scans are on the map.

    Parameters
    ----------
    rows : in ``scan_id`` order.
    index : scan id → row of ``xy``.
    xy : (M, 2) float64, the map.
    clusters : scan id → cluster; a scan that is not in it gets -1, and all do without it.
    more : further fields of ``Pool`` (``round``, ``clusters_by`` and so on).

    Raises
    ------
    ColdalError : arrays that ``Pool`` refuses.
    """
    kept = [row for row in rows if row.scan_id in index]
    of = clusters or {}
    on_map = np.array([index[row.scan_id] for row in kept], np.int64)
    pool = Pool(
        points=xy[on_map],
        clusters=np.array([of.get(row.scan_id, -1) for row in kept], np.int64),
        candidate=np.array([row.candidate for row in kept], np.bool_),
        covered=np.array([row.covered for row in kept], np.bool_),
        labelled=np.array([row.labelled for row in kept], np.bool_),
        entropy=_measured([row.entropy for row in kept]),
        class_entropy=_measured([row.class_entropy for row in kept]),
        bald=_measured([row.bald for row in kept]),
        foreground_entropy=_measured([row.foreground_entropy for row in kept]),
        boundary_entropy=_measured([row.boundary_entropy for row in kept]),
        features=_measured([_numbers(row.features) for row in kept]),
        minutes=_measured([row.minutes for row in kept]),
        **more,
    )
    scan_ids = tuple(row.scan_id for row in kept)
    return Assembly(scan_ids, tuple(row.patient_id for row in kept), on_map, pool)


def _numbers(features: tuple[float, ...] | bytes | None) -> Features | None:
    return np.frombuffer(features, "<f2") if isinstance(features, bytes) else features


def _measured(values: Sequence[float | Features | None]) -> Floats64 | None:
    """(N,) or (N, d) float64 with NaN for scans not measured; None when none was."""
    some = next((value for value in values if value is not None), None)
    if some is None:
        return None
    found = np.full((len(values), *np.shape(some)), np.nan)
    for n, value in enumerate(values):
        if value is not None:
            found[n] = value
    return found
