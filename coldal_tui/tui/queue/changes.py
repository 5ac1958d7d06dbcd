"""Changes to queued scans: skip, exclude, pin, assign, reopen, move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from coldal_tui.errors import ColdalError
from coldal_tui.project.project import Project
from coldal_tui.project.queue import actions
from coldal_tui.project.queue.actions import Change
from coldal_tui.project.queue.reorder import shift
from coldal_tui.project.views.queue_table import ScanTable, Words
from coldal_tui.tui.pane import Services
from coldal_tui.tui.widgets.table import BigTable

RECENT = 5
"""Reasons and people that a question offers."""


@dataclass(frozen=True)
class QueueChanges:
    """Changes the chosen rows of ``table``: the marked ones, or the one under the cursor.

    ``whole`` has the facts about them. Each change is one action that undo reverts.
    """

    services: Services
    table: BigTable
    whole: ScanTable | None

    def skip(self) -> None:
        self._with_reason("Skip", "another scan is picked instead", "skipped", actions.skip)

    def exclude(self) -> None:
        self._with_reason(
            "Exclude", "it is never picked again until it is reopened", "excluded", actions.exclude
        )

    def _with_reason(
        self,
        title: str,
        meaning: str,
        did: str,
        act: Callable[[Project, Sequence[str], str | None], list[Change]],
    ) -> None:
        scans = self.table.chosen()
        if not scans:
            return
        recent = self._recent(self.whole.reason if self.whole else None)
        prompt = f"{meaning}\nwhy? (empty: no reason)"

        def answered(text: str) -> None:
            reason = picked(text, recent) or None
            onward = self._next_but(scans)
            self._change(did, scans, lambda project: act(project, scans, reason), onward)

        self.services.ask(f"{title} {_named(scans)}", prompt + _offered(recent), answered)

    def pin(self) -> None:
        scans, table = self.table.chosen(), self.whole
        if not scans or table is None:
            return
        rows = [table.index[scan] for scan in scans if scan in table.index]
        pinned = not all(table.pinned[row] for row in rows)
        work = partial(actions.pin, scan_ids=scans, pinned=pinned)
        self._change("pinned" if pinned else "unpinned", scans, work)

    def assign(self) -> None:
        scans, table = self.table.chosen(), self.whole
        if not scans or table is None:
            return
        people = self._recent(table.assignee)
        prompt = "to whom? (empty: nobody)" + _offered(people)
        row = table.index.get(scans[0])
        now = table.assignee[row] if row is not None else ""

        def answered(text: str) -> None:
            person = picked(text, people)
            did = f"assigned to {person}" if person else "assigned to nobody"
            self._change(did, scans, partial(actions.assign, scan_ids=scans, person=person))

        self.services.ask(f"Assign {_named(scans)}", prompt, answered, value=now)

    def reopen(self) -> None:
        scans = self.table.chosen()
        if scans:
            self._change("reopened", scans, partial(actions.reopen, scan_ids=scans))

    def shift(self, by: int) -> None:
        """Move one place up or down in the round; marks stay, so it can be repeated."""
        scans = self.table.chosen()

        def work(project: Project) -> str | None:
            try:
                shift(project, scans, by)
            except ColdalError as error:
                if error.code != "unmoved":
                    raise
                return f"{_named(scans)}: {'first' if by < 0 else 'last'} of the round already"
            return f"moved {_named(scans)} {'up' if by < 0 else 'down'}"

        if scans:
            self.services.change("move", work)

    def _next_but(self, scans: Sequence[str]) -> str | None:
        """The next row below the cursor with none of these scans, else the one above."""
        table, gone = self.table, {*scans}
        here = table.cursor
        rows = [*range(here, table.row_count), *range(here - 1, -1, -1)]
        return next((key for key in map(table.key_at, rows) if key not in gone), None)

    def _change(
        self,
        did: str,
        scans: Sequence[str],
        act: Callable[[Project], list[Change]],
        onward: str | None = None,
    ) -> None:
        """Apply a change to ``scans``; ``onward`` is the cursor's next row."""

        def work(project: Project) -> str:
            changes = act(project)
            heirs = [change.replaced_by for change in changes if change.replaced_by]
            instead = f"; {_named(heirs)} instead" if heirs else ""
            return f"{did}: {_named(scans)}{instead}"

        def done() -> None:
            self.table.mark(())
            if onward is not None:
                row = self.table.find(onward)
                if row is not None:
                    self.table.move_to(row)

        self.services.change(did, work, done)

    def _recent(self, words: Words | None) -> list[str]:
        """The most frequent texts of a column."""
        if words is None:
            return []
        counts = np.bincount(words.codes, minlength=len(words.names))
        found = [words.names[n] for n in np.argsort(-counts, kind="stable") if words.names[n]]
        return found[:RECENT]


def _named(scans: Sequence[str]) -> str:
    return scans[0] if len(scans) == 1 else f"{len(scans):,} scans"


def _offered(texts: Sequence[str]) -> str:
    """The offered texts with their numbers."""
    listed = "   ".join(f"{n} {text}" for n, text in enumerate(texts, 1))
    return f"\n{listed}" if listed else ""


def picked(text: str, offered: Sequence[str]) -> str:
    """The answer; a number alone stands for the offered text with that number."""
    if text.isdecimal() and 1 <= int(text) <= len(offered):
        return offered[int(text) - 1]
    return text
