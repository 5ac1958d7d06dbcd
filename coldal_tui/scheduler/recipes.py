"""Chains of jobs for one command: the first queue, the next batch; checked before they run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.project.labels.labelled import active_labels, no_labels
from coldal_tui.project.queue.budget import batch_size, next_round, read_budget
from coldal_tui.project.queue.minute_budget import check_minutes, outlook
from coldal_tui.project.views.next_step import run_is_current, run_networks
from coldal_tui.scheduler.queue import check_selecting
from coldal_tui.scheduler.request import needs_ensemble
from coldal_tui.visible import counted

if TYPE_CHECKING:
    from coldal_tui.project.project import Project
    from coldal_tui.selection.strategies import Rounds

Steps = list[tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Chain:
    """``steps`` in order of dependency, for round ``round``; ``notes`` to show first."""

    round: int
    steps: Steps
    notes: tuple[str, ...] = field(default=())


def first_queue(
    project: Project,
    *,
    size: int | None = None,
    strategy: str | None = None,
    validation: int | None = None,
    seed: int | None = None,
    device: str | None = None,
) -> Chain:
    """Embed and map what is missing, cluster, select.

    Raises UsageError or ColdalError for errors that would otherwise show hours later.
    """
    number = next_round(project)
    if number > 0:
        raise UsageError(
            f"round {number - 1} is there already",
            where=project.name,
            remedy="coldal-tui next picks the next batch; coldal-tui undo takes a selection back",
        )
    check_selecting(project)
    check_strategy(project, strategy, "cold")
    request = {"budget": size, "strategy": strategy, "validation": validation, "seed": seed}
    steps: Steps = [
        ("embed", {"device": device}),
        ("map", {"seed": seed}),
        ("select", request),
    ]
    return Chain(number, steps, clipped(project, size))


def next_batch(
    project: Project,
    *,
    size: int | None = None,
    strategy: str | None = None,
    alpha: float | None = None,
    seed: int | None = None,
    device: str | None = None,
) -> Chain:
    """Train when labels are newer than the last run, score what is missing, select, pre-label.

    Raises UsageError or ColdalError for what would only fail hours later.
    """
    number = next_round(project)
    if number == 0:
        raise UsageError(
            "there is no round yet",
            where=project.name,
            remedy="coldal-tui select picks the first queue",
        )
    check_selecting(project)
    check_strategy(project, strategy, "active")
    notes = clipped(project, size)
    steps: Steps = [("embed", {"device": device}), ("map", {})]
    ensemble = needs_ensemble(strategy or project.config.selection.round_strategy)
    if ensemble and project.config.train.networks == 1:
        raise ColdalError(
            "the strategy asks what several networks disagree about, and one is to be trained",
            where=f"{project.layout.config}, train.networks",
            remedy="set networks = 3, or remove the line",
            code="one-network",
        )
    if not run_is_current(project) or (ensemble and run_networks(project) < 2):
        if not active_labels(project):
            raise no_labels(project)
        steps.append(("train", {"device": device, "strategy": strategy}))
    steps.append(("score", {"device": device, "strategy": strategy}))
    request = {"budget": size, "strategy": strategy, "alpha": alpha, "seed": seed}
    steps += [("select", request), ("predict", {"device": device})]
    return Chain(number, steps, notes)


def check_strategy(project: Project, asked: str | None, rounds: Rounds) -> None:
    """Check the strategy's name now, not after an hour of embedding or training."""
    from coldal_tui.selection.strategies import strategy

    if asked is not None:
        strategy(asked, rounds)
        return
    section = project.config.selection
    key = "strategy" if rounds == "cold" else "round_strategy"
    try:
        strategy(getattr(section, key), rounds)
    except UsageError as error:
        where = f"{project.layout.config}, selection.{key}"
        raise ColdalError(error.what, where=where, remedy=error.remedy) from error


def check_run(project: Project, asked: str | None) -> None:
    """Check that there is a run to work with."""
    runs = [row["run_id"] for row in project.store.rows("SELECT run_id FROM runs ORDER BY run_id")]
    if not runs:
        raise ColdalError("there is no run yet", where=project.name, remedy="coldal-tui train")
    if asked is not None and asked not in runs:
        raise UsageError("no such run", where=asked, remedy=f"one of: {', '.join(runs)}")


def clipped(project: Project, size: int | None) -> tuple[str, ...]:
    """Notes about a batch larger than the budget left, or picked before earlier labels are in.

    Raises ColdalError (code ``budget-spent``) when nothing is left, of scans or of minutes.
    """
    state = read_budget(project)
    size = size or batch_size(project, next_round(project))
    if state.left == 0:
        raise ColdalError(
            f"the budget of {state.total} is spent",
            where=project.name,
            remedy="raise total under [budget] in coldal.toml to go on",
            code="budget-spent",
        )
    notes = []
    if size > state.left:
        verb = "is" if state.left == 1 else "are"
        notes.append(f"only {state.left} of the budget {verb} left, not {size}")
    check_minutes(project)
    beyond = outlook(project, min(size, state.left))
    notes += [beyond] if beyond else []
    out = state.queued + state.exported
    if out:
        notes.append(f"{counted(out, 'scan')} of earlier rounds still without a label")
    return tuple(notes)
