"""What a project names outside itself is not read, and output does not mix with its own files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.files import sha256_file
from coldal_tui.jobs.spec import LabelledScan
from coldal_tui.project.labels.evaluation_masks import prepare_cases, read_evaluation
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.project.trust_questions import agree
from coldal_tui.project.views.label_view import read_label_view, read_mask_picture
from coldal_tui.project.views.scan_pixels import ViewCache
from coldal_tui.project.views.scan_view import read_scan_view
from coldal_tui.trust_store import TrustStore
from tests.support.lab import SIZE, Lab


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_a_table_of_patients_elsewhere_is_read_only_when_it_was_agreed_to(lab: Lab) -> None:
    table = lab.folder / "elsewhere.csv"
    table.write_text("filename,patient_id\na.png,P1\n")
    lab.pictures("a")
    lab.start(index=False).close()
    lab.configure(f'[images]\ndir = "../images"\npatients_csv = "{table}"\n')
    TrustStore().forget(lab.root)
    project = lab.open()
    with pytest.raises(ColdalError, match="read the table of patients") as caught:
        reindex(project)
    assert caught.value.code == "not-trusted"
    agree(project.layout, project.config)
    assert reindex(project).added == ("a",)
    assert project.scan("a").patient_id == "P1"


def test_a_table_of_patients_beside_the_images_needs_no_agreement(lab: Lab) -> None:
    (lab.images / "meta.csv").write_text("filename,patient_id\na.png,P1\n")
    lab.pictures("a")
    lab.start(index=False).close()
    lab.configure('[images]\ndir = "../images"\npatients_csv = "../images/meta.csv"\n')
    TrustStore().forget(lab.root)
    project = lab.open()
    reindex(project)
    assert project.scan("a").patient_id == "P1"


@pytest.mark.parametrize("name", ["labels/x", ".coldal", ".coldal/runs/x", "../images/x"])
def test_output_does_not_go_among_the_projects_files(lab: Lab, name: str) -> None:
    project = lab.start(index=False)
    with pytest.raises(UsageError, match="no place for output"):
        project.output_place(project.root / name)


def test_output_may_go_elsewhere_and_below_a_project_among_its_images(lab: Lab) -> None:
    project = lab.start(index=False)
    for place in (lab.folder / "out", project.layout.exports / "x", lab.folder / "images-2"):
        assert project.output_place(place) == place
    among = Project.create(lab.images / "project", lab.images)
    place = among.layout.exports / "x"
    assert among.output_place(place) == place
    among.close()


def _listing(project: Project, label: Path, image: Path | None = None) -> str:
    scan = project.scan("s02").input(project.images)
    if image is not None:
        scan = msgspec.structs.replace(
            scan, ref=msgspec.structs.replace(scan.ref, files=(str(image),))
        )
    listing = project.layout.cache / "evaluation-x" / "cases.json"
    listing.parent.mkdir(exist_ok=True)
    listing.write_bytes(msgspec.json.encode([LabelledScan(scan, str(label))]))
    return project.layout.relative(listing)


def test_cases_that_came_with_a_project_read_nothing_elsewhere(lab: Lab) -> None:
    project = lab.line(3, [("s00", "medoid")])
    beside = project.layout.cache / "evaluation-x" / "s02.png"
    assert len(read_evaluation(project, _listing(project, beside))) == 1
    for label, image in ((lab.folder / "secret.png", None), (beside, lab.folder / "secret.png")):
        with pytest.raises(ColdalError) as caught:
            read_evaluation(project, _listing(project, label, image))
        assert caught.value.code == "outside"


def test_cases_of_a_folder_that_the_person_named_are_read_and_hold_their_hashes(lab: Lab) -> None:
    project = lab.line(1, [("s00", "medoid")])
    other = lab.folder / "other"
    other.mkdir()
    Image.fromarray(np.arange(54, dtype=np.uint8).reshape(SIZE)).save(other / "t.png")
    lab.mask("t.png")
    cases = prepare_cases(project, lab.masks, images=other)
    (case,) = read_evaluation(project, cases.file)
    assert case.scan.ref.files == (str(other / "t.png"),)
    assert case.sha256 == sha256_file(Path(case.label))
    cases.discard()
    with pytest.raises(ColdalError, match="are gone"):
        read_evaluation(project, cases.file)


def test_a_label_that_was_changed_on_disk_is_not_shown_as_the_accepted_one(lab: Lab) -> None:
    project = lab.line(2, [("s00", "medoid")])
    lab.mask("s00.png")
    import_masks(project, lab.masks)
    cache = ViewCache()
    shown = read_scan_view(project, "s00", cache).mask
    assert shown is not None
    assert shown.values is not None
    assert shown.values.whole()[1].tolist() == [1, 1, 1, 0, 0, 0, 0, 0, 0]
    Image.fromarray(np.ones(SIZE, np.uint8)).save(project.layout.labels / "s00.png")
    shown = read_scan_view(project, "s00", cache).mask
    assert shown is not None
    assert shown.values is None
    assert shown.trouble is not None
    assert "changed on disk" in shown.trouble.what


def test_a_quarantined_mask_says_that_it_changed_and_anothers_file_stays_closed(lab: Lab) -> None:
    project = lab.line(2, [("s00", "medoid")])
    mask = lab.masks / "s00.png"
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(mask)
    import_masks(project, lab.masks)
    (line,) = read_label_view(project).waiting
    assert not read_mask_picture(project, line, ViewCache()).changed
    Image.fromarray(np.full(SIZE, 9, np.uint8)).save(mask)
    mended = read_mask_picture(project, line, ViewCache())
    assert mended.changed
    assert mended.pixels.array.max() == 9
    TrustStore().forget(project.root)
    kept = read_mask_picture(project, line, ViewCache())
    assert not kept.changed
    assert kept.pixels.array.max() == 0
