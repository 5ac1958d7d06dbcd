"""A mixin for panes that are expensive to draw: they are updated only while visible."""

from __future__ import annotations

from typing import cast

from textual.events import Resize
from textual.screen import Screen
from textual.widget import Widget


class WhileSeen:
    """Put it before ``Pane`` in the bases; ``catch_up`` is called when the pane becomes visible.

    ``show`` notes what is new and calls ``catch_up`` only if the pane is ``seen``.
    """

    seen: bool = False

    def on_mount(self) -> None:
        pane = cast(Widget, self)
        pane.screen.screen_layout_refresh_signal.subscribe(pane, self._laid_out)

    def on_show(self) -> None:
        if not self.seen:
            self.seen = True
            self.catch_up()

    def on_hide(self) -> None:
        if self.seen:
            self.seen = False
            self.looked_away()

    def _laid_out(self, _: Screen[object]) -> None:
        """After each layout, and after the events of it.

        Textual finds what became visible by its last map of the screen. If something asked for a
        place on the screen between a change and its layout, that map has the change already, and
        neither Show nor Resize is sent.
        """
        pane = cast(Widget, self)
        widgets = [node for node in pane.ancestors_with_self if isinstance(node, Widget)]
        visible = all(widget.display for widget in widgets) and bool(pane.size.area)
        if visible and not self.seen:
            for one in (pane, *pane.query("*")):
                one.post_message(Resize(one.size, one.virtual_size, one.container_size))
            self.on_show()
        elif not visible and self.seen:
            self.on_hide()

    def catch_up(self) -> None:
        """Update the pane: it is visible."""

    def looked_away(self) -> None:
        """Stop work that only serves the display: the pane is hidden."""
