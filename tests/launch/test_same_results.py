"""The same jobs on this machine, on Slurm and on Ray: receipts that differ in nothing but time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from coldal_tui.jobs.spec import Receipt
from coldal_tui.project.job_rows import Job, list_jobs
from coldal_tui.project.layout import Layout
from coldal_tui.project.project import Project
from coldal_tui.project.settings.config import edit_config
from coldal_tui.scheduler.supervisor import supervisor_running
from tests.support.on_slurm import until

SCANS = 40
SIDE = 48
STEPS = 12
SETTINGS: dict[str, dict[tuple[str, str], Any]] = {
    "local": {},
    "slurm": {("backend", "slurm"): {"array": 2, "cpus": 1}},
    "ray": {},
}


def coldal_tui(*words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "coldal_tui", *map(str, words)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=2000,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def draw(folder: Path) -> None:
    """Pictures of a bright disc, and masks of where it is."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:SIDE, :SIDE]
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for number in range(SCANS):
        cy, cx, radius = rng.integers(14, 34), rng.integers(14, 34), rng.integers(6, 12)
        disc = (y - cy) ** 2 + (x - cx) ** 2 < radius**2
        noise = rng.integers(0, 90, (SIDE, SIDE))
        Image.fromarray((noise + 120 * disc).astype(np.uint8)).save(
            folder / "images" / f"s{number:02d}.png"
        )
        Image.fromarray(disc.astype(np.uint8)).save(folder / "masks" / f"s{number:02d}.png")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    draw(folder)
    return folder


def chain(backend: str, drawn: Path, folder: Path) -> dict[str, Receipt]:
    """Embed, map, select, label, train and score on a backend; the receipts by kind of job."""
    root = folder / "project"
    coldal_tui("init", root, "--images", drawn / "images", "--classes", "disc", "--budget", 12)
    changes: dict[tuple[str, str], Any] = {
        ("train", "steps"): STEPS,
        ("train", "patch"): (32, 32),
        ("validation", "folds"): 0,
        ("backend", "threads"): 1,
        ("backend", "device"): "cpu",
        ("backend", "name"): backend,
    }
    edit_config(root / "coldal.toml", changes | SETTINGS[backend])
    coldal_tui("select", root, "--budget", 6)
    exported = json.loads(coldal_tui("export-queue", root, "--json"))
    masks = Path(exported["folder"]) / "masks"
    for scan_id in exported["scans"]:
        shutil.copyfile(drawn / "masks" / f"{scan_id}.png", masks / f"{scan_id}.png")
    coldal_tui("import-masks", root, masks)
    coldal_tui("train", root)
    coldal_tui("score", root)
    until(lambda: not supervisor_running(Layout(root)), "the supervisor to go")
    with Project(root) as project:
        jobs = list_jobs(project)
        assert {job.backend for job in jobs if job.kind != "index"} == {backend}
        return {job.kind: comparable(job) for job in jobs if job.folder.receipt() is not None}


def comparable(job: Job) -> Receipt:
    """A receipt without the time it took and the checkpoints, which name the folder they lie in."""
    receipt = job.folder.receipt()
    assert receipt is not None
    outputs = tuple(one for one in receipt.outputs if not one.path.endswith(".ckpt"))
    return msgspec.structs.replace(receipt, seconds=0.0, outputs=outputs)


@pytest.fixture(scope="module")
def here(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Receipt]:
    """The receipts of this machine."""
    return chain("local", drawn, tmp_path_factory.mktemp("here"))


@pytest.fixture
def cluster(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a backend whose cluster is there."""
    if request.param == "slurm":
        request.getfixturevalue("slurm")
    if request.param == "ray":
        address = request.getfixturevalue("ray_cluster").address
        monkeypatch.setenv("RAY_API_SERVER_ADDRESS", address)
    return str(request.param)


@pytest.mark.e2e
@pytest.mark.xdist_group("ray")
@pytest.mark.parametrize("cluster", ["slurm", "ray"], indirect=True)
def test_a_backend_gives_the_results_of_this_machine(cluster, drawn, tmp_path, request) -> None:
    there = chain(cluster, drawn, tmp_path)
    # Only now: where there is no cluster, nothing is to be compared.
    here = request.getfixturevalue("here")
    assert sorted(there) == ["embed", "map", "score", "select", "train"]
    assert there == here
