"""What is known of clusters beyond the snapshot."""

from __future__ import annotations

from typing import Any

import pytest

from coldal_tui.project.project import Project
from coldal_tui.project.views.cluster_view import read_cluster_view
from coldal_tui.project.views.coverage import Coverage, first_picks
from coldal_tui.project.views.map_view import read_map_view
from coldal_tui.project.views.snapshot import take_snapshot


@pytest.fixture
def project(lab: Any) -> Project:
    """Six scans at x = 0 to 5 in two clusters; s00 and s04 are the first queue."""
    clusters = {f"s{n:02d}": int(n > 3) for n in range(6)}
    made: Project = lab.line(6, [("s00", "medoid"), ("s04", "medoid")], clusters)
    return made


def test_the_coverage_of_a_project(project: Project) -> None:
    project.store.execute(
        "INSERT INTO labels (scan_id, version, file, sha256, state, role, source, source_sha256, "
        "format, geometry, notes, voxels, created_at) VALUES "
        "('s00', 1, '', '', 'active', 'medoid', '', '', '', '{}', '[]', '{}', '')"
    )
    picks = first_picks(take_snapshot(project).queue)
    found = read_cluster_view(project, read_map_view(project), picks, 2)
    # Distances to s00 and s04: 0, 1, 2, 1, 0, 1; median 1: s00 covers itself and s01.
    assert found.coverage == Coverage(1.0, 2 / 6, (0.5, 0.0))
    assert not found.estimated


def test_silhouettes_of_a_sample_are_known_as_such(project: Project) -> None:
    project.store.update("rounds", {"round": 0}, params={"estimated": True, "notes": []})
    assert read_cluster_view(project, None, (), 2).estimated


def test_before_the_first_selection_nothing_is_known(lab: Any) -> None:
    found = read_cluster_view(lab.start(), None, (), 0)
    assert (found.coverage, found.estimated) == (None, False)
