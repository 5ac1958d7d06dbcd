"""The learning curve pane of the home screen: Dice over number of labels."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from textual.content import Content

from coldal_tui.project.job_rows import OPEN
from coldal_tui.project.views.run_view import RunMeasures, read_measures
from coldal_tui.tui.drawing.styles import MUTED
from coldal_tui.tui.pane import Pane, View
from coldal_tui.tui.runs.rows import distance
from coldal_tui.tui.runs.text import curve_content, dice_points, unit_of
from coldal_tui.tui.widgets.seen import WhileSeen


class CurvePane(WhileSeen, Pane):
    """Takes no keys: the runs pane has the details."""

    title: ClassVar[str] = "Dice by labels"
    DEFAULT_CSS = "CurvePane { height: 8; padding: 0 1; }"

    def __init__(self) -> None:
        super().__init__(id="curve")
        self._view: View | None = None
        self._measures: dict[str, RunMeasures] = {}
        self._runs: object = None
        self.border_title = Content(self.title)

    def show(self, view: View) -> None:
        self._view = view
        if self.seen:
            self.catch_up()

    def catch_up(self) -> None:
        if self._view is None or self._view.snapshot.runs == self._runs:
            return
        runs = self._runs = self._view.snapshot.runs
        self.refresh()
        if runs and runs[-1].mean is not None:
            hd95 = distance(runs[-1].mean.get("hd95"), unit_of(runs[-1]), self.look)
            self.border_subtitle = Content(f"{runs[-1].measured}, HD95 {hd95}")
        else:
            self.border_subtitle = None
        self.services.read(
            "curve", partial(read_measures, runs=runs, map_view=None, picks=()), self._read
        )

    def _read(self, measures: dict[str, RunMeasures]) -> None:
        if measures != self._measures:
            self._measures = measures
            self.refresh()

    def render(self) -> Content:
        if self._view is None:
            return Content()
        snapshot = self._view.snapshot
        if not snapshot.runs:
            return Content.styled("no run yet: train when labels are in", MUTED)
        if not dice_points(snapshot.runs, self._measures):
            measuring = any(job.kind == "crossfit" and job.status in OPEN for job in snapshot.jobs)
            words = "cross-fitting measures it now" if measuring else "coldal-tui crossfit"
            return Content.styled(f"no run is measured yet: {words}", MUTED)
        width, height = self.content_size
        return curve_content(snapshot.runs, self._measures, self.look, width, height, bare=True)
