"""Makes the panes; each has its own module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from coldal_tui.tui.pane import Pane, local_now

if TYPE_CHECKING:
    from coldal_tui.jobs.devices import DeviceReader


@dataclass(frozen=True)
class PaneMaker:
    """Makes panes by id, and imports their modules on first use.

    ``graphics``: pictures by sixel or kitty where the terminal can. ``clock`` and ``devices`` are
    this machine's unless given.
    """

    graphics: str = ""
    clock: Callable[[], datetime] = local_now
    devices: DeviceReader | None = None

    def __call__(self, name: str) -> Pane:
        made = self._made(name)
        if made.id is None:
            made.id = name
        return made

    def _made(self, name: str) -> Pane:
        match name:
            case "budget":
                from coldal_tui.tui.budget.pane import BudgetPane

                return BudgetPane(self.clock)
            case "clusters":
                from coldal_tui.tui.clusters.pane import ClustersPane

                return ClustersPane()
            case "curve":
                from coldal_tui.tui.runs.curve import CurvePane

                return CurvePane()
            case "map":
                from coldal_tui.tui.map.pane import MapPane

                return MapPane()
            case "queue":
                from coldal_tui.tui.queue.pane import QueuePane

                return QueuePane()
            case "labels":
                from coldal_tui.tui.labels.pane import LabelsPane

                return LabelsPane(graphics=self.graphics)
            case "raters":
                from coldal_tui.tui.raters.pane import RatersPane

                return RatersPane()
            case "runs":
                from coldal_tui.tui.runs.pane import RunsPane

                return RunsPane()
            case "scan":
                from coldal_tui.tui.scan.pane import ScanPane

                return ScanPane(graphics=self.graphics, clock=self.clock)
            case "preview":
                from coldal_tui.tui.scan.preview import PreviewPane

                return PreviewPane(graphics=self.graphics, clock=self.clock)
            case "jobs":
                from coldal_tui.tui.jobs.pane import JobsPane

                return JobsPane(self.clock, self.devices)
        raise LookupError(name)
