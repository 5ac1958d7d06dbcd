"""Every export comes back: what a tool makes of it is imported, and the export itself is not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.exporters import ExportItem, export_formats, exporter
from coldal_tui.exchange.exporters.choices import SliceChoice
from coldal_tui.exchange.exporters.delivering import deliver
from coldal_tui.exchange.incoming.conflicts import ConflictRule
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.exchange.incoming.importing import examine
from coldal_tui.imaging.labelfile import read_label
from tests.support import labelled_scans as scans
from tests.support.import_plan import plan_import

FLAT = ("cvat", "label-studio", "coco")
VOLUMES = ("folder", "nifti", "slicer", "monai-label", "nnunet")


def target_of(item: ExportItem, sha256: str | None = None) -> ScanTarget:
    header = item.header
    return ScanTarget(
        item.scan_id,
        header.shape,
        (Path(item.ref.files[0]).name,),
        header.affine,
        header.spacing,
        sha256=sha256,
        files=item.ref.files,
    )


def export(fmt: str, folder: Path, *items: ExportItem, **changes):
    result = exporter(fmt)(folder / "out", list(items), replace(scans.META, **changes))
    return result.folder, [target_of(item, result.images[item.scan_id]) for item in items]


def imported(source: Path, targets: list[ScanTarget], **options) -> dict[str, np.ndarray]:
    verdicts = list(
        examine(source, targets, scans.META.classes, 127, options=ImportOptions(**options))
    )
    bad = [v for v in verdicts if v.status in ("quarantined", "unmatched")]
    assert not bad, [(v.file, v.message) for v in bad]
    return {v.scan_id: v.label for v in verdicts if v.status == "accepted"}


def edited(item: ExportItem) -> np.ndarray:
    """The pre-label, corrected: the tumour's first voxel is taken away."""
    label = read_label(item.prelabel)
    label[tuple(np.argwhere(label == 2)[0])] = 0
    return label


@pytest.mark.parametrize("fmt", [name for name in export_formats() if name != "dicom-seg"])
def test_an_export_that_nobody_touched_holds_no_mask(tmp_path, fmt):
    items = [scans.volume(tmp_path), scans.picture(tmp_path)]
    out, targets = export(fmt, tmp_path, *items)
    plan = plan_import(out, targets, scans.META.classes, 127)
    assert (plan.accepted, plan.quarantined, plan.unmatched) == ((), (), ())


def test_a_dicom_export_that_nobody_touched_holds_no_mask(tmp_path):
    out, targets = export("dicom-seg", tmp_path, scans.ct_series(tmp_path))
    plan = plan_import(out, targets, scans.META.classes, 127)
    assert (plan.accepted, plan.quarantined, plan.unmatched) == ((), (), ())


def save_in(fmt: str, out: Path, item: ExportItem, label: np.ndarray) -> None:
    """What the labeler's program writes, with the geometry of the exported image."""
    if fmt == "folder":
        affine = np.array(item.header.affine)
        nib.save(nib.Nifti1Image(label, affine), out / f"masks/{item.scan_id}.nii.gz")
        return
    if fmt == "slicer":
        source = out / f"prelabels/{item.scan_id}.seg.nrrd"
        image = sitk.ReadImage(str(source))
        new = sitk.GetImageFromArray(label.T)
        new.CopyInformation(image)
        for key in image.GetMetaDataKeys():
            new.SetMetaData(key, image.GetMetaData(key))
        sitk.WriteImage(new, str(out / f"masks/{item.scan_id}.seg.nrrd"), useCompression=True)
        return
    image, mask = {
        "nifti": ("images/brain.nii.gz", "masks/brain.nii.gz"),
        "monai-label": ("brain.nii.gz", "labels/final/brain.nii.gz"),
        "nnunet": ("imagesTs/brain_0000.nii.gz", "labelsTs/brain.nii.gz"),
    }[fmt]
    new = sitk.GetImageFromArray(label.T)
    new.CopyInformation(sitk.ReadImage(str(out / image)))
    sitk.WriteImage(new, str(out / mask))
    if fmt == "monai-label":
        store = json.loads((out / "datastore_v2.json").read_text())
        final = {"ext": ".nii.gz", "info": {"name": "brain.nii.gz", "client_id": "a@b.c"}}
        store["objects"]["brain"]["labels"]["final"] = final
        (out / "datastore_v2.json").write_text(json.dumps(store))


@pytest.mark.parametrize("fmt", VOLUMES)
@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_a_corrected_volume_comes_back(tmp_path, fmt, ending):
    item = scans.volume(tmp_path, ending)
    out, targets = export(fmt, tmp_path, item)
    save_in(fmt, out, item, edited(item))
    np.testing.assert_array_equal(imported(out, targets)["brain"], edited(item))


def coco_of(out: Path, labels: dict[str, np.ndarray]) -> Path:
    """A COCO file with uncompressed counts, as other programs write them."""
    document = json.loads((out / "annotations/instances_default.json").read_text())
    document["annotations"] = []
    for image in document["images"]:
        for value in (1, 2):
            flat = (labels[image["file_name"]] == value).ravel(order="F").astype(int)
            edges = np.flatnonzero(np.diff(np.concatenate(([0], flat, [2]))))
            counts = np.diff(np.concatenate(([0], edges))).tolist()
            document["annotations"].append(
                {
                    "id": len(document["annotations"]) + 1,
                    "image_id": image["id"],
                    "category_id": value,
                    "iscrowd": 1,
                    "segmentation": {"size": [image["height"], image["width"]], "counts": counts},
                }
            )
    path = out / "returned" / "instances_default.json"
    path.write_text(json.dumps(document))
    return path


def drawn_slices(out: Path, item: ExportItem, label: np.ndarray) -> dict[str, np.ndarray]:
    """The pictures of an export with what a labeler draws on them, by file name."""
    found = {}
    row = next(
        row
        for row in json.loads((out / "manifest.json").read_text())["items"]
        if row["scan_id"] == item.scan_id
    )
    view = row["slices"]
    for one in view["files"]:
        plane = np.take(label, one["index"], axis=view["axis"])
        plane = plane.T if view["row_axis"] > view["column_axis"] else plane
        plane = plane[::-1] if view["flip_rows"] else plane
        plane = plane[:, ::-1] if view["flip_columns"] else plane
        found[Path(one["image"]).name] = plane
    return found


def test_slices_come_back_from_coco_as_a_volume(tmp_path):
    item = scans.volume(tmp_path)
    out, targets = export("coco", tmp_path, item)
    coco_of(out, drawn_slices(out, item, edited(item)))
    np.testing.assert_array_equal(imported(out, targets)["brain"], edited(item))


def test_slices_come_back_as_pngs(tmp_path):
    item = scans.volume(tmp_path)
    out, targets = export("cvat", tmp_path, item)
    for name, plane in drawn_slices(out, item, edited(item)).items():
        Image.fromarray(np.ascontiguousarray(plane)).save(out / "returned" / name)
    np.testing.assert_array_equal(imported(out / "returned", targets)["brain"], edited(item))


def test_slices_come_back_from_cvat(tmp_path):
    item = scans.volume(tmp_path)
    out, targets = export("cvat", tmp_path, item)
    tree = ElementTree.parse(out / "annotations.xml")
    kept = 0
    for image in tree.getroot().iter("image"):
        for mask in list(image):
            if mask.get("label") == "tumour":
                image.remove(mask)
            kept += mask.get("label") == "organ"
    tree.write(out / "returned" / "annotations.xml")
    expected = np.where(read_label(item.prelabel) == 1, 1, 0)
    assert kept == 3
    np.testing.assert_array_equal(imported(out, targets)["brain"], expected)


def test_slices_come_back_from_label_studio(tmp_path):
    item = scans.volume(tmp_path)
    out, targets = export("label-studio", tmp_path, item)
    tasks = json.loads((out / "tasks.json").read_text())
    for number, task in enumerate(tasks, start=1):
        drawn = task.pop("predictions")[0]["result"]
        task |= {"id": number, "annotations": [{"id": number, "result": drawn}]}
    (out / "returned" / "project-1.json").write_text(json.dumps(tasks))
    label = imported(out, targets)["brain"]
    # An annotation without a drawing is a slice that was looked at and is empty.
    np.testing.assert_array_equal(label, read_label(item.prelabel))


@pytest.mark.parametrize("confirm_empty", [False, True])
def test_slices_that_are_missing_are_not_background(tmp_path, confirm_empty):
    item = scans.volume(tmp_path)
    out, targets = export("coco", tmp_path, item, slices=SliceChoice(2))
    planes = drawn_slices(out, item, edited(item))
    del planes["brain__z0004.png"]
    for name, plane in planes.items():
        Image.fromarray(np.ascontiguousarray(plane)).save(out / "returned" / name)
    label = imported(out / "returned", targets, confirm_empty=confirm_empty)["brain"]
    np.testing.assert_array_equal(label[..., [0, 2]], edited(item)[..., [0, 2]])
    assert (label[..., [1, 3]] == 255).all()
    assert (label[..., 4] == (0 if confirm_empty else 255)).all()


def test_the_same_slices_again_are_the_same_mask_and_a_changed_one_is_not(tmp_path):
    item = scans.volume(tmp_path)
    out, targets = export("coco", tmp_path, item)
    planes = drawn_slices(out, item, edited(item))
    for name, plane in planes.items():
        Image.fromarray(np.ascontiguousarray(plane)).save(out / "returned" / name)

    def key() -> str:
        (verdict,) = plan_import(out / "returned", targets, scans.META.classes, 127).accepted
        return verdict.key

    first = key()
    assert key() == first
    planes["brain__z0002.png"] = planes["brain__z0002.png"] * 0
    Image.fromarray(planes["brain__z0002.png"]).save(out / "returned" / "brain__z0002.png")
    assert key() != first


def test_a_slice_of_the_wrong_size_names_itself(tmp_path):
    item = scans.volume(tmp_path)
    out, targets = export("coco", tmp_path, item)
    planes = drawn_slices(out, item, edited(item))
    planes["brain__z0003.png"] = planes["brain__z0003.png"].T
    for name, plane in planes.items():
        Image.fromarray(np.ascontiguousarray(plane)).save(out / "returned" / name)
    plan = plan_import(out / "returned", targets, scans.META.classes, 127)
    (verdict,) = plan.quarantined
    assert (verdict.scan_id, verdict.code) == ("brain", "wrong-size")
    assert "brain__z0003" in verdict.message


def test_slices_under_longer_names_come_back_by_a_template(tmp_path):
    item = scans.volume(tmp_path)
    out, targets = export("coco", tmp_path, item)
    for name, plane in drawn_slices(out, item, edited(item)).items():
        path = out / "returned" / name.replace(".png", "_mask.png")
        Image.fromarray(np.ascontiguousarray(plane)).save(path)
    verdicts = examine(out / "returned", targets, scans.META.classes, 127, match="{stem}_mask")
    (accepted,) = [v for v in verdicts if v.status == "accepted"]
    np.testing.assert_array_equal(accepted.label, edited(item))


@pytest.fixture
def two_people(tmp_path):
    """One picture that went to ana and ben, each of whom drew another mask."""
    item = scans.picture(tmp_path)
    shares = {name: [replace(item, assignee=name)] for name in ("ana", "ben")}
    delivery = deliver(exporter("folder"), tmp_path / "out", shares, scans.META)
    for columns, name in enumerate(shares, start=2):
        mask = np.zeros((7, 9), np.uint8)
        mask[2, :columns] = 1
        Image.fromarray(mask).save(delivery.folder / name / "masks" / "photo.png")
    return delivery.folder, [target_of(item, delivery.images["photo"])]


def test_two_peoples_masks_are_known_by_their_authors(two_people):
    folder, targets = two_people
    plan = plan_import(folder, targets, scans.META.classes, 127)
    assert {v.author for v in plan.quarantined} == {"ana", "ben"}
    assert {v.code for v in plan.quarantined} == {"conflict"}


def test_one_of_two_people_may_count_and_their_agreement_is_told(two_people):
    folder, targets = two_people
    options = ImportOptions(conflict=ConflictRule.parse("annotator:ben"))
    plan = plan_import(folder, targets, scans.META.classes, 127, options=options)
    (counted,) = plan.accepted
    assert (counted.author, len(plan.kept)) == ("ben", 1)
    assert counted.agreement
    assert {(one.first, one.second) for one in counted.agreement} == {("ana", "ben")}


def test_slices_by_two_people_are_two_volumes(tmp_path):
    item = scans.volume(tmp_path)
    shares = {name: [replace(item, assignee=name)] for name in ("ana", "ben")}
    delivery = deliver(exporter("coco"), tmp_path / "out", shares, scans.META)
    for name, label in (("ana", edited(item)), ("ben", read_label(item.prelabel))):
        out = delivery.folder / name
        for file, plane in drawn_slices(out, item, label).items():
            Image.fromarray(np.ascontiguousarray(plane)).save(out / "returned" / file)
    options = ImportOptions(conflict=ConflictRule.parse("annotator:ana"))
    verdicts = list(
        examine(delivery.folder, [target_of(item)], scans.META.classes, 127, options=options)
    )
    (counted,) = [v for v in verdicts if v.status == "accepted"]
    (other,) = [v for v in verdicts if v.status == "kept"]
    np.testing.assert_array_equal(counted.label, edited(item))
    np.testing.assert_array_equal(other.label, read_label(item.prelabel))


def test_an_export_may_move_before_it_comes_back(tmp_path):
    item = scans.volume(tmp_path)
    out, targets = export("slicer", tmp_path, item)
    shutil.move(out, tmp_path / "elsewhere")
    save_in("slicer", tmp_path / "elsewhere", item, edited(item))
    found = imported(tmp_path / "elsewhere", targets)["brain"]
    np.testing.assert_array_equal(found, edited(item))


def test_what_an_export_told_counts_over_a_kept_map_and_another_order(tmp_path):
    """Its README says 1 and 2; the project has swapped the two since, and kept a map for 1."""
    item = scans.picture(tmp_path)
    out, targets = export("folder", tmp_path, item)
    label = edited(item)
    Image.fromarray(label).save(out / f"masks/{item.scan_id}.png")
    swapped = tuple(reversed(scans.META.classes))
    options = ImportOptions(values={1: "background", 2: "ignore"}, kept=frozenset({1, 2}))

    (verdict,) = [
        v for v in examine(out, targets, swapped, 127, options=options) if v.status == "accepted"
    ]

    expected = np.array([0, 2, 1], np.uint8)[np.where(label == 255, 0, label)]
    np.testing.assert_array_equal(np.where(label == 255, 0, verdict.label), expected)
    assert verdict.notes == ()
