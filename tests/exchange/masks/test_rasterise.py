"""Outlines as pixels: COCO's rule as pycocotools applies it, ellipses, overlaps, limits."""

from __future__ import annotations

import json

import numpy as np
import pytest

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.masks.rasterise import (
    MOST_POINTS,
    Canvas,
    Patch,
    fill_ellipse,
    fill_polygon,
    read_points,
)
from tests.support.places import ROOT

GOLDEN = json.loads((ROOT / "tests" / "exchange" / "golden" / "masks.json").read_text())


def picture(patch: Patch | None, rows: int, columns: int) -> np.ndarray:
    canvas = Canvas(rows, columns)
    canvas.patch("a", patch)
    return canvas.pixels().array


@pytest.mark.parametrize("case", GOLDEN["coco"], ids=lambda case: f"{case['size']}")
def test_polygons_as_pycocotools_fills_them(case):
    rows, columns = case["size"]
    expected = np.zeros(rows * columns, bool)
    for first, length in case["pixels"]:
        expected[first : first + length] = True

    drawn = picture(fill_polygon(read_points(case["polygon"]), rows, columns), rows, columns)

    np.testing.assert_array_equal(drawn > 0, expected.reshape(rows, columns))


def test_a_rectangle_has_the_pixels_whose_centres_it_holds():
    # 15 × 10 pixels: a rule that draws the outline, too, would give 16 × 11 = 176.
    corners = read_points([2, 3, 17, 3, 17, 13, 2, 13])

    drawn = picture(fill_polygon(corners, 30, 40), 30, 40)

    assert drawn.sum() == 150
    assert drawn[3:13, 2:17].all()


def test_an_outline_around_the_picture_fills_it():
    corners = read_points([[-50, -50], [90, -50], [90, 90], [-50, 90]])

    assert picture(fill_polygon(corners, 30, 40), 30, 40).all()


@pytest.mark.parametrize("points", [[], [[1, 1], [5, 5]], [[50, 50], [60, 50], [60, 60]]])
def test_outlines_without_a_pixel(points):
    assert fill_polygon(read_points(points), 20, 20) is None


def test_an_ellipse_holds_the_centres_inside():
    patch = fill_ellipse((5, 4), (3, 1), 0, 8, 10)

    drawn = picture(patch, 8, 10)
    rows, columns = np.mgrid[:8, :10] + 0.5
    expected = ((columns - 5) / 3) ** 2 + ((rows - 4) / 1) ** 2 <= 1
    np.testing.assert_array_equal(drawn > 0, expected)


def test_an_ellipse_is_turned_clockwise():
    upright = picture(fill_ellipse((10, 10), (6, 2), 90, 20, 20), 20, 20)

    np.testing.assert_array_equal(
        upright, picture(fill_ellipse((10, 10), (2, 6), 0, 20, 20), 20, 20)
    )
    assert upright[5, 10]
    assert not upright[10, 5]
    slanted = picture(fill_ellipse((10, 10), (7, 2), 45, 20, 20), 20, 20)
    assert slanted[13, 13]
    assert not slanted[13, 6]


def square(row: int, column: int) -> Patch:
    return Patch(np.ones((4, 4), bool), row, column)


def test_drawings_of_one_class_are_joined():
    canvas = Canvas(20, 20)
    canvas.patch("lung", square(0, 0))
    canvas.patch("lung", square(2, 2))

    pixels = canvas.pixels()

    assert pixels.names == {1: "lung"}
    assert pixels.layers == ()
    assert np.count_nonzero(pixels.array) == 16 + 16 - 4


def test_drawings_of_several_classes_that_overlap_are_all_kept():
    canvas = Canvas(20, 20)
    for name, at in (("organ", 0), ("tumour", 2), ("organ", 12), ("vessel", 3)):
        canvas.patch(name, square(at, at))

    pixels = canvas.pixels()

    every = [pixels.array, *(layer.array for layer in pixels.layers)]
    drawn = {n: sum(int((a == k).sum()) for a in every) for k, n in pixels.names.items()}
    assert drawn == {"organ": 32, "tumour": 16, "vessel": 16}
    assert len(every) == 3


def test_what_lies_outside_the_picture_is_cut_off():
    canvas = Canvas(5, 6)
    canvas.patch("a", square(-2, -1))
    canvas.patch("a", square(4, 5))
    canvas.patch("a", square(50, 50))
    canvas.patch("a", square(-50, -50))

    drawn = canvas.pixels().array

    assert np.argwhere(drawn).tolist() == [[r, c] for r in (0, 1) for c in (0, 1, 2)] + [[4, 5]]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([[0, 0], [float("nan"), 1], [2, 2]], "no number"),
        ([[0, 0], [float("inf"), 1], [2, 2]], "no number"),
        ([[0, 0], [1e9, 1], [2, 2]], "far outside"),
        ([0, 0, 1], "no list of points"),
        ([["a", "b"]], "no list of points"),
        (None, "no list of points"),
        ([[0, 0]] * (MOST_POINTS + 1), "250001 points"),
        ([0.0] * 2_000_000, "points"),
    ],
)
def test_points_that_no_outline_has(values, reason):
    with pytest.raises(ImageError, match=reason):
        read_points(values)


def test_an_outline_that_is_too_long_to_follow():
    corners = [[x, y] for x in range(400) for y in (-9e5, 9e5)]

    with pytest.raises(ImageError, match="longer than any"):
        fill_polygon(read_points(corners), 100, 100)


def test_a_file_that_states_another_size_is_refused_before_anything_is_drawn():
    target = ScanTarget("a", (6, 9), ("a.png",))

    with pytest.raises(ImageError, match="9000×9000 pixels") as caught:
        Canvas.onto(target, 9000, 9000)

    assert caught.value.code == "wrong-size"
    assert Canvas.onto(target, None, None).pixels().array.shape == (6, 9)


def test_a_turned_picture_may_have_its_sides_swapped():
    target = ScanTarget("a", (6, 9), ("a.png",))

    assert Canvas.onto(target, 9, 6, turned=90).pixels(90).array.shape == (9, 6)
    with pytest.raises(ImageError, match="transposed"):
        Canvas.onto(target, 9, 6)
