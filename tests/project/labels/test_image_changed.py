"""A label whose image changed after it was drawn counts again only when a person says so."""

from __future__ import annotations

import pytest

from coldal_tui.imaging.labelfile import read_label, write_label
from coldal_tui.project.labels.files import tidy_label_files, unknown_files
from coldal_tui.project.labels.importing import import_masks, list_labels
from coldal_tui.project.labels.quarantine import select_waiting, waiting
from coldal_tui.project.labels.retry import retry_quarantined
from coldal_tui.project.scans.indexing import IndexReport, reindex
from coldal_tui.project.views.snapshot import take_snapshot
from tests.support.small_projects import write_image


@pytest.fixture
def project(lab):
    """s00 is queued and labelled, s01 queued; both are scans of 4 × 5 pixels or so."""
    project = lab.line(5, [("s00", "medoid"), ("s01", "farthest-point")])
    lab.mask("s00.png")
    import_masks(project, lab.masks)
    return project


def _change(project, *, shape: tuple[int, int] | None = None) -> IndexReport:
    scan = project.scan("s00")
    write_image(project.images / scan.rel_path, 77, shape or scan.shape)
    return reindex(project)


def _labelled(project) -> list[str]:
    return [label["scan_id"] for label in list_labels(project)]


def test_its_label_is_suspended_and_shown(project, statuses):
    report = _change(project)
    assert report.suspended == ("s00",)
    (row,) = waiting(project)
    assert (row["scan_id"], row["code"]) == ("s00", "image-changed")
    assert "changed after version 1 of its label was drawn" in row["message"]
    assert _labelled(project) == []
    assert statuses(project)["s00"] == "exported"
    snapshot = take_snapshot(project)
    assert (snapshot.labels, snapshot.quarantined) == (0, 1)
    assert reindex(project).suspended == ()
    assert len(waiting(project)) == 1


def test_a_person_confirms_it(project, statuses):
    _change(project)
    (done,) = retry_quarantined(project, select_waiting(project, ["s00"]))
    assert done.accepted
    assert _labelled(project) == ["s00"]
    assert statuses(project)["s00"] == "labelled"
    assert waiting(project) == []
    (label,) = list_labels(project)
    assert project.file_of(label["file"]).is_file()


def test_a_label_changed_by_hand_is_not_confirmed(project):
    _change(project)
    file = project.layout.labels / "s00.png"
    write_label(file, 1 - read_label(file), None)
    (done,) = retry_quarantined(project, select_waiting(project, ["s00"]))
    assert not done.accepted
    assert "since it was accepted; import the mask again" in done.message
    assert _labelled(project) == []


def test_its_file_is_no_stranger_to_doctor(project):
    _change(project)
    assert unknown_files(project) == []
    tidy_label_files(project)
    assert unknown_files(project) == []
    (done,) = retry_quarantined(project, select_waiting(project, ["s00"]))
    assert done.accepted
    (label,) = list_labels(project)
    assert project.file_of(label["file"]).is_file()


def test_on_another_grid_it_is_not_confirmed(project):
    _change(project, shape=(16, 17))
    (left,) = retry_quarantined(project, select_waiting(project, ["s00"]))
    assert (left.accepted, left.message) == (
        False,
        "the image has another grid than the label now; import a mask drawn on it",
    )
    assert _labelled(project) == []


def test_a_new_mask_takes_its_place(project, lab):
    _change(project)
    import_masks(project, lab.masks)  # the same file: a person brings it again
    assert _labelled(project) == ["s00"]
    assert waiting(project) == []
    (label,) = list_labels(project)
    assert label["version"] == 2


def test_a_moved_image_keeps_its_label(project):
    scan = project.scan("s00")
    (project.images / scan.rel_path).rename(project.images / "elsewhere.png")
    report = reindex(project)
    assert (report.moved, report.suspended) == (("s00",), ())
    assert _labelled(project) == ["s00"]


def test_a_scan_without_a_label_changes_without_a_word(project):
    write_image(project.images / project.scan("s01").rel_path, 78, project.scan("s01").shape)
    report = reindex(project)
    assert (report.changed, report.suspended) == (("s01",), ())
