"""nnU-Net's data sets: labels by case, names from dataset.json, predictions left out."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.exchange.incoming.importing import examine, examine_file
from tests.support.import_plan import plan_import

CLASSES = ("tumour", "liver")
AFFINE = np.array([[-1.0, 0, 0, 5], [0, -1, 0, 6], [0, 0, 2, 7], [0, 0, 0, 1]])
SHAPE = (4, 5, 6)
VERSION_2 = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "liver": 1, "tumour": 2},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}
VERSION_1 = {
    "modality": {"0": "CT"},
    "labels": {"0": "background", "1": "liver", "2": "tumour"},
    "training": [{"image": "./imagesTr/case_1.nii.gz", "label": "./labelsTr/case_1.nii.gz"}],
}


def save(path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, AFFINE), path)


def drawn(case: int) -> np.ndarray:
    values = np.zeros(SHAPE, np.uint8)
    values[:2, 1:3] = 1
    values[3, 4, case] = 2
    return values


def raw_set(root, fields=VERSION_2):
    """Two training cases, a test case with a label and one without."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset.json").write_text(json.dumps(fields))
    rng = np.random.default_rng(3)
    for case, part in ((1, "Tr"), (2, "Tr"), (3, "Ts"), (4, "Ts")):
        image = rng.normal(size=SHAPE).astype(np.float32)
        save(root / f"images{part}" / f"case_{case}_0000.nii.gz", image)
        if case < 4:
            save(root / f"labels{part}" / f"case_{case}.nii.gz", drawn(case))
    return root


@pytest.fixture
def targets() -> list[ScanTarget]:
    affine = tuple(tuple(row) for row in AFFINE.tolist())
    return [
        ScanTarget(f"case_{n}_0000", SHAPE, (f"case_{n}_0000.nii.gz",), affine) for n in range(1, 5)
    ]


def accepted(plan) -> dict[str, str]:
    return {verdict.scan_id: verdict.file.name for verdict in plan.accepted}


@pytest.mark.parametrize("fields", [VERSION_2, VERSION_1])
def test_labels_are_taken_and_images_are_not(tmp_path, targets, fields):
    plan = plan_import(raw_set(tmp_path / "set", fields), targets, CLASSES, None)

    assert accepted(plan) == {f"case_{n}_0000": f"case_{n}.nii.gz" for n in (1, 2, 3)}
    assert (plan.quarantined, plan.unmatched) == ((), ())
    assert {verdict.file.name for verdict in plan.ignored} == {
        "dataset.json",
        *(f"case_{n}_0000.nii.gz" for n in range(1, 5)),
    }


def test_values_mean_what_the_data_set_says(tmp_path, targets):
    root = raw_set(tmp_path / "set")

    verdict = examine_file(root / "labelsTr" / "case_1.nii.gz", targets[0], CLASSES, None)

    np.testing.assert_array_equal(verdict.label, np.choose(drawn(1), [0, 2, 1]))
    assert "class names from dataset.json" in verdict.notes


@pytest.mark.parametrize("source", ["labelsTr", "labelsTr/case_1.nii.gz"])
def test_a_part_of_the_data_set_will_do(tmp_path, targets, source):
    root = raw_set(tmp_path / "set")

    plan = plan_import(root / source, targets, CLASSES, None)

    assert accepted(plan)["case_1_0000"] == "case_1.nii.gz"
    assert "class names from dataset.json" in plan.accepted[0].notes


def test_the_format_may_be_named(tmp_path, targets):
    plan = plan_import(raw_set(tmp_path / "set"), targets, CLASSES, None, format="nnunet")

    assert len(plan.accepted) == 3


def test_what_is_to_be_ignored_is_ignored(tmp_path, targets):
    fields = VERSION_2 | {"labels": {"background": 0, "liver": 1, "ignore": 2}}
    root = raw_set(tmp_path / "set", fields)

    verdict = examine_file(root / "labelsTr" / "case_1.nii.gz", targets[0], CLASSES, None)

    assert verdict.label[3, 4, 1] == 255


def test_regions_leave_the_names_of_single_values(tmp_path, targets):
    """The value 1 has no name of its own, and its number is not the project's: 1 = tumour."""
    fields = VERSION_2 | {"labels": {"background": 0, "whole": [1, 2], "tumour": [2]}}
    mask = raw_set(tmp_path / "set", fields) / "labelsTr" / "case_1.nii.gz"

    asked = examine_file(mask, targets[0], CLASSES, None)
    told = examine_file(mask, targets[0], CLASSES, None, ImportOptions(values={1: "liver"}))

    assert (asked.status, asked.code, asked.unknown) == ("quarantined", "unknown-value", ("1",))
    np.testing.assert_array_equal(told.label, np.choose(drawn(1), [0, 2, 1]))


def predictions(root):
    root.mkdir()
    (root / "dataset.json").write_text(json.dumps(VERSION_2))
    (root / "plans.json").write_text("{}")
    (root / "predict_from_raw_data_args.json").write_text("{}")
    for case in (1, 2):
        save(root / f"case_{case}.nii.gz", drawn(case))
    return root


def test_predictions_are_told_and_left_out(tmp_path, targets):
    plan = plan_import(predictions(tmp_path / "out"), targets, CLASSES, None)

    assert plan.accepted == ()
    reasons = {v.file.name: v.message for v in plan.ignored}
    assert "nobody drew (--format nnunet-predictions takes it)" in reasons["case_1.nii.gz"]
    assert all(v.key for v in plan.ignored if "nobody drew" in v.message)


def test_predictions_in_a_folder_below_their_settings_are_left_out(tmp_path, targets):
    root = predictions(tmp_path / "out")
    (root / "postprocessed").mkdir()
    for case in (1, 2):
        name = f"case_{case}.nii.gz"
        (root / name).rename(root / "postprocessed" / name)

    assert plan_import(root, targets, CLASSES, None).accepted == ()


def test_predictions_are_taken_where_they_are_asked_for(tmp_path, targets):
    plan = plan_import(
        predictions(tmp_path / "out"), targets, CLASSES, None, format="nnunet-predictions"
    )

    assert set(accepted(plan)) == {"case_1_0000", "case_2_0000"}


@pytest.mark.parametrize("fields", [VERSION_1, VERSION_2])
def test_a_data_set_counts_without_the_names_of_its_channels(tmp_path, targets, fields):
    root = raw_set(tmp_path, {"labels": fields["labels"]})

    verdict = examine_file(root / "labelsTr/case_1.nii.gz", targets[0], CLASSES, None)

    np.testing.assert_array_equal(verdict.label, np.choose(drawn(1), [0, 2, 1]))


@pytest.mark.parametrize("folder", ["", "masks"])
@pytest.mark.parametrize("ending", [".nii.gz", ".png"])
def test_masks_beside_or_below_a_dataset_json_have_its_names(tmp_path, targets, folder, ending):
    (tmp_path / "dataset.json").write_text(json.dumps(VERSION_2))
    (tmp_path / folder).mkdir(exist_ok=True)
    file, scan, values = tmp_path / folder / f"case_1{ending}", targets[0], drawn(1)
    if ending == ".png":
        scan, values = ScanTarget("case_1", (5, 6), ("case_1.png",)), drawn(1)[3]
        Image.fromarray(values).save(file)
    else:
        save(file, values)

    found = [v for v in examine(tmp_path, [scan], CLASSES, None) if v.label is not None]

    np.testing.assert_array_equal(found[0].label, np.choose(values, [0, 2, 1]))
    assert "class names from dataset.json" in found[0].notes


@pytest.mark.parametrize("labels", [["a", "b"], {"a": {"x": 1}}, {"a": "b"}, {}])
def test_another_dataset_json_says_nothing(tmp_path, targets, labels):
    save(tmp_path / "labelsTr" / "case_1.nii.gz", drawn(1))
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels, "name": "mine"}))

    plan = plan_import(tmp_path, targets, CLASSES, None)

    assert plan.accepted[0].notes == ()


def test_pictures_are_a_data_set_too(tmp_path):
    fields = VERSION_2 | {"file_ending": ".png"}
    (tmp_path / "labelsTr").mkdir()
    (tmp_path / "dataset.json").write_text(json.dumps(fields))
    Image.fromarray(np.eye(6, 9, dtype=np.uint8)).save(tmp_path / "labelsTr" / "road.png")

    plan = plan_import(
        tmp_path, [ScanTarget("road_0000", (6, 9), ("road_0000.png",))], ("liver",), None
    )

    assert accepted(plan) == {"road_0000": "road.png"}
