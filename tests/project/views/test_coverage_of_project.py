"""What is known of the clusters of a project: their coverage, and how k was chosen."""

from __future__ import annotations

from typing import Any

import pytest

from coldal_tui.project.project import Project
from coldal_tui.project.views.coverage import Coverage, first_picks, map_coverage
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
    found = map_coverage(read_map_view(project), picks, 2)
    # Distances to s00 and s04: 0, 1, 2, 1, 0, 1; median 1: s00 covers itself and s01.
    assert found == Coverage(1.0, 2 / 6, (0.5, 0.0))


def test_silhouettes_of_a_sample_are_known_as_such(project: Project) -> None:
    assert not take_snapshot(project).rounds[0].estimated
    project.store.update("rounds", {"round": 0}, params={"estimated": True, "notes": []})
    assert take_snapshot(project).rounds[0].estimated
