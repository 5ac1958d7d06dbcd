"""The current scan beside the map at home: its picture alone; a click opens the scan pane."""

from __future__ import annotations

from typing import ClassVar

from textual.events import Click

from coldal_tui.tui.scan.pane import ScanPane


class PreviewPane(ScanPane, can_focus=False):
    """A ``ScanPane`` that keys do not reach, without facts."""

    number: ClassVar[int] = 0
    bare: ClassVar[bool] = True

    def on_click(self, event: Click) -> None:
        if self.wanted is not None:
            event.stop()
            self.post_message(self.Opened(self.wanted))
