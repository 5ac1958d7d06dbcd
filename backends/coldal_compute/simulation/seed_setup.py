"""Sets up one seed: test patients, validation patients, the pool, and the map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from coldal_compute.map_step import MAP_FILE, make_map
from coldal_tui.errors import ColdalError
from coldal_tui.jobs.spec import MapSpec, Reporter, ShardRows, Silent, SimulateSpec
from coldal_tui.maps import load_map
from coldal_tui.selection.clustering import LARGEST_K, choose_clusters
from coldal_tui.selection.rows import PoolRow
from coldal_tui.selection.strategies import strategy
from coldal_tui.selection.validation import draw_validation
from coldal_tui.simulation.cells import ScanScores, read_split, seed_folder, split_file, write_json
from coldal_tui.simulation.design import Split
from coldal_tui.simulation.splitting import draw_test_patients


@dataclass(frozen=True)
class SeedSetup:
    """What all arms of one seed share. ``shards`` hold the vectors of the mapped scans alone."""

    seed: int
    split: Split
    folder: Path
    patients: dict[str, str]
    mapped: tuple[str, ...]
    shards: tuple[ShardRows, ...]
    entropy: str = "mean"

    @property
    def map(self) -> Path:
        return self.folder / MAP_FILE

    def clusters(self, start: str, picks: int) -> Path:
        """The clusters of a first queue, once they exist: those of the map, or of one strategy.

        Strategies share those of the map, unless they make their own.
        """
        made_by = start if strategy(start).clusterer is not None else "map"
        return self.folder / f"clusters-{made_by}-{picks:04d}.npz"

    def first_rows(self) -> tuple[PoolRow, ...]:
        """The pool of the first selection: no labels, validation patients excluded."""
        free = set(self.split.pool)
        return tuple(self._row(scan_id, scan_id in free, labelled=False) for scan_id in self.mapped)

    def rows(self, train: tuple[str, ...], scores: dict[str, ScanScores]) -> tuple[PoolRow, ...]:
        """The pool of a later round: training scans are covered, the others are candidates.

        Validation scans are only measured: they are neither, as in a project.
        """
        labelled = set(train)
        free = set(self.split.pool) - labelled
        return tuple(
            self._row(
                scan_id,
                scan_id in free,
                labelled=scan_id in labelled,
                scores=scores.get(scan_id),
            )
            for scan_id in self.mapped
        )

    def _row(
        self, scan_id: str, candidate: bool, *, labelled: bool, scores: ScanScores | None = None
    ) -> PoolRow:
        return PoolRow(
            scan_id=scan_id,
            patient_id=self.patients[scan_id],
            candidate=candidate,
            covered=labelled,
            labelled=labelled,
            entropy=self._entropy(scores) if scores else None,
            class_entropy=scores.class_entropy if scores else None,
            bald=scores.bald if scores else None,
            foreground_entropy=scores.foreground if scores else None,
            boundary_entropy=scores.boundary if scores else None,
            features=scores.features if scores else None,
        )

    def _entropy(self, scores: ScanScores) -> float | None:
        kinds = {"foreground": scores.foreground, "boundary": scores.boundary}
        return kinds.get(self.entropy, scores.entropy)


def prepare_seed(spec: SimulateSpec, seed: int, report: Reporter) -> SeedSetup:
    """Split the scans of a seed, and map all but the test scans.

    The split and the map are written below the simulation's folder; a map that lies there is
    used again. Test scans are no part of the map, as if they had never been indexed.

    Raises ColdalError where the patients or the embedded scans are too few.
    """
    patients = {one.scan.scan_id: one.patient_id for one in spec.scans}
    tested = draw_test_patients(list(patients.values()), spec.rule, seed)
    embedded = {scan_id for shard in spec.shards for scan_id in shard.scan_ids}
    left = [scan_id for scan_id in sorted(patients) if patients[scan_id] not in tested]
    mapped = tuple(scan_id for scan_id in left if scan_id in embedded)
    shards = _restricted(spec.shards, frozenset(mapped))
    folder = seed_folder(Path(spec.store), seed)
    folder.mkdir(parents=True, exist_ok=True)
    _map(spec, seed, mapped, shards, folder, report)
    validation = _validation(spec, seed, mapped, patients, folder)
    watching = {patients[scan_id] for scan_id in validation}
    split = Split(
        seed=seed,
        test=tuple(scan_id for scan_id in sorted(patients) if patients[scan_id] in tested),
        validation=validation,
        pool=tuple(scan_id for scan_id in mapped if patients[scan_id] not in watching),
        unused=tuple(
            scan_id
            for scan_id in left
            if scan_id not in validation
            and (scan_id not in embedded or patients[scan_id] in watching)
        ),
    )
    if read_split(Path(spec.store), seed) != split:
        write_json(split_file(Path(spec.store), seed), split)
    return SeedSetup(seed, split, folder, patients, mapped, shards, spec.entropy)


def _restricted(shards: tuple[ShardRows, ...], kept: frozenset[str]) -> tuple[ShardRows, ...]:
    found = []
    for shard in shards:
        members = [
            (scan_id, row)
            for scan_id, row in zip(shard.scan_ids, shard.rows, strict=True)
            if scan_id in kept
        ]
        if members:
            ids, rows = zip(*members, strict=True)
            found.append(msgspec.structs.replace(shard, scan_ids=ids, rows=rows))
    return tuple(found)


def _map(
    spec: SimulateSpec,
    seed: int,
    mapped: tuple[str, ...],
    shards: tuple[ShardRows, ...],
    folder: Path,
    report: Reporter,
) -> None:
    if not mapped:
        raise ColdalError(
            "none of the scans with masks has an embedding",
            where=f"seed {seed}",
            remedy="coldal-tui embed, then simulate again",
            code="no-embeddings",
        )
    try:
        if load_map(folder / MAP_FILE).scan_ids == mapped:
            return
    except ColdalError:
        # There is none yet, or it is damaged: either way it is made.
        pass
    report.log(f"seed {seed}: mapping {len(mapped)} scans")
    make_map(MapSpec(shards, spec.encoder_hash, seed), folder, Silent())


def _validation(
    spec: SimulateSpec, seed: int, mapped: tuple[str, ...], patients: dict[str, str], folder: Path
) -> tuple[str, ...]:
    """One scan of each validation patient, drawn as ``select`` does.

    Stratified by the clusters of the whole map, not by those of some first queue: one set for all
    arms and label counts of a seed.
    """
    if spec.rule.validation == 0:
        return ()
    clusters = choose_clusters(load_map(folder / MAP_FILE).xy, LARGEST_K, seed)
    drawn = draw_validation(
        [patients[scan_id] for scan_id in mapped],
        clusters.labels,
        np.ones(len(mapped), dtype=np.bool_),
        spec.rule.validation,
        seed,
    )
    return tuple(mapped[n] for n in drawn)
