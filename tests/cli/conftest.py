"""Small projects, and the command line as a function that returns what a shell would see."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_projects import Call, Result, add_round, make_project

from coldal_tui.cli import main


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run ``coldal-tui`` with these words, in ``cwd`` if given, without a terminal."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*words: object, cwd: Path | None = None) -> Result:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["coldal-tui", *map(str, words)])
            if cwd is not None:
                patch.chdir(cwd)
            with pytest.raises(SystemExit) as end:
                main()
        captured = capsys.readouterr()
        return Result(captured.out, captured.err, int(end.value.code or 0))

    return run


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


@pytest.fixture
def images(project: Path) -> Path:
    """Six pictures, scan_0.png to scan_5.png."""
    return project.parent / "images"
