"""Small projects for the screens, made by the same functions as those of the command line."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))

from small_projects import add_round, make_project


@pytest.fixture(scope="session")
def plain_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: a copy costs none of the waiting for the disk that a new database does."""
    return make_project(tmp_path_factory.mktemp("plain")).parent


@pytest.fixture(scope="session")
def queued_template(plain_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("queued") / "copy"
    shutil.copytree(plain_template, folder)
    add_round(folder / "lungs")
    return folder


@pytest.fixture
def project(plain_template: Path, tmp_path: Path) -> Path:
    """A project of six scans, nothing selected; its images lie beside it."""
    shutil.copytree(plain_template, tmp_path, dirs_exist_ok=True)
    return tmp_path / "lungs"


@pytest.fixture
def queued(project: Path, queued_template: Path) -> Path:
    """The same project with a round 0: two clusters, scan_0 to scan_2 queued."""
    shutil.rmtree(project)
    shutil.copytree(queued_template / "lungs", project)
    return project
