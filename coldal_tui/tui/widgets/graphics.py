"""Images by sixel or kitty graphics, in terminals that support them (extra ``graphics``)."""

from __future__ import annotations

import sys
from typing import Any

from textual.app import ComposeResult

from coldal_tui.extras import install
from coldal_tui.tui.drawing.picture import RGB, Edges, compose
from coldal_tui.tui.drawing.picture_scaling import Frame, fit
from coldal_tui.tui.widgets.picture import Picture, PictureView

INSTALL = f"pictures by sixel or kitty need one more package: {install('graphics')}"
_MODULE = "textual_image.widget"
_STROKE = 240
"""Outlines get one more pixel of width for every so many pixels of the picture's side."""


def prepare_graphics() -> str:
    """Import what draws pictures; returns "" or the reason why it can't.

    Call it before the app runs: it asks the terminal for the size of a cell.
    """
    try:
        import textual_image.widget  # noqa: F401
    except ImportError:
        return INSTALL
    return ""


def why_no_graphics() -> str:
    """Like ``prepare_graphics``, but without asking the terminal, for use while the app runs."""
    return "" if _MODULE in sys.modules else INSTALL


def _protocol_widget(protocol: str) -> Any:
    """The widget for ``sixel`` or ``kitty``."""
    from textual_image.widget import SixelImage, TGPImage

    return SixelImage if protocol == "sixel" else TGPImage


def picture_view(graphics: str, *, id: str | None = None) -> PictureView:
    """A view in real pixels by the protocol ``graphics``, or in cells where that is empty."""
    if graphics and not why_no_graphics():
        from textual_image.widget import get_cell_size

        width, height = get_cell_size()
        return GraphicView(_protocol_widget(graphics), (width, height), id=id)
    return PictureView(id=id)


class GraphicView(PictureView):
    """Shows a ``Picture`` in the terminal's real pixels."""

    DEFAULT_CSS = """
    GraphicView > * { width: 100%; height: 100%; }
    """

    def __init__(self, image_widget: Any, cell: tuple[int, int], *, id: str | None = None) -> None:
        """``image_widget`` makes a widget with an ``image``; ``cell``: its width, height (px)."""
        super().__init__(id=id)
        self._image_widget, self._cell = image_widget, cell

    def compose(self) -> ComposeResult:
        yield self._image_widget()

    @property
    def frame(self) -> Frame | None:
        picture, size = self._picture, self.size
        if picture is None or not size.area:
            return None
        wide, high = self._cell
        view = picture.view
        return fit(
            picture.shape,
            picture.spacing,
            size.height * high,
            size.width * wide,
            zoom=view.zoom,
            centre=view.centre,
        )

    def _redraw(self) -> None:
        if not self.is_mounted or not self.children:
            return
        picture, frame = self._picture, self.frame
        made = None if picture is None or frame is None else self._pixels(picture, frame)
        self.children[0].image = made  # type: ignore[attr-defined]

    def _pixels(self, picture: Picture, frame: Frame) -> Any:
        from PIL import Image

        stroke = 1 + min(frame.height, frame.width) // _STROKE
        pixels, inside = compose(picture.drawing, frame, stroke)
        pixels[~inside] = self.background_colors[1].rgb
        image = Image.fromarray(pixels)
        _letter(image, picture.edges, inside, self._cell[1] * 3 // 4)
        return image


def _letter(image: Any, edges: Edges, inside: Any, size: int) -> None:
    """Draw the letters of the sides into the image."""
    from PIL import ImageDraw, ImageFont

    if not inside.any():
        return
    rows, columns = inside.any(axis=1).nonzero()[0], inside.any(axis=0).nonzero()[0]
    top, bottom, left, right = int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
    middle = (left + right) // 2, (top + bottom) // 2
    places: tuple[tuple[str, tuple[int, int], str], ...] = (
        (edges.left, (left + 2, middle[1]), "lm"),
        (edges.right, (right - 2, middle[1]), "rm"),
        (edges.top, (middle[0], top + 2), "mt"),
        (edges.bottom, (middle[0], bottom - 2), "mb"),
    )
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    colour: RGB = edges.colour
    for letter, place, anchor in places:
        if letter:
            draw.rectangle(draw.textbbox(place, letter, font=font, anchor=anchor), fill=(0, 0, 0))
            draw.text(place, letter, font=font, anchor=anchor, fill=colour)
