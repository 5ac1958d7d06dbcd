"""Shows an image in character cells, redrawing only changed lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from coldal_tui.tui.drawing.glyphs import UNICODE, Look
from coldal_tui.tui.drawing.picture import (
    ASCII_RAMP,
    NONE,
    RAMP,
    Canvas,
    Drawing,
    Edges,
    Mode,
    View,
    draw,
    frame_for,
    with_edges,
    with_numbers,
)
from coldal_tui.tui.drawing.picture_scaling import Frame


@dataclass(frozen=True, eq=False)
class Picture:
    """A drawing with what is needed to show it at any size."""

    drawing: Drawing
    spacing: tuple[float, float]
    edges: Edges = field(default_factory=Edges)
    view: View = field(default_factory=View)

    @property
    def shape(self) -> tuple[int, int]:
        return self.drawing.base.shape


class PictureView(Widget):
    """Shows a ``Picture`` as large as possible, centred."""

    DEFAULT_CSS = """
    PictureView { width: 1fr; height: 1fr; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._picture: Picture | None = None
        self._strips: list[Strip] = []

    def show(self, picture: Picture | None) -> None:
        """Show another image, or none."""
        self._picture = picture
        self._redraw()

    @property
    def picture(self) -> Picture | None:
        return self._picture

    @property
    def mode(self) -> Mode:
        """How this terminal shows pixels."""
        if getattr(self.app, "no_color", False):
            return "letters"
        return self._look.pixels

    @property
    def frame(self) -> Frame | None:
        """The visible part of the image."""
        picture, size = self._picture, self.size
        if picture is None or not size.area:
            return None
        return frame_for(
            self.mode, picture.shape, picture.spacing, size.height, size.width, picture.view
        )

    @property
    def _look(self) -> Look:
        look = getattr(self.app, "look", UNICODE)
        return look if isinstance(look, Look) else UNICODE

    def on_resize(self, event: events.Resize) -> None:
        self._redraw()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._redraw()

    def _redraw(self) -> None:
        """Draw again, and refresh only the lines that changed."""
        before, self._strips = self._strips, self._drawn()
        if len(before) != len(self._strips):
            self.refresh()
            return
        for y, (old, new) in enumerate(zip(before, self._strips, strict=True)):
            if old != new:
                self.refresh(Region(0, y, self.size.width, 1))

    def _drawn(self) -> list[Strip]:
        picture, frame = self._picture, self.frame
        if picture is None or frame is None:
            return []
        ramp = RAMP if self._look.braille else ASCII_RAMP
        canvas = draw(picture.drawing, frame, self.mode, ramp=ramp)
        if self.mode not in ("cells", "letters"):  # those have letters anyway
            canvas = with_numbers(canvas, picture.drawing, frame)
        return strips(with_edges(canvas, picture.edges), self.rich_style)

    def render_line(self, y: int) -> Strip:
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, self.rich_style)


def strips(canvas: Canvas, base: Style) -> list[Strip]:
    """The canvas as lines of styled text; cells without colour get the style ``base``."""
    rows, columns = canvas.chars.shape
    if not columns:
        return [Strip([])] * rows
    changes = (np.diff(canvas.fg, axis=1) != 0) | (np.diff(canvas.bg, axis=1) != 0)
    chars, fg, bg = canvas.chars.tolist(), canvas.fg.tolist(), canvas.bg.tolist()
    made = []
    for row in range(rows):
        starts = [0, *(np.flatnonzero(changes[row]) + 1).tolist()]
        ends = [*starts[1:], columns]
        text, front, back = "".join(chars[row]), fg[row], bg[row]
        made.append(
            Strip(
                [
                    Segment(text[start:end], _style(front[start], back[start], base))
                    for start, end in zip(starts, ends, strict=True)
                ],
                columns,
            )
        )
    return made


@lru_cache(maxsize=1 << 14)
def _style(fg: int, bg: int, base: Style) -> Style:
    if fg == NONE and bg == NONE:
        return base
    return base + Style.from_color(_colour(fg), _colour(bg))


@lru_cache(maxsize=1 << 12)
def _colour(packed: int) -> Color | None:
    if packed == NONE:
        return None
    return Color.from_rgb(packed >> 16, packed >> 8 & 255, packed & 255)
