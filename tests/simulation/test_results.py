"""From cells to one document: figures by hand, and what is left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pytest

from coldal_tui.simulation.cells import Cell, Measured, cell_file, write_cell
from coldal_tui.simulation.comparison import random_needs
from coldal_tui.simulation.design import Arm, CellId
from coldal_tui.simulation.figures import Outcomes
from coldal_tui.simulation.results import Kinds, read_cells, summarise
from tests.support.replayed import COLD, ROUNDS


def arm_of(group: Mapping[str, Any], name: str) -> dict[str, Any]:
    (found,) = [arm for arm in group["arms"] if arm["arm"] == name]
    return dict(found)


def test_means_are_over_classes_scans_and_seeds(setup, cold_cells) -> None:
    group = summarise(setup, COLD, cold_cells)["groups"]["cold"]
    first, second = arm_of(group, "kmeans")["points"]
    assert first["dice"]["mean"] == pytest.approx(0.72)
    assert second["dice"]["mean"] == pytest.approx(0.82)
    assert first["by_seed"] == pytest.approx({"1": 0.70, "2": 0.74})
    assert first["spread"] == pytest.approx(0.04 / math.sqrt(2))
    assert first["classes"]["left"]["dice"]["mean"] == pytest.approx(0.77)
    assert first["classes"]["right"]["hd95"]["mean"] == pytest.approx(10)
    assert (first["hd"]["mean"], first["hd95"]["mean"]) == pytest.approx((15, 7.5))
    assert (group["unit"], group["seeds"], group["labels"]) == ("mm", [1, 2], [10, 20])
    assert (group["test_patients"], group["test_scans"]) == (3, [3, 3])
    assert (first["seconds"], first["foreground"]) == (5.0, 0.2)


def test_a_constant_lead_is_told_with_its_interval(setup, cold_cells) -> None:
    """k-means is 0.02 better in every scan and seed: no draw can say anything else."""
    group = summarise(setup, COLD, cold_cells)["groups"]["cold"]
    gap = arm_of(group, "kmeans")["points"][0]["minus_random"]
    assert (gap["mean"], gap["low"], gap["high"]) == pytest.approx((0.02, 0.02, 0.02))
    assert gap["verdict"] == "better"
    area = arm_of(group, "kmeans")["aubc"]
    assert area["mean"] == pytest.approx(0.77)
    assert area["minus_random"]["mean"] == pytest.approx(0.02)
    assert "minus_random" not in arm_of(group, "random")["aubc"]


def test_labels_that_random_needs(setup, cold_cells) -> None:
    """Random gains 0.1 in 10 labels: 0.02 ahead is 2 labels; beyond its best it never gets."""
    points = arm_of(summarise(setup, COLD, cold_cells)["groups"]["cold"], "kmeans")["points"]
    assert points[0]["random_needs"]["labels"] == pytest.approx(12)
    ends = points[0]["random_needs"]["low"], points[0]["random_needs"]["high"]
    assert ends == pytest.approx((12, 12))
    unknown = {"labels": None, "low": None, "high": None}
    assert points[1]["random_needs"] == unknown | {"most": 20, "least": 10}


def test_what_random_needs_lies_between_its_ends() -> None:
    """Random is flat and its label counts differ in noise: the ends alone would miss the count."""
    rng = np.random.default_rng(0)
    labels, shape = (12, 18, 24), (1, 3, 10, 40)
    inside = []
    for _ in range(60):
        noise = rng.normal(0, [[[[0.005]], [[0.05]], [[0.01]]]], shape)
        level = np.array([0.685, 0.692, 0.695])[None, :, None, None]
        counts = np.ones(shape[2:])
        curve = Outcomes(level + noise + rng.normal(0, 0.02, (1, 3, 10, 1)), counts)
        arm = Outcomes(0.707 + rng.normal(0, 0.02, (1, 1, *shape[2:])), counts)
        needs = random_needs(arm, 0, 0, curve, labels)
        point, low, high = (
            np.inf if needs[name] is None else needs[name] for name in ("labels", "low", "high")
        )
        inside.append(low <= point <= high)
    assert all(inside)


def test_random_is_the_mean_of_its_draws_at_more_label_counts(setup, cold_cells, new_cell) -> None:
    """Draws of 0.71 and 0.75 (left) make 0.73; at 15 labels random alone has 0.80."""
    design = msgspec.structs.replace(COLD, draws=2, further=(15,))
    for seed, more in ((1, 0.0), (2, 0.04)):
        for labels, dices in ((10, (0.71, 0.75)), (15, (0.80, 0.80)), (20, (0.83, 0.83))):
            for id, dice in zip(design.cold_cells(seed, "random", labels), dices, strict=True):
                cold_cells[id] = new_cell(id, dice + more)
    group = summarise(setup, design, cold_cells)["groups"]["cold"]
    first = arm_of(group, "random")["points"][0]
    assert first["dice"]["mean"] == pytest.approx(0.73 - 0.05 + 0.02)
    assert [one["labels"] for one in group["random"]] == [10, 15, 20]
    # k-means has 0.75 (left) at 10 labels: of the rise from 0.73 to 0.80 in 5, two sevenths.
    needs = arm_of(group, "kmeans")["points"][0]["random_needs"]
    assert needs["labels"] == pytest.approx(10 + 5 * 2 / 7)


def test_kinds_count_alike_whatever_their_number(setup, cold_cells) -> None:
    """Seed 1 tests a1, a2 (common) and c1 (rare); seed 2 tests b1, b2 and c1."""
    rare = {"left": Measured(0.4, 0, 0, "mm"), "right": Measured(0.4, 0, 0, "mm")}
    for id, cell in list(cold_cells.items()):
        if id.strategy == "random":
            cold_cells[id] = msgspec.structs.replace(cell, scans=cell.scans | {"c1": rare})
    kinds = Kinds("style", dict.fromkeys(("a1", "a2", "b1", "b2"), "common") | {"c1": "rare"})
    document = summarise(setup, COLD, cold_cells, kinds)
    found = document["groups"]["cold"]["by_kind"]
    assert msgspec.json.decode(msgspec.json.encode(document))["groups"]["cold"]["by_kind"] == found
    assert (found["column"], found["kinds"]) == ("style", {"common": 4, "rare": 2})
    kmeans, random = found["arms"]
    point = random["points"][0]
    # Common: 0.68 and 0.72 by seed; rare 0.4 in both; the mean of the two kinds.
    assert point["kinds"] == pytest.approx({"common": 0.70, "rare": 0.4})
    assert point["worst"] == {"kind": "rare", "dice": pytest.approx(0.4)}
    assert point["mean"]["mean"] == pytest.approx(0.55)
    assert kmeans["points"][0]["minus_random"]["mean"] == pytest.approx(0.72 - 0.55)


def test_what_could_be_seen_shrinks_with_seeds(setup, cold_cells, new_cell) -> None:
    id = CellId(2, "cold", "kmeans", 10)
    cold_cells[id] = new_cell(id, 0.76)
    found = summarise(setup, COLD, cold_cells)["groups"]["cold"]["visible"]
    assert found["now"] > found["seeds"]["5"] > found["seeds"]["20"] > 0


def test_an_arm_as_good_as_random_is_undecided_beside_one_that_is_better(
    setup, cold_cells, new_cell
) -> None:
    design = msgspec.structs.replace(COLD, cold=("herding", "kmeans", "random"))
    for seed, more in ((1, 0.0), (2, 0.04)):
        for labels, dice in ((10, 0.73), (20, 0.83)):
            id = CellId(seed, "cold", "herding", labels)
            cold_cells[id] = new_cell(id, dice + more)
    group = summarise(setup, design, cold_cells)["groups"]["cold"]
    gaps = [arm_of(group, arm)["aubc"]["minus_random"] for arm in ("herding", "kmeans")]
    assert [gap["verdict"] for gap in gaps] == ["undecided", "better"]
    assert gaps[0]["p"] == 1.0
    assert group["penalties"]["matrix"] == [[0, 0, 0], [1, 0, 1], [0, 0, 0]]


def test_a_lead_in_one_seed_alone_is_not_told_as_one(setup, cold_cells, new_cell) -> None:
    for labels in (10, 20):
        id = CellId(2, "cold", "kmeans", labels)
        cold_cells[id] = new_cell(id, 0.70)
    gap = arm_of(summarise(setup, COLD, cold_cells)["groups"]["cold"], "kmeans")["aubc"]
    low, high = gap["minus_random"]["low"], gap["minus_random"]["high"]
    assert low < 0 < high
    assert gap["minus_random"]["verdict"] == "undecided"


def test_full_labelling_and_the_efficiency_measured_against_it(setup, cold_cells) -> None:
    document = summarise(setup, COLD, cold_cells)
    assert document["full"]["dice"]["mean"] == pytest.approx(0.92)
    assert document["full"]["labels"] == [2]
    # One parameter through (0.2, 0.72) and (0.4, 0.82) from (0, 0) to 0.92.
    gamma = arm_of(document["groups"]["cold"], "kmeans")["efficiency"]
    low, high = -math.log(1 - 0.82 / 0.92) / 0.4, -math.log(1 - 0.72 / 0.92) / 0.2
    assert low < gamma < high


def test_there_is_no_efficiency_without_full_labelling(setup, cold_cells) -> None:
    del cold_cells[CellId(2, "full")]
    group = summarise(setup, COLD, cold_cells)["groups"]["cold"]
    assert arm_of(group, "kmeans")["efficiency"] is None
    assert group["seeds"] == [1, 2]


def test_penalties_are_told_by_name(setup, cold_cells) -> None:
    found = summarise(setup, COLD, cold_cells)["groups"]["cold"]["penalties"]
    assert (found["arms"], found["labels"]) == (["kmeans", "random"], [10, 20])
    # The same lead in every scan of both seeds: as sure as a test can be.
    assert found["matrix"] == [[0, 1], [0, 0]]


def test_seeds_without_all_their_cells_are_left_out(setup, cold_cells) -> None:
    del cold_cells[CellId(2, "cold", "random", 20)]
    document = summarise(setup, COLD, cold_cells)
    assert document["groups"]["cold"]["seeds"] == [1]
    assert document["missing"] == ["s002-cold-random-0020"]
    gap = arm_of(document["groups"]["cold"], "kmeans")["aubc"]["minus_random"]
    assert gap["verdict"] == "undecided"


def test_an_arm_that_never_finished_hides_no_other(setup, cold_cells) -> None:
    design = msgspec.structs.replace(COLD, cold=("broken", "kmeans", "random"))
    document = summarise(setup, design, cold_cells)
    group = document["groups"]["cold"]
    assert [arm["arm"] for arm in group["arms"]] == ["kmeans", "random"]
    assert len(document["missing"]) == 4


def test_nothing_is_compared_without_random(setup, cold_cells) -> None:
    kept = {id: cell for id, cell in cold_cells.items() if id.strategy != "random"}
    assert summarise(setup, COLD, kept)["groups"] == {}


def test_rounds_are_compared_after_the_queue_they_share(setup, new_cell) -> None:
    cells: dict[CellId, Cell] = {}
    for seed in (1, 2):
        start = CellId(seed, "cold", "kmeans", 10)
        cells[start] = new_cell(start, 0.75)
        for arm, dice in ((ROUNDS.active[0], 0.85), (Arm("random"), 0.80)):
            id = ROUNDS.active_cell(seed, arm, 1)
            cells[id] = new_cell(id, dice)
    group = summarise(setup, ROUNDS, cells)["groups"]["active"]
    assert [arm["arm"] for arm in group["arms"]] == ["entropy-diversity α=0.5", "random"]
    first, second = group["arms"][0]["points"]
    assert "minus_random" not in first
    assert second["minus_random"]["mean"] == pytest.approx(0.05)
    assert group["penalties"]["labels"] == [20]
    # The first queue, which they share, is no part of the answer.
    assert group["compared"] == [20]
    assert group["arms"][0]["aubc"]["minus_random"]["mean"] == pytest.approx(0.05)
    assert "random_needs" not in first


def test_distances_in_mixed_units_are_not_averaged(setup, cold_cells, new_cell) -> None:
    id = CellId(1, "cold", "kmeans", 10)
    cold_cells[id] = new_cell(id, 0.75, unit="px")
    group = summarise(setup, COLD, cold_cells)["groups"]["cold"]
    assert group["unit"] is None
    assert "hd" not in arm_of(group, "kmeans")["points"][0]


def test_a_scan_that_one_cell_lacks_is_compared_in_none(setup, cold_cells, new_cell) -> None:
    good = {"left": Measured(1.0, 0, 0, "mm"), "right": Measured(1.0, 0, 0, "mm")}
    id = CellId(1, "cold", "kmeans", 10)
    cold_cells[id] = new_cell(id, 0.75, scans={"a1": good, "a2": good})
    group = summarise(setup, COLD, cold_cells)["groups"]["cold"]
    assert group["test_scans"] == [2, 3]
    assert arm_of(group, "kmeans")["points"][0]["by_seed"]["1"] == pytest.approx(1.0)


def test_work_and_its_makers_are_added_up(setup, cold_cells, new_cell) -> None:
    id = CellId(1, "cold", "kmeans", 10)
    cold_cells[id] = new_cell(id, 0.75, made={"torch": "2.14"}, failed=("x1: torn",))
    document = summarise(setup, COLD, cold_cells)
    assert (document["cells"], document["seconds"]) == (10, 50.0)
    assert document["made"] == {"torch": ["2.13", "2.14"]}
    assert document["failed_scans"] == ["x1: torn"]


def test_cells_are_read_from_disk_and_those_of_another_setup_are_not(
    cold_cells, new_cell, tmp_path
) -> None:
    for cell in cold_cells.values():
        write_cell(tmp_path, cell)
    other = CellId(1, "cold", "kmeans", 10)
    write_cell(tmp_path, new_cell(other, 0.75, setup="older"))
    damaged = CellId(2, "full")
    cell_file(tmp_path, damaged).write_bytes(b"{")
    found = read_cells(tmp_path, COLD, "setup")
    assert set(cold_cells) - set(found) == {other, damaged}
