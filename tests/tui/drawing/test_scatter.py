"""Points as cells: small rasters by hand, counts, transforms, picking and moving."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldal_tui.tui.drawing.scatter import (
    LEVELS,
    Raster,
    Viewport,
    bounds_of,
    braille,
    density,
    dominant,
    fit,
    inside,
    mean_kind,
    pick,
    rasterise,
    steps_of,
    towards,
)
from coldal_tui.tui.drawing.scatter_cells import (
    Manner,
    ink_of,
    name_clusters,
    outline,
    paint,
    shades,
)

PLACE = st.floats(-50, 50, width=32)
PLACES = st.lists(st.tuples(PLACE, PLACE), min_size=1, max_size=60)

# Two cells beside each other, a dot one unit wide: x from 0 to 4, y from 0 to 4.
TWO_CELLS = Viewport(2.0, 2.0, 1.0, 2, 1)


def points(*places: tuple[float, float]) -> np.ndarray:
    return np.array(places, np.float32).reshape(-1, 2)


def kinds(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint8)


def drawn(raster: Raster) -> list[str]:
    return ["".join(chr(0x2800 + mask) for mask in row) for row in braille(raster.dots).tolist()]


def test_each_dot_of_a_cell_has_its_place() -> None:
    # Left column of the first cell from its top down to its third dot, right bottom dot of the
    # second: dots 1, 2, 3 and dot 8.
    xy = points((0.5, 3.5), (0.5, 2.5), (0.5, 1.5), (3.5, 0.5))
    assert drawn(rasterise(xy, kinds(0, 0, 0, 0), 1, TWO_CELLS)) == ["⠇⢀"]


def test_all_eight_dots() -> None:
    xy = points(*((x + 0.5, y + 0.5) for x in range(2) for y in range(4)))
    assert drawn(rasterise(xy, np.zeros(8, np.uint8), 1, TWO_CELLS)) == ["⣿⠀"]


def test_points_are_counted_by_cell_and_kind() -> None:
    xy = points((0.5, 0.5), (1.5, 3.5), (1.5, 3.5), (2.5, 0.5))
    raster = rasterise(xy, kinds(0, 1, 1, 2), 3, TWO_CELLS)
    assert raster.kinds.tolist() == [[[1, 2, 0], [0, 0, 1]]]
    assert raster.counts.tolist() == [[3, 1]]


def test_the_window_holds_its_upper_and_left_edges_only() -> None:
    xy = points((0, 4), (4, 4), (0, 0), (-0.01, 2), (4.01, 2), (2, 4.01), (2, -0.01))
    raster = rasterise(xy, np.zeros(7, np.uint8), 1, TWO_CELLS)
    assert raster.counts.tolist() == [[1, 0]]


def test_points_far_beyond_the_window_are_left_out() -> None:
    xy = points((1e9, 0), (-1e9, 1e9), (0.5, 0.5))
    view = Viewport(2.0, 2.0, 1e-6, 2, 1)
    assert rasterise(xy, kinds(0, 0, 0), 1, view).counts.sum() == 0


def test_points_hardly_apart_are_in_one_place() -> None:
    tiny = float(np.finfo(np.float32).tiny)
    xy = points((tiny, 0.0), (tiny, tiny))
    raster = rasterise(xy, np.zeros(2, np.uint8), 1, fit(bounds_of(xy), 1, 2))
    assert raster.counts.sum() == 2


@given(PLACES, st.integers(1, 40), st.integers(1, 20))
def test_the_whole_map_shows_every_point(
    places: list[tuple[float, float]], columns: int, rows: int
) -> None:
    xy = points(*places)
    raster = rasterise(xy, np.zeros(len(xy), np.uint8), 1, fit(bounds_of(xy), columns, rows))
    assert raster.counts.sum() == raster.dots.sum() == len(xy)
    assert raster.counts.shape == (rows, columns)


@given(PLACES, st.floats(0.05, 3), st.integers(1, 5))
def test_a_window_counts_what_lies_in_its_cells(
    places: list[tuple[float, float]], step: float, number: int
) -> None:
    xy = points(*places)
    kind = np.arange(len(xy)).astype(np.uint8) % number
    view = Viewport(1.0, -2.0, step, 7, 5)
    raster = rasterise(xy, kind, number, view)
    columns, rows = view.cells_of(xy)
    expected = np.zeros((5, 7, number), int)
    for column, row, k in zip(columns, rows, kind, strict=True):
        if view.holds(column, row):
            expected[row, column, k] += 1
    assert raster.kinds.tolist() == expected.tolist()


def test_more_points_than_a_chunk_are_all_counted() -> None:
    xy = np.random.default_rng(0).random((200_001, 2)).astype(np.float32)
    kind = (np.arange(len(xy)) % 3).astype(np.uint8)
    raster = rasterise(xy, kind, 3, fit(bounds_of(xy), 30, 10))
    assert raster.kinds.sum(axis=(0, 1)).tolist() == [66_667, 66_667, 66_667]


def test_both_axes_have_the_same_scale() -> None:
    xy = points((0, 0), (10, 0), (0, 10), (10, 10))
    view = fit(bounds_of(xy), 80, 10)
    (left, right, *_), (bottom, _, top, _) = view.cells_of(xy)
    assert (top, bottom) == (1, 8)  # a row is free above and below
    assert 2 * (bottom - top) - 1 <= right - left <= 2 * (bottom - top) + 1


def test_points_on_one_place_are_in_the_middle() -> None:
    view = fit(bounds_of(points((3, 3), (3, 3))), 11, 5)
    assert view.cell_of(points((3, 3)), 0) == (5, 2)


@given(
    st.floats(-9, 9), st.floats(-9, 9), st.floats(0.01, 9), st.integers(0, 30), st.integers(0, 9)
)
def test_the_middle_of_a_cell_lies_in_it(
    x: float, y: float, step: float, column: int, row: int
) -> None:
    view = Viewport(x, y, step, 31, 10)
    xy = points(view.centre_of(column, row))
    assert view.cell_of(xy, 0) == (column, row)


@given(st.floats(0.1, 10), st.integers(0, 30), st.integers(0, 9))
def test_what_is_magnified_around_stays_where_it_is(factor: float, column: int, row: int) -> None:
    view = Viewport(2.0, -3.0, 0.5, 31, 10)
    moved = view.zoomed(factor, *view.centre_of(column, row))
    assert moved.centre_of(column, row) == pytest.approx(view.centre_of(column, row))
    assert moved.step == pytest.approx(view.step / factor)


def test_panning_moves_by_whole_cells() -> None:
    view = Viewport(0.0, 0.0, 1.0, 10, 4)
    moved = view.panned(3, -2)
    assert moved.centre_of(0, 0) == view.centre_of(3, -2)


def test_a_box_holds_what_lies_in_its_cells_corners_included() -> None:
    view = Viewport(5.0, 6.0, 1.0, 5, 3)  # x 0 to 10 by 2, y 12 to 0 by 4
    xy = points((2, 11), (3.99, 8.01), (4, 11), (5.99, 4.01), (6, 11), (2, 4), (1.99, 11))
    # Columns 1 and 2, rows 0 and 1. A row holds its upper edge: y = 4 is of the third row.
    assert inside(xy, view, (2, 1), (1, 0)).tolist() == [0, 1, 2, 3]


def test_the_most_frequent_kind_and_the_lower_of_equals() -> None:
    counts = np.array([[[0, 3, 1], [2, 2, 0], [0, 0, 0], [0, 0, 1]]])
    assert dominant(counts).tolist() == [[1, 0, -1, 2]]


def test_the_mean_step_of_what_is_known() -> None:
    # Steps 0 to 3 and unknown: 0 and 3 three times is 2.25; unknown does not count.
    counts = np.array([[[1, 0, 0, 3, 9], [0, 0, 0, 0, 2], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0]]])
    assert mean_kind(counts, 4).tolist() == [[2, 4, -1, 1]]


def test_values_are_spread_over_the_steps() -> None:
    values = np.linspace(0, 1, 101).astype(np.float32)
    steps, ends = steps_of(values, 10)
    assert ends == pytest.approx((0.02, 0.98))
    assert steps[[0, 55, 100]].tolist() == [0, 5, 9]
    assert np.all(np.diff(steps.astype(int)) >= 0)


def test_unknown_and_equal_values_have_a_step_too() -> None:
    values = np.array([0.5, np.nan, 0.5], np.float32)
    assert steps_of(values, 10)[0].tolist() == [0, 10, 0]
    assert steps_of(values[1:2], 10)[0].tolist() == [10]


def test_even_points_are_not_shaded() -> None:
    crowd = density(np.array([[1, 2, 3, 0]]))
    assert crowd.depth == 0
    assert crowd.level[0, :3].tolist() == [LEVELS - 1] * 3


def test_crowded_cells_are_brighter_than_lonely_ones() -> None:
    crowd = density(np.array([[1, 10, 100, 1000]]))
    # Percentiles 5 and 99 are 2.35 and 973: of six steps between their logarithms 10 is at 1.4
    # and 100 at 3.7.
    assert crowd.depth == 1
    assert crowd.level.tolist() == [[0, 1, 3, 5]]


def test_density_alone_is_the_number_of_dots() -> None:
    counts = np.array([1000] * 2 + [30] * 2 + [1] * 2)
    dots = np.repeat(counts[None, :], 4, axis=0)
    raster = Raster(dots, dots.reshape(1, 4, 3, 2).sum(axis=(1, 3))[:, :, None])
    canvas = paint(raster, Manner(braille=True, glyphs=("x",), thin=True))
    lit = [bin(ord(letter) - 0x2800).count("1") for letter in canvas.text[0]]
    assert lit[0] == 8
    assert lit[0] > lit[1] > lit[2] >= 1


def test_a_cell_with_fewer_dots_keeps_the_most_crowded_ones() -> None:
    dots = np.array([[1, 2], [9, 1], [1, 8], [1, 1]])
    # The left one of the second row and the right one of the third: dots 2 and 6.
    assert chr(0x2800 + int(braille(dots, np.array([[2]]))[0, 0])) == "⠢"


def test_the_shown_point_of_a_cell_is_the_one_with_the_highest_rank() -> None:
    xy = points((0.9, 2), (0.5, 0.5), (0.1, 0.1), (3, 2))
    rank = kinds(0, 1, 1, 9)
    # The middle of the first cell is (1, 2): the second point is nearer to it than the third.
    assert pick(xy, TWO_CELLS, 0, 0, rank) == 1


def test_beside_all_points_the_nearest_is_picked() -> None:
    xy = points((0.5, 0.5), (0.5, 3.5))
    assert pick(xy, TWO_CELLS, 1, 0, kinds(0, 0)) in (0, 1)
    assert pick(xy, Viewport(2.0, 12.0, 1.0, 2, 1), 1, 0, kinds(0, 0)) == 1
    assert pick(points(), TWO_CELLS, 0, 0, kinds()) is None


# A cross around the middle, on a window of cells 2 x 4 units wide.
CROSS = points((0, 0), (20, 1), (-20, 0), (0, 24), (1, -24), (9, 9))
WINDOW = Viewport(0.0, 0.0, 1.0, 41, 21)
FLAT = np.zeros(6, np.uint8)


@pytest.mark.parametrize(
    ("direction", "found"), [((1, 0), 5), ((-1, 0), 2), ((0, -1), 3), ((0, 1), 4)]
)
def test_the_nearest_point_in_each_direction(direction: tuple[int, int], found: int) -> None:
    assert towards(CROSS, WINDOW, 0, direction, FLAT) == found


def test_what_lies_aside_counts_double() -> None:
    # 20 to the right and straight on, against 14 to the right and 13 down: 400 to 196 + 4 * 144.
    xy = points((0, 0), (20, 0), (14, -13))
    assert towards(xy, WINDOW, 0, (1, 0), FLAT) == 1


def test_nothing_lies_beyond_the_last_point() -> None:
    assert towards(CROSS, WINDOW, 1, (1, 0), FLAT) is None


def test_half_of_the_map_is_looked_through_before_giving_up() -> None:
    xy = points((0, 0), (4, 90))
    assert towards(xy, WINDOW, 0, (1, 0), FLAT) == 1


def test_a_step_always_leaves_the_cell() -> None:
    xy = points((0.1, 0.1), (0.2, 0.1), (0.3, 0.1), (8, 0))
    assert towards(xy, WINDOW, 0, (1, 0), FLAT) == 3


def test_the_marked_point_of_a_cell_comes_first() -> None:
    xy = points((0, 0), (7.1, 0), (7.2, 0.1), (7.3, 0))
    assert towards(xy, WINDOW, 0, (1, 0), kinds(0, 0, 3, 1)) == 2


def test_looking_nearby_first_finds_the_same() -> None:
    xy = np.random.default_rng(2).normal(size=(3000, 2)).astype(np.float32) * 30
    rank = np.zeros(len(xy), np.uint8)
    view = fit(bounds_of(xy), 100, 30)
    columns, rows = view.cells_of(xy)
    for here in range(40):
        dx, dy = (columns - columns[here]) * 2, (rows - rows[here]) * 4
        ahead = np.flatnonzero((dx > 0) & (np.abs(dy) <= dx))
        found = towards(xy, view, here, (1, 0), rank)
        if ahead.size:
            far = dx**2 + 4 * dy**2
            assert far[found] == far[ahead].min()


def test_inks_and_shades_are_inverse() -> None:
    assert [shades(ink_of(kind, level)) for kind in range(3) for level in range(LEVELS)] == [
        (kind, level) for kind in range(3) for level in range(LEVELS)
    ]


def canvas_of(*places: tuple[float, float], glyphs: tuple[str, ...] = ("#", "^")):
    xy = points(*places)
    view = Viewport(10.0, 6.0, 1.0, 10, 3)
    kind = (np.arange(len(xy)) % len(glyphs)).astype(np.uint8)
    return paint(rasterise(xy, kind, len(glyphs), view), Manner(braille=False, glyphs=glyphs))


def rows_of(canvas) -> list[str]:
    return ["".join(row) for row in canvas.text.tolist()]


def test_without_braille_points_are_glyphs_of_their_kind() -> None:
    assert rows_of(canvas_of((1, 11), (5, 5), (19, 1))) == [
        "#         ",
        "  ^       ",
        "         #",
    ]


def test_a_row_is_cut_where_the_ink_changes() -> None:
    canvas = canvas_of((1, 11), (3, 11), (5, 11))
    top = LEVELS - 1
    assert list(canvas.runs(0)) == [
        ("#", ink_of(0, top)),
        ("^", ink_of(1, top)),
        ("#", ink_of(0, top)),
        (" " * 7, 0),
    ]
    over = list(canvas.runs(0, over=(1, 6)))
    assert over[1] == ("^", canvas.marks + 6)


def test_names_stand_beside_their_cells_and_not_on_marks() -> None:
    canvas = canvas_of((1, 11))
    taken = np.zeros((3, 10), bool)
    taken[1, 5] = True
    name_clusters(canvas, [(0, 4, 1), (9, 9, 0)], taken, 500)
    assert rows_of(canvas) == ["#     C10 ", "  C1      ", "          "]
    assert canvas.ink[1, 2:4].tolist() == [500, 500]


def test_the_outline_of_a_box() -> None:
    canvas = canvas_of((50, 50))
    outline(canvas, (1, 0, 4, 2), "─│┌┐┘└", 5)
    assert rows_of(canvas) == [" ┌──┐     ", " │  │     ", " └──┘     "]


def test_marks_beyond_the_window_are_passed_over() -> None:
    canvas = canvas_of((50, 50))
    canvas.stamp(np.array([-1, 0, 10, 3]), np.array([0, 0, 0, 3]), "o", 2)
    assert rows_of(canvas) == ["o         ", " " * 10, " " * 10]
