"""For panes whose pictures cost something: they are worked out only while they can be seen."""

from __future__ import annotations


class WhileSeen:
    """Put before ``Pane`` in a pane's bases; ``catch_up`` is called when it comes into view.

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
        """The pane is on the screen: bring it up to date."""

    def looked_away(self) -> None:
        """The pane is no longer on the screen: stop what is only for the eyes."""
