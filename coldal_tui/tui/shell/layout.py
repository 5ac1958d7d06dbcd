"""The visible panes: all that fit at home, one when the screen is small or a pane is zoomed."""

from __future__ import annotations

from dataclasses import dataclass

COLUMNS: dict[str, tuple[str, ...]] = {
    "left": ("budget", "clusters", "curve"),
    "top": ("map", "preview"),
    "main": ("queue", "labels", "runs", "raters"),
    "right": ("scan", "jobs"),
}
"""The panes of each column, from top to bottom; ``top`` lies above ``main``, side by side."""

HOME = ("budget", "clusters", "curve", "map", "queue")
HOME_MIDDLE = (*HOME, "preview")
HOME_WIDE = (*HOME, "scan", "jobs")
COMPACT_WIDTH, COMPACT_HEIGHT, WIDE_WIDTH = 100, 30, 170
PREVIEW_WIDTH, PREVIEWED = 120, ("queue", "map", "labels")
"""Columns from which these panes, shown alone, have the current scan beside them; so has home."""
NUMBERED = ("queue", "map", "clusters", "scan", "labels", "runs", "jobs", "raters")
"""Panes by the key that brings them up: the first is 1."""


@dataclass(frozen=True)
class Screenful:
    """``panes`` are the visible ones; ``compact``: only one at a time fits."""

    panes: tuple[str, ...]
    compact: bool = False

    def column(self, name: str) -> tuple[str, ...]:
        return tuple(pane for pane in COLUMNS[name] if pane in self.panes)


def arrange(width: int, height: int, focus: str, *, zoomed: bool) -> Screenful:
    """The panes on a screen of ``width`` × ``height`` cells, the one in focus among them."""
    if width < COMPACT_WIDTH or height < COMPACT_HEIGHT:
        return Screenful((focus if focus in NUMBERED else "queue",), compact=True)
    middle = HOME_MIDDLE if width >= PREVIEW_WIDTH else HOME
    home = HOME_WIDE if width >= WIDE_WIDTH else middle
    if not zoomed and focus in home:
        return Screenful(home)
    beside = width >= PREVIEW_WIDTH and focus in PREVIEWED
    return Screenful((focus, "scan") if beside else (focus,))
