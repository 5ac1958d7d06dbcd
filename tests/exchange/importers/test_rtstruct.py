"""DICOM structure sets: contours become voxels on the slices of the scan they were drawn on."""

from __future__ import annotations

import numpy as np
import pytest

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.importers.rtstruct import read_onto, read_structures
from coldal_tui.exchange.incoming.geometry_policy import Accepted, ImportOptions, decide
from coldal_tui.exchange.incoming.importing import examine
from tests.support import dicom_files as made
from tests.support.import_plan import plan_import

GRID = (made.COLUMNS, made.ROWS, made.SLICES)


@pytest.fixture
def ct(tmp_path) -> made.Series:
    return made.write_series(tmp_path / "ct")


@pytest.fixture
def judged(ct, tmp_path, recognised):
    """Writes a structure set and decides on it."""

    def judge(ds, classes=("organ",), target=None):
        path = made.save(ds, tmp_path / "masks" / "rs.dcm")
        return decide(target or ct.target, recognised(path), classes, None)

    return judge


def ring(k: float, *corners: tuple[float, float]) -> np.ndarray:
    """A contour in mm from its corners (column, row) on slice ``k``."""
    return np.array([made.position(k, row, column) for column, row in corners])


def box(k: float, left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return ring(k, (left, top), (right, top), (right, bottom), (left, bottom))


def voxels(*boxes: tuple[slice, slice, int]) -> np.ndarray:
    label = np.zeros(GRID, np.uint8)
    for columns, rows, k in boxes:
        label[columns, rows, k] = 1
    return label


def test_centres_inside_a_contour_are_drawn(judged):
    contours = [box(1, 1.6, 0.6, 5.4, 3.4), box(3, 6.5, 1.5, 7.5, 4.5)]

    decision = judged(made.structure_set({"organ": contours}))

    assert isinstance(decision, Accepted)
    expected = voxels((slice(2, 6), slice(1, 4), 1), (slice(7, 8), slice(2, 5), 3))
    np.testing.assert_array_equal(decision.label, expected)
    assert decision.notes == ("2 contours of 1 structure drawn on the scan's slices",)


def test_a_contour_through_the_centres_of_a_mask_s_rim_is_that_mask(judged):
    """As rt-utils and other programs that trace masks draw them."""
    decision = judged(made.structure_set({"organ": [box(2, 1, 1, 6, 4)]}))

    np.testing.assert_array_equal(decision.label, voxels((slice(1, 7), slice(1, 5), 2)))


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
def test_a_contour_in_a_contour_is_a_hole(judged, kind):
    contours = [box(2, 0.5, 0.5, 6.5, 4.5), box(2, 2.5, 1.5, 4.5, 3.5)]

    decision = judged(made.structure_set({"organ": contours}, kind=kind))

    expected = voxels((slice(1, 7), slice(1, 5), 2))
    expected[3:5, 2:4, 2] = 0
    np.testing.assert_array_equal(decision.label, expected)


def test_a_keyhole_is_a_hole(judged):
    outer = [(0.5, 0.5), (6.5, 0.5), (6.5, 4.5), (0.5, 4.5), (0.5, 0.5)]
    inner = [(2.5, 1.5), (2.5, 3.5), (4.5, 3.5), (4.5, 1.5), (2.5, 1.5)]

    decision = judged(made.structure_set({"organ": [ring(2, *outer, *inner)]}))

    expected = voxels((slice(1, 7), slice(1, 5), 2))
    expected[3:5, 2:4, 2] = 0
    np.testing.assert_array_equal(decision.label, expected)


def test_the_same_contour_twice_does_not_cancel(judged):
    contour = box(2, 0.5, 0.5, 6.5, 4.5)

    decision = judged(made.structure_set({"organ": [contour, contour]}))

    np.testing.assert_array_equal(decision.label, voxels((slice(1, 7), slice(1, 5), 2)))


def test_structures_are_classes_by_their_names(judged):
    structures = {"Tumour": [box(2, 2.5, 1.5, 4.5, 3.5)], "organ": [box(2, 0.5, 0.5, 6.5, 4.5)]}

    decision = judged(made.structure_set(structures), ("organ", "tumour"))

    expected = voxels((slice(1, 7), slice(1, 5), 2))
    expected[3:5, 2:4, 2] = 2
    np.testing.assert_array_equal(decision.label, expected)


def test_an_unknown_structure_is_told_by_name(judged):
    ds = made.structure_set({"organ": [box(2, 0, 0, 2, 2)], "couch": [box(3, 4, 4, 6, 5)]})

    decision = judged(ds)

    assert decision.code == "unknown-value"
    assert "'couch'" in decision.message


def test_points_are_left_out_and_told(judged):
    ds = made.structure_set({"organ": [box(2, 0.5, 0.5, 6.5, 4.5)], "iso": [ring(2, (4, 4))]})
    (contour,) = ds.ROIContourSequence[1].ContourSequence
    contour.ContourGeometricType = "POINT"

    decision = judged(ds)

    np.testing.assert_array_equal(decision.label, voxels((slice(1, 7), slice(1, 5), 2)))
    assert decision.notes[1] == "1 point or open contour encloses nothing and was left out"


def test_rounded_positions_are_taken(judged):
    decision = judged(made.structure_set({"organ": [box(2.2, 0.5, 0.5, 6.5, 4.5)]}))

    np.testing.assert_array_equal(decision.label, voxels((slice(1, 7), slice(1, 5), 2)))


@pytest.mark.parametrize(
    ("contour", "why"),
    [
        (box(2.5, 0, 0, 4, 4), "a contour of 'organ' lies between the scan's slices (0.50"),
        (box(9, 0, 0, 4, 4), "a contour of 'organ' lies on slice 10; the scan has 5"),
        (box(2, 0, 0, 30, 4), "a contour of 'organ' reaches 22 voxels beyond the scan"),
        (np.array([made.position(k, 2, 3 * k) for k in range(4)]), "lies between the scan's"),
    ],
)
def test_contours_that_are_not_on_the_scan_are_refused(judged, contour, why):
    decision = judged(made.structure_set({"organ": [contour]}))

    assert decision.code == "geometry"
    assert why in decision.message


def test_an_outline_may_touch_the_rim_of_the_scan(judged):
    decision = judged(made.structure_set({"organ": [box(2, -0.8, -0.8, 8.8, 5.8)]}))

    np.testing.assert_array_equal(decision.label, voxels((slice(None), slice(None), 2)))


def test_a_scan_without_coordinates_takes_no_contours(judged):
    target = ScanTarget("photo", (made.ROWS, made.COLUMNS), ("photo.png",))

    assert judged(made.structure_set({"organ": [box(2, 0, 0, 4, 4)]}), target=target).code == (
        "no-position"
    )


@pytest.mark.parametrize(
    "references",
    [
        {"series": made.SERIES},
        {"series": None, "instances": [made.instance(2)]},
        {"series": None},
    ],
    ids=["series", "instance", "frame of reference"],
)
def test_it_finds_its_series(ct, tmp_path, references):
    ds = made.structure_set({"organ": [box(2, 0, 0, 4, 4)]}, **references)
    made.save(ds, tmp_path / "masks" / "IM0001")

    (verdict,) = plan_import(tmp_path / "masks", [ct.target], ("organ",), None).accepted

    assert (verdict.scan_id, verdict.matched_by) == (ct.target.scan_id, "UID")
    assert (verdict.author, verdict.tool) == ("Bob Rater", "Acme Drawer")


def test_another_series_of_the_same_frame_of_reference_is_not_taken(ct, tmp_path):
    ds = made.structure_set({"organ": [box(2, 0, 0, 4, 4)]}, series="9.9")
    made.save(ds, tmp_path / "masks" / "IM0001")

    (verdict,) = plan_import(tmp_path / "masks", [ct.target], ("organ",), None).unmatched

    assert "UID 9.9" in verdict.message


@pytest.mark.parametrize("data", [["1", "2"], [], ["1", "nan", "3"], ["1", "2", "3", "4"]])
def test_coordinates_that_are_no_points_are_refused(tmp_path, data):
    ds = made.structure_set({"organ": [box(2, 0, 0, 4, 4)]})
    ds.ROIContourSequence[0].ContourSequence[0].ContourData = None
    path = made.save(ds, tmp_path / "rs.dcm")
    content = path.read_bytes()
    text = "\\".join(data).encode()
    text += b" " * (len(text) % 2)
    empty = b"\x06\x30\x50\x00DS\x00\x00"
    assert content.count(empty) == 1
    path.write_bytes(content.replace(empty, empty[:6] + len(text).to_bytes(2, "little") + text))

    with pytest.raises(ImageError) as caught:
        read_structures(path)

    assert caught.value.code in ("damaged", "truncated")


def test_a_cut_file_is_told(ct, tmp_path):
    path = made.save(made.structure_set({"organ": [box(2, 0, 0, 4, 4)]}), tmp_path / "rs.dcm")
    content = path.read_bytes()
    for keep in range(400, len(content) - 40, 97):
        path.write_bytes(content[:keep])

        plan = plan_import(path, [ct.target], ("organ",), None)

        assert plan.accepted == ()


@pytest.mark.filterwarnings("ignore:The value for the data element")
def test_contours_too_long_for_their_type_are_read(ct, tmp_path):
    turn = np.linspace(0, 2 * np.pi, 3000, endpoint=False)
    corners = zip(4 + 3.2 * np.cos(turn), 2.5 + 2.2 * np.sin(turn), strict=True)
    ds = made.structure_set({"organ": [ring(2, *corners)]})

    pixels = read_onto(made.save(ds, tmp_path / "rs.dcm"), ct.target)

    i, j = np.indices(GRID[:2])
    inside = ((i - 4) / 3.2) ** 2 + ((j - 2.5) / 2.2) ** 2 < 1
    np.testing.assert_array_equal(pixels.array[:, :, 2], inside)


ORGAN = box(2, 1, 1, 6, 4)
ORGAN_VOXELS = (slice(1, 7), slice(1, 5), 2)


@pytest.mark.parametrize(
    "couch",
    [
        box(2, -40, 3, 60, 40),  # beyond the rim on all sides
        box(11, 0, 0, 4, 4),  # below the last slice
        box(2.5, 0, 0, 4, 4),  # between two slices
    ],
)
def test_what_is_mapped_to_background_leaves_the_others_alone(ct, tmp_path, couch):
    ds = made.structure_set({"organ": [ORGAN], "Couch": [couch]})
    made.save(ds, tmp_path / "masks" / "rs.dcm")
    options = ImportOptions(values={"couch": "background"})

    (verdict,) = examine(tmp_path / "masks", [ct.target], ("organ",), None, options=options)

    np.testing.assert_array_equal(verdict.label, voxels(ORGAN_VOXELS))
    assert "background, not drawn: 'Couch'" in verdict.notes
    assert verdict.warnings == ()


def test_a_structure_wholly_outside_need_not_be_explained(judged):
    ds = made.structure_set(
        {"organ": [ORGAN], "couch": [box(11, 0, 0, 4, 4), box(2.5, 0, 0, 1, 1)]}
    )

    decision = judged(ds)

    np.testing.assert_array_equal(decision.label, voxels(ORGAN_VOXELS))
    assert decision.warnings == ("'couch': 2 contours outside the scan's slices left out",)


def test_a_class_that_leaves_the_scan_a_little_is_cut_and_told(judged):
    contours = [box(2, 1, 1, 12, 4), box(3, 1, 1, 6, 4), box(4, 1, 1, 6, 4), box(5, 1, 1, 6, 4)]

    decision = judged(made.structure_set({"organ": contours}))

    expected = voxels(
        (slice(1, 9), slice(1, 5), 2), *((slice(1, 7), slice(1, 5), k) for k in (3, 4))
    )
    np.testing.assert_array_equal(decision.label, expected)
    assert decision.warnings == (
        "'organ': 1 contour outside the scan's slices left out",
        "'organ': 1 contour cut at the scan's rim",
    )


def test_contours_on_every_second_slice_are_filled_between_and_told(judged):
    contours = [box(k, 1, 1, 6, 4) for k in (0, 2, 4)]

    decision = judged(made.structure_set({"organ": contours}))

    expected = voxels(*((slice(1, 7), slice(1, 5), k) for k in range(5)))
    np.testing.assert_array_equal(decision.label, expected)
    assert decision.warnings == ("'organ': 2 slices between contours interpolated",)


def signed_by_hand(mask: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Distance to the nearest pixel of the other kind, by trying all of them."""
    places = np.argwhere(np.ones_like(mask))
    wide = np.pad(mask, 1)
    kinds = {kind: np.argwhere(wide == kind) - 1 for kind in (False, True)}
    half = min(spacing) / 2
    found = np.zeros(mask.shape)
    for place in places:
        here = bool(mask[tuple(place)])
        steps = (kinds[not here] - place) * spacing
        distance = np.sqrt((steps**2).sum(axis=1)).min() - half
        found[tuple(place)] = distance if here else -distance
    return found


def test_shapes_between_are_blended_by_their_distances(judged, ct):
    big, small = box(1, 0, 0, 8, 5), box(3, 3, 2, 5, 3)

    decision = judged(made.structure_set({"organ": [big, small]}))

    ends = [np.zeros(GRID[:2], bool), np.zeros(GRID[:2], bool)]
    ends[0][0:9, 0:6], ends[1][3:6, 2:4] = True, True
    steps = np.linalg.norm(np.asarray(ct.target.affine)[:3, :2], axis=0)
    middle = sum(signed_by_hand(one, tuple(steps)) for one in ends) > 0
    np.testing.assert_array_equal(decision.label[:, :, 2].astype(bool), middle)
    assert 6 < middle.sum() < 54


@pytest.mark.parametrize(
    ("contours", "gap"),
    [
        # Every slice has one, but for one: a gap, not thinned out.
        ([box(k, 1, 1, 6, 4) for k in (0, 1, 2, 4)], "3 and 5"),
        # One outline, then two.
        ([box(0, 0, 0, 8, 5), box(2, 0, 0, 2, 4), box(2, 5, 0, 8, 4)], "1 and 3"),
        # Two shapes with nothing in common.
        ([box(0, 0, 0, 2, 2), box(2, 5, 3, 8, 5)], "1 and 3"),
    ],
)
def test_any_other_gap_stays_empty_and_is_told(judged, contours, gap):
    decision = judged(made.structure_set({"organ": contours}))

    between = int(gap.partition(" ")[0])
    assert not decision.label[:, :, between].any()
    assert decision.warnings == (f"'organ': nothing is drawn between its contours on slices {gap}",)


def test_points_and_open_contours_alone_are_never_empty(judged):
    decision = judged(made.structure_set({"organ": [box(1, 1, 1, 6, 4)]}, kind="POINT"))

    assert decision.code == "no-outlines"
    assert "none of its 1 contours encloses anything" in decision.message
