"""Pictures as cells of a terminal: characters and colours worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from coldal_tui.imaging.labelfile import IGNORE_LABEL
from coldal_tui.tui.drawing.picture import (
    ASCII_RAMP,
    NONE,
    Canvas,
    Drawing,
    Edges,
    Mode,
    Overlay,
    View,
    class_colours,
    class_letters,
    class_pattern,
    compose,
    draw,
    frame_for,
    heat_colour,
    outline,
    pattern_pixels,
    with_edges,
)
from coldal_tui.tui.drawing.picture_scaling import label_levels, levels

BLUE = 0x56B4E9
BYTE = ((0.0, 255.0),)


def grey(value: int) -> int:
    return value << 16 | value << 8 | value


def drawn(
    plane: np.ndarray, rows: int, columns: int, mode: Mode = "blocks", **drawing: object
) -> Canvas:
    made = Drawing(levels(plane), BYTE * (plane.shape[2] if plane.ndim == 3 else 1), **drawing)
    frame = frame_for(mode, plane.shape[:2], (1.0, 1.0), rows, columns)
    return draw(made, frame, mode)


def mask_of(labels: np.ndarray, **options: object) -> Overlay:
    return Overlay(label_levels(labels), {1: (0x56, 0xB4, 0xE9)}, {1: "A"}, **options)


def test_two_pixels_share_a_cell() -> None:
    canvas = drawn(np.array([[0, 255], [255, 0]], np.uint8), 1, 2)
    assert canvas.text() == "▀▀"
    assert canvas.fg.tolist() == [[grey(0), grey(255)]]
    assert canvas.bg.tolist() == [[grey(255), grey(0)]]


def test_cells_of_one_shade_are_drawn_by_their_background() -> None:
    canvas = drawn(np.full((4, 2), 255, np.uint8), 2, 2)
    assert canvas.text() == "  \n  "
    assert (canvas.bg == grey(255)).all()


def test_beside_the_picture_the_terminal_shows_through() -> None:
    canvas = drawn(np.array([[0], [255]], np.uint8), 1, 3)
    assert canvas.text() == " ▀ "
    assert canvas.fg.tolist() == [[NONE, grey(0), NONE]]
    assert canvas.bg.tolist() == [[NONE, grey(255), NONE]]


def test_half_a_cell_beside_the_picture_stays_free() -> None:
    """One row of two pixels on four: it lies on the second."""
    canvas = drawn(np.full((1, 2), 255, np.uint8), 2, 2)
    assert canvas.text() == "▄▄\n  "
    assert canvas.fg[0].tolist() == [grey(255)] * 2
    assert canvas.bg[0].tolist() == [NONE] * 2


def test_colour_comes_through() -> None:
    plane = np.zeros((2, 1, 3), np.uint8)
    plane[0, 0], plane[1, 0] = (255, 0, 0), (0, 0, 255)
    canvas = drawn(plane, 1, 1)
    assert (canvas.fg[0, 0], canvas.bg[0, 0]) == (0xFF0000, 0x0000FF)


def test_limits_are_black_and_white() -> None:
    plane = np.array([[-1000, 40, 3000]], np.int16)
    made = Drawing(levels(plane), ((-160.0, 240.0),))
    pixels, _ = compose(made, frame_for("cells", (1, 3), (1.0, 1.0), 1, 3))
    assert [int(v) for v in pixels[0, :, 0]] == [0, 130, 255]


def test_without_half_blocks_a_cell_is_one_pixel() -> None:
    canvas = drawn(np.array([[0, 0, 255, 255]] * 4, np.uint8), 2, 4, "cells")
    assert canvas.text() == "    \n    "
    assert canvas.bg.tolist() == [[0, 0, grey(255), grey(255)]] * 2


def test_without_colour_ink_stands_for_brightness() -> None:
    plane = np.array([[0, 60, 130, 190, 255]] * 2, np.uint8)
    made = Drawing(levels(plane), BYTE)
    frame = frame_for("letters", (2, 5), (1.0, 1.0), 1, 5)
    assert draw(made, frame, "letters", ramp=ASCII_RAMP).text() == " :+#@"
    assert draw(made, frame, "letters").text() == " ·▒▓█"


def test_an_outline_is_the_rim_of_a_mask() -> None:
    share = np.zeros((6, 6), np.float32)
    share[1:5, 1:5] = 1
    rim = outline(share)
    assert rim[1:5, 1:5].sum() == 12
    assert not rim[2:4, 2:4].any()
    assert not rim[0].any()


def test_wider_strokes_grow_inwards() -> None:
    share = np.zeros((9, 9), np.float32)
    share[1:8, 1:8] = 1
    assert outline(share, 2).sum() == 49 - 9


def test_a_mask_that_fills_the_screen_has_no_rim_on_it() -> None:
    assert not outline(np.ones((5, 5), np.float32)).any()


def test_a_line_thinner_than_a_pixel_is_drawn_whole() -> None:
    share = np.zeros((5, 7), np.float32)
    share[2] = [0.3, 0.6, 0.3, 0.25, 0.6, 0.3, 0.3]
    assert outline(share)[2].all()


def test_not_even_a_single_covered_point_vanishes() -> None:
    labels = np.zeros((400, 400), np.uint8)
    labels[123, 321] = 1
    canvas = drawn(np.zeros((400, 400), np.uint8), 10, 20, overlays=[mask_of(labels)])
    assert BLUE in np.concatenate([canvas.fg.ravel(), canvas.bg.ravel()])


def test_soft_edges_of_a_large_mask_do_not_thicken_its_rim() -> None:
    share = np.zeros((7, 7), np.float32)
    share[1:6, 1:6] = 0.3
    share[2:5, 2:5] = 1
    assert outline(share).sum() == 8


def test_a_tint_blends_by_what_is_covered() -> None:
    labels = np.array([[1, 1, 0, 0]] * 2, np.uint8)
    canvas = drawn(np.zeros((2, 4), np.uint8), 1, 4, overlays=[mask_of(labels, style="tint")])
    half = (0x56 // 2) << 16 | (0xB4 // 2) << 8 | 0xE9 // 2
    assert canvas.bg.tolist() == [[half, half, 0, 0]]


@pytest.mark.parametrize("direction", ["row", "column", "falling", "rising"])
def test_a_prediction_is_dashed_in_every_direction(direction: str) -> None:
    labels = np.zeros((40, 40), np.uint8)
    n = np.arange(40)
    places = {"row": (20, n), "column": (n, 20), "falling": (n, n), "rising": (n, 39 - n)}
    labels[places[direction]] = 1
    made = Drawing(levels(np.zeros((40, 40), np.uint8)), BYTE, [mask_of(labels, dashed=True)])
    pixels, _ = compose(made, frame_for("blocks", (40, 40), (1.0, 1.0), 20, 40))
    assert (pixels == (0x56, 0xB4, 0xE9)).all(axis=2).sum() == 24


def test_a_later_overlay_lies_on_top() -> None:
    labels = np.zeros((4, 4), np.uint8)
    labels[:, 1] = 1
    red = Overlay(label_levels(labels), {1: (255, 0, 0)}, {1: "a"})
    canvas = drawn(np.zeros((4, 4), np.uint8), 2, 4, overlays=[mask_of(labels), red])
    assert canvas.bg[:, 1].tolist() == [0xFF0000] * 2


def test_masks_and_predictions_differ_in_colour_and_letter() -> None:
    for number in range(1, 9):
        assert class_colours(number)[0] != class_colours(number)[1]
    assert class_letters(2) == ("B", "b")


def test_letters_mark_outlines_where_there_is_no_colour() -> None:
    labels = np.zeros((6, 6), np.uint8)
    labels[:, 2:5] = 1
    canvas = drawn(np.zeros((6, 6), np.uint8), 3, 6, "letters", overlays=[mask_of(labels)])
    assert canvas.text() == "  A A \n  A A \n  A A "


def test_letters_stand_on_the_colour_where_there_are_no_half_blocks() -> None:
    labels = np.zeros((4, 4), np.uint8)
    labels[:, 1] = 1
    canvas = drawn(np.zeros((4, 4), np.uint8), 2, 4, "cells", overlays=[mask_of(labels)])
    assert canvas.text() == " A  \n A  "
    assert canvas.bg[:, 1].tolist() == [BLUE, BLUE]


def test_entropy_brightens_from_a_tenth_on() -> None:
    entropy = np.array([[0, 20, 128, 255]] * 2, np.uint8)
    grey = np.full((2, 4), 128, np.uint8)
    canvas = drawn(grey, 1, 4, heat=levels(entropy))
    none, little, half, most = canvas.bg[0].tolist()
    assert none == little
    assert len({none, half, most}) == 3
    assert most == int("{:02x}{:02x}{:02x}".format(*heat_colour(1.0)), 16)


def test_entropy_is_told_in_tenths_where_there_is_no_colour() -> None:
    entropy = np.array([[0, 60, 128, 255]] * 2, np.uint8)
    canvas = drawn(np.zeros((2, 4), np.uint8), 1, 4, "letters", heat=levels(entropy))
    assert canvas.text() == "  59"


def test_letters_of_the_patients_sides_stand_in_the_middle_of_each_edge() -> None:
    canvas = drawn(np.zeros((6, 9), np.uint8), 3, 9)
    made = with_edges(canvas, Edges("R", "L", "A", "P"))
    assert made.text() == "    A    \nR       L\n    P    "
    assert made.fg[1, 0] == 0xFFFFFF


def test_panning_stops_at_the_edge_of_the_picture() -> None:
    view = View(zoom=2.0)
    frame = frame_for("blocks", (100, 100), (1.0, 1.0), 25, 50, view)
    moved = view.panned(frame, 0.0, 0.25)
    assert moved.centre == (0.5, 0.625)
    for _ in range(5):
        frame = frame_for("blocks", (100, 100), (1.0, 1.0), 25, 50, moved)
        moved = moved.panned(frame, 0.0, 0.25)
    assert moved.centre == (0.5, 0.75)


def test_panning_a_whole_picture_leaves_it_where_it_is() -> None:
    frame = frame_for("blocks", (100, 100), (1.0, 1.0), 25, 80)
    assert View().panned(frame, 0.25, 0.25).centre == (0.5, 0.5)


def test_under_the_entropy_anatomy_keeps_most_of_its_contrast() -> None:
    base = np.array([[40, 220]] * 2, np.uint8)
    full = np.full((2, 2), 255, np.uint8)
    below = drawn(base, 1, 2, heat=levels(full)).bg[0]
    dark, light = ([value >> 16 & 255, value >> 8 & 255, value & 255] for value in below.tolist())
    # Without heat the two differ by 180; half of that stays at the highest entropy.
    assert sum(light) / 3 - sum(dark) / 3 > 90


def test_a_crosshair_goes_through_its_pixel() -> None:
    base = np.zeros((6, 6), np.uint8)
    made = Drawing(levels(base), ((0, 255),), cross=(1.0, 4.0))
    pixels, _ = compose(made, frame_for("blocks", (6, 6), (1.0, 1.0), 3, 6))
    lit = pixels.any(axis=2)
    assert lit[1].all()
    assert lit[:, 4].all()
    assert int(lit.sum()) == 11


def test_colour_and_pattern_tell_32_classes_apart_and_letters_42() -> None:
    marks = {(class_colours(n)[0], class_pattern(n)) for n in range(1, 33)}
    assert len(marks) == 32
    assert [class_pattern(n) for n in (1, 8, 9, 16, 17, 24, 25, 32, 33)] == [
        0, 0, 1, 1, 2, 2, 3, 3, 0,
    ]  # fmt: skip
    assert len({class_letters(n)[0] for n in range(1, 43)}) == 42
    assert class_pattern(IGNORE_LABEL) == 0


def test_patterns_are_stripes_dots_and_stripes_the_other_way() -> None:
    drawn = ["".join(" #"[on] for on in row) for row in pattern_pixels(1, (4, 8)).tolist()]
    assert drawn == ["#   #   ", "   #   #", "  #   # ", " #   #  "]
    assert pattern_pixels(2, (6, 6)).sum() == 4
    assert np.array_equal(pattern_pixels(3, (4, 8)), pattern_pixels(1, (4, 8))[[0, 3, 2, 1]])
    assert pattern_pixels(0, (2, 2)).all()
    assert np.array_equal(pattern_pixels(1, (8, 8), 2)[::2, ::2], pattern_pixels(1, (4, 4)))


def test_the_tint_of_a_later_class_shows_its_pattern() -> None:
    labels = label_levels(np.full((12, 12), 9, np.uint8))
    overlay = Overlay(labels, {9: (255, 0, 0)}, {9: "I"}, "tint")
    base = levels(np.zeros((12, 12, 1), np.uint8))
    frame = frame_for("cells", (12, 12), (1.0, 0.5), 12, 12)
    pixels, _ = compose(Drawing(base, ((0.0, 255.0),), (overlay,)), frame)
    red = pixels[..., 0]
    assert np.array_equal(red == red.max(), pattern_pixels(1, red.shape))
    assert red.min() > 0  # the class is tinted between the stripes, too
