"""docs/first-hour.md: its commands are run as they stand; the labelers are played between.

Trainings are short, or wait: whole ones are in test_loop.py. Names of scans on the page are those
of the picks of one machine; where this one picks others, its own take their place. In the DICOM
walk the classes are those that the other package's writer draws.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from coldal_tui.project.project import Project
from coldal_tui.project.settings.config import edit_config
from tests.cli.conftest import call
from tests.support.places import ROOT, SAMPLE
from tests.support.small_projects import Call, Result
from tests.support.third_party import Drawing, write_dicom_seg

PAGE = (ROOT / "docs" / "first-hour.md").read_text("utf-8")
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
QUICK = {("train", "steps"): 2, ("validation", "folds"): 0}
SHORT = QUICK | {("train", "patch"): (64, 64)}

__all__ = ["call"]


def commands(title: str) -> list[list[str]]:
    """The commands of a section, each as words."""
    (section,) = re.findall(rf"^## {title}.*?\n(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
    lines = "\n".join(BLOCK.findall(section)).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


@pytest.fixture
def here(base: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with the source's data and scripts in it, as a checkout has."""
    folder = base / request.node.name
    folder.mkdir()
    for name in ("sample_data", "scripts"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture
def run(call: Call, here: Path) -> Callable[..., Result]:
    """Run a command of the page, which must end well."""

    def one(words: list[str], changed: dict[str, str]) -> Result:
        words = [changed.get(word, word) for word in words]
        if words[0] == "python":
            subprocess.run([sys.executable, *words[1:]], cwd=here, check=True, timeout=300)
            return Result("", "", 0)
        assert words[0] == "coldal-tui"
        done = call(*words[1:], cwd=here)
        assert done.status == 0, f"{words}: {done.out}{done.err}"
        return done

    return one


def _rows(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((folder / "manifest.json").read_text())["items"]
    return rows


def _draw_pictures(out: Path) -> list[str]:
    """Ben draws a little lower; Ana saves one that only she has at half size. Both's scans."""
    scans = {who: {row["scan_id"] for row in _rows(out / who)} for who in ("ana", "ben")}
    for who, ids in scans.items():
        for scan in ids:
            mask = np.array(Image.open(SAMPLE / "cxr" / "masks" / f"{scan}.png"))
            moved = np.roll(mask, 3, axis=0) if who == "ben" else mask
            Image.fromarray(moved).save(out / who / "masks" / f"{scan}.png")
    alone = min(scans["ana"] - scans["ben"])
    wrong = Image.open(out / "ana" / "masks" / f"{alone}.png")
    wrong.resize((wrong.width // 2, wrong.height // 2), Image.Resampling.NEAREST).save(
        out / "ana" / "masks" / f"{alone}.png"
    )
    return sorted(scans["ana"] & scans["ben"])


def _mend(out: Path) -> None:
    for path in (out / "ana" / "masks").iterdir():
        if Image.open(path).size != Image.open(SAMPLE / "cxr" / "masks" / path.name).size:
            shutil.copyfile(SAMPLE / "cxr" / "masks" / path.name, path)


@pytest.mark.e2e
def test_pictures(run: Callable[..., Result], call: Call, here: Path) -> None:
    changed: dict[str, str] = {}
    said: dict[str, list[str]] = {}
    for words in commands("Pictures"):
        name = words[1]
        if name == "next":
            edit_config(here / "lungs" / "coldal.toml", SHORT)
        if name == "import-masks" and len(said.get(name, ())) == 2:
            _mend(here / "to-label")
        done = run(words, changed)
        said.setdefault(name, []).append(done.out + done.err)
        if name == "select":
            first = call("queue", "lungs", "--json", cwd=here).json[0]["scan_id"]
            changed["cxr_p039_1"] = first
        if name == "export-queue":
            both = _draw_pictures(here / "to-label")
            changed |= dict(zip(("cxr_p012_1", "cxr_p019_2"), both, strict=True))
    assert "wrong-size" in said["import-masks"][1]
    assert "ana and ben differ" in said["import-masks"][1]
    assert "accepted: 1 mask" in said["import-masks"][2]
    status = call("status", "lungs", "--json", cwd=here).json
    assert (status["budget"]["labelled"], status["budget"]["queued"]) == (8, 8)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on no supervisor is started: jobs wait."""

    def wait() -> None:
        for module in ("follow", "supervisor"):
            monkeypatch.setattr(
                f"coldal_tui.scheduler.{module}.ensure_supervisor", lambda layout: None
            )

    return wait


@pytest.mark.e2e
def test_volumes(
    run: Callable[..., Result], call: Call, here: Path, waiting: Callable[[], None]
) -> None:
    for words in commands("Volumes"):
        if words[1] == "next":
            edit_config(here / "hippocampus" / "coldal.toml", QUICK)
            waiting()
        done = run(words, {})
        if words[1] == "export-queue":
            for row in _rows(here / "to-label-3d"):
                source = SAMPLE / "volumes" / "labels" / f"{row['scan_id']}.nii.gz"
                shutil.copy(source, here / "to-label-3d" / "masks")
        if words[1] == "import-masks":
            assert "accepted: 5 masks" in done.out
    jobs = call("jobs", "hippocampus", "--json", cwd=here).json
    after_select = [one["kind"] for one in jobs][3:9]
    assert after_select == ["embed", "map", "train", "score", "select", "predict"]


@pytest.mark.e2e
def test_dicom(
    run: Callable[..., Result], call: Call, here: Path, waiting: Callable[[], None]
) -> None:
    said = {}
    for words in commands("DICOM"):
        if words[1] == "next":
            edit_config(here / "mr" / "coldal.toml", QUICK)
            waiting()
        done = run(words, {"anterior,posterior": "organ,tumour"})
        said[words[1]] = done.out + done.err
        if words[1] == "export-queue":
            _draw_series(here / "to-label-mr", here)
    assert "11 scans indexed" in said["init"]
    assert "missing-slice" in said["index"]
    assert "accepted: 5 masks" in said["import-masks"]
    assert "it is an image of the export" in said["import-masks"]
    with Project(here / "mr", readonly=True) as project:
        patients = {scan.patient_id for scan in project.scans()}
    assert patients == {f"mr-{number:02}" for number in (1, 3, *range(5, 12))}


def _draw_series(out: Path, here: Path) -> None:
    for row in _rows(out):
        (number,) = re.findall(r"study(\d\d)", row["scan_id"])
        label = nib.load(SAMPLE / "volumes" / "labels" / f"brain_{number}.nii.gz")
        drawing = Drawing(np.asarray(label.dataobj).astype(np.uint8), label.affine)
        write_dicom_seg(out, row, drawing)
        (out / "masks" / "segmentation.dcm").rename(out / "masks" / f"{number}.dcm")
