"""The two other planes of a volume beside the main one, with a crosshair through one voxel."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from coldal_tui.tui.drawing.plane_slices import Shown, Slices, edges_of
from coldal_tui.tui.drawing.styles import MUTED
from coldal_tui.tui.drawing.viewport import Eye
from coldal_tui.tui.widgets.graphics import picture_view
from coldal_tui.tui.widgets.picture import Picture, PictureView

ROOM = 84, 18
"""Columns and rows from which a picture has the other planes beside it."""


def voxel_of(slices: Slices, eye: Eye) -> tuple[int, int, int]:
    """The voxel under the crosshair: the slice that is shown, and the middle of the object."""
    at = [slices.best(axis) for axis in range(3)]
    at[eye.axis] = eye.index
    return at[0], at[1], at[2]


class OtherPlanes(Vertical):
    """Two small pictures, each with its name."""

    DEFAULT_CSS = """
    OtherPlanes { width: 36%; height: 1fr; display: none; padding-left: 1; }
    OtherPlanes Static { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, graphics: str) -> None:
        super().__init__(id="scan-planes")
        self._graphics = graphics

    def compose(self) -> ComposeResult:
        for n in range(2):
            yield Static(id=f"plane-name-{n}")
            yield picture_view(self._graphics, id=f"plane-{n}")

    def show(self, slices: Slices, eye: Eye, shown: Shown) -> None:
        """Draw the planes that the main picture does not show."""
        at = voxel_of(slices, eye)
        for n, axis in enumerate(axis for axis in slices.axes if axis != eye.axis):
            plane = slices.plane(axis, at[axis], eye.channel)
            drawing = slices.drawing(plane, shown, eye.window, eye.channel, slices.cross(axis, at))
            words = f"{slices.name(axis)} {at[axis] + 1}/{slices.count(axis)}"
            self.query_one(f"#plane-name-{n}", Static).update(Content.styled(words, MUTED))
            picture = Picture(drawing, plane.spacing, edges_of(plane))
            self.query_one(f"#plane-{n}", PictureView).show(picture)
