"""The styles of the map's inks on one screen, with colours or without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.color import Color
from rich.style import Style

from coldal_tui.tui.drawing.contrast import (
    CONTRAST,
    Rgb,
    blend,
    legible,
    luminance,
    nearest_of_256,
    scale,
)
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.drawing.scatter import LEVELS
from coldal_tui.tui.drawing.scatter_cells import BLANK, shades
from coldal_tui.tui.map.colouring import STATUS, STATUS_COLOURS, Colouring
from coldal_tui.tui.map.model import MARKS, STATES

NAMES = 7.0
"""Contrast of clusters' names, which are among points of the same colour."""
FAINTEST = 0.68
"""How far the loneliest points fade towards the background where density is most uneven."""


@dataclass(frozen=True, eq=False)
class Inks:
    """The styles of one canvas. ``named`` has those of the legend and the marks; ``base`` is the
    pane's own; without colours (``colourless``) density is dim, plain and bold.
    """

    colouring: Colouring
    depth: float
    marks: int
    base: Style
    background: Rgb
    named: Mapping[str, Style]
    look: Look
    colourless: bool = False
    few_colours: bool = False
    """The terminal has 256 of them."""
    _styles: dict[int | str, Style] = field(default_factory=dict)

    def style(self, ink: int | str) -> Style:
        """The style of a canvas' ink, of a cluster (``cluster:3``), or of a name."""
        found = self._styles.get(ink)
        if found is None:
            found = self._styles[ink] = self._make(ink)
        return found

    def _make(self, ink: int | str) -> Style:
        if isinstance(ink, str):
            name, _, number = ink.partition(":")
            return self._cluster(int(number)) if number else self.named[name]
        if ink == BLANK:
            return self.base
        if ink < self.marks:
            return self._shade(*shades(ink))
        mark = ink - self.marks
        if mark >= len(MARKS):
            colour = self.look.cluster_colour(mark - len(MARKS))
            return self._coloured(colour, least=NAMES) + Style(bold=True)
        if self.colouring.name == STATUS and MARKS[mark] in STATES:
            return self._coloured(STATUS_COLOURS[MARKS[mark]]) + Style(bold=True)
        return self.named.get(MARKS[mark], self.named["mark"])

    def _shade(self, kind: int, level: int) -> Style:
        colour = self.colouring.kinds[kind].colour
        if self.colourless:
            uneven = self.depth > 0
            return self.base + Style(dim=uneven and level < 2, bold=uneven and level == LEVELS - 1)
        if not colour:
            dark = luminance(self.background) < 0.18
            steps = scale(len(self.colouring.kinds) - 1, dark)
            return self._coloured(steps[kind])
        return self._coloured(colour, (LEVELS - 1 - level) / (LEVELS - 1) * self.depth * FAINTEST)

    def _cluster(self, number: int) -> Style:
        return self._coloured(self.look.cluster_colour(number))

    def _coloured(self, colour: str, fade: float = 0.0, least: float = CONTRAST) -> Style:
        if self.colourless:
            return self.base
        shown = blend(legible(colour, self.background, least), self.background, fade)
        if self.few_colours:
            return self.base + Style(color=Color.from_ansi(nearest_of_256(shown)))
        return self.base + Style(color=Color.from_rgb(*shown))
