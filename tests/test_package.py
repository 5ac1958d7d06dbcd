"""What is published: the sdist makes the same wheel, and the wheel runs where no source is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import click
import pytest

from coldal_tui.version import git_commit
from tests.support.places import ROOT, SAMPLE


def build(source: Path, out: Path, *targets: str) -> Path:
    """Build with the backend that pyproject.toml names; nothing is downloaded."""
    words = [word for target in targets for word in ("-t", target)]
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out), *words]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=300)
    return out


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("dist"), "sdist", "wheel")


def test_the_sdist_makes_the_same_wheel(built: Path, tmp_path: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as packed:
        packed.extractall(tmp_path, filter="data")
    again = build(next(tmp_path.iterdir()), tmp_path / "again", "wheel")
    names = [
        sorted(zipfile.ZipFile(next(folder.glob("*.whl"))).namelist()) for folder in (built, again)
    ]
    assert names[0] == names[1]
    assert {"coldal_tui/py.typed", "coldal_launch/worker.py"} <= set(names[0])
    assert sum(name.startswith("coldal_tui/sample_data/cxr/images/") for name in names[0]) == 60
    assert not any(name.startswith(("tests/", "docs/", "scripts/")) for name in names[0])
    assert ("coldal_tui/commit.txt" in names[0]) == bool(git_commit(ROOT))


@pytest.mark.e2e
def test_the_wheel_picks_a_queue_where_no_source_is(built: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    packages = next((tmp_path / "venv" / "lib").glob("python*")) / "site-packages"
    zipfile.ZipFile(next(built.glob("*.whl"))).extractall(packages)
    (packages / "others.pth").write_text(f"{Path(click.__file__).parents[1]}\n", "utf-8")
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words: str) -> str:
        main = "from coldal_tui.cli import main; main()"
        command = [tmp_path / "venv" / "bin" / "python", "-P", "-c", main, *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=bare, capture_output=True, text=True, timeout=1200
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = [str(tmp_path / "venv" / "bin" / "python"), "-P", "-c"]
    found = subprocess.run(
        [*where, "import coldal_tui, coldal_compute; print(coldal_tui.__file__)"],
        cwd=tmp_path,
        env=bare,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert Path(found.stdout.strip()).parent == packages / "coldal_tui"
    run("init", "lungs", "--images", str(SAMPLE / "cxr" / "images"), "--classes", "lung")
    run("select", "lungs", "--budget", "5", "--json")
    assert len(json.loads(run("queue", "lungs", "--json"))) == 5
