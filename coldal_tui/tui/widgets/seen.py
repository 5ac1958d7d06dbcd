"""A mixin for panes that are expensive to draw: they are updated only while visible."""

from __future__ import annotations


class WhileSeen:
    """Put it before ``Pane`` in the bases; ``catch_up`` is called when the pane becomes visible.

    ``show`` notes what is new and calls ``catch_up`` only if the pane is ``seen``.
    """

    seen: bool = False

    def on_show(self) -> None:
        self.seen = True
        self.catch_up()

    def on_hide(self) -> None:
        self.seen = False
        self.looked_away()

    def catch_up(self) -> None:
        """Update the pane: it is visible."""

    def looked_away(self) -> None:
        """Stop work that only serves the display: the pane is hidden."""
