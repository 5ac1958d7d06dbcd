"""The panes of the screen, a module each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from coldal_tui.tui.pane import Pane, local_now

if TYPE_CHECKING:
    from coldal_tui.tui.panes.jobs import DeviceReader


def make_panes(
    *,
    graphics: bool = False,
    clock: Callable[[], datetime] = local_now,
    devices: DeviceReader | None = None,
) -> dict[str, Pane]:
    """One of each, by id. ``graphics``: pictures by sixel or kitty where the terminal can.

    ``clock`` and ``devices`` are this machine's unless given.
    """
    from coldal_tui.tui.panes.budget import BudgetPane
    from coldal_tui.tui.panes.clusters import ClustersPane
    from coldal_tui.tui.panes.curve import CurvePane
    from coldal_tui.tui.panes.jobs import JobsPane
    from coldal_tui.tui.panes.labels import LabelsPane
    from coldal_tui.tui.panes.map import MapPane
    from coldal_tui.tui.panes.queue import QueuePane
    from coldal_tui.tui.panes.runs import RunsPane
    from coldal_tui.tui.panes.scan import ScanPane

    panes: dict[str, Pane] = {
        "budget": BudgetPane(clock),
        "clusters": ClustersPane(),
        "curve": CurvePane(),
        "map": MapPane(),
        "queue": QueuePane(),
        "labels": LabelsPane(graphics=graphics),
        "runs": RunsPane(),
        "scan": ScanPane(graphics=graphics, clock=clock),
        "jobs": JobsPane(clock, devices),
    }
    for name, pane in panes.items():
        if pane.id is None:
            pane.id = name
    return panes
