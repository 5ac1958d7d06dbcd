"""Commits receipts: verifies outputs, moves them to their place and records them.

Committing twice is harmless: the second commit finds the job done and changes nothing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from coldal_tui.below import below, plain_name
from coldal_tui.errors import ColdalError
from coldal_tui.files import disk_error, fsync_folder, make_folder, sha256_file
from coldal_tui.jobs.spec import (
    CrossFitSpec,
    EmbedSpec,
    EvaluateSpec,
    JobSpec,
    MapSpec,
    Receipt,
    ScoreSpec,
    SelectSpec,
    SimulateSpec,
    TrainSpec,
)
from coldal_tui.project.job_rows import DONE, Job, get_job
from coldal_tui.project.measuring import CROSS_FITTED, FROZEN, TEST_THEN_TRAIN, note_measure
from coldal_tui.project.project import Project, encoder_key
from coldal_tui.project.queue.budget import labelled_scans
from coldal_tui.project.runs import CROSS_FITTED_FOLDER, kept_scores
from coldal_tui.project.scans.left_out import note_left_out
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.score_files import ScoreFiles


def commit_receipt(project: Project, job_id: int) -> None:
    """Verify and commit the receipt of an open job; one that has ended is left alone.

    Raises ColdalError (code ``receipt``) when an output is missing or not what it says.
    """
    job = get_job(project, job_id)
    receipt = job.folder.receipt()
    if receipt is None or job.ended:
        return
    spec = job.folder.read_spec()
    _verify(job.folder.path, receipt)
    try:
        _COMMITS[type(spec)](project, job, spec, receipt)
    except _EndedBeforeError:
        return


class _EndedBeforeError(Exception):
    """Another process has ended the job first; the whole transaction is rolled back."""


def _verify(folder: Path, receipt: Receipt) -> None:
    for output in receipt.outputs:
        path = below(folder, output.path)
        if path.exists() and sha256_file(path) != output.sha256:
            raise ColdalError(
                "this output has changed since the job wrote it",
                where=str(path),
                remedy="run the job again: coldal-tui jobs retry",
                code="receipt",
            )


def _place(source: Path, target: Path, sha256: str) -> None:
    """Move an output to its final path, unless it is there already."""
    if source.exists():
        try:
            make_folder(target.parent)
            shutil.move(source, target)
            fsync_folder(target.parent)
        except OSError as error:
            raise disk_error(error, target) from error
    elif not target.exists() or sha256_file(target) != sha256:
        raise _missing(source)


def _missing(path: Path) -> ColdalError:
    return ColdalError(
        "an output of the job is missing",
        where=str(path),
        remedy="run the job again: coldal-tui jobs retry",
        code="receipt",
    )


def _finish(project: Project, job: Job, receipt: Receipt, result: dict[str, Any]) -> None:
    """Mark the job done inside the caller's transaction; _EndedBeforeError when it has ended."""
    if get_job(project, job.job_id).ended:
        raise _EndedBeforeError
    if "adjustments" in receipt.result:
        result = result | {"adjustments": receipt.result["adjustments"]}
    queue.set_status(project, job.job_id, DONE, result=result, error=None, cancel_asked=0)


def _sha256(receipt: Receipt, path: str) -> str:
    for output in receipt.outputs:
        if output.path == path:
            return output.sha256
    raise _missing(Path(path))


def _failures(receipt: Receipt) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(failed) for failed in receipt.failed]


def _commit_embed(project: Project, job: Job, spec: EmbedSpec, receipt: Receipt) -> None:
    result = receipt.result
    encoder_hash = result["encoder_hash"]
    hashes = {scan.scan_id: scan.quick_hash for scan in spec.scans}
    shas = {output.path: output.sha256 for output in receipt.outputs}
    folder = below(project.layout.embeddings, plain_name(encoder_hash[:16], "encoder"))
    placed: list[tuple[str, str, list[str]]] = []
    for shard in result["shards"]:
        target = folder / f"{job.job_id:06d}-{Path(shard['file']).name}"
        _place(below(job.folder.path, shard["file"]), target, shas[shard["file"]])
        placed.append((project.layout.relative(target), shard["sha256"], shard["scan_ids"]))
    store = project.store
    with store.action("embed", undoable=False) as action:
        summary = {"embedded": sum(len(ids) for _, _, ids in placed), "failed": _failures(receipt)}
        _finish(project, job, receipt, summary)
        store.replace(
            "encoders",
            encoder_hash=encoder_hash,
            name=result["encoder"],
            dim=result["dim"],
            record=result["record"],
        )
        store.replace("meta", key=encoder_key(spec.encoder), value=encoder_hash)
        for file, sha256, scan_ids in placed:
            shard_id = store.insert(
                "shards",
                encoder_hash=encoder_hash,
                file=file,
                sha256=sha256,
                created_at=store.now(),
            )
            for row, scan_id in enumerate(scan_ids):
                store.replace(
                    "embeddings",
                    encoder_hash=encoder_hash,
                    scan_id=scan_id,
                    quick_hash=hashes[scan_id],
                    shard_id=shard_id,
                    shard_row=row,
                )
                store.execute(
                    "DELETE FROM embed_failures WHERE encoder_hash = ? AND scan_id = ?",
                    (encoder_hash, scan_id),
                )
        for failed in receipt.failed:
            store.replace(
                "embed_failures",
                encoder_hash=encoder_hash,
                scan_id=failed.scan_id,
                quick_hash=hashes[failed.scan_id],
                message=failed.message,
            )
        note_left_out(project, job.job_id, "embed", spec.scans, receipt.failed)
        action.summary = f"embedded {summary['embedded']} scans with {result['encoder']}"
        action.params = {"job": job.job_id, "encoder_hash": encoder_hash}
        action.inputs = {"shards": [sha256 for _, sha256, _ in placed]}


def _commit_map(project: Project, job: Job, spec: MapSpec, receipt: Receipt) -> None:
    result = receipt.result
    sha256 = _sha256(receipt, result["file"])
    target = project.layout.maps / f"{job.job_id:06d}-map.npz"
    _place(below(job.folder.path, result["file"]), target, sha256)
    store = project.store
    with store.action("map", undoable=False) as action:
        _finish(project, job, receipt, {k: v for k, v in result.items() if k != "file"})
        params = {k: result[k] for k in ("method", "perplexity", "distinct", "placed")}
        params["components"] = result.get("components")  # a job of an older version had none
        map_id = store.insert(
            "maps",
            encoder_hash=spec.encoder_hash,
            file=project.layout.relative(target),
            sha256=sha256,
            seed=spec.seed,
            scans=result["scans"],
            params=params | {"vectors": spec.fingerprint},
            created_at=store.now(),
        )
        action.summary = f"map {map_id}: {result['scans']} scans by {result['method']}"
        action.params = {"job": job.job_id, "map_id": map_id} | params
        action.inputs = {"shards": [shard.sha256 for shard in spec.shards]}
        action.seed = spec.seed


def _commit_select(project: Project, job: Job, spec: SelectSpec, receipt: Receipt) -> None:
    result = receipt.result
    sha256 = _sha256(receipt, result["clusters_file"])
    target = project.layout.maps / f"{job.job_id:06d}-clusters.npz"
    _place(below(job.folder.path, result["clusters_file"]), target, sha256)
    store = project.store
    picks = result["picks"]
    summary = {"round": spec.round, "picked": len(picks), "k": result["k"]}
    with store.action("select") as action:
        _finish(project, job, receipt, summary)
        taken = {row["scan_id"] for row in store.rows("SELECT scan_id FROM queue")}
        taken |= labelled_scans(project)
        if any(pick["scan_id"] in taken for pick in picks) or store.row(
            "SELECT 1 FROM rounds WHERE round = ?", (spec.round,)
        ):
            raise ColdalError(
                "the queue has changed while this selection ran",
                where=f"job {job.job_id}",
                remedy="run the selection again",
                code="stale",
            )
        store.insert(
            "rounds",
            round=spec.round,
            strategy=spec.strategy,
            seed=spec.seed,
            alpha=spec.alpha if result.get("uses_alpha") else None,
            budget=spec.budget,
            map_id=spec.map_id,
            run_id=spec.run_id if spec.round else None,
            clusters=project.layout.relative(target),
            k=result["k"],
            silhouettes=result["silhouettes"],
            params={"estimated": result["estimated"], "notes": result["notes"]}
            | ({"cost": "minutes"} if any(row.minutes is not None for row in spec.pool) else {}),
            created_at=store.now(),
        )
        patients = {row.scan_id: row.patient_id for row in spec.pool}
        for pick in picks:
            store.insert("queue", round=spec.round, **pick)
            if pick["role"] == "validation":
                store.insert(
                    "validation",
                    patient_id=patients[pick["scan_id"]],
                    scan_id=pick["scan_id"],
                    round=spec.round,
                )
        action.summary = f"round {spec.round}: {len(picks)} scans by {spec.strategy}"
        action.params = summary | {"job": job.job_id, "strategy": spec.strategy}
        action.params |= {"alpha": spec.alpha, "validation": spec.validation}
        action.inputs = {"map": sha256_file(Path(spec.map)), "clusters": sha256}
        action.seed = spec.seed


def _commit_train(project: Project, job: Job, spec: TrainSpec, receipt: Receipt) -> None:
    folder = project.run_folder(spec.run_id)
    for output in receipt.outputs:
        _place(below(job.folder.path, output.path), below(folder, output.path), output.sha256)
    store = project.store
    result = receipt.result
    with store.action("train", undoable=False) as action:
        failed = _failures(receipt)
        summary = {
            "run_id": spec.run_id,
            "validation": result.get("validation", {}).get("mean"),
            "failed": failed,
        }
        _finish(project, job, receipt, summary)
        cases = (*spec.train, *spec.validation)
        note_left_out(project, job.job_id, "train", [case.scan for case in cases], receipt.failed)
        left_out = {one.scan_id for one in receipt.failed}
        trained = [c.scan.scan_id for c in spec.train if c.scan.scan_id not in left_out]
        watched = [c.scan.scan_id for c in spec.validation if c.scan.scan_id not in left_out]
        number = store.value("SELECT max(round) FROM rounds")
        store.insert(
            "runs",
            run_id=spec.run_id,
            round=0 if number is None else number,
            seed=spec.seed,
            train_scans=trained,
            validation_scans=watched,
            summary=result
            | {
                "seconds": receipt.seconds,
                "labels": spec.labels,
                "left_out": failed,
                "images": {case.scan.scan_id: case.scan.quick_hash for case in cases},
            },
            created_at=store.now(),
        )
        _store_metrics(project, spec.run_id, FROZEN, result.get("validation", {}))
        note_measure(project, spec.run_id, FROZEN)
        for run_id, scans in result.get("returned", {}).items():
            _store_metrics(project, run_id, TEST_THEN_TRAIN, {"scans": scans})
            note_measure(project, run_id, TEST_THEN_TRAIN)
        action.summary = f"{spec.run_id}: trained on {len(trained)} labels"
        if left_out:
            action.summary += f", {len(left_out)} left out"
        action.params = {"job": job.job_id, "steps": result.get("steps")}
        action.inputs = {output.path: output.sha256 for output in receipt.outputs}
        action.seed = spec.seed


def _store_metrics(project: Project, run_id: str, split: str, measured: dict[str, Any]) -> None:
    for scan_id, classes in measured.get("scans", {}).items():
        for name, values in classes.items():
            project.store.replace(
                "metrics",
                **{"run_id": run_id, "split": split, "scan_id": scan_id, "class": name},
                dice=values["dice"],
                hd=values["hd"],
                hd95=values["hd95"],
                unit=values["unit"],
                note=values.get("note") or "",
            )


def _commit_score(project: Project, job: Job, spec: ScoreSpec, receipt: Receipt) -> None:
    folder = project.run_folder(spec.run_id)
    for output in receipt.outputs:
        if output.path.startswith("predictions/"):
            _place(below(job.folder.path, output.path), below(folder, output.path), output.sha256)
    listed = below(job.folder.path, receipt.result["entropies"])
    if not listed.exists():
        raise _missing(listed)
    entropies: dict[str, float] = json.loads(listed.read_bytes())
    files = (receipt.result.get(name) for name in ("scores", "features"))
    scores = ScoreFiles(*(below(job.folder.path, file) if file else None for file in files))
    store = project.store
    with store.action(job.kind, undoable=False) as action:
        summary = {
            "run_id": spec.run_id,
            "scored": len(entropies),
            "failed": _failures(receipt),
        }
        _finish(project, job, receipt, summary)
        for scan_id, entropy in entropies.items():
            one, features = scores.of(scan_id)
            store.replace(
                "scores",
                run_id=spec.run_id,
                scan_id=scan_id,
                entropy=entropy,
                **kept_scores(one, features),
            )
        note_left_out(project, job.job_id, job.kind, spec.scans, receipt.failed)
        done = "predicted" if job.kind == "predict" else "scored"
        action.summary = f"{spec.run_id}: {done} {len(entropies)} scans"
        action.params = {"job": job.job_id, "run_id": spec.run_id}


def _commit_evaluate(project: Project, job: Job, spec: EvaluateSpec, receipt: Receipt) -> None:
    mean = receipt.result["mean"]
    if mean is None:
        first = receipt.failed[0]
        raise ColdalError(
            f"not one of {len(spec.scans)} scans could be measured; the first: {first.message}",
            where=first.file,
            remedy="mend what it says, then evaluate again",
            code="nothing-measured",
        )
    store = project.store
    with store.action("evaluate", undoable=False) as action:
        _finish(project, job, receipt, receipt.result)
        split = f"evaluation-{job.job_id}"
        _store_metrics(project, spec.run_id, split, receipt.result)
        count = len(receipt.result["scans"])
        action.summary = f"{spec.run_id}: Dice {mean['dice']:.3f} on {count} scans"
        action.params = {"job": job.job_id, "mean": mean}


def _commit_crossfit(project: Project, job: Job, spec: CrossFitSpec, receipt: Receipt) -> None:
    """Predictions go to the run's folder, measures of the training labels to its metrics."""
    result = receipt.result
    folder = project.run_folder(spec.run_id) / CROSS_FITTED_FOLDER
    places = {file: Path(file).name for file in result["predictions"].values()}
    places |= {file: f"entropy/{Path(file).name}" for file in result["entropies"].values()}
    for output in receipt.outputs:
        if output.path in places:
            target = below(folder, places[output.path])
            # Of an earlier cross-fitting, by other folds.
            if below(job.folder.path, output.path).exists():
                target.unlink(missing_ok=True)
            _place(below(job.folder.path, output.path), target, output.sha256)
    store = project.store
    with store.action("crossfit", undoable=False) as action:
        summary = {key: result[key] for key in ("mean", "counts")} | {"run_id": spec.run_id}
        _finish(project, job, receipt, summary | {"failed": _failures(receipt)})
        store.execute(
            "DELETE FROM metrics WHERE run_id = ? AND split = ?", (spec.run_id, CROSS_FITTED)
        )
        _store_metrics(project, spec.run_id, CROSS_FITTED, result)
        found = note_measure(project, spec.run_id, CROSS_FITTED)
        store.execute(
            "UPDATE runs SET summary = json_set(summary, '$.cleanup', json(?)) WHERE run_id = ?",
            (json.dumps(result.get("cleanup", {})), spec.run_id),
        )
        cases = [case.scan for fold in (*spec.folds, spec.others) for case in fold]
        note_left_out(project, job.job_id, "crossfit", cases, receipt.failed)
        measured = f"Dice {found.dice:.3f} on {found.scans} labels" if found else "nothing measured"
        action.summary = f"{spec.run_id}: cross-fitted in {len(spec.folds)} folds, {measured}"
        action.params = {"job": job.job_id, "mean": result["mean"]}


def _commit_simulate(project: Project, job: Job, spec: SimulateSpec, receipt: Receipt) -> None:
    """The cells lie in the simulation's folder already, each checked when it is read."""
    result = receipt.result
    store = project.store
    with store.action("simulate", undoable=False) as action:
        _finish(project, job, receipt, result | {"setup": spec.setup})
        action.summary = f"simulated {result['done']} of {result['cells']} cells"
        action.params = {"job": job.job_id, "failed": len(result["failed_cells"])}
        action.inputs = {"setup": spec.setup}


_COMMITS: dict[type[JobSpec], Callable[[Project, Job, Any, Receipt], None]] = {
    EmbedSpec: _commit_embed,
    MapSpec: _commit_map,
    SelectSpec: _commit_select,
    TrainSpec: _commit_train,
    ScoreSpec: _commit_score,
    EvaluateSpec: _commit_evaluate,
    CrossFitSpec: _commit_crossfit,
    SimulateSpec: _commit_simulate,
}
