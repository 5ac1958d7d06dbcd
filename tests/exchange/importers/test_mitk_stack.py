"""MITK's segmentation stacks: a JSON and its images, as MITK's page on the format shows them."""

from __future__ import annotations

import json

import nibabel as nib
import nrrd
import numpy as np
import pytest

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.importing import examine

SHAPE = (4, 5, 3)
AFFINE = np.diag([-1.0, -2.0, 3.0, 1.0])
TARGETS = [ScanTarget("a", SHAPE, ("a.nii.gz",), tuple(map(tuple, AFFINE.tolist())))]
CLASSES = ("vessel", "muscle", "bone")
LPS = {
    "space": "left-posterior-superior",
    "space directions": np.diag([1.0, 2.0, 3.0]),
    "space origin": np.zeros(3),
}


def box(value: int, *where: slice) -> np.ndarray:
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[where] = value
    return drawn


BONE, MUSCLE, VESSEL = np.s_[0:2, :, 1], np.s_[3, :, 1], np.s_[1, 2, :]
HOLE = (0, 2, 1)


def label(name: str, value: int, **more) -> dict:
    about = {"color": [0.8, 0.1, 0.1], "locked": True, "opacity": 0.6, "visible": True}
    return {"name": name, "value": value, "tracking_id": str(value)} | about | more


def stack(folder, *groups: dict):
    path = folder / "a.mitklabel.json"
    document = {
        "type": "org.mitk.multilabel.segmentation.stack",
        "version": 3,
        "uid": "x",
        "groups": list(groups),
        "properties": {},
    }
    path.write_text(json.dumps(document, indent=4))
    return path


@pytest.fixture
def mixed(tmp_path):
    """The page's own example: a group's image, an image that replaces a label, a binary mask."""
    group = box(2, *MUSCLE) + box(1, 2, 0, 0)
    nrrd.write(str(tmp_path / "Group_0.nrrd"), group, LPS)
    bones = box(1, *BONE)
    bones[HOLE] = 0
    nib.save(nib.Nifti1Image(bones, AFFINE), tmp_path / "BoneMask.nii.gz")
    nib.save(nib.Nifti1Image(box(1, *VESSEL), AFFINE), tmp_path / "Vessel.nii.gz")
    bone = label("Bone", 1, _file="./BoneMask.nii.gz")
    vessel = label("Vessel", 3, _file="./Vessel.nii.gz", _file_value=1)
    stack(
        tmp_path,
        {"_file": "./Group_0.nrrd", "labels": [bone, label("Muscle", 2)]},
        {"name": "Binary Masks", "labels": [vessel]},
    )
    return tmp_path


def test_a_stack_is_one_mask_with_its_labels_by_name(mixed):
    (found,) = [v for v in examine(mixed, TARGETS, CLASSES, None) if v.status != "ignored"]

    expected = np.zeros(SHAPE, np.uint8)
    expected[VESSEL], expected[MUSCLE] = 1, 2
    expected[BONE] = 3  # the later class of the project where two groups overlap
    expected[HOLE] = 0
    np.testing.assert_array_equal(found.label, expected)
    assert (found.format, found.tool, len(found.parts)) == ("mitk-stack", "MITK", 3)
    assert found.notes == (
        "1 pixel was claimed twice: 1 of 'bone' over 'vessel' (the later class wins)",
    )


def test_a_stack_alone_says_what_is_missing(mixed):
    (mixed / "Vessel.nii.gz").unlink()

    (found,) = [v for v in examine(mixed, TARGETS, CLASSES, None) if v.status != "ignored"]

    assert (found.status, found.code) == ("quarantined", "missing-part")
    assert "'Vessel.nii.gz'" in found.message


def test_no_path_leads_out_of_the_folder(tmp_path):
    outside = tmp_path / "secret.nii.gz"
    nib.save(nib.Nifti1Image(box(1, *BONE), AFFINE), outside)
    folder = tmp_path / "in"
    folder.mkdir()
    stack(folder, {"labels": [label("bone", 1, _file=str(outside))]})

    (found,) = examine(folder, TARGETS, CLASSES, None)

    assert (found.status, found.code) == ("quarantined", "missing-part")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"_file_value": 255}, "shows 'bone' as 255, and also holds 1"),
        ({"value": 0}, "its label 'bone' has no value"),
    ],
)
def test_values_that_nothing_explains_are_refused(tmp_path, change, reason):
    nib.save(nib.Nifti1Image(box(1, *BONE), AFFINE), tmp_path / "b.nii.gz")
    stack(tmp_path, {"labels": [label("bone", 1, _file="b.nii.gz") | change]})

    verdicts = [v for v in examine(tmp_path, TARGETS, CLASSES, None) if v.code == "damaged"]

    assert len(verdicts) == 1
    assert reason in verdicts[0].message


def test_images_of_two_grids_are_refused(mixed):
    moved = AFFINE.copy()
    moved[0, 3] = 1.0
    nib.save(nib.Nifti1Image(box(1, *VESSEL), moved), mixed / "Vessel.nii.gz")

    (found,) = [v for v in examine(mixed, TARGETS, CLASSES, None) if v.status != "ignored"]

    assert found.code == "damaged"
    assert found.message.startswith("Vessel.nii.gz has another grid")


def test_a_preset_of_labels_is_no_mask(tmp_path):
    stack(tmp_path, {"labels": [label("bone", 1)]})

    (found,) = examine(tmp_path, TARGETS, CLASSES, None)

    assert (found.status, found.message) == ("ignored", "it names labels and no image (a preset)")
