"""Summarises finished cells in one document: means, intervals, comparisons, missing cells."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from coldal_tui.simulation.cells import Cell, Setup, read_cell
from coldal_tui.simulation.comparison import (
    at_count,
    beaten,
    by_kind,
    gaps_over_counts,
    number,
    over_counts,
    random_needs,
    stat,
    visible,
)
from coldal_tui.simulation.design import FULL, RANDOM, CellId, Design, Group
from coldal_tui.simulation.figures import (
    Floats,
    Outcomes,
    aubc,
    foreground_efficiency,
    spread,
    trapezia,
)
from coldal_tui.simulation.grids import Grid, class_of, lay_out, mean_of, random_curve

Document = dict[str, Any]
MEASURES = ("dice", "hd", "hd95")


def read_cells(folder: Path, design: Design, setup: str) -> dict[CellId, Cell]:
    """The finished cells of a design with exactly this setup."""
    found = {cell: read_cell(folder, cell) for cell in design.all_cells()}
    return {id: cell for id, cell in found.items() if cell is not None and cell.setup == setup}


@dataclass(frozen=True)
class Kinds:
    """A column of the scans' metadata: scan → value."""

    column: str
    of: Mapping[str, str]


def summarise(
    setup: Setup, design: Design, cells: Mapping[CellId, Cell], kinds: Kinds | None = None
) -> Document:
    """Summarise all results, in JSON types.

    ``groups`` has ``cold`` and ``active`` if the design has them, each over the seeds that have all
    cells of the group: arms are compared on the same seeds only. ``missing`` names the missing
    cells. With ``kinds`` each group has Dice ``by_kind`` too.
    """
    full = _full(setup, design, cells)
    groups = {}
    for group in ("cold", "active"):
        made = _group(group, setup, design, cells, full, kinds)
        if made is not None:
            groups[group] = made
    return {
        "groups": groups,
        "full": full,
        "missing": [id.name for id in design.all_cells() if id not in cells],
        "cells": len(cells),
        "failed_scans": sorted({one for cell in cells.values() for one in cell.failed}),
        "seconds": round(sum(sum(c.seconds.values()) for c in cells.values()), 1),
        "made": _made(cells.values()),
    }


def _cell_stat(outcomes: Outcomes, a: int, b: int) -> Document:
    return stat(outcomes.of(outcomes.sums[a, b]))


def _full(setup: Setup, design: Design, cells: Mapping[CellId, Cell]) -> Document | None:
    grid = lay_out("full", setup, design, cells)
    if grid is None:
        return None
    outcomes = grid.outcomes(mean_of("dice"))
    labels = [cell.labels for cells in grid.cells[0][0] for cell in cells]
    return {
        "arm": FULL,
        "labels": sorted(set(labels)),
        "seeds": list(grid.seeds),
        "dice": _cell_stat(outcomes, 0, 0),
        "by_seed": dict(zip(map(str, grid.seeds), outcomes.seed_means[0, 0].tolist(), strict=True)),
    }


@dataclass(frozen=True)
class _Comparison:
    """A group of arms with all measures; ``compared`` are the label counts at which arms differ.

    ``curve`` is random at all its label counts (``curve_labels``).
    """

    grid: Grid
    overall: dict[str, Outcomes]
    classes: dict[str, dict[str, Outcomes]]
    compared: tuple[int, ...]
    curve: Outcomes
    curve_labels: tuple[int, ...]
    ceiling: float | None
    start: tuple[float, float]
    foreground: Floats

    @property
    def dice(self) -> Outcomes:
        return self.overall["dice"]

    @property
    def baseline(self) -> int:
        return self.grid.arms.index(RANDOM)

    def arms(self) -> list[Document]:
        at = {b: at_count(self.dice, b, self.baseline) for b in self.compared}
        over = over_counts(self.dice, self.compared, self.grid.labels, self.baseline)
        return [self._arm(a, at, over) for a in range(len(self.grid.arms))]

    def _arm(
        self, a: int, at: dict[int, dict[int, Document]], over: dict[int, Document]
    ) -> Document:
        points = [self._point(a, b) for b in range(len(self.grid.labels))]
        area = _area(self.dice, a, self.grid.labels)
        if a != self.baseline:
            area["minus_random"] = over[a]
            for b in self.compared:
                points[b]["minus_random"] = at[b][a]
        return {
            "arm": self.grid.arms[a],
            "points": points,
            "aubc": area,
            "final": points[-1]["dice"],
            "efficiency": self._efficiency(a),
        }

    def _point(self, a: int, b: int) -> Document:
        cells = self.grid.cells[a][b]
        by_seed = self.dice.seed_means[a, b]
        found: Document = {"labels": self.grid.labels[b]}
        found |= {name: _cell_stat(outcomes, a, b) for name, outcomes in self.overall.items()}
        found["classes"] = {
            one: {name: _cell_stat(outcomes, a, b) for name, outcomes in by.items()}
            for one, by in self.classes.items()
        }
        found["by_seed"] = dict(zip(map(str, self.grid.seeds), by_seed.tolist(), strict=True))
        found["spread"] = number(spread(by_seed))
        found["foreground"] = float(self.foreground[a, b].mean())
        seconds = [math.fsum(cell.seconds.values()) for drawn in cells for cell in drawn]
        found["seconds"] = round(math.fsum(seconds) / len(seconds), 2)
        if a != self.baseline and b in self.compared and len(self.curve_labels) > 1:
            found["random_needs"] = random_needs(self.dice, a, b, self.curve, self.curve_labels)
        return found

    def _efficiency(self, a: int) -> float | None:
        if self.ceiling is None:
            return None
        dice = self.dice.seed_means[a].ravel()
        return foreground_efficiency(self.foreground[a].ravel(), dice, self.start, self.ceiling)


def _group(
    group: Group,
    setup: Setup,
    design: Design,
    cells: Mapping[CellId, Cell],
    full: Document | None,
    kinds: Kinds | None,
) -> Document | None:
    grid = lay_out(group, setup, design, cells)
    if grid is None:
        return None
    made = _comparison(group, setup, design, cells, grid, full)
    found = {
        "labels": list(grid.labels),
        "compared": [grid.labels[b] for b in made.compared],
        "seeds": list(grid.seeds),
        "test_patients": len(grid.patients),
        "test_scans": [len(tested) for tested in grid.tested],
        "draws": design.draws,
        "looks": design.looks,
        "unit": grid.unit,
        "arms": made.arms(),
        "random": _curve(made),
        "visible": visible(gaps_over_counts(made.dice, made.compared, grid.labels, made.baseline)),
        "penalties": {
            "labels": [grid.labels[b] for b in made.compared],
            "arms": list(grid.arms),
            "matrix": beaten(made.dice, made.compared, made.baseline).round(6).tolist(),
        },
    }
    if kinds is not None:
        found["by_kind"] = by_kind(
            grid, mean_of("dice"), kinds.of, kinds.column, made.compared, made.baseline
        )
    return found


def _curve(made: _Comparison) -> list[Document]:
    """Dice of random at every label count that it was measured at."""
    return [
        {"labels": labels, "dice": _cell_stat(made.curve, 0, b)}
        for b, labels in enumerate(made.curve_labels)
    ]


def _comparison(
    group: Group,
    setup: Setup,
    design: Design,
    cells: Mapping[CellId, Cell],
    grid: Grid,
    full: Document | None,
) -> _Comparison:
    # Distances in mm and in pixels have no common mean.
    measures = MEASURES if grid.unit else MEASURES[:1]
    overall = {name: grid.outcomes(mean_of(name)) for name in measures}
    classes = {
        one: {name: grid.outcomes(class_of(one, name)) for name in measures}
        for one in setup.classes
    }
    foreground = grid.each(lambda cell: cell.foreground)
    baseline = grid.arms.index(RANDOM)
    if group == "cold":
        alone = random_curve(grid, design, cells)
        curve, labels = alone.outcomes(mean_of("dice")), alone.labels
    else:
        dice = overall["dice"]
        curve, labels = replace(dice, sums=dice.sums[[baseline]]), grid.labels
    # All arms of the rounds share the first queue: there is nothing to compare.
    first = 0 if group == "cold" else 1
    return _Comparison(
        grid=grid,
        overall=overall,
        classes=classes,
        compared=tuple(range(first, len(grid.labels))),
        curve=curve,
        curve_labels=labels,
        ceiling=_ceiling(full, grid.seeds),
        start=_start(group, overall["dice"], foreground),
        foreground=foreground,
    )


def _start(group: Group, dice: Outcomes, foreground: Floats) -> tuple[float, float]:
    """(Share of foreground, Dice) that all arms start from.

    The rounds share their first queue, as in nnActive. Arms of the first queue share the state
    before it: no label, and a Dice of 0.
    """
    if group == "cold":
        return 0.0, 0.0
    return float(foreground[:, 0].mean()), float(dice.means[0, 0])


def _ceiling(full: Document | None, seeds: Sequence[int]) -> float | None:
    """Dice of training on the whole pool, on these seeds; None when a seed lacks it."""
    if full is None or not all(str(seed) in full["by_seed"] for seed in seeds):
        return None
    return math.fsum(full["by_seed"][str(seed)] for seed in seeds) / len(seeds)


def _area(dice: Outcomes, a: int, labels: Sequence[int]) -> Document:
    by_seed = aubc(np.moveaxis(dice.seed_means[a], 0, -1), labels)
    weights = trapezia(labels)
    found = stat(dice.of(np.einsum("b,bsp->sp", weights, dice.sums[a])))
    found["spread"] = number(spread(by_seed))
    return found


def _made(cells: Iterable[Cell]) -> dict[str, list[str]]:
    """Versions and devices of the cells; several values when the cells differ."""
    found: dict[str, set[str]] = {}
    for cell in cells:
        for key, value in cell.made.items():
            found.setdefault(key, set()).add(value)
    return {key: sorted(values) for key, values in found.items()}
