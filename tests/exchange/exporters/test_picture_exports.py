"""Exports for 2-D tools: pictures, slices of volumes, and pre-labels in each tool's encoding."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from coldal_tui.exchange.exporters import exporter
from coldal_tui.exchange.exporters.choices import SliceChoice
from coldal_tui.exchange.exporters.pictures import cut_axis
from coldal_tui.exchange.manifest import read_manifest
from coldal_tui.exchange.masks.rle_encode import brush_rle, coco_counts, cvat_mask
from coldal_tui.exchange.slices import restore
from coldal_tui.files import sha256_file
from coldal_tui.imaging.image import ScanHeader
from coldal_tui.imaging.intensity import limits
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.imaging.reading import read_scan
from tests.support import labelled_scans as scans

FORMATS = ("cvat", "label-studio", "coco")
FLAT = scans.ring((7, 9))
MASK = FLAT == 1


def export(fmt: str, out: Path, *items, **changes) -> Path:
    return exporter(fmt)(out, list(items), replace(scans.META, **changes)).folder


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def decoded_coco(text: str, rows: int, columns: int) -> np.ndarray:
    """rleFrString of cocoapi's maskApi.c, letter by letter."""
    counts: list[int] = []
    at = 0
    while at < len(text):
        value, shift, more = 0, 0, True
        while more:
            part = ord(text[at]) - 48
            value |= (part & 0x1F) << 5 * shift
            more = bool(part & 0x20)
            at, shift = at + 1, shift + 1
            if not more and part & 0x10:
                value |= -1 << 5 * shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    flat = np.repeat(np.arange(len(counts)) % 2, counts)
    return flat.reshape(columns, rows).T.astype(bool)


def decoded_cvat(element: ElementTree.Element, rows: int, columns: int) -> np.ndarray:
    left, top, width, height = (int(element.get(k)) for k in ("left", "top", "width", "height"))
    counts = [int(n) for n in element.get("rle").split(",")]
    box = np.repeat(np.arange(len(counts)) % 2, counts).reshape(height, width)
    mask = np.zeros((rows, columns), bool)
    mask[top : top + height, left : left + width] = box
    return mask


def decoded_brush(packed: list[int], rows: int, columns: int) -> np.ndarray:
    """decode_rle of label_studio_sdk.converter.brush, after its JavaScript original."""
    bits = "".join(f"{byte:08b}" for byte in packed)
    at = 0

    def take(size: int) -> int:
        nonlocal at
        at += size
        return int(bits[at - size : at], 2)

    count, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    out: list[int] = []
    while len(out) < count:
        run, length = take(1), take(sizes[take(2)]) + 1
        out += [take(word)] * length if run else [take(word) for _ in range(length)]
    return np.array(out).reshape(rows, columns, 4)[..., 3] == 255


@pytest.mark.parametrize(
    "mask",
    [
        MASK,
        FLAT == 2,
        np.ones((3, 4), bool),
        np.eye(5, dtype=bool),
        np.random.default_rng(0).random((40, 33)) < 0.5,
        np.pad(np.ones((300, 400), bool), ((50, 1), (0, 77))),
    ],
    ids=["hole", "dots", "full", "diagonal", "noise", "large"],
)
def test_every_encoding_holds_every_pixel(mask):
    rows, columns = mask.shape
    np.testing.assert_array_equal(decoded_coco(coco_counts(mask), rows, columns), mask)
    np.testing.assert_array_equal(decoded_brush(brush_rle(mask), rows, columns), mask)
    packed = cvat_mask(mask)
    element = ElementTree.Element(
        "mask", rle=packed.rle, **{k: str(getattr(packed, k)) for k in ("left", "top", "width")}
    )
    element.set("height", str(packed.height))
    np.testing.assert_array_equal(decoded_cvat(element, rows, columns), mask)


def test_an_empty_mask_has_a_coco_encoding():
    assert not decoded_coco(coco_counts(np.zeros((3, 4), bool)), 3, 4).any()


@pytest.mark.parametrize("fmt", FORMATS)
def test_plain_pictures_are_copied(tmp_path, fmt):
    item = scans.picture(tmp_path, "RGB", ".jpg")
    out = export(fmt, tmp_path / "out", item)
    assert sha256_file(out / "images/photo.jpg") == sha256_file(Path(item.ref.files[0]))


@pytest.mark.parametrize("mode", ["P", "RGBA", "1"])
def test_pictures_that_tools_may_show_otherwise_are_written_as_displayed(tmp_path, mode):
    item = scans.picture(tmp_path, mode)
    out = export("cvat", tmp_path / "out", item)
    shown = read_scan(item.ref).array
    np.testing.assert_array_equal(
        pixels(out / "images/photo.png"), shown[..., 0] if shown.shape[-1] == 1 else shown
    )


def test_a_turned_photograph_is_turned_before_anyone_draws_on_it(tmp_path):
    path = tmp_path / "turned-source.jpg"
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(np.arange(63, dtype=np.uint8).reshape(7, 9)).save(path, exif=exif)
    item = scans.item_of("turned", scans.ScanRef("raster", (str(path),)))
    out = export("coco", tmp_path / "out", item)
    assert pixels(out / "images/turned.png").shape == (9, 7)
    (image,) = json.loads((out / "annotations/instances_default.json").read_text())["images"]
    assert (image["width"], image["height"]) == (7, 9)


def test_coco_holds_the_prelabels(tmp_path):
    out = export("coco", tmp_path / "out", scans.picture(tmp_path))
    document = json.loads((out / "annotations/instances_default.json").read_text())

    assert [(c["id"], c["name"]) for c in document["categories"]] == [(1, "organ"), (2, "tumour")]
    assert document["images"] == [{"id": 1, "file_name": "photo.png", "width": 9, "height": 7}]
    for annotation in document["annotations"]:
        drawn = annotation["category_id"] == FLAT
        found = decoded_coco(annotation["segmentation"]["counts"], 7, 9)
        np.testing.assert_array_equal(found, drawn)
        assert annotation["area"] == drawn.sum()
    assert [a["bbox"] for a in document["annotations"]] == [[2, 1, 5, 5], [0, 0, 9, 7]]


def test_cvat_holds_the_prelabels(tmp_path):
    out = export("cvat", tmp_path / "out", scans.picture(tmp_path))
    (image,) = ElementTree.parse(out / "annotations.xml").getroot().iter("image")

    assert (image.get("name"), image.get("width"), image.get("height")) == ("photo.png", "9", "7")
    masks = {m.get("label"): decoded_cvat(m, 7, 9) for m in image.iter("mask")}
    np.testing.assert_array_equal(masks["organ"], FLAT == 1)
    np.testing.assert_array_equal(masks["tumour"], FLAT == 2)
    assert json.loads((out / "cvat_labels.json").read_text())[0] == {
        "name": "organ",
        "color": "#e69f00",
        "type": "any",
        "attributes": [],
    }


def test_label_studio_holds_the_prelabels_as_predictions(tmp_path):
    out = export("label-studio", tmp_path / "out", scans.picture(tmp_path))
    (task,) = json.loads((out / "tasks.json").read_text())

    assert task["data"] == {
        "image": "/data/local-files/?d=images/photo.png",
        "scan_id": "photo",
    }
    (prediction,) = task["predictions"]
    assert prediction["model_version"] == "run-003"
    for result in prediction["result"]:
        assert (result["original_width"], result["original_height"]) == (9, 7)
        (name,) = result["value"]["brushlabels"]
        found = decoded_brush(result["value"]["rle"], 7, 9)
        value = {"organ": 1, "tumour": 2}[name]
        np.testing.assert_array_equal(found, value == FLAT)
    view = ElementTree.parse(out / "labeling_config.xml").getroot()
    names = {result["from_name"] for result in prediction["result"]}
    assert {tag.get("name") for tag in view.iter("BrushLabels")} == names
    for kind in ("BrushLabels", "PolygonLabels"):
        labels = [tag.get("value") for one in view.iter(kind) for tag in one.iter("Label")]
        assert labels == ["organ", "tumour"]
    assert {tag.get("toName") for tag in view if tag.tag != "Image"} == {"image"}


def test_a_task_without_a_model_has_no_prediction(tmp_path):
    item = replace(scans.picture(tmp_path), prelabel=None)
    out = export("label-studio", tmp_path / "out", item)
    (task,) = json.loads((out / "tasks.json").read_text())
    assert "predictions" not in task


def header(spacing, affine=None) -> ScanHeader:
    return ScanHeader((10, 20, 30), 1, "int16", spacing, affine)


def test_a_volume_is_cut_across_its_thick_axis():
    assert cut_axis(header((3.0, 0.5, 0.5))) == 0
    assert cut_axis(header((0.7, 1.1, 4.0))) == 2


def test_an_even_volume_is_cut_from_head_to_foot():
    standing = ((0.0, 0.0, 1.0, 0.0), (1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0, 0, 0, 1.0))
    assert cut_axis(header((1.0, 1.0, 1.0), standing)) == 1
    assert cut_axis(header(None)) == 2


@pytest.mark.parametrize("fmt", FORMATS)
def test_slices_are_named_after_scan_and_index(tmp_path, fmt):
    out = export(fmt, tmp_path / "out", scans.volume(tmp_path))
    assert sorted(p.name for p in (out / "images").iterdir()) == [
        f"brain__z000{k}.png" for k in range(5)
    ]


def test_every_nth_slice_keeps_the_middle_one(tmp_path):
    item = scans.volume(tmp_path)
    out = export("coco", tmp_path / "out", item, slices=SliceChoice(4))
    assert [p.name for p in (out / "images").iterdir()] == ["brain__z0002.png"]
    assert list(SliceChoice(3).indices(30)) == [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]


def test_slices_look_alike_in_one_window(tmp_path):
    item = scans.volume(tmp_path, ".mha")
    out = export("coco", tmp_path / "out", item)
    window = json.loads((out / "manifest.json").read_text())["items"][0]["slices"]["window"]
    assert window == [list(pair) for pair in limits(read_scan(item.ref).array, None)]


@pytest.mark.parametrize("fmt", ["nifti", "dicom"])
def test_slices_and_their_prelabels_go_back_into_the_volume(tmp_path, fmt):
    item = scans.volume(tmp_path) if fmt == "nifti" else scans.ct_series(tmp_path)
    out = export("coco", tmp_path / "out", item)
    (entry,) = read_manifest(out).entries
    document = json.loads((out / "annotations/instances_default.json").read_text())

    masks = {}
    for image in document["images"]:
        mask = np.zeros((image["height"], image["width"]), np.uint8)
        for annotation in document["annotations"]:
            if annotation["image_id"] == image["id"]:
                rle = annotation["segmentation"]
                mask[decoded_coco(rle["counts"], *rle["size"])] = annotation["category_id"]
        masks[image["file_name"].removesuffix(".png")] = mask
    restored = restore(entry.slices, masks)

    np.testing.assert_array_equal(restored.label, read_label(item.prelabel))
    assert restored.seen.all()


def test_a_picture_shows_the_patients_right_on_its_left(tmp_path):
    """A bright voxel in the right, front corner of an upright volume."""
    voxels = np.zeros((6, 7, 3), np.uint8)
    voxels[0, 6, 1] = 255
    path = tmp_path / "upright.nii.gz"
    nib.save(nib.Nifti1Image(voxels, np.diag([-1.0, 1, 3, 1])), path)
    item = scans.item_of("upright", scans.ScanRef("nifti", (str(path),)))
    out = export("cvat", tmp_path / "out", item)
    shown = pixels(out / "images/upright__z0001.png")
    # i runs to the patient's left, so the voxel i = 0 is the rightmost: left in the picture.
    assert np.argwhere(shown == shown.max()).tolist() == [[0, 0]]


@pytest.mark.parametrize("fmt", FORMATS)
def test_the_manifest_lists_slices_and_shared_prelabels(tmp_path, fmt):
    out = export(fmt, tmp_path / "out", scans.volume(tmp_path), scans.picture(tmp_path))
    manifest = read_manifest(out)

    assert manifest.slice_for("brain__z0003").indices["brain__z0003"] == 3
    assert manifest.slice_for("photo") is None
    assert manifest.entry_for("brain__z0003").scan_id == "brain"
    assert {p.name for p, _ in manifest.images()} == {p.name for p in (out / "images").iterdir()}
    ((name, digest),) = manifest.annotations
    assert digest == sha256_file(out / name)
    assert {entry.prelabel for entry in manifest.entries} == {name}


@pytest.mark.parametrize("fmt", FORMATS)
def test_the_page_explains_slices(tmp_path, fmt):
    out = export(fmt, tmp_path / "out", scans.volume(tmp_path))
    assert "`brain__z0002.png`" in (out / "README.md").read_text()
