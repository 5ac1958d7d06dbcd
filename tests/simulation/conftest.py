"""A small simulation made of cells whose figures can be followed by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coldal_tui.simulation.cells import Cell, Measured, Setup, SetupScan
from coldal_tui.simulation.design import CellId, SplitRule
from tests.support.replayed import CLASSES, SCANS, TESTED


@pytest.fixture
def setup() -> Setup:
    return Setup(
        setup="setup",
        project="lungs",
        classes=CLASSES,
        rule=SplitRule(2, 0.3),
        scans=tuple(SetupScan(scan, patient) for scan, patient in SCANS.items()),
        ndim=2,
        encoder="some-encoder",
        encoder_hash="e" * 64,
        training={},
    )


@pytest.fixture
def new_cell() -> Callable[..., Cell]:
    """``new_cell(id, dice)``: every test scan has this Dice on the left and 0.1 less on the right;
    HD is 10, HD95 is 5 on the left, and twice as much on the right."""

    def make(id: CellId, dice: float, unit: str = "mm", **changes: Any) -> Cell:
        found = {
            "left": Measured(dice, 10.0, 5.0, unit),
            "right": Measured(dice - 0.1, 20.0, 10.0, unit),
        }
        values: dict[str, Any] = {
            "id": id,
            "setup": "setup",
            "train": ("d1",),
            "validation": ("e1",),
            "picks": (),
            "scans": dict.fromkeys(TESTED[id.seed], found),
            "foreground": (id.labels or 50) / 50,
            "seconds": {"select": 1.0, "train": 4.0},
            "steps": 3,
            "loss": 0.5,
            "made": {"torch": "2.13"},
        }
        return Cell(**(values | changes))

    return make


@pytest.fixture
def cold_cells(new_cell) -> dict[CellId, Cell]:
    """Mean Dice over classes. k-means: 0.70, 0.80 (seed 1) and 0.74, 0.84; random: 0.02 less."""
    cells = {}
    for seed, more in ((1, 0.0), (2, 0.04)):
        for labels, dice in ((10, 0.75), (20, 0.85)):
            for arm, less in (("kmeans", 0.0), ("random", 0.02)):
                id = CellId(seed, "cold", arm, labels)
                cells[id] = new_cell(id, dice + more - less)
        cells[CellId(seed, "full")] = new_cell(CellId(seed, "full"), 0.95 + more)
    return cells
