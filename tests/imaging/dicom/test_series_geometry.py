"""Slices that lie evenly on one line are one volume, whatever else their headers say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from coldal_tui.imaging.indexing import IndexResult, index_folder
from tests.imaging.dicom.test_read import write_stack

CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
EVEN = [3.0 * n for n in range(6)]
Change = Callable[[int, Dataset], None]


def _set(**per_slice: Callable[[int], object]) -> Change:
    def change(n: int, ds: Dataset) -> None:
        for name, value in per_slice.items():
            setattr(ds, name, value(n))

    return change


def _found(folder: Path, heights: list[float], change: Change) -> IndexResult:
    write_stack(folder, heights, change=change)
    return index_folder(folder)


@pytest.mark.parametrize(
    "change",
    [
        _set(ImageType=lambda n: ["DERIVED" if n % 2 else "ORIGINAL", "PRIMARY", "AXIAL"]),
        _set(ImageType=lambda n: ["ORIGINAL", "PRIMARY", "M" if n < 3 else "OTHER"]),
        _set(EchoTime=lambda n: 4.6 if n % 2 else 4.602),
        _set(EchoTime=lambda n: 4.6 if n < 2 else 4.605),
        _set(TemporalPositionIdentifier=lambda n: n + 1),
        _set(SOPClassUID=lambda n: CAPTURE, ImageType=lambda n: ["DERIVED", "SECONDARY"]),
    ],
)
def test_one_even_line_is_one_volume(tmp_path: Path, change: Change) -> None:
    found = _found(tmp_path, EVEN, change)
    assert [(scan.header.shape, scan.header.spacing) for scan in found.scans] == [
        ((6, 5, 6), (0.75, 0.5, 3.0))
    ]
    assert found.problems == ()


def test_half_volumes_are_never_made_of_an_incomplete_one(tmp_path: Path) -> None:
    """Without the slice at 9 mm, those of one image type would still be even, 6 mm apart."""
    change = _set(ImageType=lambda n: ["ORIGINAL", "PRIMARY", "A" if n % 2 else "B"])
    found = _found(tmp_path, [0.0, 3.0, 6.0, 12.0, 15.0, 18.0], change)
    assert found.scans == ()
    assert "1 slice is missing between" in found.problems[0].reason


def test_echoes_at_the_same_places_are_told_apart_whatever_the_image_type_says(
    tmp_path: Path,
) -> None:
    change = _set(
        EchoTime=lambda n: 10.0 if n < 4 else 20.0,
        ImageType=lambda n: ["DERIVED" if n % 3 else "ORIGINAL", "PRIMARY"],
    )
    found = _found(tmp_path, [0.0, 3.0, 6.0, 9.0] * 2, change)
    assert [scan.header.shape for scan in found.scans] == [(6, 5, 4)] * 2
    assert [scan.header.meta["stack"] for scan in found.scans] == ["1 of 2", "2 of 2"]


def test_a_time_point_whose_copy_broke_off_is_no_smaller_volume(tmp_path: Path) -> None:
    change = _set(TemporalPositionIdentifier=lambda n: 1 + n // 4)
    found = _found(tmp_path, [0.0, 3.0, 6.0, 9.0] * 2 + [0.0, 3.0], change)
    assert [scan.header.shape for scan in found.scans] == [(6, 5, 4)] * 2
    assert [(each.code, each.reason) for each in found.problems] == [
        (
            "missing-slice",
            "its volume is refused: 2 of 4 places are missing that another volume of the series "
            "has (00-0.dcm)",
        )
    ] * 2


def test_volumes_of_other_places_in_one_series_stay(tmp_path: Path) -> None:
    """Five slices before contrast, then three that begin lower: none is a part of the other."""
    change = _set(TemporalPositionIdentifier=lambda n: 1 + (n > 4))
    found = _found(tmp_path, [0.0, 3.0, 6.0, 9.0, 12.0, -3.0, 0.0, 3.0], change)
    assert sorted(scan.header.shape for scan in found.scans) == [(6, 5, 3), (6, 5, 5)]


def test_a_derived_slice_more_does_not_cost_the_volume(tmp_path: Path) -> None:
    change = _set(ImageType=lambda n: ["DERIVED" if n == 4 else "ORIGINAL", "PRIMARY"])
    found = _found(tmp_path, [0.0, 3.0, 6.0, 9.0, 6.0], change)
    assert sorted(scan.header.shape for scan in found.scans) == [(5, 6), (6, 5, 4)]


def test_two_stretches_that_the_headers_tell_apart_are_two_volumes(tmp_path: Path) -> None:
    change = _set(ImageType=lambda n: ["ORIGINAL", "PRIMARY", "NECK" if n < 3 else "HEAD"])
    found = _found(tmp_path, [0.0, 3.0, 6.0, 60.0, 65.0, 70.0], change)
    assert [scan.header.spacing[2] for scan in found.scans if scan.header.spacing] == [3.0, 5.0]


def test_a_step_that_changes_is_refused_by_its_true_reason(tmp_path: Path) -> None:
    """2.5 mm, then 7.5 mm: nothing is missing."""
    found = _found(tmp_path, [0.0, 2.5, 5.0, 7.5, 15.0, 22.5, 30.0], _set())
    assert found.scans == ()
    assert "changes from 2.50 to 7.50 mm" in found.problems[0].reason


def test_captures_at_one_place_stay_pictures(tmp_path: Path) -> None:
    found = _found(tmp_path, [0.0, 0.0, 0.0], _set(SOPClassUID=lambda n: CAPTURE))
    assert [scan.header.shape for scan in found.scans] == [(5, 6)] * 3
    assert found.problems == ()
