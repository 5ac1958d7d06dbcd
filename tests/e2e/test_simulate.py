"""``simulate`` by real jobs: killed and resumed, in parts, from labels or masks, 2-D and 3-D."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import nibabel as nib
import numpy as np
import psutil
import pytest

from coldal_tui.simulation.cells import Cell, read_cell
from coldal_tui.simulation.design import CellId, Split

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("simulate"),
]

ASKED = (
    *("--strategies", "coldstart", "--budgets", 5, "--seeds", 2, "--validation", 2),
    *("--steps", 2, "--no-full", "--draws", 1),
)
CELLS = [
    CellId(seed, "cold", strategy, 5) for seed in (0, 1) for strategy in ("coldstart", "random")
]


@pytest.fixture(scope="module")
def embedded(cli, new_project) -> Path:
    """A project with its vectors; tests work on copies of it."""
    project = new_project("to-simulate")
    cli("embed", project)
    return project


@pytest.fixture(scope="module")
def fresh(base: Path, embedded: Path, cli) -> Callable[[str], Path]:
    """``fresh(name)``: the project once more, and agreed to."""

    def make(name: str) -> Path:
        made = Path(shutil.copytree(embedded, base / name))
        cli("trust", made, "--yes")
        return made

    return make


@pytest.fixture(scope="module")
def calm(cli, cxr, fresh) -> tuple[Path, dict[str, Any]]:
    """A simulation that nothing disturbed, and what it reported."""
    project = fresh("calm")
    return project, simulated(cli, project, "--masks", cxr / "masks", *ASKED)


def simulated(cli, *words: object) -> dict[str, Any]:
    """The report of a simulation; minutes are allowed, for machines that do much else."""
    report: dict[str, Any] = json.loads(cli("simulate", *words, "--json", timeout=2500).stdout)
    return report


def store_of(project: Path) -> Path:
    (found,) = (project / ".coldal" / "simulations").glob("*/setup.json")
    return found.parent


def cells_of(project: Path, ids: list[CellId] = CELLS) -> dict[str, Cell]:
    """All cells without how long they took and what made them."""
    found = {id.name: read_cell(store_of(project), id) for id in ids}
    assert None not in found.values()
    return {
        name: msgspec.structs.replace(cell, seconds={}, made={}, setup="")
        for name, cell in found.items()
        if cell is not None
    }


def figures(report: dict[str, Any]) -> Any:
    """What a report says of the arms, without seconds."""

    def bare(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: bare(value) for key, value in part.items() if key != "seconds"}
        return [bare(value) for value in part] if isinstance(part, list) else part

    return bare(report["groups"])


def files_of(project: Path) -> dict[str, int]:
    """Finished cells and when they were written."""
    folder = project / ".coldal" / "simulations"
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*/cells/*.json")}


def simulating(project: Path) -> list[psutil.Process]:
    """Workers of simulations in a project."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if any("coldal_launch.worker" in word for word in words) and any(
            word.startswith(str(project)) and "simulate" in word for word in words
        ):
            found.append(process)
    return found


def start(cli, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        cli.command(*words),
        cwd=cli.cwd,
        env=cli.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_report_for_people_and_for_programs(cli, calm) -> None:
    project, report = calm
    assert [arm["arm"] for arm in report["groups"]["cold"]["arms"]] == ["coldstart", "random"]
    names = {Path(path).suffix for path in report["files"]}
    assert names >= {".csv", ".json", ".svg", ".png", ".md"}
    assert all(Path(path).stat().st_size for path in report["files"])
    assert report["answers"]
    # Nothing of it is a label, a round or a run of the project.
    state = cli.json("status", project)
    assert (state["labels"], state["rounds"], state["runs"]) == (0, [], [])


def test_a_killed_worker_goes_on_after_its_last_cell(cli, cxr, fresh, calm, wait_until) -> None:
    project = fresh("killed")
    going = start(cli, "simulate", project, "--masks", cxr / "masks", *ASKED, "--json")
    wait_until(lambda: files_of(project), "a cell", 300)
    (worker,) = wait_until(lambda: simulating(project), "the worker")
    os.kill(worker.pid, signal.SIGKILL)
    before = files_of(project)
    out, err = going.communicate(timeout=2500)
    if going.returncode:
        # Where a killed worker is not started again by itself, --resume does it.
        simulated(cli, project, "--resume")
    assert 1 <= len(before) < len(CELLS), err
    after = files_of(project)
    assert {name: after[name] for name in before} == before
    assert cells_of(project) == cells_of(calm[0])
    assert figures(simulated(cli, project, "--resume")) == figures(calm[1])
    assert files_of(project) == after, out


def test_a_power_cut_is_gone_on_with(cli, cxr, fresh, calm, wait_until) -> None:
    """Worker, supervisor and command die at once; --resume does what is left."""
    project = fresh("cut")
    going = start(cli, "simulate", project, "--masks", cxr / "masks", *ASKED, "--json")
    wait_until(lambda: files_of(project), "a cell", 300)
    doomed = [going.pid, *(process.pid for process in simulating(project))]
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        ours = any(word == str(project) for word in words)
        if ours and any("coldal_tui.scheduler.supervisor" in word for word in words):
            doomed.append(process.pid)
    assert len(doomed) == 3
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)
    going.communicate()
    before = files_of(project)
    assert 1 <= len(before) < len(CELLS)
    report = simulated(cli, project, "--resume")
    assert {name: files_of(project)[name] for name in before} == before
    assert cells_of(project) == cells_of(calm[0])
    assert figures(report) == figures(calm[1])


def test_two_jobs_that_share_the_cells_find_the_same(cli, cxr, fresh, calm) -> None:
    project = fresh("parts")
    report = simulated(cli, project, "--masks", cxr / "masks", *ASKED, "--shards", 2)
    jobs = [job for job in cli.json("jobs", project) if job["kind"] == "simulate"]
    assert len(jobs) == 2
    assert cells_of(project) == cells_of(calm[0])
    assert figures(report) == figures(calm[1])


def test_labels_of_the_project_serve_as_well_as_a_folder(cli, cxr, fresh, calm) -> None:
    project = fresh("labels")
    cli("import-masks", project, cxr / "masks")
    before = {path.name: path.read_bytes() for path in (project / "labels").glob("*.png")}
    assert len(before) == 24
    report = simulated(cli, project, *ASKED)
    assert figures(report) == figures(calm[1])
    after = {path.name: path.read_bytes() for path in (project / "labels").glob("*.png")}
    assert after == before


def test_a_folder_is_taken_where_there_are_labels_too(cli, cxr, copy_of) -> None:
    """The project has six labels; the folder has a mask of every scan."""
    project = copy_of("both")
    simulated(
        cli,
        *(project, "--masks", cxr / "masks", "--strategies", "coldstart"),
        *("--budgets", 5, "--seeds", 1, "--steps", 2, "--no-full"),
    )
    split = split_of(project, 0)
    assert len({*split.test, *split.validation, *split.pool, *split.unused}) == 24
    assert cli.json("status", project)["labels"] == 6


def split_of(project: Path, seed: int) -> Split:
    path = store_of(project) / f"seed-{seed:03d}" / "split.json"
    return msgspec.json.decode(path.read_bytes(), type=Split)


def test_volumes_of_patients_with_two_scans_each(cli, base) -> None:
    lab = base / "volumes"
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    for name in ("images", "masks"):
        (lab / name).mkdir(parents=True)
    with (lab / "patients.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["filename", "patient_id"])
        for n in range(16):
            name = f"vol{n:02d}.nii.gz"
            pixels, inside = _ball(n)
            nib.save(nib.Nifti1Image(pixels, affine), lab / "images" / name)
            nib.save(nib.Nifti1Image(inside.astype(np.uint8), affine), lab / "masks" / name)
            table.writerow([name, f"p{n // 2}"])
    cli(
        *("init", "volumes-project", "--images", lab / "images", "--classes", "ball"),
        *("--budget", 8, "--patients", lab / "patients.csv"),
    )
    project = base / "volumes-project"
    report = simulated(
        cli,
        *(project, "--masks", lab / "masks", "--strategies", "kmeans"),
        *("--rounds", 1, "--round0", 3, "--batch", 1, "--validation", 1),
        *("--seeds", 2, "--steps", 2, "--no-full"),
    )
    assert report["groups"]["active"]["unit"] == "mm"
    for seed in (0, 1):
        split = split_of(project, seed)
        sides = [
            {int(scan_id[-2:]) // 2 for scan_id in part}
            for part in (split.test, split.validation, split.pool)
        ]
        assert all(sides)
        assert sum(map(len, sides)) == len(set.union(*sides)) == 8
    # Both arms of a seed go on from the same first queue.
    firsts = {
        (cell.id.seed, cell.train[:2])
        for path in (store_of(project) / "cells").glob("*-r1.json")
        if (cell := _cell(path)) is not None
    }
    assert len(firsts) == 2


def _cell(path: Path) -> Cell:
    return msgspec.json.decode(
        msgspec.json.encode(msgspec.json.decode(path.read_bytes())["cell"]), type=Cell
    )


def _ball(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    i, j, k = np.mgrid[:20, :24, :16]
    centre = rng.uniform(8, 12, 3)
    inside = np.sqrt((i - centre[0]) ** 2 + (j - centre[1]) ** 2 + (2 * (k - 8)) ** 2) < 6
    return (100 + 300 * inside + rng.normal(0, 30, inside.shape)).astype(np.int16), inside
