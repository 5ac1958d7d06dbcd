"""Arranges finished cells as a grid of arms, label counts and seeds; measures as arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from coldal_tui.simulation.cells import Cell, Measured, Setup
from coldal_tui.simulation.design import RANDOM, CellId, Design, Group
from coldal_tui.simulation.figures import Floats, Outcomes

Value = Callable[[dict[str, Measured]], float]
"""One number of a test scan, from the measures of its classes."""
Weight = Callable[[int, str], float]
"""What a test scan counts, from the place of its seed and its id."""


@dataclass(frozen=True)
class Grid:
    """The cells of a group as arms × label counts × seeds, and the axes of its outcomes.

    A random arm with several draws per split has several cells there: its value is their mean.
    """

    arms: tuple[str, ...]
    labels: tuple[int, ...]
    seeds: tuple[int, ...]
    patients: tuple[str, ...]
    cells: list[list[list[tuple[Cell, ...]]]]
    tested: list[dict[str, str]]
    """Of each seed: test scan → patient, of those that every cell of the seed has measured."""
    looks: int = 1

    def outcomes(self, value: Value, weight: Weight | None = None) -> Outcomes:
        """A measure of every arm, label count, seed and patient; ``weight`` per scan (or 1)."""
        place = {name: n for n, name in enumerate(self.patients)}
        shape = len(self.arms), len(self.labels), len(self.seeds), len(place)
        sums, counts = np.zeros(shape), np.zeros(shape[2:])
        for s, tested in enumerate(self.tested):
            for scan_id, patient in tested.items():
                share = 1.0 if weight is None else weight(s, scan_id)
                counts[s, place[patient]] += share
                for a in range(shape[0]):
                    for b in range(shape[1]):
                        found = self.cells[a][b][s]
                        mean = math.fsum(value(cell.scans[scan_id]) for cell in found) / len(found)
                        sums[a, b, s, place[patient]] += share * mean
        return Outcomes(sums, counts, self.looks)

    def each(self, value: Callable[[Cell], float]) -> Floats:
        """(A, B, S) values of a quantity that each cell has once."""
        return np.array(
            [
                [
                    [math.fsum(value(cell) for cell in found) / len(found) for found in at]
                    for at in arm
                ]
                for arm in self.cells
            ]
        )

    @property
    def unit(self) -> str | None:
        """The unit of all distances; None when scans with and without spacing are mixed."""
        units = {
            one.unit
            for arm in self.cells
            for at in arm
            for cells in at
            for cell in cells
            for found in cell.scans.values()
            for one in found.values()
        }
        return units.pop() if len(units) == 1 else None


def lay_out(
    group: Group, setup: Setup, design: Design, cells: Mapping[CellId, Cell]
) -> Grid | None:
    """The grid of a group over the seeds that have all cells; None when no seed has.

    An arm that no seed has finished is left out, so that the other arms are still shown; without
    the arm ``random`` there is nothing to compare with.
    """
    curves = {seed: design.curves(group, seed) for seed in design.seeds}

    def whole(seed: int, arm: str) -> bool:
        return all(id in cells for drawn in curves[seed][arm] for id in drawn)

    names = list(curves[design.seeds[0]]) if design.seeds else []
    arms = tuple(arm for arm in names if any(whole(seed, arm) for seed in design.seeds))
    if not arms or (group != "full" and RANDOM not in arms):
        return None
    patient_of = {one.scan_id: one.patient_id for one in setup.scans}
    tested: dict[int, dict[str, str]] = {}
    for seed in design.seeds:
        if all(whole(seed, arm) for arm in arms):
            measured = [
                set(cells[id].scans) for arm in arms for drawn in curves[seed][arm] for id in drawn
            ]
            shared = sorted(set.intersection(*measured))
            tested |= {seed: {scan_id: patient_of[scan_id] for scan_id in shared}} if shared else {}
    if not tested:
        return None
    counts = design.label_counts(group) if group != "full" else [0]
    return Grid(
        arms=arms,
        labels=tuple(counts),
        seeds=tuple(tested),
        patients=tuple(
            sorted({patient for scans in tested.values() for patient in scans.values()})
        ),
        cells=[
            [
                [tuple(cells[id] for id in curves[seed][arm][b]) for seed in tested]
                for b in range(len(counts))
            ]
            for arm in arms
        ],
        tested=list(tested.values()),
        looks=design.looks,
    )


def random_curve(grid: Grid, design: Design, cells: Mapping[CellId, Cell]) -> Grid:
    """``random`` alone at all of its label counts, on the seeds and test scans of ``grid``.

    A label count that one of the seeds lacks is left out.
    """
    found: dict[int, list[tuple[Cell, ...]]] = {}
    for labels in design.random_counts:
        drawn = [design.cold_cells(seed, RANDOM, labels) for seed in grid.seeds]
        made = [tuple(cells[id] for id in ids if id in cells) for ids in drawn]
        whole = all(
            len(done) == len(ids) and all(scans.keys() <= cell.scans.keys() for cell in done)
            for done, ids, scans in zip(made, drawn, grid.tested, strict=True)
        )
        if whole:
            found[labels] = made
    return replace(grid, arms=(RANDOM,), labels=tuple(found), cells=[list(found.values())])


def mean_of(measure: str) -> Value:
    """The mean over the classes of one scan."""

    def value(found: dict[str, Measured]) -> float:
        return math.fsum(getattr(one, measure) for one in found.values()) / len(found)

    return value


def class_of(name: str, measure: str) -> Value:
    """One class of one scan."""
    return lambda found: float(getattr(found[name], measure))
