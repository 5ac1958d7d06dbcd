"""Maps of another model as a run: entropies, predictions, measures, and files passed over."""

from __future__ import annotations

import json
import math

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.imaging.entropyfile import read_entropy
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project.export.exporting import export_queue
from coldal_tui.project.labels.agreement import read_agreements
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.models.run_import import import_run, remove_run
from coldal_tui.project.queue.candidates import pool_rows
from coldal_tui.project.runs import (
    cross_fitted_file,
    entropy_file,
    latest_run,
    prediction_file,
    run_entropies,
)
from coldal_tui.project.views.next_step import run_is_current
from coldal_tui.scheduler.plan_train import plan_predict, plan_score
from coldal_tui.scheduler.planning import build_spec

PICKS = [("s00", "medoid"), ("s01", "farthest-point"), ("s02", "validation"), ("s03", "medoid")]
SIZE = (6, 9)


@pytest.fixture
def project(lab):
    """s00 to s02 are labelled (pixels 9 to 11, the second row), s03 is queued."""
    made = lab.line(8, PICKS, toml='[classes]\nnames = ["lung"]\n')
    for name in ("s00", "s01", "s02"):
        lab.mask(f"{name}.png")
    import_masks(made, lab.masks)
    return made


@pytest.fixture
def maps(tmp_path):
    folder = tmp_path / "maps"
    folder.mkdir()
    return folder


def even(pixels, p=0.5):
    """Certain background, but for ``pixels`` whose lung has the probability ``p``."""
    lung = np.zeros(SIZE, np.float32)
    lung.flat[list(pixels)] = p
    return np.stack([1 - lung, lung])


def npz(folder, name, array):
    np.savez_compressed(folder / f"{name}.npz", probabilities=array[:, None].astype(np.float16))


def test_entropy_is_the_mean_over_pixels_as_a_share_of_ln_c(project, maps):
    # Three of 54 pixels are even: H = 1 each. p = 0.9: H = -(.9 ln .9 + .1 ln .1) / ln 2.
    npz(maps, "s04", even([0, 1, 2]))
    np.save(maps / "s05.npy", even([0], 0.9))
    report = import_run(project, maps, "nnU-Net")
    assert report.run_id == latest_run(project) == "imported-001"
    found = run_entropies(project, report.run_id)
    assert found["s04"] == pytest.approx(3 / 54, abs=1e-6)
    one = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1)) / math.log(2)
    assert found["s05"] == pytest.approx(one / 54, abs=1e-5)
    rows = {row.scan_id: row for row in pool_rows(project, report.run_id, ("class_entropy",))}
    scores = rows["s04"]
    assert scores.class_entropy == pytest.approx((1.5 / 54,), abs=1e-6)
    assert scores.foreground_entropy == pytest.approx(1.0)
    assert (report.candidates, report.missing) == (4, 2)
    entropy = read_entropy(entropy_file(project, report.run_id, "s04"))
    assert np.flatnonzero(entropy > 250).tolist() == [0, 1, 2]


def test_the_loop_uses_it_without_training(lab, project, maps):
    for number in range(3, 8):
        npz(maps, f"s{number:02d}", even(range(number), 0.6))
    run = import_run(project, maps, "nnU-Net").run_id
    assert run_is_current(project)
    assert plan_score(project, {}) is None
    assert plan_predict(project, {}) is None
    spec = build_spec(project, "select", {"budget": 1})
    assert spec.run_id == run
    h = {row.scan_id: row.entropy for row in spec.pool if row.candidate}
    assert sorted(h, key=h.get) == ["s04", "s05", "s06", "s07"]
    report = export_queue(project)
    assert report.makers == {run: 1}
    label = read_label(prediction_file(project, run, "s03"))
    assert np.flatnonzero(label).tolist() == [0, 1, 2]


def test_held_out_scans_are_measured_and_checked_and_others_are_not(project, maps, tmp_path):
    # The labels are pixels 9 to 11. s00: all three and one more: Dice 6 / 7. s02: two: 4 / 5.
    npz(maps, "s00", even([9, 10, 11, 12], 0.9))
    npz(maps, "s01", even([9, 10, 11], 0.9))
    npz(maps, "s02", even([9, 10], 0.9))
    folds = tmp_path / "splits_final.json"
    folds.write_text(json.dumps([{"train": ["s01"], "val": ["s00"]}]))
    report = import_run(project, maps, "nnU-Net", folds=folds)
    assert report.measured == {"cross-fitted": 1, "validation": 1}
    assert report.dice == pytest.approx({"cross-fitted": 6 / 7, "validation": 4 / 5})
    rows = project.store.rows("SELECT scan_id, split, dice, hd, unit FROM metrics ORDER BY 1")
    assert [(row["scan_id"], row["split"], row["hd"]) for row in rows] == [
        ("s00", "cross-fitted", 1.0),
        ("s02", "validation", 1.0),
    ]
    run = project.store.row("SELECT * FROM runs")
    assert json.loads(run["train_scans"]) == ["s00", "s01"]
    assert json.loads(run["validation_scans"]) == ["s02"]
    assert cross_fitted_file(project, "imported-001", "s00") is not None
    assert cross_fitted_file(project, "imported-001", "s01") is None
    agreements = read_agreements(project)
    assert {name: one.mean for name, one in agreements.items()} == pytest.approx(
        {"s00": 6 / 7, "s02": 4 / 5}
    )


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 1, *SIZE), np.float32), "3 classes with the background, the project 2"),
        (np.zeros((2, 1, 9, 6), np.float32), "its shape is (2, 1, 9, 6)"),
        (np.full((2, 1, *SIZE), 0.7, np.float32), "no probabilities"),
        (np.full((2, 1, *SIZE), np.nan, np.float32), "no probabilities"),
        (np.array([["a"]]), "no probabilities"),
        (np.array([{"a": 1}], dtype=object), "no probabilities"),
    ],
)
def test_wrong_files_are_named_and_passed_over(project, maps, array, words):
    npz(maps, "s04", even([0]))
    np.savez(maps / "s05.npz", probabilities=array)
    report = import_run(project, maps, "nnU-Net")
    assert report.scans == ("s04",)
    (passed,) = report.passed
    assert passed.file.endswith("s05.npz")
    assert words in passed.message


def test_damaged_foreign_and_double_files_are_passed_over(project, maps):
    npz(maps, "s04", even([0]))
    (maps / "s05.npz").write_bytes(b"PK\x03\x04 cut off")
    npz(maps, "nobody", even([0]))
    np.savez(maps / "s06.npz", softmax=even([0]))
    npz(maps, "s07", even([0]))
    np.save(maps / "s07.npy", even([1]))
    report = import_run(project, maps, "nnU-Net")
    assert report.scans == ("s04",)
    assert len(report.passed) == 5


def test_nothing_that_fits_is_an_error_and_leaves_no_run(project, maps):
    npz(maps, "nobody", even([0]))
    with pytest.raises(ColdalError) as caught:
        import_run(project, maps, "nnU-Net")
    assert caught.value.code == "no-maps"
    assert latest_run(project) is None
    assert list(project.layout.runs.iterdir()) == []


def test_classes_are_found_by_name(lab, maps):
    project = lab.line(2, [("s00", "medoid")], toml='[classes]\nnames = ["a", "b"]\n')
    first = np.zeros((3, *SIZE), np.float32)
    first[0], first[0, 0, 0], first[1, 0, 0] = 1, 0, 1
    npz(maps, "s01", first)
    labels = {"background": 0, "B": 1, "A": 2, "ignore": 3}
    (maps / "dataset.json").write_text(json.dumps({"labels": labels}))
    run = import_run(project, maps, "nnU-Net").run_id
    assert read_label(prediction_file(project, run, "s01"))[0, 0] == 2
    (maps / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "c": 1, "a": 2}}))
    with pytest.raises(ColdalError, match="the model has the classes a, background, c"):
        import_run(project, maps, "nnU-Net")


def test_volumes_in_nnunets_order_and_as_nifti_come_to_the_same_grid(lab, maps):
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    for name in ("v0", "v1", "v2"):
        lab.volume(f"{name}.nii.gz", affine)
    project = lab.start('[classes]\nnames = ["lung"]\n')
    lung = np.zeros((5, 6, 7), np.float32)
    lung[1, 2, 3] = 0.9
    both = np.stack([1 - lung, lung])
    np.savez(maps / "v0.npz", probabilities=both.transpose(0, 3, 2, 1))
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    flip[0, 3] = 4
    nifti = nib.Nifti1Image(np.moveaxis(both, 0, 3)[::-1].copy(), affine @ flip)
    nib.save(nifti, maps / "v1.nii.gz")
    moved = affine.copy()
    moved[0, 3] = 50
    nib.save(nib.Nifti1Image(np.moveaxis(both, 0, 3), moved), maps / "v2.nii.gz")
    report = import_run(project, maps, "nnU-Net")
    assert report.scans == ("v0", "v1")
    for name in report.scans:
        label = read_label(prediction_file(project, report.run_id, name))
        assert np.argwhere(label).tolist() == [[1, 2, 3]]
    assert "does not lie on the scan" in report.passed[0].message


def test_a_map_that_contradicts_the_segmentation_beside_it_is_refused(lab, maps):
    lab.volume("v0.nii.gz", np.eye(4), (4, 4, 4))
    project = lab.start('[classes]\nnames = ["lung"]\n')
    lung = np.zeros((4, 4, 4), np.float32)
    lung[:3, 0, 0] = 1
    both = np.stack([1 - lung, lung])
    np.savez(maps / "v0.npz", probabilities=both)  # i, j, k: not nnU-Net's order
    nib.save(nib.Nifti1Image(lung.astype(np.uint8), np.eye(4)), maps / "v0.nii.gz")
    with pytest.raises(ColdalError) as caught:
        import_run(project, maps, "nnU-Net")
    assert "agree with the segmentation beside it" in caught.value.remedy
    np.savez(maps / "v0.npz", probabilities=both.transpose(0, 3, 2, 1))
    assert import_run(project, maps, "nnU-Net").scans == ("v0",)


def test_without_maps_of_candidates_nothing_is_scored(project, maps):
    npz(maps, "s03", even([0]))
    import_run(project, maps, "nnU-Net")
    with pytest.raises(ColdalError) as caught:
        plan_score(project, {})
    assert caught.value.code == "no-maps"


def test_a_fold_list_with_unknown_names_is_refused(project, maps, tmp_path):
    npz(maps, "s00", even([0]))
    folds = tmp_path / "folds.csv"
    folds.write_text("scan_id,held_out\ns00,yes\nnobody,yes\ns01,no\n")
    with pytest.raises(ColdalError, match="the project does not have: nobody"):
        import_run(project, maps, "nnU-Net", folds=folds)
    folds.write_text("something\ns00\n")
    with pytest.raises(ColdalError, match="no list of held-out scans"):
        import_run(project, maps, "nnU-Net", folds=folds)


def test_an_imported_run_is_removed_unless_a_round_stands_on_it(lab, project, maps):
    npz(maps, "s04", even([0]))
    run = import_run(project, maps, "nnU-Net").run_id
    trained = lab.train(project)
    with pytest.raises(UsageError, match="was trained here"):
        remove_run(project, trained)
    project.store.update("rounds", {"round": 0}, run_id=run)
    with pytest.raises(UsageError, match="round 0 was picked by it"):
        remove_run(project, run)
    project.store.update("rounds", {"round": 0}, run_id=None)
    remove_run(project, run)
    assert run_entropies(project, run) == {}
    assert not project.run_folder(run).exists()


def test_pictures_of_a_mask_format_are_left_alone(project, maps):
    npz(maps, "s04", even([0]))
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(maps / "s04.png")
    assert import_run(project, maps, "nnU-Net").passed == ()
