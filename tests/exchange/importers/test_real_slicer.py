"""What 3D Slicer itself wrote: a flat and an overlapping segmentation of a chest CT."""

from __future__ import annotations

import nrrd
import numpy as np
import pytest

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.exchange.incoming.importing import examine_file
from coldal_tui.imaging.readers.nrrd import read_header
from tests.support.places import DATA

pytestmark = pytest.mark.real

FOLDER = DATA / "labeler_exports" / "slicer_segnrrd"
SPINE = "cervical vertebral column", "thoracic vertebral column", "lumbar vertebral column"
NAMES = ("ribs", *SPINE, "right lung", "left lung", "tissue")


@pytest.fixture
def chest() -> ScanTarget:
    if not FOLDER.is_dir():
        pytest.skip(f"the real data is not here: {FOLDER}")
    header = read_header(FOLDER / "CTChest4.nrrd")
    return ScanTarget("chest", header.shape, ("CTChest4.nrrd",), header.affine)


def stored(name: str) -> np.ndarray:
    """The voxels as pynrrd reads them."""
    return nrrd.read(str(FOLDER / name))[0]


def test_a_flat_segmentation_lands_on_its_ct(chest):
    verdict = examine_file(FOLDER / "Segmentation.seg.nrrd", chest, NAMES, None)

    assert (verdict.status, verdict.geometry) == ("accepted", "match")
    np.testing.assert_array_equal(verdict.label, stored("Segmentation.seg.nrrd"))


def test_names_decide_on_the_values(chest):
    values = {"right lung": "lung", "left lung": "lung"} | dict.fromkeys(NAMES[:4], "bone")
    options = ImportOptions(values=values | {"tissue": "background"})

    verdict = examine_file(FOLDER / "Segmentation.seg.nrrd", chest, ("lung", "bone"), None, options)

    expected = np.array([0, 2, 2, 2, 2, 1, 1, 0])[stored("Segmentation.seg.nrrd")]
    np.testing.assert_array_equal(verdict.label, expected)


def test_an_overlapping_segment_is_the_later_class(chest):
    name = "SegmentationOverlapping.seg.nrrd"

    verdict = examine_file(FOLDER / name, chest, (*NAMES, "overlapping sphere"), None)

    flat, second = stored(name)
    np.testing.assert_array_equal(verdict.label, np.where(second == 1, 8, flat))
    overlap = int(((second == 1) & (flat > 0)).sum())
    assert verdict.notes[0].startswith(f"{overlap} pixels were claimed twice")


def test_an_overlapping_segment_may_be_background(chest):
    name = "SegmentationOverlapping.seg.nrrd"
    options = ImportOptions(values={"overlapping sphere": "background"})

    verdict = examine_file(FOLDER / name, chest, NAMES, None, options)

    np.testing.assert_array_equal(verdict.label, stored(name)[0])
    assert verdict.notes == ()
