"""The ``simulate`` job: runs one cell after another and writes each when finished."""

from __future__ import annotations

import hashlib
import platform
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import coldal_tui.selection
from coldal_compute.segmentation.data import Readers, file_readers, measure_thickness
from coldal_compute.segmentation.inputs.network_inputs import NetworkInputs
from coldal_compute.segmentation.network import device_limits, pick_device
from coldal_compute.segmentation.plan import PLAN_FILE, Plan, load_plan, make_plan, save_plan
from coldal_compute.simulation.replay import Replay, forget, scored
from coldal_compute.simulation.samples import Samples
from coldal_compute.simulation.seed_setup import SeedSetup, prepare_seed
from coldal_tui.errors import ColdalError
from coldal_tui.jobs.spec import LabelledScan, Reporter, SimulateSpec, StepResult
from coldal_tui.simulation.cells import Cell, ScanScores, read_cell, read_setup, write_cell
from coldal_tui.simulation.design import CellId
from coldal_tui.simulation.results import read_cells, summarise
from coldal_tui.simulation.words import visible_words
from coldal_tui.version import __version__

WORK = "work"
_LIBRARIES = ("torch", "monai", "lightning", "numpy", "scikit-learn", "scipy")
_FATAL = frozenset({"out-of-memory", "disk", "device"})
"""What no other cell would fare better with."""


def simulate(
    spec: SimulateSpec, folder: Path, report: Reporter, readers: Readers | None = None
) -> StepResult:
    """Run the unfinished cells; damaged ones run again.

    A cell that fails does not stop the others. ``result`` has ``cells``, ``done`` (now),
    ``reused`` and ``failed_cells`` (cell, what, remedy).

    Raises
    ------
    ColdalError : no cell could be done, memory or the disk ran out.
    """
    readers = readers or file_readers()
    device = pick_device(spec.options.device, spec.options.threads)
    store = Path(spec.store)
    store.mkdir(parents=True, exist_ok=True)
    plan = shared_plan(spec, store, device, readers, report)
    with closing(NetworkInputs(plan, readers.scan, spec.inputs, report.log)) as inputs:
        samples = Samples(spec.scans, inputs, readers)
        return _cells(Replay(spec, plan, samples, device, _made(device)), folder, report)


def _cells(replay: Replay, folder: Path, report: Reporter) -> StepResult:
    spec = replay.spec
    by_seed: dict[int, SeedSetup] = {}
    failed: list[dict[str, Any]] = []
    done = reused = 0
    first: ColdalError | None = None
    for number, cell in enumerate(spec.cells):
        told = _CellReport(report, cell.name, number, len(spec.cells))
        if finished(spec, cell) is not None:
            reused += 1
            told.progress(1, 1, "finished before")
            continue
        try:
            if cell.seed not in by_seed:
                by_seed[cell.seed] = prepare_seed(spec, cell.seed, told)
            made = _one(replay, cell, by_seed[cell.seed], folder, told)
        except ColdalError as error:
            if error.code in _FATAL:
                raise
            first = first or error
            report.log(f"{cell.name} failed: {error}")
            failed.append({"cell": cell.name, "what": error.what, "remedy": error.remedy})
            continue
        done += 1
        report.log(_told(made))
        if _last_of_seed(spec, number):
            for words in seen_so_far(spec):
                report.log(words)
                told.progress(1, 1, words)
    if first is not None and not done and not reused:
        raise first
    result = {"cells": len(spec.cells), "done": done, "reused": reused, "failed_cells": failed}
    return StepResult((), result)


def _last_of_seed(spec: SimulateSpec, number: int) -> bool:
    after = spec.cells[number + 1 :][:1]
    return not after or after[0].seed != spec.cells[number].seed


def seen_so_far(spec: SimulateSpec) -> list[str]:
    """The difference that finished cells show, and that more seeds would show, by group.

    Empty before two seeds have all their cells.
    """
    setup = read_setup(Path(spec.store))
    if setup is None:
        return []
    cells = read_cells(Path(spec.store), spec.design, spec.setup)
    groups = summarise(setup, spec.design, cells)["groups"].values()
    return [words for group in groups if (words := visible_words(group))]


def finished(spec: SimulateSpec, cell: CellId) -> Cell | None:
    """The cell if it is finished and has all that the design needs; else None."""
    found = read_cell(Path(spec.store), cell)
    if found is None or found.setup != spec.setup:
        return None
    needs = scored(spec).get(cell)
    if needs is None:
        return found
    scores = None if found.scores is None else found.scores.values()
    return found if scores is not None and all(_enough(one, needs) for one in scores) else None


def _enough(scores: ScanScores, needs: frozenset[str]) -> bool:
    """Whether a scan's scores suffice for the strategies of the next round."""
    known = {
        "bald": scores.bald,
        "foreground_entropy": scores.foreground,
        "boundary_entropy": scores.boundary,
        "features": scores.features,
    }
    return all(known.get(need, 0.0) is not None for need in needs)


def shared_plan(
    spec: SimulateSpec, store: Path, device: torch.device, readers: Readers, report: Reporter
) -> Plan:
    """The training plan of a simulation: the first job decides it, the others read it.

    Decided from all scans that may ever train and the masks of a few of them, so that arms differ
    only in their labels.
    """
    if not (store / PLAN_FILE).exists():
        training = [one for one in spec.scans if one.patient_id not in spec.rule.test_patients]
        labelled = [LabelledScan(one.scan, one.label, one.sha256) for one in training]
        thickness = measure_thickness(labelled, len(spec.classes), readers)
        inputs = [one.scan for one in training]
        save_plan(
            make_plan(inputs, spec.classes, spec.options, device_limits(device), thickness), store
        )
    plan = load_plan(store)
    for reason in plan.reasons:
        report.log(reason)
    return plan


def _one(replay: Replay, cell: CellId, shared: SeedSetup, folder: Path, report: Reporter) -> Cell:
    work = folder / WORK / cell.name
    work.mkdir(parents=True, exist_ok=True)
    made = replay.run(cell, shared, work, report)
    write_cell(replay.store, made)
    forget(work)
    return made


def _told(cell: Cell) -> str:
    dice = [one.dice for found in cell.scans.values() for one in found.values()]
    seconds = sum(cell.seconds.values())
    return f"{cell.id.name}: Dice {sum(dice) / len(dice):.3f}, {seconds:.1f} s"


def _made(device: torch.device) -> dict[str, str]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "coldal-tui": __version__,
        "python": platform.python_version(),
        **{library: version(library) for library in _LIBRARIES},
        "device": f"{device.type} ({name}, {torch.get_num_threads()} threads)",
        "selection": _selection_digest(),
    }


def _selection_digest() -> str:
    """A hash of the selection code, so that a report can separate cells of different versions."""
    (folder,) = coldal_tui.selection.__path__
    digest = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class _CellReport:
    """Converts a cell's progress to that of the job; training takes most of a cell's time."""

    report: Reporter
    name: str
    number: int
    total: int

    def progress(self, done: float, total: float, message: str = "", **metrics: float) -> None:
        share = done / total if total else 1.0
        if message == "training":
            share *= 0.8
        elif message in ("measuring", "scoring"):
            share = (0.8 if message == "measuring" else 0.9) + 0.1 * share
        said = f"{self.name}: {message}" if message else self.name
        self.report.progress(self.number + share, self.total, said, **metrics)

    def log(self, message: str) -> None:
        self.report.log(message)
