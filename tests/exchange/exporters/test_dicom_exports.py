"""DICOM exports: segmentations read back by pydicom, every frame on its own image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.deidentify.keys import Keys
from coldal_tui.exchange.deidentify.leak_check import find_leaks
from coldal_tui.exchange.deidentify.masking import Deidentifier
from coldal_tui.exchange.deidentify.secrets import Secrets
from coldal_tui.exchange.exporters import exporter
from coldal_tui.exchange.exporters.seg_object import cielab
from coldal_tui.exchange.importers import load_registry
from coldal_tui.exchange.incoming.importing import examine
from coldal_tui.imaging.labelfile import read_label
from tests.support import dicom_files
from tests.support import labelled_scans as scans
from tests.support.import_plan import plan_import


def export(out: Path, *items, **changes) -> Path:
    return exporter("dicom-seg")(out, list(items), replace(scans.META, **changes)).folder


@pytest.fixture
def item(tmp_path):
    return scans.ct_series(tmp_path)


@pytest.fixture
def segmentation(tmp_path, item):
    return pydicom.dcmread(export(tmp_path / "out", item) / "prelabels/ct.seg.dcm")


def test_the_images_are_copied_in_the_order_of_their_positions(tmp_path, item):
    out = export(tmp_path / "out", item)
    copied = [path.read_bytes() for path in sorted((out / "images/ct").iterdir())]
    assert copied == [Path(file).read_bytes() for file in item.ref.files]


def test_every_frame_lies_on_the_image_that_it_names(segmentation, item):
    label = read_label(item.prelabel)
    slices = {pydicom.dcmread(file).SOPInstanceUID: k for k, file in enumerate(item.ref.files)}
    rebuilt = np.zeros_like(label)
    for frame, group in zip(
        segmentation.pixel_array, segmentation.PerFrameFunctionalGroupsSequence, strict=True
    ):
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        k = slices[source.ReferencedSOPInstanceUID]
        rebuilt[..., k][frame.T == 1] = number
        image = pydicom.dcmread(item.ref.files[k])
        place = group.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(place, image.ImagePositionPatient, atol=1e-6)
    np.testing.assert_array_equal(rebuilt, label)


def test_only_frames_with_something_drawn_are_stored(segmentation):
    assert segmentation.NumberOfFrames == 4
    assert all(frame.any() for frame in segmentation.pixel_array)


def test_segments_have_the_classes_names(segmentation):
    found = [(s.SegmentNumber, s.SegmentLabel) for s in segmentation.SegmentSequence]
    assert found == [(1, "organ"), (2, "tumour")]


def test_it_belongs_to_the_study_of_its_images(segmentation, item):
    image = pydicom.dcmread(item.ref.files[0])
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert segmentation[keyword].value == image[keyword].value
    assert segmentation.SeriesInstanceUID != image.SeriesInstanceUID
    (series,) = segmentation.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == image.SeriesInstanceUID
    assert len(series.ReferencedInstanceSequence) == 5


def test_our_own_import_gives_the_label_back(tmp_path, item):
    out = export(tmp_path / "out", item)
    (target,) = dicom_files.targets_in(tmp_path / "series")
    mask = out / "masks" / "anything.dcm"
    (out / "prelabels/ct.seg.dcm").rename(mask)
    (verdict,) = plan_import(mask, [target], scans.META.classes, 127).accepted
    assert verdict.matched_by == "UID"
    (candidate,) = load_registry().select("dicom-seg")[0].candidates(mask)
    drawn = candidate.load_for(target)
    assert drawn.names == {1: "organ", 2: "tumour"}


def test_an_image_without_a_place_gets_a_segmentation_by_reference(tmp_path):
    ds = dicom_files.new("1.2.840.10008.5.1.4.1.1.1", "1.5.6", "CR")
    ds.SeriesInstanceUID = "1.5"
    ds.Rows, ds.Columns, ds.SamplesPerPixel = 7, 9, 1
    ds.PhotometricInterpretation, ds.PixelRepresentation = "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.PixelData = bytes(range(63)) + b"\0"
    path = dicom_files.save(ds, tmp_path / "cr" / "a.dcm")
    flat = scans.item_of("cr", scans.ScanRef("dicom", (str(path),)))
    flat = scans.with_label(flat, tmp_path, scans.ring((7, 9)))

    found = pydicom.dcmread(export(tmp_path / "out", flat) / "prelabels/cr.seg.dcm")

    assert "FrameOfReferenceUID" not in found
    np.testing.assert_array_equal(found.pixel_array[0], scans.ring((7, 9)) == 1)
    group = found.PerFrameFunctionalGroupsSequence[0]
    reference = group.DerivationImageSequence[0].SourceImageSequence[0]
    assert (reference.ReferencedSOPInstanceUID, "PlanePositionSequence" in group) == (
        "1.5.6",
        False,
    )


def test_nothing_drawn_is_no_segmentation_and_the_page_says_so(tmp_path, item):
    empty = scans.with_label(item, tmp_path, np.zeros(item.header.shape, np.uint8))
    out = export(tmp_path / "out", empty)
    assert not (out / "prelabels").exists()
    assert "no segmentation to open: `ct`" in (out / "README.md").read_text()


def test_scans_of_other_formats_are_refused_before_anything_is_written(tmp_path, item):
    with pytest.raises(UsageError, match="photo") as caught:
        export(tmp_path / "out", item, scans.picture(tmp_path))
    assert caught.value.code == "wrong-format"
    assert not (tmp_path / "out").exists()


def test_a_class_name_beyond_dicoms_room_is_refused(tmp_path, item):
    with pytest.raises(ColdalError, match="no room") as caught:
        export(tmp_path / "out", item, classes=("x" * 65, "tumour"))
    assert caught.value.code == "class-name"


def test_equal_labels_on_equal_images_are_equal_files(tmp_path, item):
    first = exporter("dicom-seg")(tmp_path / "a", [item], scans.META)
    second = exporter("dicom-seg")(tmp_path / "b", [item], scans.META)
    assert first.files == second.files


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [((0, 0, 0), (0, 32896, 32896)), ((255, 255, 255), (65535, 32896, 32896))],
)
def test_colours_are_dicoms_cielab(rgb, expected):
    np.testing.assert_allclose(cielab(rgb), expected, atol=3)


def test_red_in_cielab():
    """L 54.29, a 80.81, b 69.89 of sRGB red under D50 (Lindbloom's calculator)."""
    lightness, a, b = cielab((255, 0, 0))
    np.testing.assert_allclose(
        [lightness * 100 / 65535, a * 255 / 65535 - 128, b * 255 / 65535 - 128],
        [54.29, 80.81, 69.89],
        atol=0.05,
    )


def test_a_de_identified_segmentation_belongs_to_the_cleaned_images(tmp_path, item):
    keys = Keys()
    hidden = replace(item, scan_id=keys.scan("ct", "p1"))
    out = export(tmp_path / "out", hidden, deidentifier=Deidentifier(keys), created="")
    found = pydicom.dcmread(out / f"prelabels/{hidden.scan_id}.seg.dcm")
    images = sorted((out / f"images/{hidden.scan_id}").iterdir())
    uids = [pydicom.dcmread(path).SOPInstanceUID for path in images]
    (series,) = found.ReferencedSeriesSequence
    assert [one.ReferencedSOPInstanceUID for one in series.ReferencedInstanceSequence] == uids
    assert found.PatientID == keys.scans[hidden.scan_id].patient
    secrets = Secrets(names={"Doe^Jane"}, dates={"20240102"}, uids=set(keys.uids.values()))
    assert find_leaks(out, secrets) == []


def test_a_returned_segmentation_of_cleaned_images_finds_its_slices(tmp_path, item):
    keys = Keys()
    hidden = replace(item, scan_id=keys.scan("ct", "p1"))
    out = export(tmp_path / "out", hidden, deidentifier=Deidentifier(keys), created="")
    (target,) = dicom_files.targets_in(tmp_path / "series")
    target = replace(target, renamed=keys.uids)
    mask = tmp_path / "returned.dcm"
    (out / f"prelabels/{hidden.scan_id}.seg.dcm").rename(mask)
    verdicts = examine(mask, [target], scans.META.classes, 127)
    (accepted,) = [one for one in verdicts if one.status == "accepted"]
    np.testing.assert_array_equal(accepted.label, read_label(item.prelabel))
