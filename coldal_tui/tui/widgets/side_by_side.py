"""Two images side by side, sharing plane, zoom and slice."""

from __future__ import annotations

from dataclasses import dataclass, replace

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from coldal_tui.tui.drawing.plane_slices import Shown, Slices, edges_of
from coldal_tui.tui.drawing.styles import BOLD, MUTED
from coldal_tui.tui.drawing.viewport import Eye, Memory
from coldal_tui.tui.widgets.graphics import picture_view
from coldal_tui.tui.widgets.picture import Picture, PictureView

_SIDES = ("left", "right")
LOW = 16
"""Rows below which the words under the pictures are cut short."""


@dataclass(frozen=True, eq=False)
class Side:
    """One image with its title and overlays; without ``slices``, a text instead."""

    title: str
    slices: Slices | None
    shown: Shown
    words: str = ""


class Compare(Widget):
    """Shows two ``Side``s and a text below; takes no keys itself."""

    DEFAULT_CSS = """
    Compare {
        layout: vertical;
        height: 1fr;
        & Horizontal { height: 1fr; }
        & Vertical { width: 1fr; }
        & .title { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        & .words { height: 1fr; padding: 1 2; display: none; }
        & .-told .words { display: block; }
        & .-told PictureView { display: none; }
        & #left { padding-right: 1; }
        & #right { padding-left: 1; }
        & #compare-facts { height: auto; max-height: 5; padding: 0 1; }
    }
    """

    def __init__(self, *, graphics: str = "", id: str | None = None) -> None:
        super().__init__(id=id)
        self._graphics = graphics
        self._sides: tuple[Side, Side] | None = None
        self._memory = Memory()
        self._eye = Eye()
        self._tinted = False

    def compose(self) -> ComposeResult:
        with Horizontal():
            for name in _SIDES:
                with Vertical(id=name):
                    yield Static(classes="title")
                    yield picture_view(self._graphics)
                    yield Static(classes="words")
        yield Static(id="compare-facts")

    def on_resize(self, event: events.Resize) -> None:
        # Pictures first, where there is little room.
        facts = self.query_one("#compare-facts")
        facts.styles.max_height = 3 if self.size.height < LOW else 5
        self.call_after_refresh(self._draw)

    def show(self, key: str, left: Side, right: Side, facts: Content) -> None:
        """Show two sides; ``key`` names what is compared, so that the same view is kept."""
        self._sides = left, right
        main = left.slices or right.slices
        if main is not None:
            self._eye = self._memory.eye(key, main)
            self._key = key
        self.query_one("#compare-facts", Static).update(facts)
        self._draw()

    @property
    def _main(self) -> Slices | None:
        return (self._sides[0].slices or self._sides[1].slices) if self._sides else None

    @property
    def volume(self) -> bool:
        """Whether there are slices to page through."""
        return self._main is not None and self._main.volume

    @property
    def place(self) -> str:
        """``axial 17/35``, for volumes."""
        main = self._main
        if main is None or not main.volume:
            return ""
        return f"{main.name(self._eye.axis)} {self._eye.index + 1}/{main.count(self._eye.axis)}"

    def _draw(self) -> None:
        if self._sides is None or not self.is_mounted:
            return
        for name, side in zip(_SIDES, self._sides, strict=True):
            box = self.query_one(f"#{name}")
            box.set_class(side.slices is None, "-told")
            box.query_one(".title", Static).update(Content.styled(side.title, BOLD))
            box.query_one(".words", Static).update(Content.styled(side.words, MUTED))
            if side.slices is not None:
                box.query_one(PictureView).show(self._picture(side, side.slices))

    def _picture(self, side: Side, slices: Slices) -> Picture:
        eye = self._eye_for(slices)
        plane = slices.plane(eye.axis, eye.index, eye.channel)
        shown = replace(side.shown, style="tint" if self._tinted else "outline")
        drawing = slices.drawing(plane, shown, eye.window, eye.channel)
        return Picture(drawing, plane.spacing, edges_of(plane), eye.view)

    def _eye_for(self, slices: Slices) -> Eye:
        """The same view in both; a side of another shape gets its own best view."""
        eye, main = self._eye, self._main
        if main is None or slices is main:
            return eye
        if slices.pixels.array.shape[:-1] == main.pixels.array.shape[:-1]:
            return replace(eye, window=None, channel=0)
        return replace(Memory().eye("", slices), view=eye.view)

    def _look_with(self, eye: Eye) -> None:
        if self._main is not None and eye != self._eye:
            self._eye = eye
            self._memory.keep(self._key, self._main, eye)
            self._draw()

    # What keys of the pane around it do

    def slice(self, by: int) -> None:
        if self._main is not None and self._main.volume:
            self._look_with(self._eye.on_slice(self._main, self._eye.index + by))

    def turn(self) -> None:
        """Switch to the next plane of a volume."""
        main = self._main
        if main is not None and main.volume:
            axis = main.axes[(main.axes.index(self._eye.axis) + 1) % 3]
            self._memory.plane = main.name(axis)
            self._look_with(self._eye.across(main, axis))

    def zoom(self, factor: float) -> None:
        self._look_with(self._eye.zoomed(factor))

    def pan(self, down: float, across: float) -> None:
        side = "left" if self._sides is not None and self._sides[0].slices else "right"
        frame = self.query_one(f"#{side}").query_one(PictureView).frame
        if frame is not None:
            self._look_with(self._eye.panned(frame, down, across))

    def fit(self) -> None:
        self._look_with(replace(self._eye, view=Eye().view))

    def tint(self) -> None:
        """Switch between outlines and filled areas."""
        self._tinted = not self._tinted
        self._draw()
