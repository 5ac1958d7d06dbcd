"""A curve in the app's colours."""

from __future__ import annotations

from coldal_tui.textcharts import Point
from coldal_tui.tui.drawing.charts import curve
from coldal_tui.tui.drawing.glyphs import ASCII
from coldal_tui.tui.drawing.styles import ACCENT, MUTED


def test_the_line_has_the_accents_colour_and_what_is_around_it_is_muted() -> None:
    rows = curve([Point(1, 0.5, 0.3, 0.5), Point(2, 0.5, 0.5, 0.5)], 20, 5, ASCII)
    assert rows[0].plain == "0.52 o............o"
    line = [(span.start, span.end, span.style) for span in rows[0].spans]
    assert line == [(0, 5, MUTED), (5, 19, ACCENT)]
    assert rows[1].plain.rstrip() == "     |"
    spread = [(span.start, span.end, span.style) for span in rows[1].spans]
    assert spread[:2] == [(0, 5, MUTED), (5, 6, MUTED)]
