"""Splits one job into parts that run side by side, and joins their results.

A part is a job folder of its own below the job's, with a specification of some of the scans, or of
some of a simulation's cells. What the parts have done is taken into the job's folder as if an
earlier attempt had done it (cells lie in the simulation's own folder at once); the job's own worker
then finds nothing left to do, or does what a part has not.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import msgspec

from coldal_compute import folds, scored, shards
from coldal_tui.files import atomic_write
from coldal_tui.jobs.folder import JobFolder
from coldal_tui.jobs.spec import (
    CrossFitSpec,
    EmbedSpec,
    JobSpec,
    ScanInput,
    ScoreSpec,
    SimulateSpec,
)
from coldal_tui.simulation.cells import read_cell
from coldal_tui.simulation.design import CellId


def split(job: JobFolder, most: int) -> list[JobFolder]:
    """At most ``count`` parts of the remaining work; none when it can't be split.

    Parts hold whole shards, in order: joined, they are the shards of one worker.
    """
    gather(job)
    spec = job.read_spec()
    pieces = _pieces(spec, job.path, most)
    if len(pieces) < 2:
        return []
    parts = []
    for number, piece in enumerate(pieces):
        part = JobFolder(job.parts / str(number))
        part.prepare(piece)
        _copy_fit(job, part)
        part.log.touch()
        parts.append(part)
    return parts


def gather(job: JobFolder) -> None:
    """Move the parts' results into the job's folder and remove the parts."""
    folder = job.parts
    if not folder.is_dir():
        return
    spec = job.read_spec()
    parts = sorted(folder.iterdir(), key=lambda part: int(part.name))
    if isinstance(spec, SimulateSpec):
        done = f"{sum(_finished(spec, cell) for cell in spec.cells)} of {len(spec.cells)} cells"
    elif isinstance(spec, CrossFitSpec):
        for part in parts:
            folds.adopt(job.path, part)
        done = f"{len(folds.finished(job.path))} of {len(spec.folds)} folds"
    else:
        adopt = shards.adopt if isinstance(spec, EmbedSpec) else scored.adopt
        done = f"{sum(adopt(job.path, part) for part in parts)} scans"
    job.note(f"{done} were done by {len(parts)} parts of the job")
    shutil.rmtree(folder)


def _pieces(spec: JobSpec, folder: Path, most: int) -> list[JobSpec]:
    if isinstance(spec, EmbedSpec):
        done = shards.rows_in(folder) | set(spec.embedded)
        left = [scan for scan in spec.scans if scan.scan_id not in done]
        dealt = _deal(left, most, spec.shard_size)
        return [msgspec.structs.replace(spec, scans=tuple(some), embedded=()) for some in dealt]
    if isinstance(spec, ScoreSpec):
        scored_before = scored.scored_in(folder)
        todo = sorted(spec.scans, key=lambda scan: scan.scan_id)
        left = [scan for scan in todo if scan.scan_id not in scored_before]
        return [_score_piece(spec, some) for some in _deal(left, most, 1)]
    if isinstance(spec, CrossFitSpec):
        before = folds.finished(folder)
        ahead = [number for number in spec.wanted if number not in before]
        count = min(most, len(ahead))
        return [
            msgspec.structs.replace(spec, wanted=tuple(ahead[n::count]), others=())
            for n in range(count)
        ]
    if isinstance(spec, SimulateSpec):
        cells = [cell for cell in spec.cells if not _finished(spec, cell)]
        return [msgspec.structs.replace(spec, cells=tuple(c)) for c in _deal_cells(cells, most)]
    return []


def _finished(spec: SimulateSpec, cell: CellId) -> bool:
    found = read_cell(Path(spec.store), cell)
    return found is not None and found.setup == spec.setup


def _deal_cells(cells: Sequence[CellId], most: int) -> list[list[CellId]]:
    """Cells in turn to at most so many parts; those that go on from one another stay together."""
    groups: dict[CellId, list[CellId]] = {}
    dealt = frozenset(cells)
    for cell in cells:
        first = cell
        while first.before is not None and first.before in dealt:
            first = first.before
        groups.setdefault(first, []).append(cell)
    chains = list(groups.values())
    count = min(most, len(chains))
    return [[cell for chain in chains[n::count] for cell in chain] for n in range(count)]


def _score_piece(spec: ScoreSpec, scans: Sequence[ScanInput]) -> ScoreSpec:
    ids = {scan.scan_id for scan in scans}
    predict = tuple(scan_id for scan_id in spec.predict if scan_id in ids)
    return msgspec.structs.replace(spec, scans=tuple(scans), predict=predict)


def _deal(scans: Sequence[ScanInput], most: int, unit: int) -> list[Sequence[ScanInput]]:
    """Nearly equal runs of neighbours, each (but the last) a multiple of ``unit`` long."""
    units = [scans[first : first + unit] for first in range(0, len(scans), unit)]
    count = min(most, len(units))
    bounds = [len(units) * n // count * unit for n in range(count + 1)] if count else []
    return [scans[a:b] for a, b in pairwise(bounds)]


def _copy_fit(job: JobFolder, part: JobFolder) -> None:
    """Copy reductions made after memory ran out to the parts."""
    if job.fit_file.exists():
        content = job.fit_file.read_bytes()
        atomic_write(part.fit_file, lambda stream: stream.write(content))
