"""DICOM segmentations: frames land on the slices they were drawn on, whatever their order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from pydicom.uid import RLELossless

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.importers.dicom_seg import read_onto
from coldal_tui.exchange.incoming.geometry_policy import Accepted, ImportOptions, decide
from coldal_tui.exchange.incoming.importing import examine
from tests.support import dicom_files as made
from tests.support.import_plan import plan_import
from tests.support.places import ROOT

GRID = (made.COLUMNS, made.ROWS, made.SLICES)


@pytest.fixture
def ct(tmp_path) -> made.Series:
    return made.write_series(tmp_path / "ct")


@pytest.fixture
def judged(ct, tmp_path, recognised):
    """Writes a segmentation and decides on it."""

    def judge(ds, classes=("organ",), target=None, options=None):
        path = made.save(ds, tmp_path / "masks" / "seg.dcm")
        return decide(target or ct.target, recognised(path), classes, None, options)

    return judge


def blob(number: int) -> np.ndarray:
    """A drawing of 6 rows and 9 columns, another one for each number, without symmetry."""
    pixels = np.zeros((made.ROWS, made.COLUMNS), np.uint8)
    pixels[number % 4 : number % 4 + 2, 2 : 4 + number] = 1
    pixels[5, 8] = 1
    return pixels


def on_grid(**slices: np.ndarray) -> np.ndarray:
    """The label expected on the scan: ``s3`` is the drawing (rows, columns) on slice 3."""
    label = np.zeros(GRID, np.uint8)
    for name, pixels in slices.items():
        label[:, :, int(name[1:])] = pixels.T
    return label


def test_frames_land_on_their_slices_and_not_in_their_order(judged):
    ds = made.segmentation([made.on_slice(3, blob(3)), made.on_slice(1, blob(1))])

    decision = judged(ds)

    assert isinstance(decision, Accepted)
    np.testing.assert_array_equal(decision.label, on_grid(s1=blob(1), s3=blob(3)))
    assert decision.notes == ("2 frames placed on the scan's slices",)


def test_a_frame_without_a_source_lies_at_its_position(judged):
    frames = [replace(made.on_slice(k, blob(k)), source=None) for k in (4, 2)]

    decision = judged(made.segmentation(frames))

    np.testing.assert_array_equal(decision.label, on_grid(s2=blob(2), s4=blob(4)))


def test_a_frame_without_a_position_lies_on_its_source(judged):
    frames = [replace(made.on_slice(k, blob(k)), place=None) for k in (4, 2)]

    decision = judged(made.segmentation(frames))

    np.testing.assert_array_equal(decision.label, on_grid(s2=blob(2), s4=blob(4)))


def test_a_frame_with_neither_is_refused(judged):
    frames = [made.on_slice(2, blob(2)), made.Drawing(blob(1))]

    decision = judged(made.segmentation(frames))

    assert decision.code == "geometry"
    assert decision.message.startswith("frame 2 of 2 has no place on the scan")


def test_a_frame_in_two_places_at_once_is_refused(judged):
    frame = replace(made.on_slice(2, blob(2)), source=made.instance(4))

    decision = judged(made.segmentation([frame]))

    assert decision.code == "frames-disagree"
    assert decision.message == "frame 1 names slice 5 as its source and lies on slice 3"


def reversed_sources() -> list[made.Drawing]:
    """As OHIF has written them: positions right, the images that frames name in reverse."""
    return [replace(made.on_slice(k, blob(k)), source=made.instance(4 - k)) for k in (0, 1, 3)]


def test_reversed_references_are_refused_with_both_readings(judged):
    decision = judged(made.segmentation(reversed_sources()))

    assert decision.message == (
        "its frames name the scan's slices in reverse of where they lie: "
        "frame 1 names slice 5 as its source and lies on slice 1"
    )
    assert "--seg-frames position or --seg-frames source" in decision.remedy


@pytest.mark.parametrize(
    ("frames_by", "slices"),
    [
        ("position", {"s0": blob(0), "s1": blob(1), "s3": blob(3)}),
        ("source", {"s4": blob(0), "s3": blob(1), "s1": blob(3)}),
    ],
)
def test_of_two_readings_the_one_counts_that_is_asked_for(judged, frames_by, slices):
    options = ImportOptions(frames_by=frames_by)

    decision = judged(made.segmentation(reversed_sources()), options=options)

    np.testing.assert_array_equal(decision.label, on_grid(**slices))
    assert f"3 frames placed by their {frames_by}s, as asked" in decision.notes


def test_pixels_moved_against_their_source_need_a_position(judged):
    ds = made.segmentation([replace(made.on_slice(2, blob(2)), place=None)])
    (source,) = (
        ds.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence
    )
    source.SpatialLocationsPreserved = "REORIENTED_ONLY"

    assert judged(ds).code == "geometry"


def test_frames_across_the_slices_land_where_they_lie(judged):
    """Drawn on sagittal planes: rows run down the slices, from the last to the first."""
    label = np.zeros(GRID, np.uint8)
    label[3, 1:4, 2:5] = 1
    label[7, 0, 0] = label[7, 5, 1] = 1
    turn = [*made.DOWN, *-made.NORMAL]
    frames = [
        made.Drawing(
            label[i, :, ::-1].T,
            source=made.instance(0),
            place=made.position(made.SLICES - 1, 0, i),
            turn=[round(float(v), 8) for v in turn],
            spacing=(made.STEP, made.SPACING[0]),
        )
        for i in (7, 3)
    ]

    decision = judged(made.segmentation(frames))

    np.testing.assert_array_equal(decision.label, label)


def test_a_part_of_a_slice_lands_where_it_lies(judged):
    cut = blob(2)[2:6, 3:9]
    frame = replace(made.on_slice(2, cut), place=made.position(2, 2, 3))

    decision = judged(made.segmentation([frame]))

    expected = np.zeros((made.ROWS, made.COLUMNS), np.uint8)
    expected[2:6, 3:9] = cut
    np.testing.assert_array_equal(decision.label, on_grid(s2=expected))


def test_frames_outside_the_scan_are_refused(judged):
    frame = replace(made.on_slice(2, blob(2)), source=None, place=made.position(7))

    decision = judged(made.segmentation([frame]))

    assert decision.message == "the mask does not lie on the scan: it lies wholly outside the scan"


def test_half_a_voxel_off_is_refused(judged):
    frames = [replace(made.on_slice(k, blob(k)), place=made.position(k, 0.5)) for k in (1, 2)]

    assert judged(made.segmentation(frames)).code == "geometry"


def test_another_pixel_size_waits_for_consent(judged):
    """Drawn on all slices with pixels half as large along the rows."""
    frames = [
        replace(
            made.on_slice(k, np.repeat(blob(k), 2, axis=1)),
            place=made.position(k, 0, -0.25),
            spacing=(made.SPACING[0], made.SPACING[1] / 2),
        )
        for k in range(made.SLICES)
    ]
    ds = made.segmentation(frames)

    assert judged(ds).code == "resampled"
    decision = judged(ds, options=ImportOptions(resample=True))
    expected = on_grid(**{f"s{k}": blob(k) for k in range(made.SLICES)})
    np.testing.assert_array_equal(decision.label, expected)


def test_a_small_drift_is_told(judged):
    frame = replace(made.on_slice(2, blob(2)), place=made.position(2, 0.05))

    decision = judged(made.segmentation([frame]))

    assert decision.notes[1] == "frames lie up to 0.050 voxels beside the scan's grid"


def test_overlapping_segments_are_one_label(judged):
    ds = made.segmentation(
        [made.on_slice(2, blob(2), segment=2), made.on_slice(2, blob(3), segment=1)],
        ("organ", "tumour"),
    )

    decision = judged(ds, ("organ", "tumour"))

    np.testing.assert_array_equal(
        decision.label, on_grid(s2=np.where(blob(2), 2, blob(3)).astype(np.uint8))
    )
    both = int((blob(2) & blob(3)).sum())
    assert f"{both} pixels were claimed twice" in "".join(decision.notes)


def test_segments_are_classes_by_their_labels(judged):
    ds = made.segmentation(
        [made.on_slice(1, blob(1), segment=1), made.on_slice(2, blob(2), segment=2)],
        ("tumour", "organ"),
    )

    decision = judged(ds, ("organ", "tumour"))

    np.testing.assert_array_equal(decision.label, on_grid(s1=2 * blob(1), s2=blob(2)))


def test_an_unknown_segment_is_told_by_name(judged):
    decision = judged(made.segmentation([made.on_slice(1, blob(1))], ("spleen",)), ("a", "b"))

    assert decision.code == "unknown-value"
    assert "'spleen'" in decision.message


def test_fractions_are_cut_at_a_half(judged):
    shares = np.zeros((made.ROWS, made.COLUMNS), np.uint8)
    shares[0, :5] = (0, 99, 100, 101, 200)
    ds = made.segmentation([made.on_slice(2, shares)], kind="FRACTIONAL")

    decision = judged(ds)

    np.testing.assert_array_equal(decision.label, on_grid(s2=(shares >= 100).astype(np.uint8)))
    assert "3 fractional values were cut at a half" in decision.notes


@pytest.mark.parametrize("padding", [0, 7])
def test_a_label_map_holds_segment_numbers(judged, padding):
    values = np.where(blob(2), 2, np.where(blob(3), 1, padding)).astype(np.uint8)
    ds = made.segmentation([made.on_slice(3, values)], ("organ", "tumour"), kind="LABELMAP")
    ds.PixelPaddingValue = padding

    decision = judged(ds, ("organ", "tumour"))

    values[values == padding] = 0
    np.testing.assert_array_equal(decision.label, on_grid(s3=values))


def test_compressed_frames_are_read(judged):
    ds = made.segmentation([made.on_slice(k, 200 * blob(k)) for k in (3, 1)], kind="FRACTIONAL")
    ds.compress(RLELossless)

    decision = judged(ds)

    np.testing.assert_array_equal(decision.label, on_grid(s1=blob(1), s3=blob(3)))


def test_what_dcmqi_wrote_comes_back(ct, recognised):
    """``golden/make_dcmqi_seg.py`` drew two overlapping segments and none on slices 0 and 2."""
    organ, tumour = np.zeros(GRID, bool), np.zeros(GRID, bool)
    organ[2:6, 1:4, 1] = organ[0, 0, 1] = organ[3:8, 2:5, 3] = True
    tumour[4:7, 2:6, 3] = tumour[8, 5, 4] = True

    candidate = recognised(ROOT / "tests" / "exchange" / "golden" / "dcmqi_seg.dcm")

    assert candidate.uids == (made.SERIES, *(made.instance(k) for k in (1, 2, 3, 4)))
    decision = decide(ct.target, candidate, ("organ", "tumour"), None)
    np.testing.assert_array_equal(decision.label, np.where(tumour, 2, organ))


def test_a_picture_needs_no_position(judged):
    target = ScanTarget("film", (made.ROWS, made.COLUMNS), ("a.dcm",), instances=("1.5.1",))
    frame = made.Drawing(blob(2), source="1.5.1")

    decision = judged(made.segmentation([frame], series="1.5"), target=target)

    np.testing.assert_array_equal(decision.label, blob(2))


def test_a_picture_of_another_size_is_refused(judged):
    target = ScanTarget("film", (made.COLUMNS, made.ROWS), ("a.dcm",), instances=("1.5.1",))
    frame = made.Drawing(blob(2), source="1.5.1")

    decision = judged(made.segmentation([frame], series="1.5"), target=target)

    assert decision.message.endswith("it is 9×6 pixels, the scan's slice 6×9")


def test_frames_of_a_film_are_told_by_number(judged):
    target = ScanTarget("film", (made.COLUMNS, made.ROWS, 4), ("a.dcm",), instances=("1.5.1",))
    frames = [made.Drawing(blob(n), source="1.5.1", source_frame=n) for n in (4, 2)]

    decision = judged(made.segmentation(frames, series="1.5"), target=target)

    expected = np.zeros((made.COLUMNS, made.ROWS, 4), np.uint8)
    expected[:, :, 3], expected[:, :, 1] = blob(4).T, blob(2).T
    np.testing.assert_array_equal(decision.label, expected)


def test_frames_of_an_enhanced_object_lie_at_their_positions(judged, ct):
    """Its slices are sorted by position, so the numbers of its frames say nothing."""
    target = replace(ct.target, instances=("1.5.1",))
    frames = [
        replace(made.on_slice(k, blob(k)), source="1.5.1", source_frame=number)
        for number, k in ((1, 4), (5, 0))
    ]

    decision = judged(made.segmentation(frames, series="1.5"), target=target)

    np.testing.assert_array_equal(decision.label, on_grid(s4=blob(4), s0=blob(0)))


def test_a_scan_without_uids_takes_frames_by_their_position(judged, ct):
    """Such as the NIfTI file that the series was converted to, upside down."""
    affine = np.asarray(ct.target.affine) @ np.diag([1, -1, 1, 1])
    affine[:3, 3] += np.asarray(ct.target.affine)[:3, 1] * (made.ROWS - 1)
    turned = ScanTarget("brain", GRID, ("brain.nii.gz",), tuple(map(tuple, affine.tolist())))

    decision = judged(made.segmentation([made.on_slice(2, blob(2))]), target=turned)

    np.testing.assert_array_equal(decision.label, on_grid(s2=blob(2))[:, ::-1])


def test_an_empty_segmentation_waits_for_confirmation(judged):
    assert judged(made.segmentation([made.on_slice(2, 0 * blob(2))])).code == "empty"


def test_it_finds_its_series(ct, tmp_path):
    ds = made.segmentation([made.on_slice(2, blob(2))])
    made.save(ds, tmp_path / "masks" / "IM0001")

    (verdict,) = plan_import(tmp_path / "masks", [ct.target], ("organ",), None).accepted

    assert (verdict.scan_id, verdict.matched_by) == (ct.target.scan_id, "UID")
    assert (verdict.author, verdict.tool) == ("Ann Rater", "Acme Drawer")


def test_an_orphan_is_told_with_its_series(ct, tmp_path):
    frame = replace(made.on_slice(2, blob(2)), source="9.9.1")
    made.save(made.segmentation([frame], series="9.9"), tmp_path / "masks" / "5.dcm")

    (verdict,) = plan_import(tmp_path / "masks", [ct.target], ("organ",), None).unmatched

    assert "UID 9.9" in verdict.message


def test_it_knows_when_it_was_drawn(ct, tmp_path, recognised):
    path = made.save(made.segmentation([made.on_slice(2, blob(2))]), tmp_path / "seg.dcm")

    moment = datetime(2024, 3, 5, 6, 7, 8, tzinfo=UTC)
    assert recognised(path).updated == moment.timestamp()


def test_images_beside_it_are_no_masks(ct, tmp_path):
    """The images' preambles may even pretend to be TIFF."""
    made.save(made.segmentation([made.on_slice(2, blob(2))]), tmp_path / "ct" / "seg.dcm")
    copy = tmp_path / "ct" / "copy.dcm"
    copy.write_bytes(b"II*\0" + (tmp_path / "ct" / "5.dcm").read_bytes()[4:])

    plan = plan_import(tmp_path / "ct", [ct.target], ("organ",), None)

    assert [v.file.name for v in plan.accepted] == ["seg.dcm"]
    assert (plan.quarantined, plan.unmatched) == ((), ())


def refused(ds, path, target) -> str:
    made.save(ds, path)
    with pytest.raises(ImageError) as caught:
        read_onto(path, target)
    return caught.value.code


def test_missing_pixels_are_noticed(ct, tmp_path):
    ds = made.segmentation([made.on_slice(k, blob(k)) for k in range(made.SLICES)])
    ds.PixelData = ds.PixelData[:-6]

    assert refused(ds, tmp_path / "seg.dcm", ct.target) == "truncated"


def test_frames_that_nothing_is_said_of_are_noticed(ct, tmp_path):
    ds = made.segmentation([made.on_slice(k, blob(k)) for k in range(made.SLICES)])
    del ds.PerFrameFunctionalGroupsSequence[-1]

    assert refused(ds, tmp_path / "seg.dcm", ct.target) == "truncated"


@pytest.mark.parametrize(
    ("keyword", "value", "code"),
    [
        ("Rows", 0, "empty"),
        ("NumberOfFrames", 10**9, "truncated"),
        ("Columns", 65535, "truncated"),
    ],
)
def test_a_header_that_promises_too_much_is_refused(ct, tmp_path, keyword, value, code):
    ds = made.segmentation([made.on_slice(2, blob(2))])
    setattr(ds, keyword, value)

    assert refused(ds, tmp_path / "seg.dcm", ct.target) == code


def test_a_segmentation_of_a_slide_is_refused(ct, tmp_path):
    ds = made.segmentation([made.on_slice(2, blob(2))])
    ds.TotalPixelMatrixRows, ds.TotalPixelMatrixColumns = 6, 9

    assert refused(ds, tmp_path / "seg.dcm", ct.target) == "whole-slide"


def test_a_cut_file_is_told(ct, tmp_path):
    whole = made.save(made.segmentation([made.on_slice(2, blob(2))]), tmp_path / "seg.dcm")
    content = whole.read_bytes()
    for keep in range(400, len(content) - 1, 97):
        whole.write_bytes(content[:keep])

        plan = plan_import(whole, [ct.target], ("organ",), None)

        assert plan.accepted == ()


def test_uids_that_an_export_replaced_lead_back(ct, tmp_path):
    """As a de-identified series comes home: other UIDs, and here no positions at all."""
    renamed = {"2.25.9": made.SERIES} | {f"2.25.{k}": made.instance(k) for k in range(5)}
    frames = [made.Drawing(blob(k), source=f"2.25.{k}") for k in (3, 1)]
    made.save(made.segmentation(frames, series="2.25.9"), tmp_path / "masks" / "seg.dcm")
    target = replace(ct.target, renamed=renamed)

    (verdict,) = examine(tmp_path / "masks", [target], ("organ",), None)

    assert verdict.matched_by == "UID"
    np.testing.assert_array_equal(verdict.label, on_grid(s1=blob(1), s3=blob(3)))
