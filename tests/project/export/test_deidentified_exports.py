"""De-identified exports of a project: nothing tells who it is, and masks find the way back."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.deidentify.keys import read_keys
from coldal_tui.project.export.exporting import Wanted, export_queue
from coldal_tui.project.labels.importing import import_masks, list_labels
from coldal_tui.project.labels.targets import targets
from tests.support import dicom_files

PICKS = [("doe_jane_19800203", "medoid"), ("roe_rick", "farthest-point")]
HIDE = Wanted(deidentify="remove")


@pytest.fixture
def project(lab):
    """Two queued pictures whose names say everything; the second is a photograph with EXIF."""
    lab.pictures("doe_jane_19800203", "other_one", "third_one")
    exif = Image.Exif()
    exif[270] = "Rick Roe, born 1975-06-07"
    pixels = np.random.default_rng(1).integers(1, 255, (6, 9), dtype=np.uint8)
    Image.fromarray(pixels).save(lab.images / "roe_rick.jpg", exif=exif)
    names = ["doe_jane_19800203", "other_one", "roe_rick", "third_one"]
    project = lab.start()
    lab.embed(project)
    lab.map(project, {name: (float(n), 0.0) for n, name in enumerate(names)})
    lab.select(project, PICKS, dict.fromkeys(names, 0))
    return project


def everything(folder: Path) -> bytes:
    names = "\n".join(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return names.encode() + b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())


def test_names_dates_and_paths_are_gone(project):
    report = export_queue(project, wanted=HIDE)
    said = everything(report.folder).lower()
    for secret in (b"doe", b"jane", b"1980", b"roe", b"rick", b"1975", b"exported_by", b"created"):
        assert secret not in said, secret


def test_pixels_are_the_same(lab, project):
    report = export_queue(project, wanted=HIDE)
    name = report.pseudonyms["roe_rick"]
    written = np.asarray(Image.open(report.folder / f"images/{name}.png"))
    source = np.asarray(Image.open(lab.images / "roe_rick.jpg"))
    np.testing.assert_array_equal(written, source)


def test_the_keys_lie_in_the_project_for_its_owner_alone(project):
    report = export_queue(project, wanted=HIDE)
    assert report.key_file.parent == project.layout.state / "keys"
    assert stat.S_IMODE(report.key_file.stat().st_mode) == 0o600
    keys = read_keys(report.key_file)
    assert {key.scan_id for key in keys.scans.values()} == {name for name, _ in PICKS}
    assert project.store.value("SELECT key_file FROM exports") == (
        f".coldal/keys/{report.key_file.name}"
    )


def test_masks_come_back_under_their_pseudonyms(lab, project):
    report = export_queue(project, wanted=HIDE)
    for name, _ in PICKS:
        mask = np.zeros((6, 9), np.uint8)
        mask[1, :3] = 1
        mask[2, : len(name)] = 1
        Image.fromarray(mask).save(report.folder / f"masks/{report.pseudonyms[name]}.png")
    taken = import_masks(project, report.folder)
    assert {v.scan_id for v in taken.accepted} == {name for name, _ in PICKS}
    assert {v.matched_by for v in taken.accepted} == {"manifest"}


def test_a_lone_mask_without_the_manifest_comes_back(lab, project):
    report = export_queue(project, wanted=HIDE)
    lab.mask(f"{report.pseudonyms['roe_rick']}.png")
    import_masks(project, lab.masks)
    assert [label["scan_id"] for label in list_labels(project)] == ["roe_rick"]


def test_people_are_numbered(project):
    wanted = Wanted(deidentify="remove", people=("ana@clinic.org", "ben"), overlap=1)
    report = export_queue(project, wanted=wanted)
    assert sorted(p.name for p in report.folder.iterdir() if p.is_dir()) == [
        "labeler-1",
        "labeler-2",
    ]
    assert b"clinic.org" not in everything(report.folder)
    assert report.assignees == {"ana@clinic.org": 2, "ben": 1}
    rows = project.store.tuples("SELECT assignee FROM queue WHERE assignee LIKE '%,%'")
    assert [set(str(names).split(",")) for (names,) in rows] == [{"ana@clinic.org", "ben"}]


def test_the_page_says_what_is_not_removed(project):
    page = (export_queue(project, wanted=HIDE).folder / "README.md").read_text()
    assert "burned into the pixels" in page
    assert "faces" in page


def test_the_manifest_has_no_hash_that_ties_a_pseudonym_to_its_scan(project):
    report = export_queue(project, wanted=HIDE)
    document = json.loads((report.folder / "manifest.json").read_text())
    assert document["deidentified"] is True
    assert [item["sha256"] for item in document["items"]] == [None, None]
    assert project.scan("roe_rick").sha256 is not None


def test_a_leak_stops_the_export_and_leaves_nothing(lab, project):
    before = project.store.rows("SELECT * FROM queue")
    lab.configure('[classes]\nnames = ["x roe_rick x"]\n')
    project.reload_config()
    with pytest.raises(ColdalError, match="still says who") as caught:
        export_queue(project, wanted=HIDE)
    assert caught.value.code == "leak"
    assert project.store.rows("SELECT * FROM queue") == before
    assert project.store.rows("SELECT * FROM exports") == []
    assert list(project.layout.exports.iterdir()) == []
    keys = project.layout.state / "keys"
    assert not keys.exists() or list(keys.iterdir()) == []


@pytest.mark.parametrize(
    "fmt", ["folder", "nifti", "slicer", "monai-label", "nnunet", "cvat", "label-studio", "coco"]
)
def test_every_format_is_clean(lab, project, fmt):
    report = export_queue(project, format=fmt, wanted=HIDE)
    said = everything(report.folder).lower()
    assert b"doe" not in said
    assert b"rick" not in said


@pytest.fixture
def hospital(lab):
    """A DICOM series and a NIfTI volume, queued, with pre-labels that a run made."""
    dicom_files.write_series(lab.images / "series")
    for path in (lab.images / "series").iterdir():
        ds = pydicom.dcmread(path)
        ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Doe^Jane", "MRN-4711", "19800203"
        ds.save_as(path)
    image = nib.Nifti1Image(
        np.random.default_rng(2).random((5, 6, 7)).astype(np.float32), np.diag([-1.0, 1, 2, 1])
    )
    image.header["descrip"] = b"Rick Roe 19750607"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"of Rick Roe"))
    nib.save(image, lab.images / "roe_rick.nii.gz")
    project = lab.start()
    names = [scan.scan_id for scan in project.scans()]
    lab.embed(project)
    lab.map(project, {name: (float(n), 0.0) for n, name in enumerate(names)})
    lab.select(project, [(name, "medoid") for name in names], dict.fromkeys(names, 0))
    return project, names


@pytest.mark.parametrize("fmt", ["folder", "nifti", "slicer", "monai-label", "nnunet", "coco"])
@pytest.mark.parametrize("dates", ["remove", "shift"])
def test_volumes_are_clean_in_every_format(hospital, fmt, dates):
    project, _ = hospital
    report = export_queue(project, format=fmt, wanted=Wanted(deidentify=dates))
    said = everything(report.folder).lower()
    for secret in (b"doe^jane", b"mrn-4711", b"19800203", b"roe", b"1.2.3.4.10", b"20240102"):
        assert secret not in said, secret


def test_a_segmentation_with_replaced_uids_finds_its_scan_and_slices(lab, hospital):
    project, names = hospital
    (series,) = [name for name in names if len(project.scan(name).files) > 1]
    project.store.execute("DELETE FROM queue WHERE scan_id != ?", (series,))
    report = export_queue(project, wanted=HIDE)
    pseudonym = report.pseudonyms[series]
    first = sorted((report.folder / "images" / pseudonym).iterdir())
    (target,) = [one for one in targets(project) if one.scan_id == series]
    for number, path in enumerate(first):
        uid = pydicom.dcmread(path).SOPInstanceUID
        assert target.renamed[uid] == target.instances[number]


def test_a_lost_key_file_does_not_stop_other_imports(lab, project):
    report = export_queue(project, wanted=HIDE)
    shutil.rmtree(report.key_file.parent)
    lab.mask("other_one.png")
    assert [v.scan_id for v in import_masks(project, lab.masks).accepted] == ["other_one"]


def test_slices_under_pseudonyms_go_back_into_their_volume(hospital):
    project, _ = hospital
    report = export_queue(project, format="coco", wanted=HIDE)
    volume = report.pseudonyms["roe_rick"]
    pictures = sorted((report.folder / "images").glob(f"{volume}__*.png"))
    for picture in pictures:
        with Image.open(picture) as shown:
            mask = np.zeros(shown.size[::-1], np.uint8)
        mask[1:3, 2] = 1
        Image.fromarray(mask).save(report.folder / "returned" / picture.name)
    taken = import_masks(project, report.folder / "returned")
    assert [(v.scan_id, v.matched_by) for v in taken.accepted] == [("roe_rick", "manifest")]
    (label,) = list_labels(project)
    assert sum(label["voxels"].values()) == 2 * len(pictures)
