"""``simulate``: replays strategies against random on known masks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from coldal_tui.cli import common
from coldal_tui.cli.progress import file_progress, follow, say_submitted
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.visible import counted

if TYPE_CHECKING:
    from coldal_tui.project.job_rows import Job
    from coldal_tui.project.labels.hidden_masks import HiddenMasks
    from coldal_tui.project.project import Project
    from coldal_tui.scheduler.plan_simulate import Wish
    from coldal_tui.simulation.cells import Cell
    from coldal_tui.simulation.design import CellId

_ASKED = ("cases", "design", "rule", "steps", "image_size")
PILOT, LOOK_EVERY = 2, 5
_BESIDE_RESUME = {"targets", "resume", "out", "by", "device", "shards", "as_json", "detach"}


class _Listed(click.ParamType):  # type: ignore[type-arg]  # older click has none
    """Comma-separated values: ``10,20``."""

    def __init__(self, name: str, one: Any) -> None:
        self.name = name
        self._one = one

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any, ...]:
        if not isinstance(value, str):
            return tuple(value)
        words = [word.strip() for word in value.split(",") if word.strip()]
        return tuple(self._one.convert(word, param, ctx) for word in words)


_NAMES = _Listed("A,B", click.STRING)
_COUNTS = _Listed("N,M", click.IntRange(min=1))
_WEIGHTS = _Listed("X,Y", click.FloatRange(0, 1))


@click.command("simulate")
@common.project_argument()
@click.option("--masks", type=click.Path(path_type=Path), help="Masks to hide; default: labels.")
@click.option("--match", help="How those masks are named, such as '{stem}_mask'.")
@click.option("--strategies", type=_NAMES, help="Default: the project's.")
@click.option("--budgets", type=_COUNTS, help="Label counts of the first queue: 10,20")
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds after the first queue.")
@click.option("--batch", type=click.IntRange(min=1), help="Labels that each round adds.")
@click.option("--round0", type=click.IntRange(min=2), help="Labels that the rounds start from.")
@click.option("--start", help="Strategy of the queue that the rounds start from.")
@click.option("--alpha", type=_WEIGHTS, help="Weights of entropy: 0,0.5,1")
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="The first; default: coldal.toml.")
@click.option(
    "--test-fraction",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.3,
    show_default=True,
    help="Share of the patients that each seed tests on.",
)
@click.option("--test", type=click.Path(path_type=Path), help="CSV of the patients to test on.")
@click.option("--validation", type=click.IntRange(min=0), help="Patients that watch the training.")
@click.option("--steps", type=click.IntRange(min=1), help="Optimiser steps of each training.")
@click.option(
    "--image-size", type=click.IntRange(min=16), help="Long side of working images, or volumes."
)
@click.option(
    "--draws",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Random draws of each split.",
)
@click.option("--random-budgets", type=_COUNTS, help="More label counts of random: 8,17,34")
@click.option("--stop-early", is_flag=True, help="Stop when an answer is clear; needs 10 seeds.")
@click.option("--full/--no-full", default=True, help="Also train on all labels, once a seed.")
@click.option("--by", help="Metadata column: Dice of each kind of scan too.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the report.")
@click.option("--shards", type=click.IntRange(min=1), default=1, help="Jobs that share the cells.")
@click.option("--device", help="auto, cpu, cuda or cuda:N; default: coldal.toml.")
@click.option("--resume", is_flag=True, help="Go on with the newest simulation, and report.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--detach", is_flag=True, help="Submit and return; --resume reports later.")
@click.pass_context
def simulate_command(ctx: click.Context, /, targets: tuple[str, ...], **asked: Any) -> None:
    """Would active learning have beaten random here? Hides masks and replays.

    \b
    coldal-tui simulate --strategies coldstart,kmeans --budgets 10,20
    coldal-tui simulate --rounds 2 --batch 10 --alpha 0,0.5,1 --masks DIR

    Every arm is compared with random on the same test patients. What is finished is kept: the
    same call, or --resume, goes on from there, and more seeds or strategies add to it.
    """
    with common.open_project(targets) as project:
        request = _newest(ctx, project) if asked["resume"] else _new(project, asked)
        request |= {"parts": asked["shards"], "device": asked["device"]}
        if asked["by"] is not None:
            request["by"] = asked["by"]
        if asked["out"] is not None:
            request["out"] = str(asked["out"].absolute())
        elif asked["resume"]:
            _check_out(project, Path(request["out"]))
        if asked["detach"]:
            numbers, kinds = _submit(project, request)
            say_submitted(project, numbers, kinds, as_json=asked["as_json"])
            again = common.paste("coldal-tui simulate --resume", project.root)
            common.say(f"when they are done: {again}")
            return
        _run(project, request, asked["as_json"])


def _run(project: Project, request: dict[str, Any], as_json: bool) -> None:
    """Run the seeds in steps: after each it says what can be seen, and may stop with an answer."""
    from coldal_tui.simulation.words import headlines, is_clear, visible_words

    seeds = request["design"]["seeds"]
    looks = int(request["design"].get("looks", 1))
    steps = _steps(len(seeds), looks)
    for upto in steps:
        numbers, _ = _submit(project, request | {"upto": upto}, embed=upto == steps[0])
        jobs = [job for job in follow(project, numbers) if job.kind == "simulate"]
        _say_failed(jobs)
        if upto == len(seeds):
            break
        results, _ = _results(project, request, jobs)
        if upto == PILOT:
            for found in results["groups"].values():
                common.say(visible_words(found))
        elif is_clear(results):
            common.say(f"stopped after {upto} of {len(seeds)} seeds: the answer is clear")
            done = request["design"] | {"seeds": seeds[:upto]}
            request = request | {"design": done, "most_seeds": len(seeds)}
            break
        else:
            for line in headlines(results):
                common.say(f"after {upto} of {len(seeds)} seeds: {line}")
    _report(project, request, jobs, as_json)


def _steps(seeds: int, looks: int) -> list[int]:
    """After how many seeds something is said: a pilot, then at each look, then at the end."""
    pilot = [PILOT] if seeds >= 2 * PILOT else []
    return [*pilot, *(LOOK_EVERY * n for n in range(1, looks)), seeds]


def _check_out(project: Project, out: Path) -> None:
    """Refuse an earlier report's folder outside the project: anyone may have set that path."""
    if not out.resolve().is_relative_to(project.root.resolve()):
        raise UsageError(
            "the earlier report went outside the project",
            where=str(out),
            remedy="name its folder again: --out DIR",
        )


def _newest(ctx: click.Context, project: Project) -> dict[str, Any]:
    from coldal_tui.project.views.simulation_view import newest_request

    for name in ctx.params:
        given = ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE
        if given and name not in _BESIDE_RESUME:
            option = name.replace("_", "-")
            raise UsageError(
                f"--resume goes on with what was asked before; --{option} would be another "
                "simulation",
                remedy="leave out --resume: what is finished is found anyway",
            )
    request = newest_request(project)
    if request is None:
        raise UsageError(
            "there is no simulation to go on with",
            where=project.name,
            remedy="coldal-tui simulate starts one",
        )
    return {key: value for key, value in request.items() if key not in ("part", "upto")}


def _new(project: Project, asked: dict[str, Any]) -> dict[str, Any]:
    import msgspec

    from coldal_tui.scheduler.plan_simulate import plan_design
    from coldal_tui.simulation.splitting import check_sizes

    wish = _wish(asked)
    plan_design(project, wish)  # A wrong name is answered before thousands of masks are read.
    hidden = _hide(project, asked)
    if asked["test"] is not None:
        from coldal_tui.project.labels.hidden_masks import patients_in

        wish = _wish(asked, patients_in(project, asked["test"], hidden.scans))
    design, rule = plan_design(project, wish)
    for seed in design.seeds:
        check_sizes(hidden.patients, rule, seed, design.largest)
    if asked["by"] is not None:
        from coldal_tui.project.views.simulation_view import kinds_of

        kinds_of(project, asked["by"], hidden.patients)
    if asked["stop_early"]:
        design = msgspec.structs.replace(design, looks=_looks(len(design.seeds)))
    cells = len(design.all_cells())
    patients = counted(len(set(hidden.patients.values())), "patient")
    scans = counted(len(hidden.scans), "scan")
    common.say(f"{scans} with masks, {patients}; {counted(cells, 'cell')} to train and measure")
    name = time.strftime("%Y%m%d-%H%M%S")
    return {
        "cases": hidden.file,
        "design": msgspec.to_builtins(design),
        "rule": msgspec.to_builtins(rule),
        "steps": asked["steps"],
        "image_size": asked["image_size"],
        "masks": None if asked["masks"] is None else str(asked["masks"].absolute()),
        "match": asked["match"],
        "test": None if asked["test"] is None else str(asked["test"].absolute()),
        "out": str(project.root / "simulations" / name),
    }


def _looks(seeds: int) -> int:
    """How often an answer is looked for: after every five seeds, the last time at the end."""
    if seeds < 2 * LOOK_EVERY:
        raise UsageError(
            f"--stop-early looks every {LOOK_EVERY} seeds, and {seeds} are to run",
            remedy=f"add --seeds {4 * LOOK_EVERY}, say: it ends before if the answer is clear",
        )
    return -(-seeds // LOOK_EVERY)


def _wish(asked: dict[str, Any], test_patients: tuple[str, ...] = ()) -> Wish:
    from coldal_tui.scheduler.plan_simulate import Wish

    if asked["rounds"] is None:
        for option in ("batch", "round0", "start", "alpha"):
            if asked[option] is not None:
                raise UsageError(f"--{option} is about later rounds", remedy="add --rounds 2, say")
    return Wish(
        strategies=asked["strategies"] or (),
        budgets=asked["budgets"] or (),
        rounds=asked["rounds"] or 0,
        batch=asked["batch"],
        round0=asked["round0"],
        start=asked["start"],
        alphas=asked["alpha"] or (),
        seeds=asked["seeds"],
        first_seed=asked["seed"],
        validation=asked["validation"],
        test_fraction=asked["test_fraction"],
        test_patients=test_patients,
        full=asked["full"],
        draws=asked["draws"],
        random_budgets=asked["random_budgets"] or (),
    )


def _hide(project: Project, asked: dict[str, Any]) -> HiddenMasks:
    from coldal_tui.project.labels.hidden_masks import hide_labels, hide_masks

    if asked["masks"] is None:
        return hide_labels(project)
    with file_progress("reading masks") as advance:
        hidden = hide_masks(project, asked["masks"], match=asked["match"], progress=advance)
    wrong = [verdict for verdict in hidden.unused if verdict.status == "quarantined"]
    for verdict in wrong[:10]:
        common.say(f"left out {verdict.file.name}: {verdict.explanation}")
    if len(wrong) > 10:
        common.say(f"… and {len(wrong) - 10} more")
    return hidden


def _submit(
    project: Project, request: dict[str, Any], *, embed: bool = True
) -> tuple[list[int], list[str]]:
    """Submit the simulation's jobs, or join those that already do it."""
    from coldal_tui.project.job_rows import OPEN, list_jobs
    from coldal_tui.scheduler import queue
    from coldal_tui.scheduler.request import check_device
    from coldal_tui.scheduler.supervisor import ensure_supervisor

    check_device(request)
    running = [
        job.job_id
        for job in list_jobs(project, OPEN)
        if job.kind == "simulate" and _covers(job.request, request)
    ]
    if running:
        ensure_supervisor(project.layout)
        return running, ["simulate"] * len(running)
    first = [queue.submit(project, "embed", {"device": request["device"]})] if embed else []
    parts = [
        queue.submit(project, "simulate", request | {"part": part}, first)
        for part in range(request["parts"])
    ]
    ensure_supervisor(project.layout)
    return [*first, *parts], [*["embed"] * len(first), *["simulate"] * len(parts)]


def _covers(running: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a job does all that is wanted: the same cells, and as many seeds or more."""
    if any(running.get(key) != wanted.get(key) for key in _ASKED):
        return False
    every = len(wanted["design"]["seeds"])
    return int(running.get("upto") or every) >= int(wanted.get("upto") or every)


def _say_failed(jobs: list[Job]) -> None:
    failed = [one for job in jobs for one in job.result.get("failed_cells") or []]
    for one in failed[:10]:
        remedy = f" → {one['remedy']}" if one.get("remedy") else ""
        common.say(f"cell {one['cell']} failed: {one['what']}{remedy}")
    if len(failed) > 10:
        common.say(f"… and {len(failed) - 10} more")


def _results(
    project: Project, request: dict[str, Any], jobs: list[Job]
) -> tuple[dict[str, Any], dict[CellId, Cell]]:
    from coldal_tui.project.views.simulation_view import read_results, store_of

    setups = {job.result["setup"] for job in jobs}
    if len(setups) != 1:
        raise ColdalError(
            "the parts did not work on the same thing: the project changed in between",
            where=project.name,
            remedy="coldal-tui simulate --resume",
            code="setup-changed",
        )
    return read_results(project, store_of(project, setups.pop()), request)


def _report(project: Project, request: dict[str, Any], jobs: list[Job], as_json: bool) -> None:
    from coldal_tui.cli.simulation_view import show
    from coldal_tui.simulation.report import write_report

    results, cells = _results(project, request, jobs)
    files = write_report(Path(request["out"]), results, cells)
    if as_json:
        common.print_json(results | {"files": [str(path) for path in files]})
    else:
        show(common.console(), results, files)
    if not results["groups"]:
        raise ColdalError(
            "no seed has all its cells: nothing can be compared",
            where=request["out"],
            remedy="see why cells failed: coldal-tui jobs logs; then simulate --resume",
            code="nothing-to-compare",
        )
