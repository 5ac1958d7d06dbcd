"""Small projects whose jobs run on a cluster: a real one of one node, where it can be started."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "jobs"))

from on_ray import RayHere, missing_for_ray, two_nodes
from on_slurm import SCANS, missing_for_slurm, sinfo, squeue, until
from processes import PRETENDED

from coldal_tui.project.indexing import reindex
from coldal_tui.project.project import Project

SCRIPT = Path(__file__).parents[2] / "scripts" / "slurm_on_this_machine.sh"


@pytest.fixture(scope="session")
def slurm_folder() -> Iterator[Path]:
    """The folder of a Slurm of one node with two processors, started for this session."""
    missing = missing_for_slurm()
    if missing:
        pytest.skip(missing)
    # Not pytest's own folder: munged refuses one that only its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    started = subprocess.run(
        [SCRIPT, "start", folder, "2"], capture_output=True, text=True, check=False, timeout=60
    )
    try:
        assert started.returncode == 0, started.stderr
        yield folder
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=False, timeout=90)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def slurm(slurm_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The cluster, empty, for the commands of this process and of those that it starts."""
    monkeypatch.setenv("SLURM_CONF", str(slurm_folder / "slurm.conf"))
    until(lambda: sinfo() == ["idle"], "an idle node", 60)
    yield slurm_folder
    subprocess.run(["scancel", "--me"], check=False, timeout=60)
    until(lambda: not squeue(), "an empty queue of Slurm", 60)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayHere]:
    """A Ray of two nodes with one processor each, started for this session."""
    missing = missing_for_ray()
    if missing:
        pytest.skip(missing)
    with two_nodes() as here:
        yield here


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Workers do pretended steps; set PRETEND_… to say how."""
    monkeypatch.setenv("PYTHONPATH", str(PRETENDED))
    monkeypatch.setenv("PRETEND_STEPS", "1")
    return monkeypatch


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project of twenty pictures: five shards of pretended vectors."""
    (tmp_path / "images").mkdir()
    for number in range(SCANS):
        pixels = np.full((4, 4), number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"s{number:02d}.png")
    with Project.create(tmp_path / "project", tmp_path / "images") as project:
        reindex(project)
        yield project
