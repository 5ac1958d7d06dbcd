"""Masks of volumes as TIFF: pages, ImageJ's and OME's blocks, and what can't be told."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.importing import ImportOptions, examine
from coldal_tui.imaging.readers import tiff

CLASSES = ("cell", "nucleus")
PAGES, ROWS, COLUMNS = 4, 5, 7
VALUES = np.random.default_rng(1).integers(0, 3, (PAGES, ROWS, COLUMNS)).astype(np.uint8)
GRID = (COLUMNS, ROWS, PAGES)


def pages(path):
    with tifffile.TiffWriter(path) as writer:
        for page in VALUES:
            writer.write(page, contiguous=False)


WRITERS = {
    "pages": pages,
    "tifffile": lambda path: tifffile.imwrite(path, VALUES, photometric="minisblack"),
    "ImageJ": lambda path: tifffile.imwrite(path, VALUES, imagej=True, metadata={"axes": "ZYX"}),
    "OME": lambda path: tifffile.imwrite(path, VALUES, ome=True, metadata={"axes": "ZYX"}),
    "BigTIFF, deflate": lambda path: tifffile.imwrite(
        path, VALUES, bigtiff=True, compression="zlib", photometric="minisblack"
    ),
    "16 bit": lambda path: tifffile.imwrite(
        path, VALUES.astype(np.uint16), photometric="minisblack"
    ),
}


def verdict(path, shape=GRID, affine=None, **options):
    target = ScanTarget("a", shape, ("a.tif",), affine)
    (found,) = examine(path, [target], CLASSES, None, options=ImportOptions(**options))
    return found


@pytest.mark.parametrize("writer", WRITERS)
def test_a_stack_lies_on_the_stack_it_was_drawn_on(tmp_path, writer):
    """The scan's voxels are those that the reader of images sees in a file of the same writer."""
    WRITERS[writer](tmp_path / "a.tif")

    found = verdict(tmp_path / "a.tif")

    np.testing.assert_array_equal(found.label, VALUES.transpose(2, 1, 0))
    if writer != "pages":  # as a scan, such a file is refused
        seen = tiff.read_pixels(tmp_path / "a.tif")[..., 0]
        np.testing.assert_array_equal(found.label, seen)
    assert f"a TIFF of {PAGES} pages: slices in the order of the pages" in found.notes


def test_a_stack_holds_no_position_for_a_scan_that_has_one(tmp_path):
    pages(tmp_path / "a.tif")
    affine = tuple(map(tuple, np.diag([-1.0, -2.0, 3.0, 1.0]).tolist()))

    asked = verdict(tmp_path / "a.tif", affine=affine)
    told = verdict(tmp_path / "a.tif", affine=affine, same_grid=True)

    assert (asked.status, asked.code) == ("quarantined", "no-position")
    np.testing.assert_array_equal(told.label, VALUES.transpose(2, 1, 0))


def test_a_stack_of_another_size_is_refused(tmp_path):
    pages(tmp_path / "a.tif")

    assert verdict(tmp_path / "a.tif", (COLUMNS, ROWS, PAGES + 1)).code == "wrong-size"
    assert verdict(tmp_path / "a.tif", (ROWS, COLUMNS)).code == "wrong-size"


def test_channels_are_no_slices(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, VALUES, imagej=True, metadata={"axes": "CYX"})

    assert verdict(path).code == "several-channels"


def test_pages_of_different_size_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(VALUES[0])
        writer.write(VALUES[1, :3])

    assert verdict(path).code == "several-pages"


def test_a_cut_stack_is_told(tmp_path):
    path = tmp_path / "a.tif"
    pages(path)
    path.write_bytes(path.read_bytes()[:-200])

    assert verdict(path).status == "quarantined"
