"""Finished cells on disk: read back whole, or not at all."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from coldal_tui.simulation.cells import (
    Cell,
    Measured,
    ScanScores,
    as_halves,
    cell_file,
    from_halves,
    read_cell,
    write_cell,
)
from coldal_tui.simulation.design import CellId

ID = CellId(3, "cold", "coldstart", 10)


@pytest.fixture
def cell() -> Cell:
    return Cell(
        id=ID,
        setup="abc",
        train=("a", "b"),
        validation=("c",),
        picks=({"scan_id": "a", "rank": 1},),
        scans={"t": {"lung": Measured(0.91234567890123, 3.5, 2.25, "mm")}},
        foreground=0.125,
        seconds={"train": 1.5},
        steps=10,
        loss=0.5,
        scores={"d": ScanScores(0.1, (0.05,))},
    )


def test_a_cell_comes_back_as_it_was(cell, tmp_path) -> None:
    write_cell(tmp_path, cell)
    assert read_cell(tmp_path, ID) == cell
    assert cell.labels == 3


def test_nothing_is_read_where_there_is_nothing(tmp_path) -> None:
    assert read_cell(tmp_path, ID) is None


def test_a_damaged_cell_counts_as_missing(cell, tmp_path) -> None:
    write_cell(tmp_path, cell)
    path = cell_file(tmp_path, ID)
    whole = path.read_bytes()
    # One digit of a Dice changed: still JSON, but not what was written.
    path.write_bytes(whole.replace(b"0.9123", b"0.9923"))
    assert read_cell(tmp_path, ID) is None
    for damage in (whole[: len(whole) // 2], b"", b"{}", b"null"):
        path.write_bytes(damage)
        assert read_cell(tmp_path, ID) is None
    path.write_bytes(whole)
    assert read_cell(tmp_path, ID) == cell


def test_a_cell_under_another_name_counts_as_missing(cell, tmp_path) -> None:
    write_cell(tmp_path, cell)
    other = msgspec.structs.replace(ID, labels=20)
    cell_file(tmp_path, ID).rename(cell_file(tmp_path, other))
    assert read_cell(tmp_path, other) is None


@pytest.mark.parametrize(
    "numbers",
    [
        (),
        (0.1, -3.0, 65504.0, -65504.0),
        (65519.0, 1.0),
        (1e6, -1e6, math.inf, -math.inf, 2.0),
        (math.inf, -math.inf),
        (1.0, math.nan, 2.0),
    ],
)
def test_features_are_packed_as_halves_within_their_range(numbers: tuple[float, ...]) -> None:
    packed = from_halves(as_halves(numbers))
    bound = np.nan_to_num(np.array(numbers), nan=65504.0, posinf=65504.0, neginf=-65504.0)
    assert packed == tuple(np.clip(bound, -65504, 65504).astype(np.float16).tolist())
