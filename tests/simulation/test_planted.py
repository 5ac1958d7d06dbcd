"""Planted data: who finds rare anatomies, who finds the hard scans, and what Dice comes of it.

Real pictures, the embedded encoder, the map, and trainings by the simulation's own code. Each
strategy must end on the side where its idea puts it; one that by its nature ends on the wrong side
is stated as such.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest

from coldal_tui.selection.clustering import choose_clusters
from coldal_tui.selection.pool import Pool
from coldal_tui.selection.projection import project
from coldal_tui.selection.strategies import strategies, strategy
from coldal_tui.simulation.cells import Cell
from coldal_tui.simulation.design import Arm, CellId, Design
from tests.support.planted import RARE, Planted, clear, common, haloed, plant, replay

pytestmark = pytest.mark.xdist_group("planted")

SEEDS = (0, 1, 2)
LABELS = 10
SURE = ("coldstart-embeddings", "kmeans", "k-center", "typiclust", "facility-location")
RARE_NAMES = {make.__name__ for make in RARE}


@pytest.fixture(scope="module")
def rare(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """105 scans of one anatomy and 5 of each of three others; the four count alike in the test."""
    pool = {common: 105, **dict.fromkeys(RARE, 5)}
    tested = {common: 4, **dict.fromkeys(RARE, 4)}
    return plant(tmp_path_factory.mktemp("rare"), pool, tested)


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """86 scans that are easy and 8 that are not, of the same look; half of the test is hard."""
    folder = tmp_path_factory.mktemp("hard")
    return plant(folder, {clear: 86, haloed: 8}, {clear: 6, haloed: 6})


def _pool(planted: Planted, seed: int) -> tuple[Pool, list[str]]:
    """Nine tenths of the pool, drawn by a seed, on a map of its own; and what kind each is."""
    ids, vectors = planted.vectors()
    free = [n for n, scan_id in enumerate(ids) if scan_id not in planted.tested]
    kept = np.sort(np.random.default_rng(seed).permutation(free)[: len(free) * 9 // 10])
    xy = project(vectors[kept], seed).xy
    clusters = choose_clusters(xy, LABELS, seed).labels
    yes = np.ones(len(kept), np.bool_)
    pool = Pool(xy, clusters, yes, ~yes, ~yes, embeddings=vectors[kept])
    return pool, [planted.kind[ids[n]] for n in kept]


def _found(name: str, pool: Pool, kinds: list[str], seed: int) -> int:
    """How many of the three rare anatomies are among the picks."""
    picks = strategy(name)(pool, LABELS, seed=seed)
    return len({kinds[pick.index] for pick in picks} & RARE_NAMES)


def test_on_real_vectors_the_first_queue_has_every_anatomy(rare: Planted) -> None:
    scenes = [(*_pool(rare, seed), seed) for seed in range(4)]
    found = {
        known.name: [_found(known.name, *scene) for scene in scenes] for known in strategies("cold")
    }
    for name in SURE:
        assert found[name] == [3, 3, 3, 3], (name, found)
    # By chance about one: 1 - (1 - 5 / 120) ** 10 = 0.35 of each.
    chance = {
        name: np.mean([_found(name, *scenes[n % 4][:2], n) for n in range(60)])
        for name in ("random", "random-stratified")
    }
    assert max(chance.values()) <= 1.6, chance
    assert np.mean(found["coldstart"]) >= max(chance.values()) + 0.5, (chance, found)
    # By its nature: it picks where scans lie close together, and those are the common ones.
    assert np.mean(found["probcover"]) < 3, found


def _dice(planted: Planted, cell: Cell) -> float:
    """The mean over kinds of the Dice on test scans of each."""
    per_kind: dict[str, list[float]] = {}
    for scan_id, classes in cell.scans.items():
        per_kind.setdefault(planted.kind[scan_id], []).append(classes["object"].dice)
    return float(np.mean([np.mean(values) for values in per_kind.values()]))


def _mean_dice(planted: Planted, cells: dict[CellId, Cell], ids: Iterable[CellId]) -> float:
    return float(np.mean([_dice(planted, cells[id]) for id in ids]))


@pytest.mark.e2e
@pytest.mark.timeout(1800)
def test_where_anatomies_are_rare_cold_starts_beat_random(rare: Planted) -> None:
    names = ("coldstart", "coldstart-embeddings", "random")
    cells = replay(rare, Design(SEEDS, cold=names, budgets=(LABELS,), full=False))
    dice = {
        name: _mean_dice(rare, cells, [CellId(seed, "cold", name, LABELS) for seed in SEEDS])
        for name in names
    }
    assert dice["coldstart-embeddings"] >= dice["random"] + 0.15, dice
    assert dice["coldstart"] >= dice["random"] + 0.08, dice
    # The map hides some of what the embeddings show.
    assert dice["coldstart-embeddings"] >= dice["coldstart"], dice


@pytest.mark.e2e
@pytest.mark.timeout(1800)
def test_where_anatomies_are_rare_diversity_beats_entropy(rare: Planted) -> None:
    """Entropy asks for the same rare anatomy again and again; diversity for another each time."""
    arms = (Arm("entropy"), Arm("entropy-diversity", 0.5))
    design = Design(SEEDS, active=arms, start="random", round0=6, batch=4, rounds=1, full=False)
    cells = replay(rare, design)
    alone, both = ([design.active_cell(seed, arm, 1) for seed in SEEDS] for arm in arms)
    most = [
        max(Counter(rare.kind[pick["scan_id"]] for pick in cells[id].picks).values())
        for id in alone
    ]
    assert np.mean(most) >= 3, most
    dice = _mean_dice(rare, cells, alone), _mean_dice(rare, cells, both)
    assert dice[1] >= dice[0] + 0.08, dice


def _ignorant(planted: Planted, first: int, count: int) -> tuple[int, ...]:
    """The first ``count`` seeds whose random first queue holds no hard scan: who has met one
    knows them."""
    free = [one.scan.scan_id for one in planted.scans if one.scan.scan_id not in planted.tested]
    found = []
    for seed in range(100):
        drawn = np.random.default_rng(seed).permutation(len(free))[:first]
        if all(planted.kind[free[n]] != "haloed" for n in drawn):
            found.append(seed)
    return tuple(found[:count])


def _hard_dice(planted: Planted, cell: Cell) -> float:
    found = [one["object"].dice for id, one in cell.scans.items() if planted.kind[id] == "haloed"]
    return float(np.mean(found))


@pytest.mark.e2e
@pytest.mark.timeout(1800)
def test_where_scans_are_hard_entropy_finds_them(hard: Planted) -> None:
    """A rim that no label has shown is neither one nor the other to the model: uncertain.

    200 steps, so that the rest of the picture is not: the plain mean of a model that is unsure of
    everything tells nothing.
    """
    seeds = _ignorant(hard, 8, 2)
    arms = (Arm("entropy"), Arm("entropy-diversity", 0.8), Arm("random"))
    design = Design(seeds, active=arms, start="random", round0=8, batch=3, rounds=1, full=False)
    cells = replay(hard, design, steps=200)
    found, dice = {}, {}
    for arm in arms:
        made = [cells[design.active_cell(seed, arm, 1)] for seed in seeds]
        picked = [hard.kind[pick["scan_id"]] == "haloed" for cell in made for pick in cell.picks]
        found[arm.name] = np.mean(picked)
        dice[arm.name] = np.mean([_hard_dice(hard, cell) for cell in made])
    first = np.mean([_hard_dice(hard, cells[design.active_cell(s, arms[0], 0)]) for s in seeds])
    # By chance 8 of 94.
    assert found["random"] <= 0.34, found
    for name in ("entropy", "entropy-diversity α=0.8"):
        assert found[name] >= 0.65, found
        assert dice[name] >= dice["random"] + 0.04, (dice, first)
        assert dice[name] >= first + 0.08, (dice, first)
