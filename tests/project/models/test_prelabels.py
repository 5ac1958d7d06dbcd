"""Pre-labels of other models: stored beside the labels, handed out, removed, taken back."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project import history
from coldal_tui.project.export.exporting import Wanted, export_queue
from coldal_tui.project.labels.importing import import_masks, list_labels
from coldal_tui.project.models.prelabels import (
    Prelabels,
    import_prelabels,
    list_prelabels,
    remove_prelabels,
)

PICKS = [("s00", "medoid"), ("s01", "farthest-point"), ("s02", "farthest-point")]


@pytest.fixture
def project(lab):
    return lab.line(6, PICKS)


def undo(project):
    return history.undo(project, history.next_undo(project)["audit_id"])


def drawn(project, scan_id, run=None, first=None):
    found = Prelabels(project, run, first).of(scan_id)
    return None if found is None else (np.flatnonzero(read_label(found.file)).tolist(), found.maker)


def test_masks_are_stored_as_prelabels_and_never_as_labels(lab, project):
    lab.mask("s00.png", slice(0, 2))
    lab.mask("s04_seg.png", slice(2, 3))
    lab.mask("nobody.png")
    report = import_prelabels(project, lab.masks, "nnInteractive")
    assert report.scans == ("s00", "s04")
    assert [(one.file.name, one.status) for one in report.unused] == [("nobody.png", "unmatched")]
    assert list_labels(project) == []
    assert project.store.value("SELECT count(*) FROM quarantine") == 0
    # The second row of nine columns: pixels 9 and 10.
    assert drawn(project, "s00") == ([9, 10], "nnInteractive")
    assert drawn(project, "s01") is None
    (facts,) = list_prelabels(project)
    assert (facts.source, facts.scans) == ("nnInteractive", ("s00", "s04"))


def test_round_0_hands_them_out_with_their_source(lab, project):
    lab.mask("s00.png", slice(0, 2))
    import_prelabels(project, lab.masks, "nnInteractive")
    report = export_queue(project)
    assert (report.prelabels, report.makers) == (1, {"nnInteractive": 1})
    items = json.loads((report.folder / "manifest.json").read_text())["items"]
    (with_one,) = [item for item in items if item["prelabel"]]
    assert (with_one["scan_id"], with_one["run"]) == ("s00", "nnInteractive")
    assert np.flatnonzero(read_label(report.folder / with_one["prelabel"])).tolist() == [9, 10]


def test_one_that_comes_back_as_it_went_is_no_mask(lab, project):
    lab.mask("s00.png", slice(0, 2))
    import_prelabels(project, lab.masks, "nnInteractive")
    folder = export_queue(project).folder
    import_masks(project, folder)
    assert list_labels(project) == []


def test_the_newest_run_counts_first_unless_another_is_asked_for(lab, project):
    lab.mask("s01.png")
    import_masks(project, lab.masks)
    run = lab.train(project)
    lab.score(project, {"s03": 0.5})
    lab.masks = lab.folder / "others"
    lab.mask("s00.png", slice(0, 2))
    import_prelabels(project, lab.masks, "VoxTell")
    assert drawn(project, "s00", run)[1] == run
    assert drawn(project, "s00", run, "VoxTell") == ([9, 10], "VoxTell")
    assert drawn(project, "s00", run, "run")[1] == run
    assert drawn(project, "s02", run, "VoxTell")[1] == run
    with pytest.raises(UsageError, match="no pre-labels by 'Other'") as caught:
        export_queue(project, wanted=Wanted(prelabels_from="Other"))
    assert caught.value.remedy == "use one of: run, VoxTell"


def test_a_second_import_replaces_and_undo_brings_back(lab, project):
    lab.mask("s00.png", slice(0, 2))
    import_prelabels(project, lab.masks, "A")
    assert import_prelabels(project, lab.masks, "A").unchanged == 1
    lab.mask("s00.png", slice(0, 4))
    assert import_prelabels(project, lab.masks, "A").replaced == 1
    assert drawn(project, "s00")[0] == [9, 10, 11, 12]
    undo(project)
    assert drawn(project, "s00")[0] == [9, 10]
    history.redo(project)
    assert drawn(project, "s00")[0] == [9, 10, 11, 12]


def test_of_several_models_the_last_import_counts(lab, project):
    lab.mask("s00.png", slice(0, 2))
    import_prelabels(project, lab.masks, "Z")
    lab.mask("s00.png", slice(0, 3))
    import_prelabels(project, lab.masks, "A")
    assert drawn(project, "s00")[1] == "A"
    assert drawn(project, "s00", first="Z") == ([9, 10], "Z")


def test_they_are_removed_by_source_and_scan(lab, project):
    for name in ("s00.png", "s01.png"):
        lab.mask(name)
    import_prelabels(project, lab.masks, "A")
    assert remove_prelabels(project, "A", ["s00"]) == 1
    assert drawn(project, "s00") is None
    assert remove_prelabels(project, "A") == 1
    assert list_prelabels(project) == []
    undo(project)
    assert drawn(project, "s01")[1] == "A"
    with pytest.raises(UsageError, match="no pre-label by 'B'"):
        remove_prelabels(project, "B")


def test_a_changed_file_is_not_handed_out(lab, project):
    lab.mask("s00.png")
    import_prelabels(project, lab.masks, "A")
    file = project.file_of(project.store.value("SELECT file FROM prelabels"))
    file.write_bytes(b"else")
    with pytest.raises(ColdalError) as caught:
        export_queue(project)
    assert caught.value.code == "prelabel-changed"


@pytest.mark.parametrize("name", ["", "  ", "run", "a\x1bb", "x" * 81])
def test_bad_names_are_refused(lab, project, name):
    with pytest.raises(UsageError, match="can't be the name of a model"):
        import_prelabels(project, lab.masks, name)


def test_another_grid_is_brought_over_or_refused_as_in_an_import(lab):
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    lab.volume("v0.nii.gz", affine)
    lab.volume("v1.nii.gz", affine)
    project = lab.start()
    drawn_on = np.zeros((5, 6, 7), np.uint8)
    drawn_on[1, 2, 3] = 1
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    flip[0, 3] = 4
    nib.save(nib.Nifti1Image(drawn_on[::-1], affine @ flip), lab.masks / "v0.nii.gz")
    nib.save(nib.Nifti1Image(drawn_on[:, :4], np.diag([3.0, 1, 1, 1])), lab.masks / "v1.nii.gz")
    report = import_prelabels(project, lab.masks, "A")
    assert report.scans == ("v0",)
    found = Prelabels(project, None).of("v0")
    assert np.argwhere(read_label(found.file)).tolist() == [[1, 2, 3]]
    assert [one.status for one in report.unused] == ["quarantined"]
