"""Exports of volumes, read back by SimpleITK, nibabel and pynrrd, voxel by voxel in world space."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from coldal_tui.exchange.exporters import exporter
from coldal_tui.exchange.manifest import read_manifest
from coldal_tui.files import sha256_file
from tests.support import labelled_scans as scans

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def export(fmt: str, out: Path, *items, **changes) -> Path:
    meta = replace(scans.META, **changes)
    return exporter(fmt)(out, list(items), meta).folder


def world_points(image: sitk.Image, value: int) -> set[tuple[float, ...]]:
    """Where the voxels of a value lie, in LPS mm to a micrometre."""
    found = np.argwhere(sitk.GetArrayFromImage(image) == value)[:, ::-1]
    points = (image.TransformIndexToPhysicalPoint([int(n) for n in at]) for at in found)
    return {tuple(np.round(point, 3) + 0.0) for point in points}


def expected_points(label: np.ndarray, value: int) -> set[tuple[float, ...]]:
    """The same from the array that was labelled and the geometry it was made with."""
    source = scans.oblique()
    at = np.argwhere(label == value)
    points = (source.TransformIndexToPhysicalPoint([int(n) for n in one]) for one in at)
    return {tuple(np.round(point, 3) + 0.0) for point in points}


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize(
    ("fmt", "image", "prelabel"),
    [
        ("nifti", "images/brain.nii.gz", "prelabels/brain.nii.gz"),
        ("monai-label", "brain.nii.gz", "labels/original/brain.nii.gz"),
        ("nnunet", "imagesTs/brain_0000.nii.gz", "prelabels/brain.nii.gz"),
    ],
)
def test_image_and_prelabel_lie_where_they_were_for_simpleitk(
    tmp_path, fmt, image, prelabel, ending
):
    out = export(fmt, tmp_path / "out", scans.volume(tmp_path, ending))

    source, written = scans.oblique(), sitk.ReadImage(str(out / image))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(written), sitk.GetArrayFromImage(source))
    corner = [6, 8, 4]
    np.testing.assert_allclose(
        written.TransformIndexToPhysicalPoint(corner),
        source.TransformIndexToPhysicalPoint(corner),
        atol=1e-4,
    )
    label = sitk.ReadImage(str(out / prelabel))
    for value in (1, 2):
        assert world_points(label, value) == expected_points(scans.ring(scans.SHAPE), value)


@pytest.mark.parametrize("fmt", ["nifti", "slicer"])
def test_a_scan_without_a_position_gets_one_for_all_programs(tmp_path, fmt):
    item = scans.unplaced(tmp_path)
    out = export(fmt, tmp_path / "out", item)

    by_itk = sitk.ReadImage(str(out / "images/lost.nii.gz"))
    by_nibabel = nib.load(out / "images/lost.nii.gz")
    np.testing.assert_allclose(
        by_itk.TransformIndexToPhysicalPoint([6, 8, 4]),
        (LPS @ by_nibabel.affine @ [6, 8, 4, 1])[:3],
        atol=1e-4,
    )
    np.testing.assert_allclose(by_nibabel.affine, np.array(item.header.affine), atol=1e-6)


def test_a_nifti_with_a_position_is_copied(tmp_path):
    item = scans.volume(tmp_path)
    out = export("nifti", tmp_path / "out", item)
    assert sha256_file(out / "images/brain.nii.gz") == sha256_file(Path(item.ref.files[0]))


def test_a_dicom_series_becomes_the_volume_that_itk_makes_of_it(tmp_path):
    item = scans.ct_series(tmp_path)
    out = export("nifti", tmp_path / "out", item)

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(list(item.ref.files))
    series, written = reader.Execute(), sitk.ReadImage(str(out / "images/ct.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(written), sitk.GetArrayFromImage(series))
    for corner in ([0, 0, 0], [8, 5, 4]):
        np.testing.assert_allclose(
            written.TransformIndexToPhysicalPoint(corner),
            series.TransformIndexToPhysicalPoint(corner),
            atol=1e-3,
        )


def test_a_picture_becomes_one_slice_with_columns_first(tmp_path):
    item = scans.picture(tmp_path)
    out = export("nifti", tmp_path / "out", item)

    image = sitk.ReadImage(str(out / "images/photo.nii.gz"))
    assert image.GetSize() == (9, 7, 1)
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(out / "prelabels/photo.nii.gz")))
    np.testing.assert_array_equal(label[0], scans.ring((7, 9)))


def test_colours_are_kept(tmp_path):
    item = scans.picture(tmp_path, "RGB")
    out = export("nifti", tmp_path / "out", item)
    image = sitk.ReadImage(str(out / "images/photo.nii.gz"))
    assert image.GetNumberOfComponentsPerPixel() == 3
    with Image.open(item.ref.files[0]) as source:
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image)[0], np.asarray(source))


def test_itk_snap_gets_names_and_colours(tmp_path):
    out = export("nifti", tmp_path / "out", scans.volume(tmp_path))
    rows = [
        line.split()
        for line in (out / "itksnap_labels.txt").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert [(row[0], row[-1]) for row in rows] == [
        ("0", 'Label"'),
        ("1", '"organ"'),
        ("2", '"tumour"'),
        ("127", '"ignore"'),
    ]
    assert {len(row) for row in rows[1:]} == {8}
    assert rows[1][1:4] == ["230", "159", "0"]


@pytest.fixture
def slicer(tmp_path) -> Path:
    return export("slicer", tmp_path / "out", scans.volume(tmp_path))


def test_pynrrd_reads_the_segments(slicer):
    values, header = nrrd.read(str(slicer / "prelabels/brain.seg.nrrd"))
    np.testing.assert_array_equal(values, scans.ring(scans.SHAPE))
    assert [header[f"Segment{n}_Name"] for n in (0, 1)] == ["organ", "tumour"]
    assert [header[f"Segment{n}_LabelValue"] for n in (0, 1)] == ["1", "2"]
    assert header["Segment0_Extent"] == "1 5 2 6 1 3"
    assert header["Segment0_Color"] == "0.901961 0.623529 0"
    assert "Segment2_Name" not in header


def test_simpleitk_finds_the_segments_in_world_space(slicer):
    label = sitk.ReadImage(str(slicer / "prelabels/brain.seg.nrrd"))
    for value in (1, 2):
        assert world_points(label, value) == expected_points(scans.ring(scans.SHAPE), value)


def test_class_names_of_any_language_reach_the_header(tmp_path):
    item = scans.volume(tmp_path)
    out = export("slicer", tmp_path / "out", item, classes=("Gehör\\n", "腫瘍"))
    text = (out / "prelabels/brain.seg.nrrd").read_bytes().split(b"\n\n")[0].decode()
    assert "Segment0_Name:=Gehör\\\\n\n" in text
    assert "Segment1_Name:=腫瘍\n" in text


class FakeSlicer:
    """As much of Slicer's Python as the script uses; remembers what was loaded and saved."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.saved: list[str] = []
        self.segments: list[tuple[str, list[float]]] = []
        self.util, self.mrmlScene = self, self

    def __getattr__(self, _name: str):
        return lambda *_args, **_named: self

    def loadVolume(self, path: str):  # noqa: N802
        return self.loadSegmentation(path)

    def loadSegmentation(self, path: str):  # noqa: N802
        assert Path(path).is_file()
        self.loaded.append(path)
        return self

    def AddEmptySegment(self, _id: str, name: str, colour: list[float]) -> None:  # noqa: N802
        self.segments.append((name, colour))

    def saveNode(self, _node: object, path: str) -> bool:  # noqa: N802
        Path(path).write_bytes(b"NRRD")
        self.saved.append(path)
        return True


def test_the_script_opens_scans_by_rank_and_saves_where_import_looks(tmp_path, monkeypatch, capsys):
    first = scans.volume(tmp_path)
    second = scans.volume(tmp_path, ".nrrd", "other")
    out = export("slicer", tmp_path / "out", first, replace(second, rank=2, prelabel=None))
    moved = out.rename(tmp_path / "moved here")
    fake = FakeSlicer()
    monkeypatch.setitem(sys.modules, "slicer", fake)
    monkeypatch.chdir(moved)
    space: dict[str, object] = {"__name__": "__main__"}

    exec(compile((moved / "load_in_slicer.py").read_text(), "script", "exec"), space)

    assert fake.loaded == [
        str(moved / "images/brain.nii.gz"),
        str(moved / "prelabels/brain.seg.nrrd"),
    ]
    space["next_scan"]()
    assert fake.saved == [str(moved / "masks/brain.seg.nrrd")]
    assert fake.loaded[2:] == [str(moved / "images/other.nrrd")]
    assert [name for name, _ in fake.segments] == ["organ", "tumour"]
    capsys.readouterr()


def test_the_datastore_lists_proposals_as_original_and_names_nobody(tmp_path):
    out = export("monai-label", tmp_path / "out", scans.volume(tmp_path), scans.picture(tmp_path))
    store = json.loads((out / "datastore_v2.json").read_text())

    assert (store["images_dir"], store["labels_dir"]) == (".", "labels")
    brain = store["objects"]["brain"]
    assert brain["image"]["ext"] == ".nii.gz"
    assert set(brain["labels"]) == {"original"}
    info = brain["labels"]["original"]["info"]
    assert info["label_info"] == [{"name": "organ", "idx": 1}, {"name": "tumour", "idx": 2}]
    assert info["checksum"] == f"SHA256:{sha256_file(out / 'labels/original/brain.nii.gz')}"
    assert store["objects"]["photo"]["image"]["ext"] == ".png"
    assert "client_id" not in (out / "datastore_v2.json").read_text()
    assert list((out / "labels/final").iterdir()) == []


def test_the_nnunet_data_set_states_channels_values_and_file_type(tmp_path):
    out = export("nnunet", tmp_path / "out", scans.volume(tmp_path))
    assert json.loads((out / "dataset.json").read_text()) == {
        "name": "brains",
        "channel_names": {"0": "image"},
        "labels": {"background": 0, "organ": 1, "tumour": 2, "ignore": 3},
        "numTraining": 0,
        "numTest": 1,
        "file_ending": ".nii.gz",
    }
    assert "| 3 | ignore" in (out / "README.md").read_text()
    assert (out / "labelsTs").is_dir()


def test_pictures_of_colour_are_nnunet_pngs(tmp_path):
    item = scans.picture(tmp_path, "RGB", ".jpg")
    out = export("nnunet", tmp_path / "out", item)
    with (
        Image.open(out / "imagesTs/photo_0000.png") as written,
        Image.open(item.ref.files[0]) as source,
    ):
        np.testing.assert_array_equal(np.asarray(written), np.asarray(source))
    names = json.loads((out / "dataset.json").read_text())["channel_names"]
    assert names == {"0": "R", "1": "G", "2": "B"}


def test_a_grey_picture_beside_colour_ones_gets_their_channels(tmp_path):
    grey, colour = scans.picture(tmp_path), scans.picture(tmp_path, "RGB", name="coloured")
    out = export("nnunet", tmp_path / "out", grey, colour)
    written = np.asarray(Image.open(out / f"imagesTs/{grey.scan_id}_0000.png"))
    source = np.asarray(Image.open(grey.ref.files[0]))
    np.testing.assert_array_equal(written, np.stack([source] * 3, axis=-1))
    document = json.loads((out / "dataset.json").read_text())
    assert document["channel_names"] == {"0": "R", "1": "G", "2": "B"}


def test_channels_of_a_volume_are_nnunet_files_of_their_own(tmp_path):
    path = tmp_path / "two.nii.gz"
    values = np.random.default_rng(1).random((4, 5, 6, 2)).astype(np.float32)
    nib.save(nib.Nifti1Image(values, np.diag([-1.0, -1, 2, 1])), path)
    item = scans.item_of("two", scans.ScanRef("nifti", (str(path),)))
    out = export("nnunet", tmp_path / "out", item)
    for channel in (0, 1):
        written = nib.load(out / f"imagesTs/two_000{channel}.nii.gz")
        np.testing.assert_array_equal(written.get_fdata(), values[..., channel])


@pytest.mark.parametrize("fmt", ["nifti", "slicer", "monai-label", "nnunet"])
def test_the_manifest_knows_the_scans_own_image_and_the_prelabel(tmp_path, fmt):
    item = scans.volume(tmp_path, ".mha")
    out = export(fmt, tmp_path / "out", item)

    (entry,) = read_manifest(out).entries
    assert entry.sha256 == sha256_file(Path(item.ref.files[0]))
    assert (out / entry.image).is_file()
    assert entry.prelabel_sha256 == sha256_file(out / entry.prelabel)


@pytest.mark.parametrize("fmt", ["nifti", "slicer", "monai-label", "nnunet"])
def test_equal_scans_give_equal_exports(tmp_path, fmt):
    item = scans.volume(tmp_path, ".mha")
    first = exporter(fmt)(tmp_path / "a", [item], scans.META)
    second = exporter(fmt)(tmp_path / "b", [item], scans.META)
    assert first.files == second.files
