"""The select step: picks one round from the map, the pool's state and, later, entropies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coldal_tui.encoders.stored_vectors import read_vectors
from coldal_tui.errors import ColdalError
from coldal_tui.jobs.spec import Reporter, SelectSpec, StepResult
from coldal_tui.maps import load_clusters, load_map, save_clusters
from coldal_tui.minutes_words import fitting, minutes_words
from coldal_tui.selection.assembly import Assembly, assemble
from coldal_tui.selection.clustering import Clustering, choose_clusters
from coldal_tui.selection.geometry import nearest
from coldal_tui.selection.pool import Pick, Pool, queue_row
from coldal_tui.selection.strategies import Strategy, strategy
from coldal_tui.selection.validation import draw_validation, interleave, most_validation

CLUSTERS_FILE = "clusters.npz"


def select(spec: SelectSpec, folder: Path, report: Reporter) -> StepResult:
    """Cluster (round 0), draw validation patients (round 0), pick, rank.

    ``result`` has ``k``, ``silhouettes`` (every k with its score), ``estimated``, ``sizes``,
    ``picks`` (rows of the queue, in rank order), ``notes`` and ``clusters_file``.
    """
    placed = load_map(Path(spec.map))
    assembled = assemble(spec.pool, placed.index(), placed.xy)
    if not assembled.scan_ids:
        raise ColdalError(
            "no scan of the pool is on the map",
            where=spec.map,
            remedy="coldal-tui map",
            code="no-map",
        )
    if spec.one_per_patient:
        assembled = assembled.one_per_patient()
    notes: list[str] = list(spec.notes)
    report.progress(0, 3, "clustering")
    chosen = strategy(spec.strategy, "cold" if spec.round == 0 else "active")
    patients = min(
        spec.validation,
        spec.budget - 1,
        most_validation(assembled.patients, assembled.pool.candidate, assembled.pool.covered),
    )
    vectors = _vectors(spec, assembled) if "embeddings" in chosen.needs else None
    clustering = _clusters(spec, assembled, spec.budget - patients, chosen, vectors)
    report.progress(1, 3, "drawing validation patients" if spec.validation else "picking")
    validation = _validation(spec, assembled, clustering, patients, notes)
    frozen = {assembled.patients[pick.index] for pick in validation}
    free = np.array([patient not in frozen for patient in assembled.patients])
    pool = replace(
        assembled.pool,
        clusters=clustering.labels,
        candidate=assembled.pool.candidate & free,
        labelled=assembled.pool.labelled & free,
        embeddings=vectors,
        round=spec.round,
        clusters_by=chosen.name if chosen.clusterer else "map",
    )
    report.progress(2, 3, "picking")
    batch = spec.budget - len(validation)
    picks = chosen(pool, batch, seed=spec.seed, alpha=spec.alpha)
    if len(picks) < batch:
        notes.append(f"only {len(picks) + len(validation)} of {spec.budget} could be picked")
    if not picks:
        raise ColdalError(
            f"strategy {spec.strategy} found no scan to pick",
            where=f"round {spec.round}",
            remedy="score the pool (coldal-tui score), or use --alpha 0 or another --strategy",
            code="no-picks",
        )
    _note_unscored(pool, spec, chosen, notes)
    ranked = _within(interleave(picks, validation), spec, assembled, notes)
    picks = [pick for pick in ranked if pick.role != "validation"]
    save_clusters(folder / CLUSTERS_FILE, assembled.scan_ids, clustering.labels, clustering.k)
    for note in notes:
        report.log(note)
    report.progress(3, 3, "picked")
    return StepResult(
        files=(CLUSTERS_FILE,),
        result={
            "clusters_file": CLUSTERS_FILE,
            "k": clustering.k,
            "silhouettes": [[k, score] for k, score in clustering.silhouettes],
            "estimated": clustering.estimated,
            "sizes": np.bincount(clustering.labels, minlength=clustering.k).tolist(),
            "uses_alpha": any("alpha" in pick.terms for pick in picks),
            "picks": [
                {"rank": rank} | queue_row(pick, assembled.scan_ids)
                for rank, pick in enumerate(ranked, start=1)
            ],
            "notes": notes,
        },
    )


def _within(
    ranked: list[Pick], spec: SelectSpec, assembled: Assembly, notes: list[str]
) -> list[Pick]:
    """The first picks, as many as fit in the minutes left; a note says so where not all do."""
    left = spec.minutes_left
    if left is None:
        return ranked
    each = [spec.minutes[assembled.scan_ids[pick.index]] for pick in ranked]
    fit = fitting(each, left)
    if not fit:
        raise ColdalError(
            f"the first scan of this round takes about {minutes_words(each[0])}, and "
            f"{minutes_words(left)} of the budget are left",
            where=f"round {spec.round}",
            remedy="raise minutes under [budget] in coldal.toml to go on",
            code="budget-spent",
        )
    if fit < len(ranked):
        notes.append(f"{fit} of {len(ranked)} fit in the {minutes_words(left)} left of the budget")
    return ranked[:fit]


def _vectors(spec: SelectSpec, assembled: Assembly) -> NDArray[np.float32]:
    """The vectors of the pool's scans, row for row; the shards may hold others, too."""
    scan_ids, vectors = read_vectors(spec.shards)
    row = {scan_id: n for n, scan_id in enumerate(scan_ids)}
    return vectors[[row[scan_id] for scan_id in assembled.scan_ids]]


def _clusters(
    spec: SelectSpec,
    assembled: Assembly,
    batch: int,
    chosen: Strategy,
    vectors: NDArray[np.float32] | None,
) -> Clustering:
    """The clusters: round 0 makes them on the map, or on the data of its strategy.

    Later rounds keep them, and new scans join the nearest cluster on the map.
    """
    if spec.clusters is None:
        if chosen.clusterer is not None and vectors is not None:
            return chosen.clusterer(vectors, max(1, batch), spec.seed)
        return choose_clusters(assembled.pool.points, max(1, batch), spec.seed)
    earlier = load_clusters(Path(spec.clusters))
    labels = np.array([earlier.of.get(name, -1) for name in assembled.scan_ids], dtype=np.int64)
    old, new = np.flatnonzero(labels >= 0), np.flatnonzero(labels < 0)
    if not len(old):
        # Every scan that was clustered is gone: there is nothing to join.
        return choose_clusters(assembled.pool.points, max(1, batch), spec.seed)
    if len(new):
        _, which = nearest(assembled.pool.points[new], assembled.pool.points[old])
        labels[new] = labels[old[which]]
    return Clustering(labels, earlier.k, (), False)


def _validation(
    spec: SelectSpec, assembled: Assembly, clustering: Clustering, patients: int, notes: list[str]
) -> list[Pick]:
    if spec.validation == 0:
        return []
    drawn = draw_validation(
        assembled.patients,
        clustering.labels,
        assembled.pool.candidate,
        patients,
        spec.seed,
        training=assembled.pool.covered,
    )
    if len(drawn) < spec.validation:
        why = "at most a fifth of the pool's are kept for it" if drawn else "there are not more"
        notes.append(f"validation: {len(drawn)} patients instead of {spec.validation}; {why}")
    return [
        Pick(
            index,
            "validation",
            int(clustering.labels[index]),
            {"patient": assembled.patients[index]},
        )
        for index in drawn
    ]


def _note_unscored(pool: Pool, spec: SelectSpec, chosen: Strategy, notes: list[str]) -> None:
    weighed = "entropy" in chosen.needs or (chosen.name == "entropy-diversity" and spec.alpha > 0)
    if weighed and pool.entropy is not None:
        missing = int(np.sum(pool.candidate & np.isnan(pool.entropy)))
        if missing:
            notes.append(f"{missing} candidates have no entropy and were passed over")
