"""Formats of a release, read back by other libraries: nnU-Net's rules, COCO, BIDS."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from coldal_tui.errors import UsageError
from coldal_tui.exchange.release.assembling import assemble
from coldal_tui.exchange.release.bids import subjects_of
from coldal_tui.exchange.release.case import Case
from coldal_tui.exchange.release.checksums import verify_release
from coldal_tui.exchange.release.data_card import Facts
from coldal_tui.exchange.release.formats import release_format
from coldal_tui.imaging.labelfile import IGNORE_LABEL
from tests.support.labelled_scans import META, SHAPE, picture, ring, volume, with_label

FACTS = Facts(
    name="brains", program="coldal-tui", created="2026-03-01T09:30:00+01:00", licence="CC0",
    format="", classes=META.classes, ignored=True, scans=3, patients=2, held_out=1,
    held_out_patients=1, folds=(1, 1), folds_seed=0, flow=(), rounds=(), unqueued=3,
    encoder=None, raters={"unknown": 3}, overlap=0,
)  # fmt: skip


def marked() -> np.ndarray:
    """The two classes, and three ignored voxels in slice 2."""
    label = ring(SHAPE)
    label[0, 0:3, 2] = IGNORE_LABEL
    return label


def volumes(folder: Path) -> list[Case]:
    """Three volumes: two to train on, of patients a and b, one held out."""
    items = [
        with_label(replace(volume(folder, scan_id=f"v{n}"), rank=n), folder, marked())
        for n in (1, 2, 3)
    ]
    return [
        Case(items[0], "a", fold=0),
        Case(items[1], "b", fold=1),
        Case(items[2], "c", held_out=True),
    ]


def made(folder: Path, cases: list[Case], name: str, suffix: str | None = None) -> Path:
    out = folder / "Dataset123_Brains"
    layout = release_format(name, cases, suffix)
    assemble(out, cases, META, layout, replace(FACTS, format=name))
    assert verify_release(out).whole
    return out


def test_nnunet_volumes_pass_nnunets_own_rules(tmp_path):
    out = made(tmp_path, volumes(tmp_path), "nnunet")
    check_nnunet(out)
    values = np.unique(sitk.GetArrayFromImage(sitk.ReadImage(out / "labelsTr" / "v1.nii.gz")))
    assert values.tolist() == [0, 1, 2, 3]
    assert json.loads((out / "splits_final.json").read_text()) == [
        {"train": ["v2"], "val": ["v1"]},
        {"train": ["v1"], "val": ["v2"]},
    ]


def check_nnunet(out: Path) -> None:
    """The checks of ``nnunetv2.experiment_planning.verify_dataset_integrity``, with SimpleITK."""
    data = json.loads((out / "dataset.json").read_text())
    ending = data["file_ending"]
    allowed = sorted(data["labels"].values())
    assert allowed == list(range(len(allowed)))
    if "ignore" in data["labels"]:
        assert data["labels"]["ignore"] == allowed[-1]
    images = sorted((out / "imagesTr").iterdir())
    cases = {path.name.removesuffix(ending).rpartition("_")[0] for path in images}
    assert len(cases) == data["numTraining"]
    for case in cases:
        label = sitk.ReadImage(out / "labelsTr" / f"{case}{ending}")
        assert set(np.unique(sitk.GetArrayFromImage(label))) <= set(allowed)
        for channel in data["channel_names"]:
            image = sitk.ReadImage(out / "imagesTr" / f"{case}_{int(channel):04d}{ending}")
            assert image.GetSize() == label.GetSize()
            assert np.allclose(image.GetSpacing(), label.GetSpacing())
            assert np.allclose(image.GetOrigin(), label.GetOrigin(), atol=1e-3)
            assert np.allclose(image.GetDirection(), label.GetDirection(), atol=1e-4)
            assert not np.isnan(sitk.GetArrayFromImage(image)).any()


def test_nnunet_itself_accepts_it(tmp_path):
    """Set NNUNET_PYTHON to the Python of an environment that has nnunetv2."""
    python = os.environ.get("NNUNET_PYTHON")
    if python is None:
        pytest.skip("NNUNET_PYTHON names no environment with nnunetv2")
    out = made(tmp_path, volumes(tmp_path), "nnunet")
    check = "from nnunetv2.experiment_planning.verify_dataset_integrity import *\n"
    check += f"if __name__ == '__main__': verify_dataset_integrity({str(out)!r}, 1)\n"
    (tmp_path / "check.py").write_text(check)
    done = subprocess.run(
        [python, str(tmp_path / "check.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verify_dataset_integrity Done" in done.stdout
    assert "Warning" not in done.stdout


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_masks_are_the_labels_pixel_for_pixel(tmp_path):
    from pycocotools.coco import COCO

    item = picture(tmp_path)
    label = ring((7, 9))
    label[6, 7:9] = IGNORE_LABEL
    cases = [
        Case(with_label(item, tmp_path, label), "a", fold=0),
        Case(replace(picture(tmp_path, name="other"), rank=2), "b", held_out=True),
    ]
    out = made(tmp_path, cases, "coco")
    train = COCO(str(out / "annotations" / "instances_train.json"))
    (image,) = train.loadImgs(train.getImgIds())
    assert (image["file_name"], image["license"]) == ("photo.png", 1)
    masks = {
        one["category_id"]: (train.annToMask(one), one["iscrowd"])
        for one in train.loadAnns(train.getAnnIds())
    }
    for value in (1, 2):
        assert np.array_equal(masks[value][0] == 1, label == value)
        assert masks[value][1] == 0
    assert np.array_equal(masks[3][0] == 1, label == IGNORE_LABEL)
    assert masks[3][1] == 1
    assert [one["name"] for one in train.loadCats(train.getCatIds())] == [*META.classes, "ignore"]
    test = json.loads((out / "annotations" / "instances_test.json").read_text())
    assert [one["file_name"] for one in test["images"]] == ["other.png"]


def test_bids_has_subjects_runs_and_a_derivative_with_the_labels(tmp_path):
    cases = volumes(tmp_path)
    cases[1] = replace(cases[1], patient="a", fold=0)
    out = made(tmp_path, cases, "bids", "T2w")
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.nii.gz"))
    assert files == [
        "derivatives/labels/sub-a/anat/sub-a_run-1_space-orig_dseg.nii.gz",
        "derivatives/labels/sub-a/anat/sub-a_run-2_space-orig_dseg.nii.gz",
        "derivatives/labels/sub-c/anat/sub-c_space-orig_dseg.nii.gz",
        "sub-a/anat/sub-a_run-1_T2w.nii.gz",
        "sub-a/anat/sub-a_run-2_T2w.nii.gz",
        "sub-c/anat/sub-c_T2w.nii.gz",
    ]
    assert (out / "participants.tsv").read_text() == (
        "participant_id\tsubset\tfold\nsub-a\ttraining\t0\nsub-c\theld_out\tn/a\n"
    )
    assert (out / "derivatives/labels/dseg.tsv").read_text() == (
        "index\tname\n0\tbackground\n1\torgan\n2\ttumour\n127\tignore\n"
    )


def test_the_bids_validator_finds_no_error(tmp_path):
    validator = shutil.which("bids-validator")
    if validator is None:
        pytest.skip("bids-validator (npm) is not installed")
    out = made(tmp_path, volumes(tmp_path), "bids", "T1w")
    done = subprocess.run(
        [validator, "--json", str(out)], capture_output=True, text=True, check=False
    )
    assert json.loads(done.stdout)["issues"]["errors"] == []


def test_bids_refuses_what_it_can_not_name(tmp_path):
    with pytest.raises(UsageError, match="don't state theirs: v1"):
        made(tmp_path, volumes(tmp_path), "bids")
    with pytest.raises(UsageError, match="no place for pictures"):
        made(tmp_path, [Case(picture(tmp_path), "a", fold=0)], "bids", "T1w")
    with pytest.raises(UsageError, match="called 'T9w'"):
        made(tmp_path, volumes(tmp_path), "bids", "T9w")
    assert not (tmp_path / "Dataset123_Brains").exists()


def test_subjects_stay_apart_when_only_signs_or_case_differ():
    assert subjects_of(["a-1", "a_1", "A1", "scan:b", "é"]) == {
        "A1": "A1",
        "a-1": "a1x2",
        "a_1": "a1x3",
        "scan:b": "b",
        "é": "subject",
    }
