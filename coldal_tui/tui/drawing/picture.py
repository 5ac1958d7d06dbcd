"""Draws images in terminal cells: pixels, outlines of masks, entropy. Needs numpy alone."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from coldal_tui.imaging.intensity import scaled
from coldal_tui.imaging.labelfile import IGNORE_LABEL
from coldal_tui.tui.drawing.cell_pixels import SHAPES, fit_cells
from coldal_tui.tui.drawing.glyphs import OKABE_ITO
from coldal_tui.tui.drawing.picture_scaling import Frame, LabelLevels, Levels, coverage, fit, sample

RGB = tuple[int, int, int]
Style = Literal["outline", "tint"]
Mode = Literal["sextants", "quadrants", "blocks", "cells", "letters"]
"""How a terminal shows pixels: six, four or two to a cell (sextants, quadrants, half-blocks); one
to a cell as its background, for terminals without such glyphs; or as characters of more or less
ink, for those without colour."""

NONE = -1
RAMP = " ·░▒▓█"
ASCII_RAMP = " .:-=+*#%@"
UPPER, LOWER = "▀", "▄"

_PAIRS = ((0, 1), (2, 3), (4, 5), (6, 7), (1, 0), (3, 2), (5, 4), (7, 6))
PATTERNS = ("", "/", ".", "\\")
"""Of the first eight classes, the second eight and so on; a legend shows them by these signs."""
DOTS = 2
_SIGNS = "$&/<>[]^{}|~!()_"
MOST_COLOURS = 4
"""Up to so many classes, colours tell all; more are marked by their numbers, too."""
_GREY = (150, 150, 150)
_HEAT = np.array([(70, 0, 110), (190, 20, 110), (250, 110, 40), (255, 240, 120)], np.float32)
_THIN, _HALF = 0.2, 0.5
_TENTHS = 3
"""The least entropy drawn as a digit; more digits would hide the image."""
_FAINT = 0.15
"""The tint between the lines of a pattern."""
_TINT, _HEAT_LEAST, _HEAT_MOST = 0.5, 0.1, 0.65
_MIDDLE = 32 * 255 / 63
"""The grey that a legend shows tints on."""
_CROSS: RGB = (86, 180, 233)
_CROSS_INK = 0.55


@dataclass(frozen=True, eq=False)
class Overlay:
    """A label map to draw on a picture; ``dashed`` tells a prediction from a mask without colour.

    ``letters`` stand for the classes where pixels are drawn as characters.
    """

    labels: LabelLevels
    colours: Mapping[int, RGB]
    letters: Mapping[int, str]
    style: Style = "outline"
    dashed: bool = False
    numbers: frozenset[int] = frozenset()
    """Classes whose number is drawn on them: more than there are colours to tell apart."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """All that is drawn on one frame. ``limits`` are (black, white) per channel, as in ``base``.

    ``base`` has 1 or 3 channels; ``heat`` 1, with 255 for the highest entropy. ``cross`` is the
    (row, column) of a crosshair, in pixels of ``base``.
    """

    base: Levels
    limits: tuple[tuple[float, float], ...]
    overlays: Sequence[Overlay] = ()
    heat: Levels | None = None
    cross: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Canvas:
    """Cells of a terminal, (rows, columns): a character each, and 0xRRGGBB or ``NONE``."""

    chars: NDArray[np.str_]
    fg: NDArray[np.int32]
    bg: NDArray[np.int32]

    def text(self) -> str:
        """The characters alone, one text per line."""
        return "\n".join("".join(row) for row in self.chars.tolist())


@dataclass(frozen=True)
class View:
    """The visible part of an image: ``zoom`` 1 shows all; ``centre`` in shares of its size."""

    zoom: float = 1.0
    centre: tuple[float, float] = (0.5, 0.5)

    def panned(self, frame: Frame, down: float, across: float) -> View:
        """The view moved by shares of its visible part, at most to the edge of the image."""
        middle = (
            (frame.top + frame.height * frame.down * (0.5 + down)) / frame.shape[0],
            (frame.left + frame.width * frame.across * (0.5 + across)) / frame.shape[1],
        )
        half = [
            min(0.5, frame.height * frame.down / frame.shape[0] / 2),
            min(0.5, frame.width * frame.across / frame.shape[1] / 2),
        ]
        rows, columns = (min(max(m, h), 1 - h) for m, h in zip(middle, half, strict=True))
        return View(self.zoom, (rows, columns))


def class_colours(number: int) -> tuple[RGB, RGB]:
    """The colours of class ``number`` (from 1) in masks and in predictions."""
    if number == IGNORE_LABEL:
        return _GREY, _GREY
    mask, predicted = _PAIRS[(number - 1) % len(_PAIRS)]
    return rgb(OKABE_ITO[mask]), rgb(OKABE_ITO[predicted])


def class_pattern(number: int) -> int:
    """The pattern of class ``number`` (from 1): 0 none, then 1 to 3, each with all colours once.

    Colour and pattern together tell 32 classes apart.
    """
    return 0 if number == IGNORE_LABEL else (number - 1) // len(_PAIRS) % len(PATTERNS)


def pattern_pixels(pattern: int, shape: tuple[int, int], stroke: int = 1) -> NDArray[np.bool_]:
    """``shape`` (rows, columns) bool: where pattern 0 to 3 is drawn: all, ``/``, dots, ``\\``.

    ``stroke`` is the width of its lines in pixels.
    """
    rows, columns = (place // stroke for place in np.ogrid[: shape[0], : shape[1]])
    if pattern == 0:
        return np.ones(shape, np.bool_)
    if pattern == DOTS:
        return np.asarray((rows % 3 == 0) & (columns % 3 == 0))
    way = rows + columns if PATTERNS[pattern] == "/" else rows - columns
    return np.asarray(way % 4 == 0)


def class_letters(number: int) -> tuple[str, str]:
    """The letters of class ``number`` (from 1) in masks and in predictions.

    Classes after the 26th have signs, the same for both: a prediction is dashed.
    """
    if number == IGNORE_LABEL:
        return "?", "?"
    place = (number - 1) % (len(string.ascii_uppercase) + len(_SIGNS))
    if place >= len(string.ascii_uppercase):
        sign = _SIGNS[place - len(string.ascii_uppercase)]
        return sign, sign
    return string.ascii_uppercase[place], string.ascii_lowercase[place]


def rgb(colour: str) -> RGB:
    """The channels of ``#RRGGBB`` as numbers."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def frame_for(
    mode: Mode,
    shape: tuple[int, int],
    spacing: tuple[float, float],
    rows: int,
    columns: int,
    view: View | None = None,
) -> Frame:
    """The frame of a picture on ``rows`` × ``columns`` cells, which are twice as tall as wide."""
    view = view or View()
    height, width, tall = rows, columns, 2.0
    if mode == "blocks":
        height, tall = rows * 2, 1.0
    elif mode in SHAPES:
        cell = SHAPES[mode]
        height, width, tall = rows * cell.down, columns * cell.across, cell.tall
    return fit(shape, spacing, height, width, tall=tall, zoom=view.zoom, centre=view.centre)


def draw(drawing: Drawing, frame: Frame, mode: Mode, *, ramp: str = RAMP) -> Canvas:
    """The drawing on ``frame`` (see ``frame_for``) as cells."""
    if mode == "letters":
        return _letters(drawing, frame, ramp)
    pixels, inside = compose(drawing, frame)
    packed = _packed(pixels, inside)
    if mode == "cells":
        chars = np.full(packed.shape, " ")
        for shown, letter, _ in _outlines(drawing, frame):
            chars[shown & inside] = letter
        return Canvas(chars, np.where(chars == " ", NONE, 0).astype(np.int32), packed)
    if mode in SHAPES:
        return Canvas(*fit_cells(packed, SHAPES[mode]))
    return _half_blocks(packed)


def compose(
    drawing: Drawing, frame: Frame, stroke: int = 1
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The drawing's pixels: ``(height, width, 3)`` uint8, and which of them lie on the picture.

    ``stroke`` is the width of outlines in pixels.
    """
    unit = scaled(sample(drawing.base, frame), drawing.limits)
    # 64 shades are more than a screen of cells can tell apart, and make longer equal runs.
    shades = np.rint(unit * 63) * np.float32(255 / 63)
    pixels = np.repeat(shades, 3, axis=2) if shades.shape[2] == 1 else shades
    rows, columns = frame.inside()
    inside = rows[:, np.newaxis] & columns
    if drawing.heat is not None:
        _add_heat(pixels, sample(drawing.heat, frame)[..., 0] / np.float32(255))
    for overlay in drawing.overlays:
        for number, share in coverage(overlay.labels, frame).items():
            colour = np.array(overlay.colours.get(number, _GREY), np.float32)
            pattern = pattern_pixels(class_pattern(number), (frame.height, frame.width), stroke)
            if overlay.style == "tint":
                _blend(pixels, colour, np.sqrt(share) * np.where(pattern, _TINT, _FAINT))
            else:
                if class_pattern(number):
                    _blend(pixels, colour, np.where(pattern & (share >= _HALF), _TINT, 0.0))
                shown = outline(share, stroke)
                pixels[shown & _dashes(frame, stroke) if overlay.dashed else shown] = colour
    if drawing.cross is not None:
        _add_cross(pixels, frame, drawing.cross, stroke)
    return np.rint(pixels).astype(np.uint8), inside


def _add_cross(
    pixels: NDArray[np.float32], frame: Frame, cross: tuple[float, float], stroke: int
) -> None:
    """Draw two thin lines through a point; the image stays visible below them."""
    row = int((cross[0] + 0.5 - frame.top) / frame.down)
    column = int((cross[1] + 0.5 - frame.left) / frame.across)
    colour = np.array(_CROSS, np.float32)
    if 0 <= row < frame.height:
        line = pixels[row : row + stroke]
        _blend(line, colour, np.full(line.shape[:2], _CROSS_INK, np.float32))
    if 0 <= column < frame.width:
        line = pixels[:, column : column + stroke]
        _blend(line, colour, np.full(line.shape[:2], _CROSS_INK, np.float32))


def outline(share: NDArray[np.float32], stroke: int = 1) -> NDArray[np.bool_]:
    """The pixels on which the rim of a class is drawn; ``share`` is what it covers of each.

    ``share`` is (rows, columns) float32, and so is the result in bool.

    Found on the screen's own pixels, so that a rim is never thinner than one of them: what is too
    thin to have an inside is drawn whole, and not even a single covered point vanishes.
    """
    solid = share >= _HALF
    core = solid
    for _ in range(stroke):
        core = _eroded(core)
    thin = (share >= _THIN) & ~_grown(_grown(core))
    points = (share > 0) & ~_grown(solid | thin)
    return np.asarray((solid & ~core) | thin | points)


def _eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels whose four neighbours belong to the class, too; beyond the screen it continues."""
    wide = np.pad(mask, 1, mode="edge")
    return mask & wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels together with their eight neighbours."""
    rows = mask.copy()
    rows[1:] |= mask[:-1]
    rows[:-1] |= mask[1:]
    out = rows.copy()
    out[:, 1:] |= rows[:, :-1]
    out[:, :-1] |= rows[:, 1:]
    return out


def _dashes(frame: Frame, stroke: int) -> NDArray[np.bool_]:
    """A pattern that cuts lines of any usual direction into dashes, three fifths drawn."""
    rows, columns = np.ogrid[: frame.height, : frame.width]
    return np.asarray((2 * rows + columns) // stroke % 5 < 3)


def _blend(
    pixels: NDArray[np.float32], colour: NDArray[np.float32], alpha: NDArray[np.float32]
) -> None:
    weight = alpha[..., np.newaxis]
    pixels *= 1 - weight
    pixels += weight * colour


def _add_heat(pixels: NDArray[np.float32], entropy: NDArray[np.float32]) -> None:
    """Add the entropy: the higher, the brighter and denser; nothing below 0.1."""
    place = np.clip(entropy, 0, 1) * (len(_HEAT) - 1)
    low = np.minimum(place.astype(int), len(_HEAT) - 2)
    part = (place - low)[..., np.newaxis]
    colours = _HEAT[low] * (1 - part) + _HEAT[low + 1] * part
    alpha = np.where(entropy >= _HEAT_LEAST, 0.2 + (_HEAT_MOST - 0.2) * entropy, 0.0)
    # The tint is as bright as what lies below it: anatomy stays visible.
    light = 0.45 + 0.55 * pixels.mean(axis=-1, keepdims=True) / np.float32(255)
    _blend(pixels, colours * light, alpha.astype(np.float32))


def heat_colour(entropy: float) -> RGB:
    """The colour that stands for an entropy of 0 to 1."""
    pixel = np.full((1, 1, 3), _MIDDLE, np.float32)
    _add_heat(pixel, np.array([[entropy]], np.float32))
    r, g, b = np.rint(pixel[0, 0]).astype(int).tolist()
    return r, g, b


def _packed(pixels: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.int32]:
    wide = pixels.astype(np.int32)
    packed = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    return np.where(inside, packed, NONE).astype(np.int32)


def _half_blocks(packed: NDArray[np.int32]) -> Canvas:
    upper, lower = packed[0::2], packed[1::2]
    chars = np.full(upper.shape, UPPER)
    chars[upper == NONE] = LOWER
    chars[(upper == NONE) & (lower == NONE)] = " "
    only_lower = (upper == NONE) & (lower != NONE)
    same = (upper == lower) & (upper != NONE)
    chars[same] = " "
    fg = np.where(only_lower, lower, upper)
    return Canvas(
        chars,
        np.where(same, NONE, fg).astype(np.int32),
        np.where(only_lower, NONE, lower).astype(np.int32),
    )


def _letters(drawing: Drawing, frame: Frame, ramp: str) -> Canvas:
    unit = scaled(sample(drawing.base, frame), drawing.limits).mean(axis=2)
    rows, columns = frame.inside()
    inside = rows[:, np.newaxis] & columns
    chars = np.array(list(ramp))[np.minimum((unit * len(ramp)).astype(int), len(ramp) - 1)]
    if drawing.heat is not None:
        tenths = (sample(drawing.heat, frame)[..., 0] / 25.5).astype(int).clip(0, 9)
        chars = np.where(tenths >= _TENTHS, tenths.astype("<U1"), chars)
    for shown, letter, _ in _outlines(drawing, frame):
        chars[shown] = letter
    chars = np.where(inside, chars, " ")
    none = np.full(chars.shape, NONE, np.int32)
    return Canvas(chars, none, none)


def _outlines(drawing: Drawing, frame: Frame) -> list[tuple[NDArray[np.bool_], str, int]]:
    """Where each letter is drawn, in drawing order."""
    found = []
    for overlay in drawing.overlays:
        for number, share in coverage(overlay.labels, frame).items():
            shown = outline(share)
            if overlay.dashed:
                shown &= _dashes(frame, 1)
            found.append((shown, overlay.letters.get(number, "?"), number))
    return found


def with_numbers(canvas: Canvas, drawing: Drawing, frame: Frame) -> Canvas:
    """The canvas with each class's number on it, where a mask holds more classes than colours tell.

    A number lies on the cell of its class that is nearest to the middle of it.
    """
    if not drawing.overlays or not any(drawing.overlays[0].numbers):
        return canvas
    overlay = drawing.overlays[0]
    rows, columns = canvas.chars.shape
    down, across = frame.height // rows, frame.width // columns
    chars, fg, bg = canvas.chars.copy(), canvas.fg.copy(), canvas.bg.copy()
    for number, share in coverage(overlay.labels, frame).items():
        if number not in overlay.numbers:
            continue
        r, c = np.nonzero(share >= min(_HALF, float(share.max())))
        nearest = int(((r - r.mean()) ** 2 + (c - c.mean()) ** 2).argmin())
        row, column = int(r[nearest]) // down, int(c[nearest]) // across
        red, green, blue = overlay.colours.get(number, _GREY)
        for n, digit in enumerate(str(number)):
            if column + n < columns:
                chars[row, column + n] = digit
                fg[row, column + n] = red << 16 | green << 8 | blue
                bg[row, column + n] = 0
    return Canvas(chars, fg, bg)


@dataclass(frozen=True)
class Edges:
    """Letters at a picture's edges: where the patient's left is, and so on; empty if unknown."""

    left: str = ""
    right: str = ""
    top: str = ""
    bottom: str = ""
    colour: RGB = field(default=(255, 255, 255))


def with_edges(canvas: Canvas, edges: Edges) -> Canvas:
    """The canvas with a letter in the middle of each side of the picture on it."""
    on = (canvas.bg != NONE) | (canvas.fg != NONE) | (canvas.chars != " ")
    if not on.any():
        return canvas
    high, wide = np.flatnonzero(on.any(axis=1)), np.flatnonzero(on.any(axis=0))
    top, bottom, left, right = high[0], high[-1], wide[0], wide[-1]
    middle = (top + bottom) // 2, (left + right) // 2
    chars, fg, bg = canvas.chars.copy(), canvas.fg.copy(), canvas.bg.copy()
    coloured = bool((canvas.bg != NONE).any())
    places: tuple[tuple[str, Any, Any], ...] = (
        (edges.left, middle[0], left),
        (edges.right, middle[0], right),
        (edges.top, top, middle[1]),
        (edges.bottom, bottom, middle[1]),
    )
    for letter, row, column in places:
        if letter:
            chars[row, column] = letter
            if coloured:
                r, g, b = edges.colour
                fg[row, column], bg[row, column] = r << 16 | g << 8 | b, 0
    return Canvas(chars, fg, bg)
