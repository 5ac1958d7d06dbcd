"""A mask of several files waits as one, and is tried again by its number: parts and slices."""

from __future__ import annotations

import json
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project.export.exporting import Wanted, export_queue
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.labels.quarantine import waiting
from coldal_tui.project.labels.retry import retry_quarantined
from coldal_tui.trust_store import TrustStore

TWO = '[classes]\nnames = ["liver", "spleen"]\n'
PARTS = np.zeros((6, 9), np.uint8)
PARTS[1, :3], PARTS[1, 5:8] = 1, 2


@pytest.fixture(autouse=True)
def own(monkeypatch):
    """Projects are this person's own."""
    monkeypatch.setattr(TrustStore, "is_own", lambda *_: True)


@pytest.fixture
def project(lab):
    """Scans s00 to s03; s00 is queued."""
    return lab.line(4, [("s00", "medoid")], toml=TWO)


def label(project, name: str = "s00.png") -> np.ndarray:
    return read_label(project.layout.labels / name)


def two_parts(lab, value: int = 255) -> None:
    lab.mask("s00_liver.png", slice(0, 3), 255)
    lab.mask("s00_spleen.png", slice(5, 8), value)


def test_a_mended_part_is_joined_with_the_others_again(lab, project):
    two_parts(lab, value=7)
    import_masks(project, lab.masks)
    (row,) = waiting(project)
    assert (row["scan_id"], row["code"]) == ("s00", "class-unclear")
    assert "s00_spleen.png" in row["message"]

    assert not retry_quarantined(project, [row])[0].accepted
    two_parts(lab)
    (result,) = retry_quarantined(project, waiting(project))

    assert (result.accepted, result.scan_id) == (True, "s00")
    np.testing.assert_array_equal(label(project), PARTS)
    assert waiting(project) == []


def test_parts_that_a_template_joined_are_joined_by_it_again(lab, project):
    for name, columns in (("0a", slice(0, 3)), ("7f", slice(5, 8))):
        lab.mask(f"s00/masks/{name}.png", columns, 9)
    import_masks(project, lab.masks, match="{stem}/masks/*")
    (row,) = waiting(project)

    (result,) = retry_quarantined(project, [row], ImportOptions(values={9: "liver"}))

    assert result.accepted
    np.testing.assert_array_equal(label(project), PARTS > 0)


@pytest.mark.parametrize("name", ["s00_{}.png", "s00/segmentations/{}.png", "{}/s00.png"])
def test_copies_count_where_the_files_are_gone(lab, project, name):
    lab.mask(name.format("liver"), slice(0, 3), 255)
    lab.mask(name.format("spleen"), slice(5, 8), 7)
    import_masks(project, lab.masks)
    shutil.rmtree(lab.masks)

    (result,) = retry_quarantined(project, waiting(project), ImportOptions(values={7: "spleen"}))

    assert result.accepted
    np.testing.assert_array_equal(label(project), PARTS)


def test_copies_count_in_a_project_of_another_person(lab, project, monkeypatch):
    two_parts(lab, value=7)
    import_masks(project, lab.masks)
    two_parts(lab)
    monkeypatch.setattr(TrustStore, "is_own", lambda *_: False)

    (result,) = retry_quarantined(project, waiting(project))

    assert (result.accepted, result.code) == (False, "class-unclear")


def test_parts_of_an_archive_are_joined_again(lab, project, tmp_path):
    two_parts(lab, value=7)
    with zipfile.ZipFile(tmp_path / "back.zip", "w") as archive:
        for file in lab.masks.iterdir():
            archive.write(file, f"masks/{file.name}")
    shutil.rmtree(lab.masks)
    import_masks(project, tmp_path / "back.zip")

    (result,) = retry_quarantined(project, waiting(project), ImportOptions(values={7: "spleen"}))

    assert result.accepted
    np.testing.assert_array_equal(label(project), PARTS)


def test_one_part_that_is_gone_with_its_copy_is_told(lab, project):
    two_parts(lab, value=7)
    import_masks(project, lab.masks)
    (row,) = waiting(project)
    (lab.masks / "s00_liver.png").unlink()
    project.file_of(row["file"]).unlink()

    (result,) = retry_quarantined(project, [row])

    assert (result.accepted, result.code) == (False, "missing")
    assert "not all of its 2 files can be found" in result.message


def test_slices_are_tried_again_as_one_volume(lab):
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    lab.volume("v.nii.gz", affine, (5, 6, 3))
    project = lab.start(TWO)
    lab.embed(project)
    lab.map(project, {"v": (0.0, 0.0)})
    lab.select(project, [("v", "medoid")], {"v": 0})
    out = export_queue(project, format="coco", out=lab.folder / "out", wanted=Wanted()).folder
    (row,) = json.loads((out / "manifest.json").read_text())["items"]
    names = [one["image"].rpartition("/")[2] for one in row["slices"]["files"]]
    rows, columns = np.asarray(Image.open(out / "images" / names[0])).shape
    for number, name in enumerate(names):
        plane = np.zeros((rows, columns), np.uint8)
        plane[number, 0] = 9
        Image.fromarray(plane).save(out / "returned" / name)
    import_masks(project, out)
    (waits,) = waiting(project)
    assert (waits["scan_id"], waits["code"]) == ("v", "unknown-value")

    (result,) = retry_quarantined(project, [waits], ImportOptions(values={9: "spleen"}))

    assert result.accepted, result.message
    assert np.unique(label(project, "v.nii.gz"), return_counts=True)[1].tolist() == [87, 3]


@pytest.fixture
def sliced(lab):
    """An export of a volume of 5 × 6 × 3 voxels as slices, and the slices' paths."""
    lab.volume("v.nii.gz", np.diag([-1.0, -1.0, 2.0, 1.0]), (5, 6, 3))
    project = lab.start(TWO)
    lab.embed(project)
    lab.map(project, {"v": (0.0, 0.0)})
    lab.select(project, [("v", "medoid")], {"v": 0})
    out = export_queue(project, format="coco", out=lab.folder / "out", wanted=Wanted()).folder
    (row,) = json.loads((out / "manifest.json").read_text())["items"]
    return project, out, [out / one["image"] for one in row["slices"]["files"]]


def draw_over(picture, pixels):
    mask = np.zeros(np.asarray(Image.open(picture)).shape, np.uint8)
    mask[0, :pixels] = 1
    Image.fromarray(mask).save(picture)


def test_masks_saved_over_exported_slices_are_taken_and_told(sliced):
    """One of the three slices keeps its picture: its 30 voxels are ignored."""
    project, out, pictures = sliced
    draw_over(pictures[0], 2)
    draw_over(pictures[2], 3)

    report = import_masks(project, out)

    (verdict,) = report.accepted
    assert "a mask lies where its picture was exported" in verdict.warnings
    found = np.unique(label(project, "v.nii.gz"), return_counts=True)
    assert [part.tolist() for part in found] == [[0, 1, 255], [55, 5, 30]]
    left_out = {v.file: v.message for v in report.ignored}
    assert left_out[pictures[1]] == "part of instances_default.json"
    assert not {pictures[0], pictures[2]} & left_out.keys()


def test_images_of_an_export_are_not_counted_as_masks(lab):
    project = lab.line(5, [("s00", "medoid"), ("s01", "farthest-point")])
    out = export_queue(project).folder
    assert len(list((out / "images").iterdir())) == 2
    mask = np.zeros((6, 9), np.uint8)
    mask[0, :5] = 1
    Image.fromarray(mask).save(out / "masks" / "s01.png")

    report = import_masks(project, out)

    assert (report.saw, len(report.accepted)) == ("1 PNG mask in a folder", 1)


def test_slices_of_an_export_that_kept_no_hashes_are_pictures(sliced):
    project, out, pictures = sliced
    (own,) = project.layout.exports.glob("*.manifest.json")
    document = json.loads(own.read_text())
    for one in document["items"][0]["slices"]["files"]:
        assert len(one.pop("sha256")) == 64
    own.write_text(json.dumps(document))
    draw_over(pictures[0], 2)

    report = import_masks(project, out)

    assert report.accepted == ()
    assert set(pictures) < {one.file for one in report.ignored}


@pytest.mark.parametrize(
    "stored",
    ["no json", "[]", '{"root": "/", "files": [], "match": null}', '{"files": 5}'],
)
def test_files_that_are_not_recorded_are_asked_for(lab, project, stored):
    two_parts(lab, value=7)
    import_masks(project, lab.masks)
    project.store.update("quarantine", {"quarantine_id": 1}, joined=stored)

    (result,) = retry_quarantined(project, waiting(project))

    assert (result.accepted, result.code) == (False, "not-one-mask")
    assert result.message.endswith("import the folder with all of them again")


def test_no_file_outside_the_quarantine_is_opened_for_another_person(lab, project, monkeypatch):
    """The record names files of the one who opens the project; their place was made up."""
    two_parts(lab, value=7)
    import_masks(project, lab.masks)
    monkeypatch.setattr(TrustStore, "is_own", lambda *_: False)
    (row,) = waiting(project)
    kept = project.file_of(row["file"])
    climbing = [str(kept.relative_to("/")), str((lab.masks / "s00_liver.png").relative_to("/"))]
    made_up = {"root": "/", "files": climbing, "match": None}
    project.store.update("quarantine", {"quarantine_id": 1}, joined=json.dumps(made_up))

    (result,) = retry_quarantined(project, waiting(project), ImportOptions(values={7: "spleen"}))

    assert (result.accepted, result.code) == (False, "missing")
