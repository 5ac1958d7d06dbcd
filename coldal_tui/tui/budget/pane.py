"""The budget pane: labelled, exported, queued and left, and when the budget is spent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from textual.content import Content

from coldal_tui.project.queue.budget import Budget
from coldal_tui.project.queue.minute_budget import MinuteBudget
from coldal_tui.project.views.pace import LabelTimes, pace, read_label_times
from coldal_tui.tui.budget.text import budget_content, minutes_line
from coldal_tui.tui.pane import Pane, View, local_now
from coldal_tui.visible import counted

HEIGHT = 6
"""Rows of the pane with its border, without a line on minutes."""


class BudgetPane(Pane):
    """Takes no keys: nothing in it can be selected."""

    title: ClassVar[str] = "Budget"
    DEFAULT_CSS = "BudgetPane { height: 6; text-wrap: nowrap; text-overflow: clip; }"

    def __init__(self, clock: Callable[[], datetime] = local_now) -> None:
        super().__init__(id="budget")
        self._clock = clock
        self._budget: Budget | None = None
        self._minutes: MinuteBudget | None = None
        self._times: LabelTimes | None = None
        self.border_title = Content(self.title)

    def show(self, view: View) -> None:
        """Draw the snapshot; when the number of labels changed, read their dates again."""
        budget, refused = view.snapshot.budget, view.snapshot.unreadable
        words = f"{counted(refused, 'file')} refused: F" if refused else ""
        self.border_subtitle = Content(words)
        minutes = view.snapshot.minutes
        if (budget, minutes) == (self._budget, self._minutes):
            return
        self._minutes = minutes
        # Minutes take a row of their own, beside the pace.
        self.styles.height = HEIGHT + (minutes_line(minutes, self.look) is not None)
        labels_changed = self._budget is None or budget.labelled != self._budget.labelled
        self._budget = budget
        self.refresh()
        if labels_changed:
            self.services.read("budget", read_label_times, self._paced)

    def _paced(self, times: LabelTimes | None) -> None:
        if times != self._times:
            self._times = times
            self.refresh()

    def render(self) -> Content:
        if self._budget is None:
            return Content()
        now = self._clock()
        remaining = max(0, self._budget.total - self._budget.labelled)
        minutes = self._minutes
        undrawn = (
            None
            if minutes is None or minutes.total is None
            else max(0.0, minutes.total - minutes.spent)
        )
        known = pace(self._times, remaining, now, undrawn) if self._times else None
        width, height = self.content_size
        return budget_content(self._budget, known, now, width, height, self.look, minutes)
