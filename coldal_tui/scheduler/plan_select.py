"""Planning of select jobs: the size of a round, who may be picked, from which map."""

from __future__ import annotations

from coldal_tui.errors import ColdalError
from coldal_tui.jobs.spec import SelectSpec
from coldal_tui.project.minutes.expected import read_expectation
from coldal_tui.project.project import Project
from coldal_tui.project.queue import candidates
from coldal_tui.project.queue.budget import (
    batch_size,
    default_validation_count,
    next_round,
    read_budget,
)
from coldal_tui.project.queue.minute_budget import check_minutes, weighs_minutes, with_minutes
from coldal_tui.project.runs import latest_run
from coldal_tui.scheduler.plan_embed import latest_map, shard_rows, usable_vectors
from coldal_tui.scheduler.request import Request, needs_of, seed_of
from coldal_tui.selection.rows import PoolRow


def first_strategy(project: Project) -> str:
    """The strategy of the first queue: ``coldstart`` by what it picks within its clusters."""
    section = project.config.selection
    plain = section.strategy != "coldstart" or section.within == "farthest"
    return section.strategy if plain else f"coldstart-{section.within}"


def plan_select(project: Project, request: Request) -> SelectSpec:
    """One round: how many, from whom, by which strategy."""
    number = next_round(project)
    left = read_budget(project).left
    if left == 0:
        raise ColdalError(
            "the budget is spent",
            where=project.name,
            remedy="raise total under [budget] in coldal.toml to go on",
            code="budget-spent",
        )
    minutes_left = check_minutes(project)
    config = project.config
    size = min(int(request.get("budget") or batch_size(project, number)), left)
    encoder_hash, vectors = usable_vectors(project)
    base = latest_map(project, encoder_hash)
    if base is None:
        raise ColdalError("there is no map yet", where=project.name, remedy="coldal-tui map")
    default = first_strategy(project) if number == 0 else config.selection.round_strategy
    run_id = latest_run(project)
    name = request.get("strategy") or default
    wanted = needs_of(name)
    needs = wanted if number > 0 else ()
    rows = tuple(r for r in candidates.pool_rows(project, run_id, needs) if r.scan_id in vectors)
    if not any(row.candidate for row in rows):
        raise ColdalError(
            "no scan is left to pick: all are labelled, queued, skipped, excluded, duplicates, "
            "or of a validation patient",
            where=project.name,
            remedy="add scans and run coldal-tui index, or reopen skipped ones: queue reopen",
            code="pool-empty",
        )
    weighs = number > 0 and weighs_minutes(project, name)
    known = read_expectation(project, None) if weighs or minutes_left is not None else None
    if weighs and known is not None:
        rows = with_minutes(known, rows)
    previous = project.store.row("SELECT clusters FROM rounds ORDER BY round DESC LIMIT 1")
    alpha = request.get("alpha")
    return SelectSpec(
        round=number,
        strategy=name,
        budget=size,
        validation=_validation_count(project, request, size, rows) if number == 0 else 0,
        seed=seed_of(project, request) + number,
        map=str(project.file_of(base["file"])),
        pool=rows,
        shards=shard_rows(project, vectors) if "embeddings" in wanted else (),
        alpha=config.selection.alpha if alpha is None else float(alpha),
        clusters=str(project.file_of(previous["clusters"])) if previous else None,
        map_id=base["map_id"],
        run_id=run_id,
        one_per_patient=config.selection.one_per_patient,
        minutes={row.scan_id: known.minutes(row.scan_id) for row in rows if row.candidate}
        if known is not None and minutes_left is not None
        else {},
        minutes_left=minutes_left,
        notes=_without_say(
            name, weighs or number == 0 or config.selection.cost != "minutes", alpha
        ),
    )


def _without_say(name: str, minutes_weigh: bool, alpha: float | None) -> tuple[str, ...]:
    """What was asked for and a strategy does not look at."""
    from coldal_tui.selection.strategies import weighs_alpha

    notes = [] if minutes_weigh else [f'cost = "minutes" has no say in {name}']
    if alpha is not None and not weighs_alpha(name):
        notes.append(f"α = {alpha:g} has no say in {name}")
    return tuple(notes)


def _validation_count(
    project: Project, request: Request, size: int, rows: tuple[PoolRow, ...]
) -> int:
    asked = request.get("validation")
    value = project.config.validation.patients if asked is None else asked
    if value != "auto":
        return int(value)
    return default_validation_count(min(size, sum(row.candidate for row in rows)))
