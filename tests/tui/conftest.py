"""Small projects for the screens, made by the same functions as those of the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))

from small_projects import add_round, make_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Six scans, nothing selected."""
    return make_project(tmp_path)


@pytest.fixture
def queued(project: Path) -> Path:
    """The same with a round 0: two clusters, scan_0 to scan_2 queued."""
    add_round(project)
    return project
