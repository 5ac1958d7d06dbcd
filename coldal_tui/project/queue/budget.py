"""The remaining budget and the size of a round."""

from __future__ import annotations

import math
from dataclasses import dataclass

from coldal_tui.project.project import Project
from coldal_tui.project.settings.config import BudgetSection

OUT_STATUSES = ("queued", "exported")


@dataclass(frozen=True)
class Budget:
    """Counts of scans. ``left`` is how many may still be queued; never below 0."""

    total: int
    labelled: int
    queued: int
    exported: int
    skipped: int
    manual: int

    @property
    def spent(self) -> int:
        return self.labelled + self.queued + self.exported

    @property
    def left(self) -> int:
        return max(0, self.total - self.spent)


def read_budget(project: Project) -> Budget:
    """The current budget; labels of scans that were never queued count, skipped scans don't."""
    store = project.store
    counts = {
        row["status"]: row["n"]
        for row in store.rows("SELECT status, count(*) AS n FROM queue GROUP BY status")
    }
    labelled = labelled_scans(project)
    roles = store.rows("SELECT role FROM labels WHERE state = 'active'")
    return Budget(
        total=project.config.budget.total,
        labelled=len(labelled),
        queued=counts.get("queued", 0),
        exported=counts.get("exported", 0),
        skipped=counts.get("skipped", 0),
        manual=sum(row["role"] == "manual" for row in roles),
    )


def labelled_scans(project: Project) -> set[str]:
    rows = project.store.rows("SELECT scan_id FROM labels WHERE state = 'active'")
    return {row["scan_id"] for row in rows}


def next_round(project: Project) -> int:
    value = project.store.value("SELECT max(round) FROM rounds")
    return 0 if value is None else int(value) + 1


def round0_size(project: Project) -> int:
    return first_queue_size(project.config.budget)


def first_queue_size(section: BudgetSection) -> int:
    """A fifth of the total budget, at least 5, never above the total."""
    return section.round0 or min(section.total, max(5, math.ceil(section.total / 5)))


def batch_size(project: Project, number: int) -> int:
    """How many scans round ``number`` asks for by default."""
    if number == 0:
        return round0_size(project)
    return project.config.budget.batch or round0_size(project)


FROZEN_FROM = 30
"""Scans in round 0 from which on ``validation = "auto"`` freezes some of them."""


def default_validation_count(round0_size: int) -> int:
    """The patients that ``auto`` freezes for validation: a fifth of round 0, rounded up.

    Below 30 scans none: each is worth more in training, and the run is measured by cross-fitting.
    """
    return -(-round0_size // 5) if round0_size >= FROZEN_FROM else 0
