"""One job as several: how scans are dealt out, and that what the parts did is joined unchanged."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from coldal_compute import scored, shards
from coldal_launch.job_parts import gather, split
from coldal_tui.imaging.image import ScanRef
from coldal_tui.jobs.folder import JobFolder
from coldal_tui.jobs.retry_smaller import Fit
from coldal_tui.jobs.spec import (
    EmbedSpec,
    EncoderChoice,
    MapSpec,
    ScanInput,
    ScoreSpec,
    SimulateSpec,
    TrainOptions,
)
from coldal_tui.simulation.cells import Cell, ScanScores, write_cell
from coldal_tui.simulation.design import Arm, CellId, Design, SplitRule

HASH = "e" * 64


def scan(number: int) -> ScanInput:
    return ScanInput(
        scan_id=f"s{number:02d}",
        ref=ScanRef("raster", (f"s{number:02d}.png",)),
        shape=(4, 4),
        channels=1,
        spacing=None,
        modality=None,
        quick_hash=f"q{number}",
    )


def embed_spec(scans: int, shard: int = 4, embedded: tuple[str, ...] = ()) -> EmbedSpec:
    return EmbedSpec(
        scans=tuple(scan(n) for n in range(scans)),
        encoder=EncoderChoice("tiny"),
        embedded=embedded,
        expected_hash=HASH,
        shard_size=shard,
    )


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path / "000001-embed")


def vector(scan_id: str) -> np.ndarray:
    return np.full(3, int(scan_id[1:]), np.float32)


def work(folder: JobFolder, most: int | None = None) -> None:
    """Embed what is left of the folder's specification, at most so many scans."""
    spec = folder.read_spec()
    assert isinstance(spec, EmbedSpec)
    wanted = {one.scan_id: one.quick_hash for one in spec.scans}
    done, _ = shards.finished_shards(folder.path, HASH, wanted)
    writer = shards.ShardWriter(folder.path, HASH, spec.shard_size, done)
    known = {scan_id for shard in done for scan_id in shard.scan_ids} | set(spec.embedded)
    for one in [one for one in spec.scans if one.scan_id not in known][:most]:
        writer.add(one.scan_id, one.quick_hash, vector(one.scan_id))
    if most is None:
        writer.flush()


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard-*"))}


def scans_of(part: JobFolder) -> list[str]:
    spec = part.read_spec()
    assert isinstance(spec, (EmbedSpec, ScoreSpec))
    return [one.scan_id for one in spec.scans]


def test_parts_hold_whole_shards_in_order(job) -> None:
    job.prepare(embed_spec(22))
    sizes = [len(scans_of(part)) for part in split(job, 3)]
    # Six shards of 4, the last of 2: two for each part.
    assert sizes == [8, 8, 6]


def test_joined_the_parts_are_the_shards_of_one_worker(job, tmp_path) -> None:
    alone = JobFolder(tmp_path / "alone")
    for folder in (job, alone):
        folder.prepare(embed_spec(22))
    work(alone)
    for part in split(job, 3):
        work(part)
    gather(job)
    assert files(job.path) == files(alone.path)
    assert len(files(job.path)) == 12
    assert not (job.path / "parts").exists()


def test_what_a_part_has_not_done_is_left_for_the_jobs_own_worker(job) -> None:
    job.prepare(embed_spec(24))
    first, second = split(job, 2)
    work(first)
    work(second, most=9)
    gather(job)
    done, stale = shards.finished_shards(job.path, HASH, {f"s{n:02d}": f"q{n}" for n in range(24)})
    assert stale == ()
    assert sum(len(one.scan_ids) for one in done) == 12 + 8
    for one in done:
        rows = np.load(job.path / one.file)
        assert (rows == np.stack([vector(scan_id) for scan_id in one.scan_ids])).all()
    assert "20 scans were done by 2 parts" in job.log.read_text()


def test_only_what_is_left_to_do_is_dealt_out(job) -> None:
    job.prepare(embed_spec(24, embedded=("s00", "s01", "s02", "s03")))
    work(job, most=4)
    assert [scans_of(part)[0] for part in split(job, 2)] == ["s08", "s16"]


def test_parts_of_an_earlier_launch_are_joined_before_new_ones_are_dealt_out(job) -> None:
    job.prepare(embed_spec(24))
    work(split(job, 3)[1])
    again = split(job, 2)
    assert sum(len(scans_of(part)) for part in again) == 16
    assert shards.rows_in(job.path) == {f"s{n:02d}" for n in range(8, 16)}


def test_what_was_made_smaller_holds_for_the_parts(job) -> None:
    job.prepare(embed_spec(24))
    job.write_fit(Fit(batch_size=4, reasons=("less",)))
    assert [part.fit().batch_size for part in split(job, 2)] == [4, 4]


@pytest.mark.parametrize("most", [1, 5])
def test_work_of_one_shard_is_not_shared(job, most) -> None:
    job.prepare(embed_spec(4 if most > 1 else 40))
    assert split(job, most) == []


def test_a_map_is_not_shared(job) -> None:
    job.prepare(MapSpec(shards=(), encoder_hash=HASH, seed=0))
    assert split(job, 4) == []


def test_parts_of_a_scoring_are_joined_with_their_predictions(job) -> None:
    scans = tuple(scan(n) for n in range(5))
    job.prepare(ScoreSpec(run="run", scans=scans, predict=("s00", "s04")))
    before = scored.ScoreJournal(job.path, "model")
    before.read()
    before.append("s01", ScanScores(0.5))
    parts = split(job, 2)
    assert [scans_of(part) for part in parts] == [["s00", "s02"], ["s03", "s04"]]
    assert [part.read_spec().predict for part in parts] == [("s00",), ("s04",)]
    for number, part in enumerate(parts):
        journal = scored.ScoreJournal(part.path, "model")
        journal.read()
        for scan_id in scans_of(part):
            journal.append(scan_id, ScanScores(number / 4, (0.5,)))
    drawn = parts[1].path / "predictions" / "entropy" / "s04.png"
    drawn.parent.mkdir(parents=True)
    drawn.write_bytes(b"pixels")
    gather(job)
    assert scored.ScoreJournal(job.path, "model").read() == {
        "s00": ScanScores(0.0, (0.5,)),
        "s01": ScanScores(0.5),
        "s02": ScanScores(0.0, (0.5,)),
        "s03": ScanScores(0.25, (0.5,)),
        "s04": ScanScores(0.25, (0.5,)),
    }
    assert (job.path / "predictions" / "entropy" / "s04.png").read_bytes() == b"pixels"


def test_scores_of_another_model_are_not_joined(job) -> None:
    job.prepare(ScoreSpec(run="run", scans=tuple(scan(n) for n in range(4))))
    part = split(job, 2)[0]
    for folder, model in ((job, "new"), (part, "old")):
        journal = scored.ScoreJournal(folder.path, model)
        journal.read()
        journal.append("s00", ScanScores(1.0 if model == "old" else 0.5))
    gather(job)
    assert scored.ScoreJournal(job.path, "new").read() == {"s00": ScanScores(0.5)}


def test_the_parts_of_a_specification_are_as_the_whole_but_for_their_scans(job) -> None:
    spec = embed_spec(12)
    job.prepare(spec)
    for part in split(job, 3):
        found = part.read_spec()
        assert msgspec.structs.replace(found, scans=spec.scans) == spec


def simulation(tmp_path: Path, active: bool = False) -> SimulateSpec:
    design = Design(
        seeds=(0, 1),
        cold=() if active else ("kmeans", "random"),
        budgets=() if active else (5,),
        active=(Arm("random"), Arm("entropy")) if active else (),
        start="random",
        round0=5,
        batch=2,
        rounds=2,
        full=False,
    )
    return SimulateSpec(
        setup="one",
        store=str(tmp_path / "store"),
        design=design,
        cells=tuple(design.all_cells()),
        rule=SplitRule(validation=0),
        classes=("lung",),
        scans=(),
        shards=(),
        encoder_hash=HASH,
        options=TrainOptions(),
    )


def finish(spec: SimulateSpec, cell: CellId, setup: str = "one") -> None:
    write_cell(Path(spec.store), Cell(cell, setup, (), (), (), {}, 0.0, {}, 1, 0.0))


def cells_of(parts: list[JobFolder]) -> list[list[str]]:
    specs = [part.read_spec() for part in parts]
    return [[cell.name for cell in spec.cells] for spec in specs if isinstance(spec, SimulateSpec)]


def test_cells_of_a_simulation_are_dealt_out_in_turn(tmp_path) -> None:
    job = JobFolder(tmp_path / "000001-simulate")
    job.prepare(simulation(tmp_path))
    assert cells_of(split(job, 3)) == [
        ["s000-cold-kmeans-0005", "s001-cold-random-0005"],
        ["s000-cold-random-0005"],
        ["s001-cold-kmeans-0005"],
    ]


def test_rounds_stay_with_the_first_queue_that_they_go_on_from(tmp_path) -> None:
    job = JobFolder(tmp_path / "000001-simulate")
    spec = simulation(tmp_path, active=True)
    job.prepare(spec)
    parts = split(job, 8)
    assert [len(names) for names in cells_of(parts)] == [5, 5]
    assert [name[:4] for names in cells_of(parts) for name in names] == ["s000"] * 5 + ["s001"] * 5


def test_arms_of_a_seed_are_parted_once_their_first_queue_is_finished(tmp_path) -> None:
    job = JobFolder(tmp_path / "000001-simulate")
    spec = simulation(tmp_path, active=True)
    job.prepare(spec)
    for cell in spec.cells:
        if cell.round == 0:
            finish(spec, cell)
    assert [len(names) for names in cells_of(split(job, 8))] == [2, 2, 2, 2]


def test_only_cells_of_the_same_setup_count_as_finished(tmp_path) -> None:
    job = JobFolder(tmp_path / "000001-simulate")
    spec = simulation(tmp_path)
    job.prepare(spec)
    finish(spec, spec.cells[0])
    finish(spec, spec.cells[1], setup="another")
    parts = split(job, 8)
    assert [name for names in cells_of(parts) for name in names] == [
        cell.name for cell in spec.cells[1:]
    ]
    finish(spec, spec.cells[1])
    gather(job)
    assert "2 of 4 cells were done by 3 parts of the job" in job.log.read_text()
    assert not (job.path / "parts").exists()
