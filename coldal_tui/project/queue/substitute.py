"""Picks the substitute for a skipped item; needs numpy, so it is imported only on use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ColdalError
from coldal_tui.maps import load_clusters, load_map
from coldal_tui.project.database.store import Row
from coldal_tui.project.minutes.expected import read_expectation
from coldal_tui.project.project import Project
from coldal_tui.project.queue import candidates
from coldal_tui.project.queue.budget import labelled_scans
from coldal_tui.project.queue.minute_budget import by_minutes, with_minutes
from coldal_tui.selection.assembly import Assembly, assemble
from coldal_tui.selection.coldstart import replacement
from coldal_tui.selection.pool import Pick, queue_row
from coldal_tui.selection.projection import normalise
from coldal_tui.selection.strategies import strategy


def replacement_row(project: Project, item: Row) -> dict[str, Any] | None:
    """A queue row for the next pick after ``item`` was skipped; None when none is left.

    Round 0: the next farthest point of the item's cluster, on the map or between embeddings as the
    round was picked; later rounds and random picks: the strategy's next pick. A validation item:
    another scan of its patient, else a random patient of its cluster.
    """
    round_row = project.store.row("SELECT * FROM rounds WHERE round = ?", (item["round"],))
    if round_row is None:
        return None
    assembled = _assembled(project, round_row)
    if item["role"] == "validation":
        pick = _next_validation(project, assembled, item, round_row["seed"])
    elif item["round"] == 0 and item["role"] != "random":
        pick = replacement(assembled.pool, item["cluster"], assembled.pool.embeddings)
    else:
        alpha = 0.5 if round_row["alpha"] is None else round_row["alpha"]
        picks = strategy(round_row["strategy"])(
            assembled.pool, 1, seed=round_row["seed"] + item["rank"], alpha=alpha
        )
        pick = picks[0] if picks else None
    if pick is None:
        return None
    row = queue_row(pick, assembled.scan_ids)
    row["terms"] |= {"replaces": item["scan_id"]}
    return row | {key: item[key] for key in ("round", "rank", "assignee")}


def _assembled(project: Project, round_row: Row) -> Assembly:
    """The pool on a round's map with the round's clusters, for its strategy."""
    map_file = project.store.value("SELECT file FROM maps WHERE map_id = ?", (round_row["map_id"],))
    placed = load_map(project.file_of(map_file))
    clusters = load_clusters(project.file_of(round_row["clusters"])).of
    needs = strategy(round_row["strategy"]).needs
    measured = round_row["run_id"] is not None
    rows = candidates.pool_rows(project, round_row["run_id"], needs if measured else ())
    if by_minutes(round_row):
        rows = with_minutes(read_expectation(project, None), rows)
    found = assemble(
        (row for row in rows if row.scan_id in clusters),
        placed.index(),
        placed.xy,
        clusters,
        round=round_row["round"],
        clusters_by=round_row["strategy"],
    )
    if project.config.selection.one_per_patient:
        found = found.one_per_patient()
    if "embeddings" in needs:
        vectors = _vectors(project, round_row["map_id"], found.scan_ids)
        found = replace(found, pool=replace(found.pool, embeddings=vectors))
    return found


def _vectors(project: Project, map_id: int, scan_ids: Sequence[str]) -> NDArray[np.float32]:
    """L2-normalised embeddings of some scans, by the encoder of the round's map."""
    rows = project.store.rows(
        "SELECT e.scan_id, e.shard_row, s.file FROM embeddings e JOIN shards s "
        "ON s.shard_id = e.shard_id JOIN maps m ON m.encoder_hash = e.encoder_hash "
        "WHERE m.map_id = ? ORDER BY e.scan_id",
        (map_id,),
    )
    place = {scan_id: n for n, scan_id in enumerate(scan_ids)}
    by_file: dict[str, list[tuple[int, int]]] = {}
    for row in rows:
        if row["scan_id"] in place:
            by_file.setdefault(row["file"], []).append((place[row["scan_id"]], row["shard_row"]))
    parts = {name: _shard(project.file_of(name)) for name in by_file}
    if sum(map(len, by_file.values())) < len(scan_ids):
        raise _no_vectors(project.name)
    width = next((part.shape[1] for part in parts.values()), 1)
    vectors = np.zeros((len(scan_ids), width), np.float32)
    for name, members in by_file.items():
        here, there = zip(*members, strict=True)
        vectors[list(here)] = parts[name][list(there)]
    return normalise(vectors)


def _shard(path: Path) -> NDArray[np.float32]:
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise _no_vectors(str(path)) from error


def _no_vectors(where: str) -> ColdalError:
    return ColdalError(
        "the embeddings that the round was picked by are not all there",
        where=where,
        remedy="embed again: coldal-tui embed --again",
        code="shard",
    )


def _next_validation(project: Project, assembled: Assembly, item: Row, seed: int) -> Pick | None:
    patient_of = dict(project.store.tuples("SELECT scan_id, patient_id FROM scans"))
    own = patient_of[item["scan_id"]]
    queued = {row["scan_id"] for row in project.store.rows("SELECT scan_id FROM queue")}
    taken = queued | labelled_scans(project)
    for n, scan_id in enumerate(assembled.scan_ids):
        if patient_of[scan_id] == own and scan_id not in taken:
            return _validation_pick(assembled, n, own)
    # A patient in the training set, or queued for it, can't be used for validation.
    training = {patient_of[scan_id] for scan_id in taken}
    free = [
        n
        for n in np.flatnonzero(assembled.pool.candidate).tolist()
        if patient_of[assembled.scan_ids[n]] not in training
    ]
    same = [n for n in free if assembled.pool.clusters[n] == item["cluster"]] or free
    if not same:
        return None
    n = int(np.random.default_rng([seed, item["rank"]]).choice(same))
    return _validation_pick(assembled, n, patient_of[assembled.scan_ids[n]])


def _validation_pick(assembled: Assembly, n: int, patient: str) -> Pick:
    return Pick(n, "validation", int(assembled.pool.clusters[n]), {"patient": patient})
