"""The loop on real scans, through the command line: what a lab would see."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from coldal_tui.project.project import Project
from coldal_tui.project.settings.config import edit_config
from tests.support.places import DATA

pytestmark = [
    pytest.mark.real,
    pytest.mark.xdist_group("real-loops"),
    pytest.mark.skipif(not DATA.is_dir(), reason="no real data in ../shared/data"),
]


def _run(*words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "coldal_tui", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=2000,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout


def _json(*words: object) -> Any:
    return json.loads(_run(*words, "--json"))


def _no_folds(project: Path) -> None:
    """No cross-fitting, which would go on after the test."""
    edit_config(project / "coldal.toml", {("validation", "folds"): 0})


def _labels(folder: Path, picked: Iterable[dict[str, Any]], masks: Path, name: str) -> Path:
    """Play the labeler: the masks of the picked scans, under the names that they came with."""
    folder.mkdir()
    for item in picked:
        image = Path(item["path"]).name
        stem = image.removesuffix(".nii.gz").removesuffix(Path(image).suffix)
        mask = name.format(stem=stem)
        shutil.copyfile(masks / mask, folder / mask)
    return folder


def _dice(measured: dict[str, Any]) -> dict[str, float]:
    return {name: round(values["dice"], 3) for name, values in measured["classes"].items()}


def test_chest_radiographs(tmp_path: Path) -> None:
    """Budget 30: 20 by cold start, 10 by entropy and diversity, default training."""
    data, project = DATA / "cxr", tmp_path / "cxr"
    _run(
        *("init", project, "--images", data / "images", "--classes", "lung"),
        *("--ignore-value", 127, "--budget", 30, "--patients", data / "metadata.csv"),
    )
    _no_folds(project)
    first = _json("select", project, "--budget", 20)
    assert len(first) == 20
    masks = _labels(tmp_path / "first", first, data / "masks", "{stem}.png")
    assert len(_json("import-masks", project, masks)["accepted"]) == 20
    second = _json("next", project, "--batch", 10)
    assert len(second) == 10
    masks = _labels(tmp_path / "second", second, data / "masks", "{stem}.png")
    assert len(_json("import-masks", project, masks)["accepted"]) == 10
    _run("train", project)
    measured = _json("evaluate", project, "--masks", data / "masks")
    assert measured["scans"] > 150
    assert measured["mean"]["dice"] >= 0.88
    assert measured["classes"]["lung"]["unit"] == "px"
    status = _json("status", project)
    assert [run["labels"] for run in status["runs"]] == [20, 30]
    assert status["budget"]["left"] == 0


def test_hippocampus(tmp_path: Path) -> None:
    """Two classes in volumes of 1 mm; labels 010 and 281 have no image."""
    data, project = DATA / "hippocampus", tmp_path / "hippocampus"
    _run(
        *("init", project, "--images", data / "images"),
        *("--classes", "anterior,posterior", "--budget", 12),
    )
    _no_folds(project)
    picked = _json("select", project, "--budget", 12)
    masks = _labels(tmp_path / "labels", picked, data / "labels", "{stem}.nii.gz")
    orphans = [path for path in data.glob("labels/*") if path.name.split(".")[0][-3:] in ORPHANS]
    for path in orphans:
        shutil.copyfile(path, masks / path.name)
    taken = _json("import-masks", project, masks)
    assert len(taken["accepted"]) == 12
    assert sorted(Path(one["file"]).name for one in taken["unmatched"]) == sorted(
        path.name for path in orphans
    )
    assert len(orphans) == 2
    _run("train", project)
    measured = _json("evaluate", project, "--masks", data / "labels")
    assert measured["classes"]["anterior"]["unit"] == "mm"
    assert min(_dice(measured).values()) >= 0.7, _dice(measured)


ORPHANS = ("010", "281")


def test_retina(tmp_path: Path) -> None:
    """Vessels; masks named after the first of two raters."""
    data, project = DATA / "retina_chasedb1", tmp_path / "retina"
    _run(
        *("init", project, "--images", data / "images", "--classes", "vessel"),
        *("--budget", 8, "--patients", r"^Image_(\d+)[LR]"),
    )
    _no_folds(project)
    picked = _json("select", project, "--budget", 8)
    masks = _labels(tmp_path / "labels", picked, data / "masks", "{stem}_1stHO.png")
    taken = _json("import-masks", project, masks, "--match", "{stem}_1stHO")
    assert len(taken["accepted"]) == 8
    _run("train", project, "--steps", 60)
    measured = _json("evaluate", project, "--masks", data / "masks", "--match", "{stem}_1stHO")
    assert measured["mean"]["dice"] > 0.3


def test_dicom_of_all_kinds(tmp_path: Path) -> None:
    """Every file is a part of a scan, or listed with the reason why it is not."""
    data, path = DATA / "dicom", tmp_path / "dicom"
    _run("init", path, "--images", data)
    report = _json("index", path)
    reasons = {one["file"]: one["reason"] for one in report["problems"]}
    assert all(reasons.values())
    with Project(path) as project:
        used = {name for scan in project.scans() for name in scan.files}
    there = {file.relative_to(data).as_posix() for file in data.rglob("*") if file.is_file()}
    assert report["scans"] > 0
    assert there - used - set(reasons) == set()
    assert used & set(reasons) == set()
