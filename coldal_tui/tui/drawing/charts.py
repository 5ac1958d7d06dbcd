"""A curve with its spread in the app's colours. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from textual.content import Content

from coldal_tui import textcharts
from coldal_tui.textcharts import Ink, Point
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.drawing.styles import ACCENT, MUTED

STYLES: dict[Ink, str] = {"axis": MUTED, "line": ACCENT, "spread": MUTED, "none": ""}


def curve(
    points: Sequence[Point],
    width: int,
    height: int,
    look: Look,
    *,
    digits: int = 2,
    limits: tuple[float, float] = (-math.inf, math.inf),
    x_word: str = "",
) -> list[Content]:
    """``textcharts.curve``: the line in the accent's colour, its spread and the axes muted."""
    rows = textcharts.curve(
        points,
        width,
        height,
        plain=not look.braille,
        digits=digits,
        limits=limits,
        x_word=x_word,
    )
    return [Content.assemble(*((text, STYLES[ink]) for text, ink in row)) for row in rows]
