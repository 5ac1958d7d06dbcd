"""Polygons as pixels: against the even-odd rule itself, and counts made by hand."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from coldal_tui.exchange.masks.scanline import fill_rings

SQUARE = np.array([(1.0, 1.0), (6.0, 1.0), (6.0, 6.0), (1.0, 6.0)])
HOLE = np.array([(3.0, 3.0), (5.0, 3.0), (5.0, 5.0), (3.0, 5.0)])


def even_odd(ring: np.ndarray, x: float, y: float) -> bool:
    """Whether a point lies inside: crossings of a ray, one edge after the other."""
    inside = False
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (x1 - x0) * (y - y0) / (y1 - y0):
            inside = not inside
    return inside


@pytest.mark.parametrize("seed", range(5))
def test_every_centre_is_where_the_ray_says(seed):
    rng = np.random.default_rng(seed)
    ring = rng.uniform(-3, 23, (17, 2))  # crosses itself, and leaves the grid

    filled = fill_rings([ring], (20, 15))

    expected = [[even_odd(ring, x, y) for y in range(15)] for x in range(20)]
    np.testing.assert_array_equal(filled, expected)


def test_a_rectangle_between_centres_holds_what_it_covers():
    ring = np.array([(0.5, 1.5), (15.5, 1.5), (15.5, 11.5), (0.5, 11.5)])

    assert fill_rings([ring], (20, 20)).sum() == 150


def test_centres_on_the_left_and_top_edge_belong():
    filled = fill_rings([SQUARE], (8, 8))

    assert np.argwhere(filled).min(axis=0).tolist() == [1, 1]
    assert np.argwhere(filled).max(axis=0).tolist() == [5, 5]


def test_neighbours_share_no_pixel_and_leave_none():
    right = SQUARE + np.array([5.0, 0.0])

    both = fill_rings([SQUARE], (12, 8)).astype(int) + fill_rings([right], (12, 8))

    assert both[1:11, 1:6].min() == both.max() == 1


def test_edges_may_belong():
    filled = fill_rings([SQUARE], (8, 8), edges_inside=True)

    expected = np.zeros((8, 8), bool)
    expected[1:7, 1:7] = True
    np.testing.assert_array_equal(filled, expected)


@pytest.mark.parametrize("turn", [1, -1])
def test_a_ring_in_a_ring_is_a_hole_whatever_its_direction(turn):
    filled = fill_rings([SQUARE, HOLE[::turn]], (8, 8))

    assert filled.sum() == 25 - 4
    assert not filled[3:5, 3:5].any()


def test_a_keyhole_is_a_hole():
    keyhole = np.concatenate([SQUARE, SQUARE[:1], HOLE[[0, 3, 2, 1]], HOLE[:1]])

    np.testing.assert_array_equal(fill_rings([keyhole], (8, 8)), fill_rings([SQUARE, HOLE], (8, 8)))


def test_the_outline_of_a_hole_is_drawn_where_edges_belong():
    filled = fill_rings([SQUARE, HOLE], (8, 8), edges_inside=True)

    assert filled.sum() == 36 - 1
    assert not filled[4, 4]


def test_slanted_edges_draw_the_centres_they_meet():
    diamond = np.array([(3.0, 0.0), (6.0, 3.0), (3.0, 6.0), (0.0, 3.0)])

    filled = fill_rings([diamond], (7, 7), edges_inside=True)

    assert filled.sum() == 25
    assert filled[[3, 6, 3, 0, 4, 5], [0, 3, 6, 3, 1, 2]].all()


def test_no_ring_fills_nothing():
    assert not fill_rings([], (4, 5), edges_inside=True).any()


def test_a_ring_that_crosses_every_row_time_and_again_needs_little_memory():
    x = np.linspace(0, 40, 50_000)
    zigzag = np.stack([x, np.where(np.arange(x.size) % 2, 49.5, -0.5)], axis=1)
    tracemalloc.start()

    fill_rings([zigzag], (40, 50))

    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()
