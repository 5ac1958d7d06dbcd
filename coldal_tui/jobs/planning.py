"""From a job's request and the project as it is now to the frozen specification of its work.

``build_spec`` runs when the job is about to start, not when it is submitted: by then the jobs it
depends on have been committed. It returns None when there is nothing left to do.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from coldal_tui.errors import ColdalError
from coldal_tui.files import sha256_file
from coldal_tui.jobs.spec import (
    EmbedSpec,
    EvaluateSpec,
    JobSpec,
    LabelledScan,
    MapSpec,
    ScanInput,
    ScoreSpec,
    SelectSpec,
    ShardRows,
    TrainOptions,
    TrainSpec,
)
from coldal_tui.project import pool as pools
from coldal_tui.project.label_files import reconcile_label_files
from coldal_tui.project.project import Project
from coldal_tui.project.records import ScanRecord
from coldal_tui.project.store import Row

Request = Mapping[str, Any]


def build_spec(project: Project, kind: str, request: Request) -> JobSpec | None:
    """The specification of a job of ``kind``; ColdalError when the project is not ready for it."""
    builders: dict[str, Callable[[Project, Request], JobSpec | None]] = {
        "embed": plan_embed,
        "map": plan_map,
        "select": plan_select,
        "train": plan_train,
        "score": plan_score,
        "predict": plan_predict,
        "evaluate": plan_evaluate,
    }
    if kind not in builders:
        raise ColdalError(
            f"there is no job of the kind {kind!r}", remedy=f"known: {', '.join(builders)}"
        )
    return builders[kind](project, request)


def plan_embed(project: Project, request: Request) -> EmbedSpec | None:
    """All usable scans whose bytes have no vector yet by the configured encoder."""
    scans = project.require_scans()
    known = project.current_encoder_hash()
    done = _whole_vectors(project, known, verify=bool(request.get("again"))) if known else set()
    hopeless = _failed_before(project, known) if known and not request.get("again") else set()
    scans = [scan for scan in scans if scan.scan_id not in hopeless]
    if known and all(scan.scan_id in done for scan in scans) and not request.get("again"):
        return None
    backend = project.config.backend
    return EmbedSpec(
        scans=tuple(scan.input(project.images) for scan in scans),
        encoder=project.encoder,
        embedded=tuple(sorted(done)),
        expected_hash=known,
        batch_size=project.config.encoder.batch_size,
        device=request.get("device") or backend.device,
        threads=backend.threads,
    )


def _whole_vectors(project: Project, encoder_hash: str, *, verify: bool) -> set[str]:
    """Scans whose vector is there: its shard exists and, with ``verify``, has not changed."""
    vectors = embedded_scans(project, encoder_hash)
    whole = {
        row["shard_id"]
        for row in project.store.rows("SELECT shard_id, file, sha256 FROM shards")
        if (path := project.file_of(row["file"])).is_file()
        and (not verify or sha256_file(path) == row["sha256"])
    }
    return {scan_id for scan_id, (shard_id, _) in vectors.items() if shard_id in whole}


def _failed_before(project: Project, encoder_hash: str) -> set[str]:
    """Scans whose bytes, as they are now, could not be embedded the last time."""
    rows = project.store.rows(
        "SELECT f.scan_id FROM embed_failures f JOIN scans s ON s.scan_id = f.scan_id "
        "AND s.quick_hash = f.quick_hash WHERE f.encoder_hash = ?",
        (encoder_hash,),
    )
    return {row["scan_id"] for row in rows}


def embedded_scans(project: Project, encoder_hash: str) -> dict[str, tuple[int, int]]:
    """``scan_id → (shard, row)`` of vectors made from the bytes that the scan has now."""
    rows = project.store.rows(
        "SELECT e.scan_id, e.shard_id, e.shard_row FROM embeddings e JOIN scans s "
        "ON s.scan_id = e.scan_id AND s.quick_hash = e.quick_hash WHERE e.encoder_hash = ?",
        (encoder_hash,),
    )
    return {row["scan_id"]: (row["shard_id"], row["shard_row"]) for row in rows}


def _vectors(project: Project) -> tuple[str, dict[str, tuple[int, int]]]:
    known = project.current_encoder_hash()
    if known is None:
        raise ColdalError(
            "no scan has been embedded yet", where=project.name, remedy="coldal-tui embed"
        )
    usable = {scan.scan_id for scan in project.require_scans()}
    vectors = {k: v for k, v in embedded_scans(project, known).items() if k in usable}
    if not vectors:
        raise ColdalError(
            "no scan has an embedding by the configured encoder",
            where=project.config.encoder.name,
            remedy="coldal-tui embed",
        )
    return known, vectors


def _shards(project: Project, vectors: dict[str, tuple[int, int]]) -> tuple[ShardRows, ...]:
    by_shard: dict[int, list[tuple[str, int]]] = {}
    for scan_id in sorted(vectors):
        shard, row = vectors[scan_id]
        by_shard.setdefault(shard, []).append((scan_id, row))
    files = {row["shard_id"]: row for row in project.store.rows("SELECT * FROM shards")}
    return tuple(
        ShardRows(
            file=str(project.file_of(files[shard]["file"])),
            sha256=files[shard]["sha256"],
            scan_ids=tuple(scan_id for scan_id, _ in members),
            rows=tuple(row for _, row in members),
        )
        for shard, members in sorted(by_shard.items())
    )


def latest_map(project: Project, encoder_hash: str | None = None) -> dict[str, Any] | None:
    known = encoder_hash or project.current_encoder_hash()
    return project.store.row(
        "SELECT * FROM maps WHERE encoder_hash = ? ORDER BY map_id DESC LIMIT 1", (known,)
    )


def plan_map(project: Project, request: Request) -> MapSpec | None:
    """A new map version, unless the newest one shows exactly these vectors.

    Once a round stands on a map, new scans are placed into it; ``rebuild`` starts afresh.
    """
    encoder_hash, vectors = _vectors(project)
    seed = request.get("seed")
    seed = project.config.selection.seed if seed is None else int(seed)
    newest = latest_map(project, encoder_hash)
    rebuild = bool(request.get("rebuild"))
    shards = _shards(project, vectors)
    if newest is not None and not rebuild:
        used = project.store.value("SELECT count(*) FROM rounds") or 0
        shown = json.loads(newest["params"]).get("vectors")
        if shown == _fingerprint(project, vectors) and (newest["seed"] == seed or used):
            return None
        if used:
            return MapSpec(
                shards=shards,
                encoder_hash=encoder_hash,
                seed=newest["seed"],
                base=str(project.file_of(newest["file"])),
                fingerprint=_fingerprint(project, vectors),
            )
    return MapSpec(
        shards=shards,
        encoder_hash=encoder_hash,
        seed=seed,
        fingerprint=_fingerprint(project, vectors),
    )


def _fingerprint(project: Project, vectors: dict[str, tuple[int, int]]) -> str:
    import hashlib

    parts = [
        f"{scan_id}:{vectors[scan_id][0]}:{vectors[scan_id][1]}" for scan_id in sorted(vectors)
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def next_round(project: Project) -> int:
    value = project.store.value("SELECT max(round) FROM rounds")
    return 0 if value is None else int(value) + 1


def round0_size(project: Project) -> int:
    """A fifth of the total budget, at least 5, never above the total."""
    section = project.config.budget
    return section.round0 or min(section.total, max(5, math.ceil(section.total / 5)))


def batch_size(project: Project, number: int) -> int:
    """How many scans round ``number`` asks for by default."""
    if number == 0:
        return round0_size(project)
    return project.config.budget.batch or round0_size(project)


def plan_select(project: Project, request: Request) -> SelectSpec:
    """One round: how many, from whom, by which strategy."""
    number = next_round(project)
    left = pools.budget(project).left
    if left == 0:
        raise ColdalError(
            "the budget is spent",
            where=project.name,
            remedy="raise total under [budget] in coldal.toml to go on",
            code="budget-spent",
        )
    config = project.config
    wanted = request.get("budget") or batch_size(project, number)
    encoder_hash, vectors = _vectors(project)
    base = latest_map(project, encoder_hash)
    if base is None:
        raise ColdalError("there is no map yet", where=project.name, remedy="coldal-tui map")
    default = config.selection.strategy if number == 0 else config.selection.round_strategy
    run_id = pools.latest_run(project)
    rows = tuple(r for r in pools.pool_rows(project, run_id) if r.scan_id in vectors)
    if not any(row.candidate for row in rows):
        raise ColdalError(
            "no scan is left to pick: all are labelled, queued, skipped, excluded, duplicates, "
            "or of a validation patient",
            where=project.name,
            remedy="add scans and run coldal-tui index, or reopen skipped ones: queue reopen",
            code="pool-empty",
        )
    previous = project.store.row("SELECT clusters FROM rounds ORDER BY round DESC LIMIT 1")
    seed = request.get("seed")
    alpha = request.get("alpha")
    return SelectSpec(
        round=number,
        strategy=request.get("strategy") or default,
        budget=min(int(wanted), left),
        validation=_validation_count(project, request, min(int(wanted), left))
        if number == 0
        else 0,
        seed=(config.selection.seed if seed is None else int(seed)) + number,
        map=str(project.file_of(base["file"])),
        pool=rows,
        shards=_shards(project, vectors),
        alpha=config.selection.alpha if alpha is None else float(alpha),
        clusters=str(project.file_of(previous["clusters"])) if previous else None,
        map_id=base["map_id"],
        run_id=run_id,
    )


def _validation_count(project: Project, request: Request, size: int) -> int:
    asked = request.get("validation")
    value = project.config.validation.patients if asked is None else asked
    return max(2, math.ceil(0.2 * size)) if value == "auto" else int(value)


def plan_train(project: Project, request: Request) -> TrainSpec:
    """Train on every label but the frozen validation patients'.

    Only the scans drawn for validation are measured, so that runs of all rounds can be compared;
    further labels of those patients are used for nothing.
    """
    # A process that was killed after it committed labels has not moved their files yet.
    reconcile_label_files(project)
    config = project.config
    images = project.images
    frozen = pools.validation_patients(project)
    drawn = {row["scan_id"] for row in project.store.rows("SELECT scan_id FROM validation")}
    labelled: list[LabelledScan] = []
    validation: list[LabelledScan] = []
    for scan, label in labelled_records(project):
        case = LabelledScan(scan=scan.input(images), label=label)
        if scan.scan_id in drawn:
            validation.append(case)
        elif scan.patient_id not in frozen:
            labelled.append(case)
    if not labelled:
        raise ColdalError(
            "there is no label to train on",
            where=project.name,
            remedy="import masks first: coldal-tui import-masks DIR",
            code="no-labels",
        )
    section = config.train
    seed = request.get("seed")
    options = TrainOptions(
        steps=request.get("steps") or section.steps,
        batch_size=section.batch_size,
        patch=section.patch,
        learning_rate=section.learning_rate,
        device=request.get("device") or config.backend.device,
        threads=config.backend.threads,
        workers=section.workers,
        amp=section.amp,
    )
    return TrainSpec(
        run_id=_next_run_id(project),
        classes=config.classes.names,
        train=tuple(labelled),
        validation=tuple(validation),
        options=options,
        seed=config.selection.seed if seed is None else int(seed),
        cache=str(project.layout.cache),
        labels={row["scan_id"]: row["sha256"] for row in _active_labels(project)},
    )


def labelled_records(project: Project) -> list[tuple[ScanRecord, str]]:
    """Present scans with an active label and its absolute file, in ``scan_id`` order."""
    files = {row["scan_id"]: str(project.file_of(row["file"])) for row in _active_labels(project)}
    return [
        (scan, files[scan.scan_id])
        for scan in project.scans()
        if scan.scan_id in files and scan.state == "present" and scan.excluded is None
    ]


def _active_labels(project: Project) -> list[Row]:
    return project.store.rows(
        "SELECT scan_id, file, sha256 FROM labels WHERE state = 'active' ORDER BY scan_id"
    )


def _next_run_id(project: Project) -> str:
    count = project.store.value("SELECT count(*) FROM runs") or 0
    return f"run-{int(count) + 1:03d}"


def plan_score(project: Project, request: Request) -> ScoreSpec | None:
    """Candidates not yet scored, and queued scans without a prediction, their pre-label."""
    run_id = _run(project, request, "score with")
    scored = pools.entropies(project, run_id)
    wanted = {row.scan_id for row in pools.pool_rows(project, run_id) if row.candidate}
    return _forward(project, request, run_id, wanted - set(scored))


def plan_predict(project: Project, request: Request) -> ScoreSpec | None:
    """Queued and exported scans that the run has not predicted: their pre-labels."""
    return _forward(project, request, _run(project, request, "predict with"), set())


def _forward(
    project: Project, request: Request, run_id: str, candidates: set[str]
) -> ScoreSpec | None:
    from coldal_tui.project.exporting import prediction_file

    open_items = {
        row["scan_id"]
        for row in project.store.rows(
            "SELECT q.scan_id FROM queue q JOIN scans s ON s.scan_id = q.scan_id "
            "WHERE q.status IN ('queued', 'exported') AND s.state = 'present'"
        )
    }
    unseen = {name for name in open_items if prediction_file(project, run_id, name) is None}
    todo = sorted(candidates | unseen)
    if not todo:
        return None
    inputs: list[ScanInput] = [project.scan(name).input(project.images) for name in todo]
    return ScoreSpec(
        run=str(project.layout.runs / run_id),
        run_id=run_id,
        scans=tuple(inputs),
        predict=tuple(name for name in todo if name in unseen),
        device=request.get("device") or project.config.backend.device,
        threads=project.config.backend.threads,
    )


def plan_evaluate(project: Project, request: Request) -> EvaluateSpec:
    """Cases were matched and put on their grids before the job was submitted."""
    run_id = _run(project, request, "evaluate")
    listing = project.file_of(request["cases"])
    try:
        content = listing.read_bytes()
    except FileNotFoundError as error:
        raise ColdalError(
            "the cases of this evaluation are gone: they are kept only while it runs",
            where=str(listing),
            remedy="start it anew: coldal-tui evaluate",
            code="no-cases",
        ) from error
    cases = msgspec.json.decode(content, type=tuple[LabelledScan, ...])
    return EvaluateSpec(
        run=str(project.layout.runs / run_id),
        run_id=run_id,
        scans=cases,
        device=request.get("device") or project.config.backend.device,
        threads=project.config.backend.threads,
    )


def _run(project: Project, request: Request, what: str) -> str:
    """The run that was asked for, or the newest."""
    wanted = request.get("run")
    known = [row["run_id"] for row in project.store.rows("SELECT run_id FROM runs ORDER BY run_id")]
    if not known:
        raise ColdalError(
            f"there is no run to {what}",
            where=project.name,
            remedy="coldal-tui train",
            code="no-run",
        )
    if wanted is not None and wanted not in known:
        raise ColdalError(
            "no such run", where=str(wanted), remedy=f"one of: {', '.join(known)}", code="no-run"
        )
    return str(wanted or pools.latest_run(project))
