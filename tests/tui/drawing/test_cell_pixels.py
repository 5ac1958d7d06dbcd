"""Several pixels to a cell: which character, and which two colours."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from rich.cells import cell_len

from coldal_tui.tui.drawing.cell_pixels import OUTSIDE, SHAPES, fit_cells

WHITE, BLACK, RED, BLUE = 0xFFFFFF, 0x000000, 0xD55E00, 0x56B4E9
SEXTANTS, QUADRANTS = SHAPES["sextants"], SHAPES["quadrants"]


def cell(pixels: list[list[int]], shape: str) -> tuple[str, int, int]:
    chars, fg, bg = fit_cells(np.array(pixels, np.int32), SHAPES[shape])
    return str(chars[0, 0]), int(fg[0, 0]), int(bg[0, 0])


def test_every_pattern_of_six_has_the_character_unicode_names_for_it() -> None:
    for pattern, character in enumerate(SEXTANTS.characters):
        held = "".join(str(n + 1) for n in range(6) if pattern >> n & 1)
        name = unicodedata.name(character)
        if held not in ("", "135", "246", "123456"):
            assert name == f"BLOCK SEXTANT-{held}"
    known = {0: " ", 0b010101: "▌", 0b101010: "▐", 0b111111: "█"}
    assert {n: SEXTANTS.characters[n] for n in known} == known
    assert len(set(SEXTANTS.characters)) == 64
    assert len(set(QUADRANTS.characters)) == 16
    assert {cell_len(one) for one in SEXTANTS.characters + QUADRANTS.characters} == {1}


@pytest.mark.parametrize(
    ("pixels", "shape", "character"),
    [
        ([[WHITE, BLACK], [BLACK, BLACK]], "quadrants", "▘"),
        ([[WHITE, BLACK], [BLACK, WHITE]], "quadrants", "▚"),
        ([[WHITE, BLACK]] * 3, "sextants", "▌"),
        ([[WHITE, BLACK], [BLACK, BLACK], [BLACK, BLACK]], "sextants", "\N{BLOCK SEXTANT-1}"),
        ([[WHITE, WHITE], [WHITE, WHITE], [BLACK, BLACK]], "sextants", "\N{BLOCK SEXTANT-1234}"),
    ],
)
def test_two_colours_are_drawn_as_they_are(
    pixels: list[list[int]], shape: str, character: str
) -> None:
    assert cell(pixels, shape) == (character, WHITE, BLACK)


def test_one_colour_is_a_blank_on_it() -> None:
    assert cell([[RED, RED]] * 3, "sextants") == (" ", OUTSIDE, RED)
    assert cell([[OUTSIDE, OUTSIDE]] * 3, "sextants") == (" ", OUTSIDE, OUTSIDE)


def test_a_line_keeps_its_colour_beside_greys() -> None:
    greys = [[0x303030, RED], [0x404040, RED], [0x505050, RED]]
    _, fg, bg = cell(greys, "sextants")
    assert RED in (fg, bg)
    # Also between black and white, which differ more from one another than from the line.
    character, fg, bg = cell([[BLACK, BLACK], [BLUE, BLUE], [WHITE, WHITE]], "sextants")
    assert BLUE in (fg, bg)
    assert character in ("\N{BLOCK SEXTANT-34}", "\N{BLOCK SEXTANT-1256}")


def test_at_a_pictures_rim_the_terminals_own_colour_stays() -> None:
    assert cell([[OUTSIDE, WHITE], [OUTSIDE, WHITE]], "quadrants") == ("▐", WHITE, OUTSIDE)
