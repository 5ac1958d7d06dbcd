"""Cluster data for the screen beyond the snapshot: coverage, and how k was chosen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from coldal_tui.project.project import Project
from coldal_tui.project.views.coverage import Coverage, map_coverage
from coldal_tui.project.views.map_view import MapView


@dataclass(frozen=True)
class ClusterView:
    """``estimated``: some silhouettes are estimates (many scans, or a k far from the best)."""

    coverage: Coverage | None
    estimated: bool


def read_cluster_view(
    project: Project, map_view: MapView | None, picks: Sequence[str], k: int
) -> ClusterView:
    """``picks`` are the first queue (``coverage.first_picks``), ``k`` the number of clusters."""
    params = project.store.value(
        "SELECT params FROM rounds WHERE silhouettes != '[]' ORDER BY round DESC LIMIT 1"
    )
    estimated = bool(json.loads(params).get("estimated")) if params else False
    return ClusterView(map_coverage(map_view, picks, k) if map_view else None, estimated)
