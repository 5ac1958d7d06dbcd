"""Volume masks with names and UIDs through a project: indexed, imported, retried, kept."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project.labels.importing import import_masks, list_labels
from coldal_tui.project.labels.quarantine import select_waiting
from coldal_tui.project.labels.retry import retry_quarantined
from tests.support import dicom_files as made

ORGAN = '[classes]\nnames = ["organ"]\n'
TWO = '[classes]\nnames = ["tumour", "organ"]\n'
DRAWN = np.eye(made.ROWS, made.COLUMNS, 2, dtype=np.uint8)


def label(project, scan_id: str) -> np.ndarray:
    return read_label(next(Path(project.root, "labels").glob(f"{scan_id}.*")))


@pytest.fixture
def series(lab) -> str:
    """A project's images: one CT series of five slices."""
    made.write_series(lab.images / "ct")
    return "ct-s1"


def test_a_segmentation_becomes_the_series_label(lab, series):
    project = lab.start(ORGAN)
    ds = made.segmentation([made.on_slice(3, DRAWN), made.on_slice(1, DRAWN[::-1])])
    made.save(ds, lab.masks / "IM1")

    report = import_masks(project, lab.masks)

    assert [v.scan_id for v in report.accepted] == [series]
    expected = np.zeros((made.COLUMNS, made.ROWS, made.SLICES), np.uint8)
    expected[:, :, 3], expected[:, :, 1] = DRAWN.T, DRAWN[::-1].T
    np.testing.assert_array_equal(label(project, series), expected)
    assert list_labels(project)[0]["notes"] == ["2 frames placed on the scan's slices"]


def test_a_structure_set_becomes_the_series_label(lab, series):
    project = lab.start(ORGAN)
    corners = [made.position(2, row, column) for row, column in ((1, 1), (1, 4), (3, 4), (3, 1))]
    made.save(made.structure_set({"organ": [np.array(corners)]}), lab.masks / "IM1")

    import_masks(project, lab.masks)

    expected = np.zeros((made.COLUMNS, made.ROWS, made.SLICES), np.uint8)
    expected[1:5, 1:4, 2] = 1
    np.testing.assert_array_equal(label(project, series), expected)


def test_the_label_has_the_scan_s_affine(lab, series):
    project = lab.start(ORGAN)
    made.save(made.segmentation([made.on_slice(3, DRAWN)]), lab.masks / "IM1")
    import_masks(project, lab.masks)

    written = nib.load(Path(project.root, "labels", f"{series}.nii.gz"))

    np.testing.assert_allclose(written.affine, project.scan(series).affine, atol=1e-4)


def test_the_same_segmentation_twice_changes_nothing(lab, series):
    project = lab.start(ORGAN)
    made.save(made.segmentation([made.on_slice(3, DRAWN)]), lab.masks / "IM1")
    import_masks(project, lab.masks)

    report = import_masks(project, lab.masks)

    assert [v.scan_id for v in report.unchanged] == [series]


def test_an_orphan_is_told_and_nothing_is_stored(lab, series):
    project = lab.start(ORGAN)
    made.save(
        made.segmentation([made.Drawing(DRAWN, source="9.9.1")], series="9.9"), lab.masks / "1"
    )

    report = import_masks(project, lab.masks)

    assert "UID 9.9" in report.unmatched[0].message
    assert list_labels(project) == []


def nnunet_set(lab) -> Path:
    """A data set whose values are the project's the other way round; one is unknown."""
    lab.volume("case_1_0000.nii.gz", np.diag([2.0, 2.0, 3.0, 1.0]))
    root = lab.masks / "set"
    (root / "labelsTr").mkdir(parents=True)
    labels = {"background": 0, "organ": 1, "lesion": 2}
    (root / "dataset.json").write_text(json.dumps({"channel_names": {}, "labels": labels}))
    values = np.zeros((5, 6, 7), np.uint8)
    values[1, 2:4], values[3, 3] = 1, 2
    image = nib.Nifti1Image(values, np.diag([2.0, 2.0, 3.0, 1.0]))
    nib.save(image, root / "labelsTr" / "case_1.nii.gz")
    return root


def test_names_are_kept_with_a_mask_in_quarantine(lab):
    """The data set is gone when somebody says what the unknown name means."""
    root = nnunet_set(lab)
    project = lab.start(TWO)
    report = import_masks(project, root)
    assert [v.code for v in report.quarantined] == ["unknown-value"]
    shutil.rmtree(root)

    (retried,) = retry_quarantined(
        project, select_waiting(project, []), ImportOptions(values={"lesion": "tumour"})
    )

    assert retried.accepted
    stored = label(project, "case_1_0000")
    assert (stored[1, 2, 0], stored[3, 3, 0], stored[0, 0, 0]) == (2, 1, 0)


def test_frames_that_name_other_slices_are_accepted_by_the_reading_named(lab, series):
    """As OHIF has written them: positions right, the slices that frames name in reverse."""
    project = lab.start(ORGAN)
    frames = [
        replace(made.on_slice(k, DRAWN), source=made.instance(made.SLICES - 1 - k)) for k in (0, 1)
    ]
    made.save(made.segmentation(frames), lab.masks / "IM1")
    import_masks(project, lab.masks)
    rows = select_waiting(project, [])
    assert [row["code"] for row in rows] == ["frames-disagree"]

    (result,) = retry_quarantined(project, rows, ImportOptions(frames_by="position"))

    assert result.accepted
    expected = np.zeros((made.COLUMNS, made.ROWS, made.SLICES), np.uint8)
    expected[:, :, 0] = expected[:, :, 1] = DRAWN.T
    np.testing.assert_array_equal(label(project, series), expected)
