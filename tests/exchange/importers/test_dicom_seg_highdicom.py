"""Segmentations that highdicom wrote, read back voxel by voxel."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.uid import JPEGLSLossless, RLELossless, generate_uid

from coldal_tui.exchange.incoming.geometry_policy import ImportOptions, decide
from tests.support import dicom_files as made

hd = pytest.importorskip("highdicom", reason="highdicom is not installed here")

CLASSES = ("organ", "tumour")
RNG = np.random.default_rng(21)


@pytest.fixture
def ct(tmp_path) -> made.Series:
    return made.write_series(tmp_path / "ct")


@pytest.fixture
def judged(ct, tmp_path, recognised):
    """Writes (slices, rows, columns[, segments]) with highdicom and decides on it."""

    def judge(pixels: np.ndarray, kind: str = "BINARY", options=None, **more):
        segments = [
            hd.seg.SegmentDescription(
                segment_number=n,
                segment_label=name,
                segmented_property_category=hd.sr.CodedConcept("85756007", "SCT", "Tissue"),
                segmented_property_type=hd.sr.CodedConcept("85756007", "SCT", "Tissue"),
                algorithm_type="MANUAL",
            )
            for n, name in enumerate(CLASSES, start=1)
        ]
        ds = hd.seg.Segmentation(
            source_images=list(ct.slices),
            pixel_array=pixels,
            segmentation_type=kind,
            segment_descriptions=segments,
            series_instance_uid=generate_uid(),
            series_number=9,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="Acme",
            manufacturer_model_name="Drawer",
            software_versions="1",
            device_serial_number="1",
            content_creator_name="Rater^Ann",
            **more,
        )
        path = tmp_path / "seg.dcm"
        ds.save_as(path)
        return decide(ct.target, recognised(path), CLASSES, None, options)

    return judge


@pytest.fixture
def values() -> np.ndarray:
    """Segment numbers (slices, rows, columns) with nothing on slices 1 and 4."""
    drawn = RNG.integers(0, 3, (made.SLICES, made.ROWS, made.COLUMNS)).astype(np.uint8)
    drawn[[1, 4]] = 0
    return drawn


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
@pytest.mark.parametrize("omit", [True, False])
def test_label_maps_come_back(judged, values, kind, omit):
    decision = judged(values, kind, omit_empty_frames=omit)

    np.testing.assert_array_equal(decision.label, values.transpose(2, 1, 0))


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_label_maps_come_back(judged, values, syntax):
    decision = judged(values, "LABELMAP", transfer_syntax_uid=syntax)

    np.testing.assert_array_equal(decision.label, values.transpose(2, 1, 0))


def test_fractions_come_back(judged):
    shares = RNG.random((made.SLICES, made.ROWS, made.COLUMNS, 2))
    shares /= 1.3 * shares.sum(axis=3, keepdims=True)

    decision = judged(shares, "FRACTIONAL", max_fractional_value=250)

    stored = np.around(shares * 250)
    expected = np.where(stored[..., 1] >= 125, 2, np.where(stored[..., 0] >= 125, 1, 0))
    np.testing.assert_array_equal(decision.label, expected.transpose(2, 1, 0))


def test_overlapping_segments_come_back(judged):
    drawn = RNG.integers(0, 2, (made.SLICES, made.ROWS, made.COLUMNS, 2)).astype(np.uint8)

    decision = judged(drawn, options=ImportOptions(priority=("organ",)))

    expected = np.where(drawn[..., 0], 1, 2 * drawn[..., 1])
    np.testing.assert_array_equal(decision.label, expected.transpose(2, 1, 0))


def test_frames_on_planes_of_their_own_come_back(judged, ct):
    """Drawn on the slices from last to first, rows from bottom to top, without two rows."""
    drawn = RNG.integers(0, 2, (made.SLICES, made.ROWS - 2, made.COLUMNS)).astype(np.uint8)
    places = [
        hd.PlanePositionSequence("PATIENT", made.position(k, made.ROWS - 1))
        for k in reversed(range(made.SLICES))
    ]
    turn = (*made.ORIENTATION[:3], *(-value for value in made.ORIENTATION[3:]))

    decision = judged(
        drawn,
        plane_positions=places,
        plane_orientation=hd.PlaneOrientationSequence("PATIENT", turn),
        pixel_measures=hd.PixelMeasuresSequence(made.SPACING, made.STEP),
    )

    expected = np.zeros(ct.target.shape, np.uint8)
    expected[:, 2:, :] = drawn[::-1, ::-1].transpose(2, 1, 0)
    np.testing.assert_array_equal(decision.label, expected)
