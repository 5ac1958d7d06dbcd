"""Planning of simulations: which arms are compared, checked before anything runs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from coldal_tui.errors import UsageError
from coldal_tui.imaging.intensity_choice import BY_FILE
from coldal_tui.jobs.spec import ShardRows, SimulatedScan, SimulateSpec, TrainOptions
from coldal_tui.project.labels.hidden_masks import read_cases
from coldal_tui.project.project import Project
from coldal_tui.project.queue.budget import (
    batch_size,
    default_validation_count,
    round0_size,
)
from coldal_tui.project.views.simulation_view import store_of
from coldal_tui.scheduler.plan_embed import shard_rows, usable_vectors
from coldal_tui.scheduler.plan_select import first_strategy
from coldal_tui.scheduler.request import Request, input_cache, train_options
from coldal_tui.simulation.cells import SETUP_FILE, Setup, SetupScan, write_json
from coldal_tui.simulation.design import RANDOM, Arm, Design, SplitRule
from coldal_tui.version import __version__

_SIMULATION = 1
"""Counts changes to what a cell does, so that cells of older ones are not taken for new ones."""


@dataclass(frozen=True)
class Wish:
    """What to replay; None and empty values are decided from the project."""

    strategies: tuple[str, ...] = ()
    budgets: tuple[int, ...] = ()
    rounds: int = 0
    batch: int | None = None
    round0: int | None = None
    start: str | None = None
    alphas: tuple[float, ...] = ()
    seeds: int = 5
    first_seed: int | None = None
    validation: int | None = None
    test_fraction: float = 0.3
    test_patients: tuple[str, ...] = ()
    full: bool = True
    draws: int = 3
    random_budgets: tuple[int, ...] = ()


def plan_design(project: Project, wish: Wish) -> tuple[Design, SplitRule]:
    """The cells that a wish needs. ``random`` is always among the arms.

    Without rounds: strategies of the first queue at each label count. With rounds: strategies of
    later rounds, all from one first queue; those of the first queue are compared as well when
    label counts or such strategies are named.

    Raises UsageError for strategies that there are not or that don't suit, and for label counts
    that leave nothing to pick.
    """
    config = project.config
    seed = config.selection.seed if wish.first_seed is None else wish.first_seed
    cold, active = _sorted_out(project, wish)
    budgets = tuple(sorted(set(wish.budgets)))
    _check_used(wish, cold, active)
    round0 = wish.round0 or (budgets[0] if budgets else round0_size(project))
    design = Design(
        seeds=tuple(range(seed, seed + wish.seeds)),
        cold=cold,
        budgets=(budgets or (round0, 2 * round0)) if cold else (),
        active=active,
        start=_start(project, wish) if active else "",
        round0=round0 if active else 0,
        batch=(wish.batch or batch_size(project, 1)) if active else 0,
        rounds=wish.rounds if active else 0,
        full=wish.full,
        draws=wish.draws,
        further=tuple(sorted(set(wish.random_budgets) - set(budgets))) if cold else (),
    )
    validation = wish.validation
    if validation is None:
        section = config.validation.patients
        auto = default_validation_count(design.smallest)
        validation = auto if section == "auto" else int(section)
    if validation >= design.smallest:
        raise UsageError(
            f"of {design.smallest} labels, {validation} are for validation: none is left to train "
            "on",
            remedy="ask for more labels (--budgets, --round0), or lower --validation",
        )
    return design, SplitRule(validation, wish.test_fraction, wish.test_patients)


def _check_used(wish: Wish, cold: Sequence[str], active: Sequence[Arm]) -> None:
    """Refuse what no arm would use: nobody shall think that it was measured."""
    unused = []
    if not cold and wish.random_budgets:
        unused.append("--random-budgets")
    if not cold and len(set(wish.budgets)) > 1:
        unused.append("--budgets")
    if unused:
        raise UsageError(
            f"{' and '.join(unused)}: only later rounds are compared, and these are label counts "
            "of first queues",
            remedy="add --budgets N,M and a strategy of the first queue, such as kmeans, or leave "
            "them out: the rounds start from --round0 N",
        )
    if wish.alphas and all(arm.alpha is None for arm in active):
        raise UsageError(
            "--alpha: none of these strategies weighs entropy",
            remedy="name one that does, such as entropy-diversity, or leave it out",
        )


def _sorted_out(project: Project, wish: Wish) -> tuple[tuple[str, ...], tuple[Arm, ...]]:
    """Strategies of the first queue, and arms of the rounds after it."""
    from coldal_tui.selection.strategies import strategy

    section = project.config.selection
    own = section.round_strategy if wish.rounds else first_strategy(project)
    names = list(dict.fromkeys(wish.strategies or (own,)))
    found = [strategy(name) for name in names]
    cold_only = [one.name for one in found if one.rounds == ("cold",)]
    cold = [one.name for one in found if "cold" in one.rounds]
    later = [one.name for one in found if "active" in one.rounds]
    if not wish.rounds:
        for one in found:
            if "cold" not in one.rounds:
                raise UsageError(
                    f"strategy {one.name} picks later rounds, and none was asked for",
                    remedy="add --rounds 2, say, and --batch N",
                    code="wrong-round",
                )
        return _with_random(cold), ()
    if not cold_only and not wish.budgets:
        cold = []
    arms = [arm for name in _with_random(later) for arm in _arms(name, project, wish)]
    return _with_random(cold) if cold else (), tuple(arms)


def _with_random(names: Sequence[str]) -> tuple[str, ...]:
    """The arms with ``random`` last: it is always there, since all are compared with it."""
    return (*(name for name in names if name != RANDOM), RANDOM)


def _arms(name: str, project: Project, wish: Wish) -> list[Arm]:
    from coldal_tui.selection.strategies import weighs_alpha

    if not weighs_alpha(name):
        return [Arm(name)]
    return [Arm(name, alpha) for alpha in wish.alphas or (project.config.selection.alpha,)]


def _start(project: Project, wish: Wish) -> str:
    from coldal_tui.selection.strategies import strategy

    return strategy(wish.start or first_strategy(project), "cold").name


def plan_simulate(project: Project, request: Request) -> SimulateSpec:
    """One part of a simulation; its folder is found by the hash of what all cells share."""
    scans = read_cases(project, request["cases"])
    design = msgspec.convert(request["design"], Design)
    design = design.first(int(request.get("upto") or len(design.seeds)))
    rule = msgspec.convert(request["rule"], SplitRule)
    encoder_hash, vectors = usable_vectors(project)
    here = {one.scan.scan_id for one in scans}
    shards = shard_rows(project, {k: v for k, v in vectors.items() if k in here})
    config = project.config
    options = train_options(project, request)
    # A small training gains nothing from a second thread: a second job (--shards) does.
    options = msgspec.structs.replace(options, threads=options.threads or 1)
    setup = _setup(project, scans, rule, options, encoder_hash, shards)
    store = store_of(project, setup.setup)
    if not (store / SETUP_FILE).exists():
        write_json(store / SETUP_FILE, setup)
    part, parts = int(request.get("part") or 0), int(request.get("parts") or 1)
    return SimulateSpec(
        setup=setup.setup,
        store=str(store),
        design=design,
        cells=tuple(design.share(part, parts)),
        rule=rule,
        classes=config.classes.names,
        scans=scans,
        shards=shards,
        encoder_hash=encoder_hash,
        options=options,
        one_per_patient=setup.one_per_patient,
        entropy=setup.entropy,
        inputs=input_cache(project),
    )


def _setup(
    project: Project,
    scans: tuple[SimulatedScan, ...],
    rule: SplitRule,
    options: TrainOptions,
    encoder_hash: str,
    shards: tuple[ShardRows, ...],
) -> Setup:
    """What two cells must have in common to be compared; device and speed are not part of it."""
    encoder = project.store.row(
        "SELECT name, record FROM encoders WHERE encoder_hash = ?", (encoder_hash,)
    )
    training: dict[str, Any] = msgspec.to_builtins(options)
    for key in ("device", "threads", "workers"):
        del training[key]
    if options.intensity == BY_FILE:
        del training["intensity"]  # cells from before there was a choice stay good
    if options.image_size is None:
        del training["image_size"]
    vectors = {
        scan_id: (shard.sha256, row)
        for shard in shards
        for scan_id, row in zip(shard.scan_ids, shard.rows, strict=True)
    }
    rows = [
        (one.scan.scan_id, one.scan.quick_hash, one.sha256, one.patient_id, vectors.get(scan_id))
        for one in scans
        for scan_id in [one.scan.scan_id]
    ]
    classes = project.config.classes.names
    alone = project.config.selection.one_per_patient
    entropy = project.config.selection.entropy
    parts = [_SIMULATION, __version__, classes, rows, rule, training, encoder_hash, alone]
    parts += [entropy] if entropy != "mean" else []
    parts += ["validation scans repel no pick"] if rule.validation else []
    ndim = len(scans[0].scan.shape)
    if ndim == 3 and options.image_size is not None:
        parts.append("volumes, too, are made smaller")  # cells from before had whole ones
    return Setup(
        setup=hashlib.sha256(msgspec.json.encode(parts)).hexdigest(),
        project=project.name,
        classes=classes,
        rule=rule,
        scans=tuple(
            SetupScan(one.scan.scan_id, one.patient_id, one.scan.scan_id in vectors)
            for one in scans
        ),
        ndim=ndim,
        encoder=encoder["name"] if encoder else "",
        encoder_hash=encoder_hash,
        training=training,
        one_per_patient=alone,
        entropy=entropy,
    )
