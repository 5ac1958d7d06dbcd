"""The slider for α, from diversity alone to entropy alone."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.message import Message
from textual.widget import Widget

from coldal_tui.tui.drawing.glyphs import UNICODE, Look
from coldal_tui.tui.verbs import bind

SLIDER = 21
"""Cells of the slider: one for every .05."""


class AlphaLine(Widget, can_focus=True):
    """Shows and moves α; posts ``Moved``, ``Applied`` on enter, ``Dropped`` on escape."""

    DEFAULT_CSS = "AlphaLine { height: 1; display: none; background: $panel; padding: 0 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("left", "by(-5)", "α less", id="alpha.less", display="←"),
        bind("right", "by(5)", "α more", id="alpha.more", display="→"),
        bind("step-back", "by(-1)", "a little less", id="alpha.finer-less"),
        bind("step-on", "by(1)", "a little more", id="alpha.finer-more"),
        bind("open", "apply", "apply α", id="alpha.apply", show=True),
        bind("back", "drop", "drop", id="alpha.drop", show=True),
    ]

    class Moved(Message):
        def __init__(self, alpha: float) -> None:
            super().__init__()
            self.alpha = alpha

    class Applied(Message):
        """Enter."""

    class Dropped(Message):
        """Escape."""

    def __init__(self) -> None:
        super().__init__()
        self._hundredths = 50
        self._own = 50
        self._told = ""

    @property
    def alpha(self) -> float:
        return self._hundredths / 100

    def open(self, alpha: float) -> None:
        """Open the slider at the round's own α."""
        self._hundredths = self._own = round(alpha * 100)
        self._told = ""
        self.display = True
        self.focus()
        self.refresh()

    def close(self) -> None:
        self.display = False

    def tell(self, words: str) -> None:
        """Show what this α would change."""
        if words != self._told:
            self._told = words
            self.refresh()

    def render(self) -> Text:
        look = getattr(self.app, "look", UNICODE)
        return alpha_text(self._hundredths, self._own, self._told, self.size.width, look)

    def action_by(self, hundredths: int) -> None:
        moved = max(0, min(100, self._hundredths + hundredths))
        if moved != self._hundredths:
            self._hundredths = moved
            self.refresh()
            self.post_message(self.Moved(self.alpha))

    def action_apply(self) -> None:
        self.post_message(self.Applied())

    def action_drop(self) -> None:
        self.post_message(self.Dropped())


def alpha_text(hundredths: int, own: int, told: str, width: int, look: Look) -> Text:
    """The slider with its ends, its effect on the queue, and the keys if there is room.

    ``own`` is the α that the round was picked with, in hundredths; it is marked.
    """
    line, knob, mark = ("─", "●", "┼") if look.braille else ("-", "O", "|")
    track = [line] * SLIDER
    track[round(own / 5)] = mark
    track[round(hundredths / 5)] = knob
    text = Text(f"α {hundredths / 100:.2f}  ", "bold", no_wrap=True, overflow="ellipsis", end="")
    text.append("diversity ", "not bold dim")
    text.append("".join(track), "not bold")
    text.append(" entropy", "not bold dim")
    if told:
        text.append(f"  {told}", "bold")
    for keys in ("  ←→ .05  [] .01  enter applies  esc drops", "  enter applies  esc drops"):
        shown = keys if look.braille else keys.replace("←→", "arrows")
        if text.cell_len + len(shown) <= width:
            text.append(shown, "not bold dim")
            break
    return text
