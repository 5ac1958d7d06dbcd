"""For ``NO_COLOR``: styles by attributes alone, without any colour or grey."""

from __future__ import annotations

from functools import lru_cache

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

_BLOCK, _FAINT = 0.1, 0.35
"""A background that differs so much in brightness is drawn in reverse; text that differs less
than this from what it lies on is dim."""


class WithoutColour(LineFilter):
    """Drops all colours: a filled background becomes reverse, muted text dim."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(text, None if style is None else plain_style(style, background.hex6), None)
            for text, style, _ in segments
        ]


@lru_cache(maxsize=4096)
def plain_style(style: Style, background: str) -> Style:
    """The style without colours, on a screen of this background (#RRGGBB)."""
    page = Color.parse(background).brightness
    paper = _brightness(style.bgcolor, page)
    ink = _brightness(style.color, 1 - page)
    attributes = {
        name: getattr(style, name)
        for name in ("bold", "italic", "underline", "strike", "blink", "overline")
        if getattr(style, name) is not None
    }
    filled = abs(paper - page) > _BLOCK
    return Style(
        **attributes,
        reverse=filled != bool(style.reverse),
        dim=bool(style.dim) or (not filled and abs(ink - paper) < _FAINT),
        meta=style.meta,
    )


def _brightness(colour: RichColor | None, otherwise: float) -> float:
    if colour is None or colour.is_default:
        return otherwise
    return Color.from_rich_color(colour).brightness
