"""The simulate step on small pictures and volumes: who is kept apart, what is shared, resuming."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from coldal_compute.simulation.step import simulate
from coldal_tui.errors import ColdalError
from coldal_tui.files import sha256_file
from coldal_tui.imaging.image import ScanRef
from coldal_tui.imaging.labelfile import read_label, write_label
from coldal_tui.jobs.spec import (
    InputCache,
    LabelledScan,
    ScanInput,
    ShardRows,
    Silent,
    SimulatedScan,
    SimulateSpec,
    TrainOptions,
)
from coldal_tui.maps import load_map
from coldal_tui.selection import strategies
from coldal_tui.simulation.cells import Cell, cell_file, read_cell, read_split
from coldal_tui.simulation.design import Arm, CellId, Design, SplitRule

COLD = Design(seeds=(1, 2), cold=("coldstart", "random"), budgets=(5, 7), full=True)
ROUNDS = Design(
    seeds=(1,),
    active=(Arm("entropy-diversity", 0.5), Arm("random")),
    start="coldstart",
    round0=5,
    batch=2,
    rounds=2,
    full=False,
)
NewSpec = Callable[..., SimulateSpec]


def shards_of(folder: Path, names: Sequence[str], seed: int = 0) -> tuple[ShardRows, ...]:
    """Two shards of random vectors."""
    rng = np.random.default_rng(seed)
    made = []
    for number, part in enumerate((names[::2], names[1::2])):
        path = folder / f"vectors-{number}.npy"
        np.save(path, rng.normal(size=(len(part), 6)).astype(np.float32))
        made.append(ShardRows(str(path), sha256_file(path), tuple(part), tuple(range(len(part)))))
    return tuple(made)


def hidden(cases: Sequence[LabelledScan]) -> tuple[SimulatedScan, ...]:
    """Two scans to a patient."""
    return tuple(
        SimulatedScan(case.scan, f"patient {n // 2}", case.label, sha256_file(Path(case.label)))
        for n, case in enumerate(cases)
    )


@pytest.fixture
def new_spec(discs, tmp_path) -> NewSpec:
    """``new_spec(design, store="store", **changes)``: 24 pictures of 12 patients, 2 steps."""
    return spec_maker(discs(24, size=32), tmp_path)


def spec_maker(cases: Sequence[LabelledScan], tmp_path: Path) -> NewSpec:
    scans = hidden(cases)
    shards = shards_of(tmp_path, [one.scan.scan_id for one in scans])

    def make(design: Design, store: str = "store", **changes: Any) -> SimulateSpec:
        spec = SimulateSpec(
            setup="setup",
            store=str(tmp_path / store),
            design=design,
            cells=tuple(design.all_cells()),
            rule=SplitRule(validation=2, test_fraction=0.25),
            classes=("disc",),
            scans=scans,
            shards=shards,
            encoder_hash="e" * 64,
            options=TrainOptions(steps=2, batch_size=2, patch=(16, 16), device="cpu", threads=1),
            inputs=InputCache(str(tmp_path / "cache" / "inputs"), 10**9),
        )
        return msgspec.structs.replace(spec, **changes)

    return make


def run(spec: SimulateSpec, report: Any, folder: Path) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    return simulate(spec, folder, report).result


def cells_of(spec: SimulateSpec) -> dict[CellId, Cell]:
    found = {id: read_cell(Path(spec.store), id) for id in spec.design.all_cells()}
    assert None not in found.values()
    return {id: cell for id, cell in found.items() if cell is not None}


def bare(cell: Cell) -> Cell:
    """A cell without how long it took."""
    return msgspec.structs.replace(cell, seconds={})


def patients_of(spec: SimulateSpec, scan_ids: Sequence[str]) -> set[str]:
    patient = {one.scan.scan_id: one.patient_id for one in spec.scans}
    return {patient[scan_id] for scan_id in scan_ids}


@dataclass(frozen=True)
class Ran:
    spec: SimulateSpec
    result: dict[str, Any]
    job: Path


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """``COLD``, simulated once for the tests that only look at it."""
    folder = tmp_path_factory.mktemp("cold")
    spec = spec_maker([_picture(folder, n) for n in range(24)], folder)(COLD)
    return Ran(spec, run(spec, Silent(), folder / "job"), folder / "job")


def _picture(folder: Path, seed: int) -> LabelledScan:
    rng = np.random.default_rng(seed)
    inside = np.hypot(*(np.mgrid[:24, :28] - rng.integers(10, 14, (2, 1, 1)))) < 6
    image, label = folder / f"scan{seed:02d}.png", folder / f"label{seed:02d}.png"
    Image.fromarray((90 + 80 * inside + rng.normal(0, 9, inside.shape)).astype(np.uint8)).save(
        image
    )
    write_label(label, inside.astype(np.uint8), None)
    ref = ScanRef("raster", (str(image),))
    scan = ScanInput(image.stem, ref, inside.shape, 1, None, None, image.stem)
    return LabelledScan(scan, str(label))


def test_every_cell_is_written_with_as_many_labels_as_asked(cold) -> None:
    spec, result = cold.spec, cold.result
    assert result == {"cells": 10, "done": 10, "reused": 0, "failed_cells": []}
    cells = cells_of(spec)
    for id, cell in cells.items():
        assert (cell.id, cell.setup, len(cell.validation), cell.steps) == (id, "setup", 2, 2)
        if id.group == "cold":
            assert cell.labels == id.labels
            assert [pick["scan_id"] for pick in cell.picks] == list(cell.train)
    full = cells[CellId(1, "full")]
    split = read_split(Path(spec.store), 1)
    assert full.train == split.pool
    drawn = {
        one.scan.scan_id: int((read_label(Path(one.label)) == 1).sum())
        for one in spec.scans
        if one.scan.scan_id not in split.test
    }
    labelled = sum(drawn[scan_id] for scan_id in (*full.train, *full.validation))
    assert full.foreground == pytest.approx(labelled / sum(drawn.values()))
    # Checkpoints of finished cells would fill the disk.
    assert list((cold.job / "work").iterdir()) == []


def test_no_patient_is_tested_on_and_anything_else(cold) -> None:
    spec = cold.spec
    for seed in COLD.seeds:
        split = read_split(Path(spec.store), seed)
        parts = [patients_of(spec, part) for part in (split.test, split.validation, split.pool)]
        assert len(parts[0]) == 3
        assert sum(map(len, parts)) == len(set.union(*parts)) == 12
        every = [*split.test, *split.validation, *split.pool, *split.unused]
        assert sorted(every) == sorted(one.scan.scan_id for one in spec.scans)
        placed = load_map(Path(spec.store) / f"seed-{seed:03d}" / "map.npz")
        assert not set(placed.scan_ids) & set(split.test)
        for id in COLD.cells(seed):
            cell = read_cell(Path(spec.store), id)
            assert set(cell.scans) == set(split.test)
            assert not patients_of(spec, cell.train) & (parts[0] | parts[1])
            assert cell.validation == split.validation


def test_a_seed_redraws_the_split(cold) -> None:
    one, other = (read_split(Path(cold.spec.store), seed) for seed in COLD.seeds)
    assert (one.test, one.validation) != (other.test, other.validation)


def test_the_rounds_of_all_arms_go_on_from_one_first_queue(new_spec, report, tmp_path) -> None:
    spec = new_spec(ROUNDS)
    assert run(spec, report, tmp_path / "job")["cells"] == 5
    cells = cells_of(spec)
    first = cells[CellId(1, "cold", "coldstart", 5)]
    split = read_split(Path(spec.store), 1)
    # What may be picked next was scored, and nothing else was.
    assert set(first.scores) == set(split.pool) - set(first.train)
    for arm in ROUNDS.active:
        second = cells[ROUNDS.active_cell(1, arm, 1)]
        third = cells[ROUNDS.active_cell(1, arm, 2)]
        assert second.train[:3] == first.train
        assert third.train[:5] == second.train
        assert len(set(third.train)) == 7
        assert (second.labels, third.labels) == (7, 9)
        assert second.scores is not None
        assert third.scores is None


def test_acquired_scans_are_those_of_the_greatest_score(new_spec, report, tmp_path) -> None:
    """At α = 1 the batch is what the model was least sure of."""
    design = msgspec.structs.replace(ROUNDS, active=(Arm("entropy-diversity", 1.0),), rounds=1)
    spec = new_spec(design)
    run(spec, report, tmp_path / "job")
    cells = cells_of(spec)
    scores = cells[CellId(1, "cold", "coldstart", 5)].scores
    wanted = sorted(scores, key=lambda scan_id: -scores[scan_id].entropy)[:2]
    second = cells[design.active_cell(1, design.active[0], 1)]
    assert [pick["scan_id"] for pick in second.picks] == wanted


def test_random_picks_are_the_seeds_permutation(cold) -> None:
    store = Path(cold.spec.store)
    split = read_split(store, 2)
    drawn = np.random.default_rng(2).permutation(len(split.pool))[:5]
    cell = read_cell(store, CellId(2, "cold", "random", 7))
    assert list(cell.train) == [split.pool[n] for n in drawn]


def test_each_draw_of_random_picks_anew(new_spec, report, tmp_path) -> None:
    design = Design(seeds=(1,), cold=("random",), budgets=(5,), full=False, draws=2)
    spec = new_spec(design)
    run(spec, report, tmp_path / "job")
    first, second = (cells_of(spec)[id] for id in design.all_cells())
    assert (first.labels, second.labels) == (5, 5)
    assert set(first.train) != set(second.train)
    assert set(first.scans) == set(second.scans)


def test_the_same_seed_gives_the_same_picks_and_figures(new_spec, new_report, tmp_path) -> None:
    both = []
    for store in ("one", "other"):
        spec = new_spec(ROUNDS, store)
        run(spec, new_report(), tmp_path / f"job-{store}")
        both.append({id: bare(cell) for id, cell in cells_of(spec).items()})
    assert both[0] == both[1]


def test_a_killed_job_goes_on_after_its_last_cell(cold, new_report, tmp_path) -> None:
    spec = msgspec.structs.replace(cold.spec, store=str(tmp_path / "store"))
    third = COLD.all_cells()[2]

    class Killing(type(new_report())):  # type: ignore[misc]
        def progress(self, done: float, total: float, message: str = "", **more: float) -> None:
            if message.startswith(f"{third.name}: training"):
                raise ConnectionAbortedError("cut off")

    with pytest.raises(ConnectionAbortedError):
        run(spec, Killing(), tmp_path / "job")
    finished = [cell_file(Path(spec.store), id) for id in COLD.all_cells()[:2]]
    stamps = [path.stat().st_mtime_ns for path in finished]
    assert not cell_file(Path(spec.store), third).exists()
    result = run(spec, new_report(), tmp_path / "job")
    assert (result["done"], result["reused"]) == (8, 2)
    assert [path.stat().st_mtime_ns for path in finished] == stamps
    calm = {id: bare(cell) for id, cell in cells_of(cold.spec).items()}
    assert {id: bare(cell) for id, cell in cells_of(spec).items()} == calm


def test_a_damaged_cell_is_done_again(new_spec, new_report, tmp_path) -> None:
    design = msgspec.structs.replace(COLD, seeds=(1,), full=False)
    spec = new_spec(design)
    run(spec, new_report(), tmp_path / "job")
    before = {id: bare(cell) for id, cell in cells_of(spec).items()}
    broken = cell_file(Path(spec.store), design.all_cells()[1])
    broken.write_bytes(broken.read_bytes()[:-100])
    map_file = Path(spec.store) / "seed-001" / "map.npz"
    map_file.write_bytes(b"PK")
    (Path(spec.store) / "seed-001" / "clusters-map-0003.npz").write_bytes(b"")
    result = run(spec, new_report(), tmp_path / "job")
    assert (result["done"], result["reused"]) == (1, 3)
    assert {id: bare(cell) for id, cell in cells_of(spec).items()} == before


def test_cells_of_another_setup_are_not_taken(new_spec, new_report, tmp_path) -> None:
    design = msgspec.structs.replace(COLD, seeds=(1,), budgets=(5,), full=False)
    run(new_spec(design), new_report(), tmp_path / "job")
    again = run(new_spec(design, setup="other"), new_report(), tmp_path / "job")
    assert (again["done"], again["reused"]) == (2, 0)


def test_a_cell_without_the_scores_that_rounds_need_is_done_again(
    new_spec, new_report, tmp_path
) -> None:
    first = CellId(1, "cold", "coldstart", 5)
    cold = msgspec.structs.replace(COLD, seeds=(1,), cold=("coldstart",), budgets=(5,), full=False)
    spec = new_spec(cold)
    run(spec, new_report(), tmp_path / "job")
    plain = read_cell(Path(spec.store), first)
    assert plain.scores is None
    result = run(new_spec(ROUNDS), new_report(), tmp_path / "job")
    assert (result["done"], result["reused"]) == (5, 0)
    scored = read_cell(Path(spec.store), first)
    assert scored.scores
    assert bare(msgspec.structs.replace(scored, scores=None)) == bare(plain)


def test_clusters_of_one_strategy_are_not_taken_for_those_of_another(
    new_spec, new_report, tmp_path
) -> None:
    """One clusters the map, the other the embeddings: whoever comes first decides nothing."""
    names = ("coldstart", "coldstart-embeddings")
    picked = []
    for order in (names, names[::-1]):
        cells = tuple(CellId(1, "cold", name, 7) for name in order)
        design = Design(seeds=(1,), cold=order, budgets=(7,), full=False)
        spec = new_spec(design, f"first-{order[0]}", cells=cells)
        run(spec, new_report(), tmp_path / order[0])
        picked.append({id: cell.train for id, cell in cells_of(spec).items()})
    assert picked[0] == picked[1]
    assert len(list((Path(spec.store) / "seed-001").glob("clusters-*.npz"))) == 2


def test_an_ensemble_is_trained_only_where_a_strategy_needs_it(
    new_spec, new_report, tmp_path
) -> None:
    design = msgspec.structs.replace(ROUNDS, active=(Arm("random"),), rounds=1)
    first = CellId(1, "cold", "coldstart", 5)
    spec = new_spec(design)
    run(spec, new_report(), tmp_path / "job")
    plain = read_cell(Path(spec.store), first)
    assert {one.bald for one in plain.scores.values()} == {None}
    with_bald = new_spec(msgspec.structs.replace(design, active=(Arm("bald"), Arm("random"))))
    result = run(with_bald, new_report(), tmp_path / "job")
    # The first queue is scored anew; random's round is as it was.
    assert (result["done"], result["reused"]) == (2, 1)
    both = read_cell(Path(spec.store), first)
    assert all(one.bald > 0 for one in both.scores.values())
    assert both.scans == plain.scans
    picked = read_cell(Path(spec.store), design.active_cell(1, Arm("bald"), 1)).picks
    wanted = sorted(both.scores, key=lambda scan_id: -both.scores[scan_id].bald)[:2]
    assert [pick["scan_id"] for pick in picked] == wanted


def test_a_strategy_that_fails_stops_no_other(new_spec, report, tmp_path, monkeypatch) -> None:
    def refuse(pool: Any, batch: int, *, seed: int, alpha: float) -> list[Any]:
        raise ColdalError("not today", remedy="tomorrow")

    broken = replace(strategies.strategy("random"), name="broken", select=refuse)
    monkeypatch.setitem(strategies._REGISTRY, "broken", broken)
    design = msgspec.structs.replace(COLD, seeds=(1,), cold=("broken", "random"), full=False)
    spec = new_spec(design)
    result = run(spec, report, tmp_path / "job")
    assert result["done"] == 2
    assert [one["cell"] for one in result["failed_cells"]] == [
        "s001-cold-broken-0005",
        "s001-cold-broken-0007",
    ]
    assert result["failed_cells"][0]["what"] == "not today"


def test_a_round_whose_start_failed_says_so(new_spec, report, tmp_path) -> None:
    spec = new_spec(ROUNDS)
    later = msgspec.structs.replace(spec, cells=spec.cells[1:2])
    with pytest.raises(ColdalError) as caught:
        run(later, report, tmp_path / "job")
    assert caught.value.code == "no-round-before"


def test_a_pool_that_is_too_small_is_told(new_spec, report, tmp_path) -> None:
    design = Design(seeds=(1,), cold=("random",), budgets=(20,), full=False)
    with pytest.raises(ColdalError) as caught:
        run(new_spec(design), report, tmp_path / "job")
    assert caught.value.code == "pool-too-small"


def test_scans_without_a_vector_are_tested_on_but_never_picked(new_spec, report, tmp_path) -> None:
    design = msgspec.structs.replace(COLD, seeds=(1,), budgets=(5,), full=True)
    spec = new_spec(design)
    kept = [one.scan.scan_id for one in spec.scans][4:]
    spec = msgspec.structs.replace(spec, shards=shards_of(tmp_path, kept))
    run(spec, report, tmp_path / "job")
    split = read_split(Path(spec.store), 1)
    without = {one.scan.scan_id for one in spec.scans} - set(kept)
    assert not without & {*split.pool, *split.validation}
    assert without <= {*split.test, *split.unused}


def test_a_scan_that_cannot_be_read_is_told_and_left_out(new_spec, report, tmp_path) -> None:
    design = msgspec.structs.replace(COLD, seeds=(1,), cold=("random",), budgets=(5,), full=True)
    spec = new_spec(design)
    split_only = run(spec, report, tmp_path / "probe")
    assert split_only["failed_cells"] == []
    split = read_split(Path(spec.store), 1)
    spoilt = split.test[0]
    (case,) = [one for one in spec.scans if one.scan.scan_id == spoilt]
    Path(case.label).write_bytes(b"no picture")
    again = new_spec(design, "again")
    run(again, report, tmp_path / "job")
    cell = read_cell(Path(again.store), CellId(1, "cold", "random", 5))
    assert spoilt not in cell.scans
    assert len(cell.scans) == len(split.test) - 1
    assert cell.failed[0].startswith(f"{spoilt}: ")


def test_all_arms_and_seeds_train_by_one_plan(new_spec, new_report, tmp_path) -> None:
    spec = new_spec(msgspec.structs.replace(COLD, seeds=(1,)))
    run(spec, new_report(), tmp_path / "job")
    plan = (Path(spec.store) / "plan.json").read_bytes()
    run(new_spec(msgspec.structs.replace(COLD, seeds=(2,))), new_report(), tmp_path / "job")
    assert (Path(spec.store) / "plan.json").read_bytes() == plan


def test_volumes_are_simulated_in_mm(balls, report, tmp_path) -> None:
    scans = hidden(balls(14))
    design = Design(
        seeds=(3,),
        active=(Arm("entropy-diversity", 0.5), Arm("random")),
        start="random",
        round0=4,
        batch=1,
        rounds=1,
        full=False,
    )
    spec = SimulateSpec(
        setup="setup",
        store=str(tmp_path / "store"),
        design=design,
        cells=tuple(design.all_cells()),
        rule=SplitRule(validation=1, test_fraction=0.3),
        classes=("ball",),
        scans=scans,
        shards=shards_of(tmp_path, [one.scan.scan_id for one in scans]),
        encoder_hash="e" * 64,
        options=TrainOptions(steps=2, batch_size=1, patch=(16, 16, 8), device="cpu", threads=1),
        inputs=InputCache(str(tmp_path / "cache" / "inputs"), 10**9),
    )
    assert run(spec, report, tmp_path / "job")["failed_cells"] == []
    for cell in cells_of(spec).values():
        assert {one.unit for found in cell.scans.values() for one in found.values()} == {"mm"}


@pytest.mark.parametrize("name", [one.name for one in strategies.strategies("cold")])
def test_every_strategy_of_the_first_queue_runs_in_a_cell(new_spec, report, tmp_path, name) -> None:
    cell = CellId(1, "cold", name, 6)
    spec = new_spec(Design(seeds=(1,), cold=(name,), budgets=(6,), full=False), cells=(cell,))
    assert run(spec, report, tmp_path / "job")["failed_cells"] == []
    made = read_cell(Path(spec.store), cell)
    assert len(set(made.train)) == 4


@pytest.mark.parametrize("name", [one.name for one in strategies.strategies("active")])
def test_every_strategy_of_later_rounds_runs_in_a_cell(new_spec, report, tmp_path, name) -> None:
    design = msgspec.structs.replace(ROUNDS, active=(Arm(name),), rounds=1)
    spec = new_spec(design)
    assert run(spec, report, tmp_path / "job")["failed_cells"] == []
    made = read_cell(Path(spec.store), design.active_cell(1, Arm(name), 1))
    assert len(set(made.train)) == 5
