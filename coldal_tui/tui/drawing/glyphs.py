"""How marks are drawn: glyphs for terminals with and without Unicode, and colours for both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from coldal_tui.textcharts import EIGHTHS, bar

OKABE_ITO = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#0072B2", "#999999")
"""Colours that people with any colour vision tell apart (Okabe and Ito, 2008)."""


Pixels = Literal["sextants", "quadrants", "blocks", "cells", "letters"]
"""Six, four, two or one pixel of an image in a cell; or a character of more or less ink."""


@dataclass(frozen=True)
class Look:
    """Glyphs and colours of one terminal.

    A colour never stands alone: clusters pair theirs with a glyph (``cluster_glyph``), states
    with a glyph and a word. ``gauge`` is full, three quarters, half and empty; ``bar`` the
    eighths of a cell, the widest last; ``braille`` whether maps may be drawn in braille;
    ``pixels`` how images are drawn in cells.
    """

    name: str
    clusters: str
    states: dict[str, str]
    medoid: str
    here: str
    mark: str
    pin: str
    running: str
    gauge: str
    bar: str
    dot: str
    dash: str
    ellipsis: str
    cursor: str
    braille: bool
    pixels: Pixels

    def cluster_glyph(self, number: int) -> str:
        """The glyph of a cluster, never one of a state; shifted by one when the colours repeat."""
        shift = number // len(OKABE_ITO)
        return self.clusters[(number + shift) % len(self.clusters)]

    def cluster_colour(self, number: int) -> str:
        """The hex colour of a cluster; clusters beyond the palette repeat it with other glyphs."""
        return OKABE_ITO[number % len(OKABE_ITO)]

    def state(self, status: str) -> str:
        """The glyph of a scan's status: ``queued``, ``exported``, ``labelled``, ``skipped``, …"""
        return self.states.get(status, self.dot)

    def share(self, fraction: float, width: int) -> str:
        """A bar of ``width`` cells, filled to ``fraction`` (0 to 1) by eighths of a cell."""
        return bar(fraction, width, self.bar)


UNICODE = Look(
    name="unicode",
    clusters="■▲▼★◀▶✚▬",
    states={
        "candidate": "·",
        "queued": "○",
        "exported": "◐",
        "labelled": "●",
        "skipped": "×",
        "excluded": "×",
        "missing": "?",
        "waiting": "○",
        "running": "▶",
        "done": "✓",
        "failed": "✗",
        "cancelled": "×",
        "interrupted": "!",
    },
    medoid="◆",
    here="◎",
    mark="✓",
    pin="↑",
    running="▶",
    gauge="█▓▒░",
    bar=EIGHTHS,
    dot="·",
    dash="–",
    ellipsis="…",
    cursor="▸",
    braille=True,
    pixels="sextants",
)

ASCII = Look(
    name="ascii",
    clusters="#^%*v+<>",
    states={
        "candidate": ".",
        "queued": "o",
        "exported": "e",
        "labelled": "L",
        "skipped": "x",
        "excluded": "x",
        "missing": "?",
        "waiting": "o",
        "running": ">",
        "done": "+",
        "failed": "!",
        "cancelled": "x",
        "interrupted": "!",
    },
    medoid="M",
    here="@",
    mark="*",
    pin="^",
    running=">",
    gauge="#=-.",
    bar="=",
    dot=".",
    dash="-",
    ellipsis="~",
    cursor=">",
    braille=False,
    pixels="cells",
)
