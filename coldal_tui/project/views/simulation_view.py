"""The results of a simulation so far: its finished cells as one document, and its request."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.project.labels.hidden_masks import simulations_folder
from coldal_tui.project.project import Project
from coldal_tui.simulation.cells import Cell, Setup, read_setup
from coldal_tui.simulation.design import CellId, Design, SplitRule

if TYPE_CHECKING:
    from coldal_tui.simulation.results import Kinds

Document = dict[str, Any]
PLAN_FILE = "plan.json"
MOST_KINDS = 20


def newest_request(project: Project) -> dict[str, Any] | None:
    """The request of the newest simulation, finished or not; None when there was none."""
    value = project.store.value(
        "SELECT request FROM jobs WHERE kind = 'simulate' ORDER BY job_id DESC LIMIT 1"
    )
    return None if value is None else json.loads(value)


def store_of(project: Project, setup: str) -> Path:
    """The folder of the cells of one setup, by its hash."""
    return simulations_folder(project) / setup[:16]


def read_results(
    project: Project, store: Path, request: Mapping[str, Any]
) -> tuple[Document, dict[CellId, Cell]]:
    """The document made from a simulation's finished cells, and the cells.

    Raises ColdalError (code ``no-simulation``) when its folder is gone.
    """
    from coldal_tui.simulation.results import read_cells, summarise
    from coldal_tui.simulation.words import answers, headlines

    setup = read_setup(store)
    if setup is None:
        raise ColdalError(
            "the folder of this simulation is gone or damaged",
            where=str(store),
            remedy="simulate again",
            code="no-simulation",
        )
    design = msgspec.convert(request["design"], Design)
    cells = read_cells(store, design, setup.setup)
    results: Document = {"about": _about(project, store, setup, request)}
    results |= summarise(setup, design, cells, _kinds(project, setup, request.get("by")))
    results["headlines"] = headlines(results)
    results["answers"] = answers(results)
    return results, cells


def kinds_of(project: Project, column: str, scan_ids: Iterable[str]) -> dict[str, str]:
    """Scan → its value in a metadata column, for scans that have one.

    Raises UsageError when no scan has the column, or it has too many values for kinds.
    """
    wanted = set(scan_ids)
    rows = project.store.rows(
        "SELECT s.scan_id, m.value FROM scans s, json_each(s.meta) m WHERE m.key = ?", (column,)
    )
    found = {row["scan_id"]: str(row["value"]) for row in rows if row["scan_id"] in wanted}
    if not found:
        known = project.store.rows("SELECT DISTINCT m.key FROM scans s, json_each(s.meta) m")
        names = ", ".join(sorted(row["key"] for row in known))
        raise UsageError(
            f"no scan has a value of {column!r} in its metadata",
            where=project.name,
            remedy=f"name one of: {names}" if names else "init --patients CSV reads metadata",
        )
    if len(set(found.values())) > MOST_KINDS:
        raise UsageError(
            f"{column!r} has {len(set(found.values()))} different values; "
            f"at most {MOST_KINDS} are kinds of scans",
            where=project.name,
            remedy="name a column with fewer",
        )
    return found


def _kinds(project: Project, setup: Setup, column: str | None) -> Kinds | None:
    from coldal_tui.simulation.results import Kinds

    if not column:
        return None
    return Kinds(column, kinds_of(project, column, (one.scan_id for one in setup.scans)))


def _about(project: Project, store: Path, setup: Setup, request: Mapping[str, Any]) -> Document:
    try:
        plan = json.loads((store / PLAN_FILE).read_bytes())
    except (OSError, ValueError):
        plan = None
    return {
        "project": setup.project,
        "command": command_words(request),
        "at": project.store.now(),
        "scans": len(setup.scans),
        "patients": len({one.patient_id for one in setup.scans}),
        "classes": list(setup.classes),
        "rule": msgspec.to_builtins(setup.rule),
        "design": request["design"],
        "encoder": setup.encoder,
        "encoder_hash": setup.encoder_hash,
        "training": setup.training,
        "one_per_patient": setup.one_per_patient,
        "entropy": setup.entropy,
        "plan": plan,
        "setup": setup.setup,
    }


def command_words(request: Mapping[str, Any]) -> str:
    """The command that repeats the simulation, independent of the project's later defaults."""
    design = msgspec.convert(request["design"], Design)
    rule = msgspec.convert(request["rule"], SplitRule)
    named = [*design.cold, *(arm.strategy for arm in design.active)]
    words = ["coldal-tui", "simulate", "--strategies", ",".join(dict.fromkeys(named))]
    if design.cold:
        words += ["--budgets", ",".join(map(str, design.budgets))]
        if design.further:
            words += ["--random-budgets", ",".join(map(str, design.further))]
    if design.active:
        alphas = [f"{arm.alpha:g}" for arm in design.active if arm.alpha is not None]
        words += ["--rounds", str(design.rounds), "--batch", str(design.batch)]
        words += ["--round0", str(design.round0), "--start", design.start]
        words += ["--alpha", ",".join(dict.fromkeys(alphas))] if alphas else []
    seeds = int(request.get("most_seeds") or len(design.seeds))
    words += ["--seeds", str(seeds), "--seed", str(design.seeds[0])]
    words += ["--stop-early"] if design.looks > 1 else []
    words += ["--draws", str(design.draws), "--validation", str(rule.validation)]
    if request.get("test"):
        words += ["--test", str(request["test"])]
    else:
        words += ["--test-fraction", f"{rule.test_fraction:g}"]
    for option in ("masks", "match", "steps", "image_size", "by"):
        if request.get(option):
            words += [f"--{option.replace('_', '-')}", str(request[option])]
    return shlex.join(words if design.full else [*words, "--no-full"])
