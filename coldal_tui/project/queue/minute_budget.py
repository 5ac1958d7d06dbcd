"""The budget in minutes of people's work: what is spent, what is out, and what is left."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from msgspec.structs import replace

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.names import person_key
from coldal_tui.minutes_words import figure, interval_words, minutes_words
from coldal_tui.project.database.store import Row
from coldal_tui.project.minutes.expected import Expectation, expected_of_next, read_expectation
from coldal_tui.project.project import Project
from coldal_tui.project.queue.assign import people_of
from coldal_tui.selection.needs import BY_MINUTES
from coldal_tui.selection.rows import PoolRow
from coldal_tui.visible import counted


@dataclass(frozen=True)
class MinuteBudget:
    """Minutes of labelling.

    ``total`` is None where the project has no budget of minutes. ``spent`` are those of all
    ``drawings`` that came back, ``stated`` the part of it that somebody stated: the rest is by the
    pace of returns, or expected. ``open`` are expected of ``open_drawings`` that are queued or out.
    ``learned``: expectations stand on past drawings, not on the default alone.
    """

    total: int | None
    drawings: int
    spent: float
    stated: float
    open_drawings: int
    open: float
    open_low: float
    open_high: float
    learned: bool

    @property
    def left(self) -> float | None:
        """What further scans may take; never below 0. None without a budget of minutes."""
        return None if self.total is None else max(0.0, self.total - self.spent - self.open)

    @property
    def is_spent(self) -> bool:
        return self.left is not None and self.left <= 0

    def as_json(self) -> dict[str, Any]:
        """``budget.minutes`` of ``status --json``; minutes with one decimal."""
        data = asdict(self) | {"left": self.left}
        return {
            key: round(value, 1) if isinstance(value, float) else value
            for key, value in data.items()
        }

    def words(self) -> str:
        """Such as ``600 minutes: 212 drawn (31 estimated), about 95 queued or out, 293 left``."""
        guessed = self.spent - self.stated
        parts = [
            f"{figure(self.spent)} drawn" + (f" ({figure(guessed)} estimated)" if guessed else "")
        ]
        if self.open_drawings:
            parts.append(
                f"about {figure(self.open)} queued or out "
                f"({interval_words(self.open_low, self.open_high)})"
            )
        if self.total is None:
            return ", ".join(parts)
        return f"{self.total:,}: {', '.join(parts)}, {figure(self.left or 0.0)} left"


def read_minute_budget(project: Project, known: Expectation | None = None) -> MinuteBudget:
    """The minutes now. A drawing of which no time is known counts with its expected minutes."""
    known = read_expectation(project) if known is None else known
    spent = stated = 0.0
    for one in known.times:
        if one.minutes is not None:
            spent += one.minutes
            stated += 0.0 if one.estimated else one.minutes
        elif one.scan_id in known.sizes:
            spent += known.minutes(one.scan_id, one.author)
    open_ = known.model.total(_open(project, known))
    return MinuteBudget(
        project.config.budget.minutes,
        len(known.times),
        spent,
        stated,
        open_.scans,
        open_.minutes,
        open_.low,
        open_.high,
        known.learned,
    )


def _open(project: Project, known: Expectation) -> list[float]:
    """Expected minutes of each drawing that is still to be made, of scans queued or out."""
    back = {
        (one.scan_id, person_key(one.author))
        for one in known.times
        if one.author and not one.purpose
    }
    found = []
    for scan_id, assignee in project.store.tuples(
        "SELECT scan_id, assignee FROM queue WHERE status IN ('queued', 'exported') "
        "ORDER BY scan_id"
    ):
        people = people_of(assignee)
        missing = [name for name in people if (scan_id, person_key(name)) not in back]
        found += [known.minutes(scan_id, name) for name in (missing if people else [""])]
    for scan_id, person in project.store.tuples(
        "SELECT scan_id, person FROM handouts WHERE state = 'out' ORDER BY handout_id"
    ):
        if scan_id in known.sizes:
            found.append(known.minutes(scan_id, person))
    return found


def check_minutes(project: Project) -> float | None:
    """The minutes left, None without a budget of minutes; ColdalError (``budget-spent``) for 0."""
    if project.config.budget.minutes is None:
        return None
    budget = read_minute_budget(project)
    if budget.is_spent:
        raise ColdalError(
            f"the budget of {minutes_words(project.config.budget.minutes)} is spent: "
            f"{figure(budget.spent)} drawn, {figure(budget.open)} expected of scans that are "
            "queued or out",
            where=project.name,
            remedy="raise minutes under [budget] in coldal.toml to go on",
            code="budget-spent",
        )
    return budget.left


def weighs_minutes(project: Project, strategy: str) -> bool:
    """Whether this strategy divides what it thinks of a scan by its expected minutes."""
    return project.config.selection.cost == "minutes" and strategy in BY_MINUTES


def by_minutes(round_row: Row) -> bool:
    """Whether a stored round was picked by what scans promise per minute."""
    return bool(json.loads(round_row["params"]).get("cost") == "minutes")


def with_minutes(known: Expectation, rows: Iterable[PoolRow]) -> tuple[PoolRow, ...]:
    """Rows of a pool with the expected minutes of each scan."""
    return tuple(replace(row, minutes=known.minutes(row.scan_id)) for row in rows)


def outlook(project: Project, size: int) -> str:
    """What a round of ``size`` scans as they come means for the budget of minutes.

    Empty where it fits.
    """
    budget = read_minute_budget(project)
    if budget.left is None:
        return ""
    wanted = expected_of_next(project, size)
    if wanted.minutes <= budget.left:
        return ""
    fit = int(budget.left / (wanted.minutes / size))
    return (
        f"{counted(size, 'scan')} {wanted.words}, and {budget.left:,.0f} are left: "
        f"about {fit:,} will fit"
    )
