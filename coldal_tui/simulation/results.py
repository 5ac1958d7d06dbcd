"""From finished cells to one document: means with intervals, comparisons, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coldal_tui.simulation.cells import Cell, Setup, read_cell
from coldal_tui.simulation.design import FULL, RANDOM, CellId, Design, Group
from coldal_tui.simulation.figures import (
    Floats,
    Outcomes,
    Resamples,
    aubc,
    foreground_efficiency,
    interval,
    labels_needed,
    penalties,
    replicates,
    resample,
    spread,
    verdict,
)
from coldal_tui.simulation.grids import Grid, Value, class_of, lay_out, mean_of

Document = dict[str, Any]
MEASURES = ("dice", "hd", "hd95")


def read_cells(folder: Path, design: Design, setup: str) -> dict[CellId, Cell]:
    """The finished cells of a design, of this very setup."""
    found = {cell: read_cell(folder, cell) for cell in design.all_cells()}
    return {id: cell for id, cell in found.items() if cell is not None and cell.setup == setup}


def summarise(setup: Setup, design: Design, cells: Mapping[CellId, Cell]) -> Document:
    """Everything there is to tell, in JSON types.

    ``groups`` has ``cold`` and ``active`` where the design has them, each over the seeds that
    have all cells of the group: arms are compared on the same seeds alone. ``missing`` names the
    cells that are not there.
    """
    full = _full(setup, design, cells)
    groups = {}
    for group in ("cold", "active"):
        made = _group(group, setup, design, cells, full)
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


@dataclass(frozen=True)
class _Told:
    """One measure with its resamples: what means, intervals and differences are taken from."""

    outcomes: Outcomes
    draws: Floats

    @property
    def seeds(self) -> int:
        return len(self.outcomes.counts)

    def stat(self, a: int, b: int) -> Document:
        return _stat(self.outcomes.means[a, b], self.draws[:, a, b], self.seeds)


def _stat(mean: float, draws: Floats, seeds: int) -> Document:
    low, high = interval(draws, seeds)
    return {"mean": _number(mean), "low": _number(low), "high": _number(high)}


def _number(value: Any) -> float | None:
    """What is no number becomes None."""
    return None if math.isnan(float(value)) else float(value)


def _full(setup: Setup, design: Design, cells: Mapping[CellId, Cell]) -> Document | None:
    grid = lay_out("full", setup, design, cells)
    if grid is None:
        return None
    told = _told(grid, _drawn(grid), mean_of("dice"))
    labels = [cell.labels for cell in grid.cells[0][0]]
    return {
        "arm": FULL,
        "labels": sorted(set(labels)),
        "seeds": list(grid.seeds),
        "dice": told.stat(0, 0),
        "by_seed": dict(
            zip(map(str, grid.seeds), told.outcomes.seed_means[0, 0].tolist(), strict=True)
        ),
    }


def _drawn(grid: Grid) -> Resamples:
    return resample(len(grid.seeds), len(grid.patients))


def _told(grid: Grid, drawn: Resamples, value: Value) -> _Told:
    outcomes = grid.outcomes(value)
    return _Told(outcomes, replicates(outcomes, drawn))


@dataclass(frozen=True)
class _Comparison:
    """A group of arms with all measures; ``compared`` are the label counts where arms differ."""

    grid: Grid
    overall: dict[str, _Told]
    classes: dict[str, dict[str, _Told]]
    compared: tuple[int, ...]
    ceiling: float | None
    start: tuple[float, float]
    foreground: Floats

    @property
    def dice(self) -> _Told:
        return self.overall["dice"]

    @property
    def baseline(self) -> int:
        return self.grid.arms.index(RANDOM)

    def arm(self, a: int) -> Document:
        points = [self.point(a, b) for b in range(len(self.grid.labels))]
        return {
            "arm": self.grid.arms[a],
            "points": points,
            "aubc": _area(self.dice, a, self.baseline, self.grid.labels),
            "final": points[-1]["dice"],
            "efficiency": self._efficiency(a),
        }

    def point(self, a: int, b: int) -> Document:
        cells = self.grid.cells[a][b]
        by_seed = self.dice.outcomes.seed_means[a, b]
        found: Document = {"labels": self.grid.labels[b]}
        found |= {name: told.stat(a, b) for name, told in self.overall.items()}
        found["classes"] = {
            one: {name: told.stat(a, b) for name, told in by.items()}
            for one, by in self.classes.items()
        }
        found["by_seed"] = dict(zip(map(str, self.grid.seeds), by_seed.tolist(), strict=True))
        found["spread"] = _number(spread(by_seed))
        found["foreground"] = float(self.foreground[a, b].mean())
        seconds = [math.fsum(cell.seconds.values()) for cell in cells]
        found["seconds"] = round(math.fsum(seconds) / len(seconds), 2)
        if a != self.baseline and b in self.compared:
            found["minus_random"] = self._minus_random(a, b)
        if a != self.baseline and len(self.grid.labels) > 1:
            found["random_needs"] = _needed(self.dice, a, b, self.baseline, self.grid.labels)
        return found

    def _minus_random(self, a: int, b: int) -> Document:
        means, draws = self.dice.outcomes.means, self.dice.draws
        gap = means[a, b] - means[self.baseline, b]
        return _difference(gap, draws[:, a, b] - draws[:, self.baseline, b], self.dice.seeds)

    def _efficiency(self, a: int) -> float | None:
        if self.ceiling is None:
            return None
        dice = self.dice.outcomes.seed_means[a].ravel()
        return foreground_efficiency(self.foreground[a].ravel(), dice, self.start, self.ceiling)


def _group(
    group: Group,
    setup: Setup,
    design: Design,
    cells: Mapping[CellId, Cell],
    full: Document | None,
) -> Document | None:
    grid = lay_out(group, setup, design, cells)
    if grid is None:
        return None
    made = _comparison(group, setup, grid, full)
    return {
        "labels": list(grid.labels),
        "seeds": list(grid.seeds),
        "test_patients": len(grid.patients),
        "test_scans": [len(tested) for tested in grid.tested],
        "unit": grid.unit,
        "arms": [made.arm(a) for a in range(len(grid.arms))],
        "penalties": {
            "labels": [grid.labels[b] for b in made.compared],
            "arms": list(grid.arms),
            "matrix": penalties(made.dice.outcomes.seed_means, made.compared).round(6).tolist(),
        },
    }


def _comparison(group: Group, setup: Setup, grid: Grid, full: Document | None) -> _Comparison:
    drawn = _drawn(grid)
    # Distances in mm and in pixels have no common mean.
    measures = MEASURES if grid.unit else MEASURES[:1]
    overall = {name: _told(grid, drawn, mean_of(name)) for name in measures}
    classes = {
        one: {name: _told(grid, drawn, class_of(one, name)) for name in measures}
        for one in setup.classes
    }
    foreground = grid.each(lambda cell: cell.foreground)
    # All arms of the rounds share the first queue: there is nothing to compare.
    first = 0 if group == "cold" else 1
    return _Comparison(
        grid=grid,
        overall=overall,
        classes=classes,
        compared=tuple(range(first, len(grid.labels))),
        ceiling=_ceiling(full, grid.seeds),
        start=_start(group, overall["dice"], foreground),
        foreground=foreground,
    )


def _start(group: Group, dice: _Told, foreground: Floats) -> tuple[float, float]:
    """(share of foreground, Dice) that all arms start from.

    The rounds share their first queue, as in nnActive. Arms of the first queue share the state
    before it: no label, and a Dice of 0.
    """
    if group == "cold":
        return 0.0, 0.0
    return float(foreground[:, 0].mean()), float(dice.outcomes.means[0, 0])


def _ceiling(full: Document | None, seeds: Sequence[int]) -> float | None:
    """Dice of training on the whole pool, on these seeds; None where one of them lacks it."""
    if full is None or not all(str(seed) in full["by_seed"] for seed in seeds):
        return None
    return math.fsum(full["by_seed"][str(seed)] for seed in seeds) / len(seeds)


def _difference(mean: float, draws: Floats, seeds: int) -> Document:
    found = _stat(mean, draws, seeds)
    low = math.nan if found["low"] is None else found["low"]
    high = math.nan if found["high"] is None else found["high"]
    return found | {"verdict": verdict(low, high, seeds)}


def _needed(dice: _Told, a: int, b: int, baseline: int, labels: Sequence[int]) -> Document:
    """How many labels random needs for the Dice of an arm; None: more than the ``most`` tried."""
    means = dice.outcomes.means
    wanted = labels_needed(means[a, b], means[baseline], labels)
    drawn = labels_needed(dice.draws[:, a, b], dice.draws[:, baseline], labels)
    low, high = interval(drawn, dice.seeds)
    found = {"labels": float(wanted), "low": float(low), "high": float(high)}
    return {key: value if math.isfinite(value) else None for key, value in found.items()} | {
        "most": labels[-1]
    }


def _area(dice: _Told, a: int, baseline: int, labels: Sequence[int]) -> Document:
    seed_means = dice.outcomes.seed_means
    by_seed = aubc(np.moveaxis(seed_means[a], 0, -1), labels)
    drawn = aubc(dice.draws, labels)
    found = _stat(float(by_seed.mean()), drawn[:, a], dice.seeds)
    found["spread"] = _number(spread(by_seed))
    if a != baseline:
        other = aubc(np.moveaxis(seed_means[baseline], 0, -1), labels)
        found["minus_random"] = _difference(
            float(by_seed.mean() - other.mean()), drawn[:, a] - drawn[:, baseline], dice.seeds
        )
    return found


def _made(cells: Iterable[Cell]) -> dict[str, list[str]]:
    """By what the cells were made; more than one value where they were not made alike."""
    found: dict[str, set[str]] = {}
    for cell in cells:
        for key, value in cell.made.items():
            found.setdefault(key, set()).add(value)
    return {key: sorted(values) for key, values in found.items()}
