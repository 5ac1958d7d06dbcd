"""Cases for an evaluation: only what no run has seen, on the scans' grids, gone afterwards."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from PIL import Image

from coldal_tui.errors import ColdalError
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.jobs.spec import LabelledScan
from coldal_tui.project.labels.evaluation_masks import Cases, prepare_cases
from coldal_tui.project.labels.importing import import_masks, reject_labels

PATIENTS = '[images]\ndir = "../images"\npatients_pattern = "^(p[0-9])"\n'
NAMES = ("p1_a", "p1_b", "p2_a", "p3_a", "p4_a")


def listed(project, cases: Cases) -> dict[str, LabelledScan]:
    content = project.file_of(cases.file).read_bytes()
    found = msgspec.json.decode(content, type=list[LabelledScan])
    return {case.scan.scan_id: case for case in found}


@pytest.fixture
def project(lab):
    """Patients p1 (two scans) to p4; p1 has a label, p2 validates, all have a mask."""
    lab.pictures(*NAMES)
    project = lab.start(PATIENTS)
    lab.embed(project)
    lab.map(project, {name: (float(n), 0.0) for n, name in enumerate(NAMES)})
    lab.select(project, [("p1_a", "medoid"), ("p2_a", "validation")], dict.fromkeys(NAMES, 0))
    lab.mask("p1_a.png")
    lab.mask("p2_a.png", slice(2, 4))
    import_masks(project, lab.masks)
    for n, name in enumerate(NAMES):
        lab.mask(f"{name}.png", slice(0, n + 1))
    return project


def test_only_scans_of_patients_without_a_label_are_measured(project, lab):
    cases = prepare_cases(project, lab.masks)
    assert set(listed(project, cases)) == {"p3_a", "p4_a"}
    assert cases.count == 2
    label = read_label(cases.folder / "p3_a.png")
    expected = np.zeros((6, 9), np.uint8)
    expected[1, :4] = 1
    np.testing.assert_array_equal(label, expected)


def test_nothing_becomes_a_label(project, lab):
    before = project.store.rows("SELECT * FROM labels")
    prepare_cases(project, lab.masks)
    assert project.store.rows("SELECT * FROM labels") == before
    assert {p.stem for p in project.layout.labels.glob("*.png")} == {"p1_a", "p2_a"}


def test_patients_that_a_run_has_seen_are_left_out_though_their_label_is_gone(project, lab):
    lab.train(project)
    reject_labels(project, ["p1_a", "p2_a"], None)
    assert set(listed(project, prepare_cases(project, lab.masks))) == {"p3_a", "p4_a"}


def test_patients_whose_labelled_scan_is_missing_are_left_out(project, lab):
    project.store.update("scans", {"scan_id": "p1_a"}, state="missing")
    assert set(listed(project, prepare_cases(project, lab.masks))) == {"p3_a", "p4_a"}


def test_an_empty_mask_is_a_case(project, lab):
    lab.mask("p3_a.png", value=0)
    assert set(listed(project, prepare_cases(project, lab.masks))) == {"p3_a", "p4_a"}


def test_what_does_not_fit_is_left_out_and_told(project, lab):
    lab.mask("p3_a.png", size=(6, 8))
    cases = prepare_cases(project, lab.masks)
    assert set(listed(project, cases)) == {"p4_a"}
    told = {v.file.name: v.code for v in cases.unused}
    assert told["p3_a.png"] == "wrong-size"
    assert told["p1_a.png"] == "unmatched"


def test_the_cases_can_be_discarded(project, lab):
    cases = prepare_cases(project, lab.masks)
    cases.discard()
    assert not cases.folder.exists()


def test_when_nothing_fits_it_says_why_and_leaves_nothing(project, lab):
    for name in ("p3_a", "p4_a"):
        lab.mask(f"{name}.png", size=(6, 8))
    with pytest.raises(ColdalError, match="not one mask fits a scan to evaluate on") as caught:
        prepare_cases(project, lab.masks)
    assert caught.value.code == "no-cases"
    assert "p1_a.png" in caught.value.remedy
    assert list(project.layout.cache.iterdir()) == []


def other_images(lab, *names: str):
    folder = lab.folder / "other"
    for n, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6, 9), 50 + n, np.uint8)).save(path)
    return folder


def test_other_images_can_be_measured(project, lab):
    images = other_images(lab, "x1.png", "x2.png")
    lab.mask("x2_mask.png", slice(0, 2))
    cases = prepare_cases(project, lab.masks, images=images, match="{stem}_mask")
    assert set(listed(project, cases)) == {"x2"}
    assert listed(project, cases)["x2"].scan.ref.files == (str(images / "x2.png"),)


def test_masks_below_the_other_images_are_no_images(project, lab):
    images = other_images(lab, "x1.png")
    lab.masks = images / "masks [1]"
    lab.mask("x1.png")
    cases = prepare_cases(project, lab.masks, images=images)
    assert set(listed(project, cases)) == {"x1"}


def test_other_images_of_equal_names_are_told_apart_by_folder(project, lab):
    images = other_images(lab, "p1/t.png", "p2/T.png")
    lab.mask("p2/T.png", slice(0, 2))
    cases = listed(project, prepare_cases(project, lab.masks, images=images))
    assert {name: case.scan.ref.files for name, case in cases.items()} == {
        "T-2": (str(images / "p2" / "T.png"),)
    }


def test_a_folder_of_images_that_is_not_there(project, lab):
    with pytest.raises(ColdalError, match="no such folder"):
        prepare_cases(project, lab.masks, images=lab.folder / "nowhere")
