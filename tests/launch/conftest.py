"""Small projects whose jobs run on a cluster: a real one of one node, where it can be started."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from tests.support.on_ray import RayHere, missing_for_ray, two_nodes
from tests.support.on_slurm import (
    SCANS,
    missing_for_accounts,
    missing_for_slurm,
    sinfo,
    squeue,
    until,
)
from tests.support.places import ROOT
from tests.support.processes import PRETENDED

SCRIPT = ROOT / "scripts" / "slurm_on_this_machine.sh"


@contextmanager
def started_slurm(*words: str) -> Iterator[Path]:
    """The folder of a Slurm of one node with two processors."""
    # Not pytest's own folder: munged refuses one that only its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    command = [SCRIPT, "start", folder, "2", *words]
    # Its daemons must not hold a pipe of ours open.
    with (folder / "start.log").open("w+") as log:
        started = subprocess.run(command, stdout=log, stderr=log, check=False, timeout=600)
        log.seek(0)
        said = log.read()
    try:
        assert started.returncode == 0, said
        yield folder
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=False, timeout=600)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def slurm_folder() -> Iterator[Path]:
    """The folder of a Slurm without accounts, started for this session."""
    missing = missing_for_slurm()
    if missing:
        pytest.skip(missing)
    with started_slurm() as folder:
        yield folder


@pytest.fixture
def slurm_with_accounts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Slurm that keeps accounts, and soon forgets a job that has ended."""
    missing = missing_for_slurm() or missing_for_accounts()
    if missing:
        pytest.skip(missing)
    with started_slurm("accounts") as folder:
        monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        yield folder


@pytest.fixture
def slurm(slurm_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The cluster, empty, for the commands of this process and of those that it starts."""
    monkeypatch.setenv("SLURM_CONF", str(slurm_folder / "slurm.conf"))
    until(lambda: sinfo() == ["idle"], "an idle node", 60)
    yield slurm_folder
    subprocess.run(["scancel", "--me"], check=False, timeout=600)
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
def no_more_pauses(pretended: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], None]:
    """Call it when what was to be seen has been seen: the rest of the steps is quick."""
    pretended.setenv("PRETEND_HURRY", str(tmp_path / "hurry"))
    return (tmp_path / "hurry").touch


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
