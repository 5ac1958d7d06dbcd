"""Several pixels to a cell with two colours: sextants (2 × 3), quadrants (2 × 2), half-blocks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

OUTSIDE = -1
"""A pixel that lies on no picture: the terminal's own background."""
_QUADRANTS = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"
_HUE = 3
"""How much more a difference in hue parts pixels than one in brightness."""
_LEFT, _RIGHT, _FULL = 0b010101, 0b101010, 0b111111


def _sextant(pattern: int) -> str:
    """The character whose pixels are the set bits, from top left, row by row."""
    if pattern in (0, _LEFT, _RIGHT, _FULL):
        return {0: " ", _LEFT: "▌", _RIGHT: "▐", _FULL: "█"}[pattern]
    return chr(0x1FB00 + pattern - 1 - (pattern > _LEFT) - (pattern > _RIGHT))


@dataclass(frozen=True)
class CellShape:
    """``across`` × ``down`` pixels of a cell, and the character of each pattern of set pixels."""

    across: int
    down: int
    characters: str

    @property
    def tall(self) -> float:
        """How much taller than wide a pixel is; a cell is twice as tall as wide."""
        return 2 * self.across / self.down


SHAPES = {
    "sextants": CellShape(2, 3, "".join(map(_sextant, range(64)))),
    "quadrants": CellShape(2, 2, _QUADRANTS),
}


def fit_cells(
    packed: NDArray[np.int32], shape: CellShape
) -> tuple[NDArray[np.str_], NDArray[np.int32], NDArray[np.int32]]:
    """Characters, front and back colours of the cells that come nearest to the pixels.

    ``packed`` is (rows × down, columns × across) int32, 0xRRGGBB or ``OUTSIDE``. In each cell the
    two pixels that differ most part the others; each side gets its mean. So a line of another
    colour keeps it, beside whatever it crosses.
    """
    rows, columns = packed.shape[0] // shape.down, packed.shape[1] // shape.across
    count = shape.down * shape.across
    split = packed.reshape(rows, shape.down, columns, shape.across)
    cells = split.swapaxes(1, 2).reshape(rows, columns, count)
    outside = cells == OUTSIDE
    colours = np.stack([cells >> 16 & 255, cells >> 8 & 255, cells & 255], -1).astype(np.float32)
    front = _parted(colours)
    some = outside.any(axis=-1)
    front[some] = ~outside[some]
    ink = _mean(colours, front)
    paper = np.where(outside.any(axis=-1), OUTSIDE, _mean(colours, ~front))
    flat = (front.all(axis=-1) | (ink == paper)) & ~outside.any(axis=-1)
    pattern = (front.astype(np.int64) << np.arange(count)).sum(axis=-1)
    paper = np.where(flat, ink, paper)
    ink = np.where(flat | (pattern == 0), OUTSIDE, ink)
    chars = np.array(list(shape.characters))[np.where(flat, 0, pattern)]
    return chars, ink.astype(np.int32), paper.astype(np.int32)


def _parted(colours: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which pixels of each cell are nearer to the first of the two that differ most.

    Hues count more than greys: a coloured line stands against dark and light grey alike.
    """
    red, green, blue = colours[..., 0], colours[..., 1], colours[..., 2]
    hues = np.stack([red - green, green - blue, blue - red], -1) * np.float32(_HUE)
    colours = np.concatenate([colours, hues], axis=-1)
    count = colours.shape[-2]
    pairs = list(combinations(range(count), 2))
    apart = {pair: _distance(colours[..., pair[0], :], colours[..., pair[1], :]) for pair in pairs}
    widest = np.stack([apart[pair] for pair in pairs], -1).argmax(axis=-1)
    one, other = np.array(pairs)[widest].transpose(2, 0, 1)[:, ..., np.newaxis, np.newaxis]
    first = np.take_along_axis(colours, one, axis=-2)
    second = np.take_along_axis(colours, other, axis=-2)
    return np.asarray(_distance(colours, first) <= _distance(colours, second))


def _distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(((one - other) ** 2).sum(axis=-1))


def _mean(colours: NDArray[np.float32], chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The mean of the chosen pixels of each cell, packed; black where there are none."""
    weight = chosen[..., np.newaxis]
    count = np.maximum(weight.sum(axis=-2), 1)
    sums = (colours * weight).sum(axis=-2) / count
    spread = (np.abs(colours - sums[..., np.newaxis, :]) * weight).max(axis=(-2, -1))
    # As many shades as single pixels have make longer equal runs; one colour stays itself.
    coarse = np.rint(sums * (63 / 255)) * (255 / 63)
    mixed = (spread > 0.5)[..., np.newaxis]
    whole = np.rint(np.where(mixed, coarse, sums)).astype(np.int64)
    return np.asarray(whole[..., 0] << 16 | whole[..., 1] << 8 | whole[..., 2])
