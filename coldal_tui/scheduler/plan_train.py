"""Planning of train, score, predict and evaluate jobs: which labels, which scans, which run."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.jobs.spec import (
    EvaluateSpec,
    LabelledScan,
    Returned,
    ScanInput,
    ScoreSpec,
    TrainSpec,
)
from coldal_tui.project.cleanup import cleaned_classes
from coldal_tui.project.labels.files import tidy_label_files
from coldal_tui.project.labels.labelled import active_labels, labelled_records, no_labels
from coldal_tui.project.project import Project
from coldal_tui.project.queue import candidates
from coldal_tui.project.runs import imported_model, latest_run, prediction_file, run_entropies
from coldal_tui.project.views.next_step import run_networks
from coldal_tui.scheduler.request import (
    Request,
    device_of,
    input_cache,
    needs_ensemble,
    needs_of,
    seed_of,
    train_options,
)
from coldal_tui.selection.needs import ENSEMBLE


def plan_train(project: Project, request: Request) -> TrainSpec:
    """Train on every label but the frozen validation patients'.

    Only the scans drawn for validation are measured, so that runs of all rounds can be compared;
    further labels of those patients are used for nothing.
    """
    # A process that was killed after it committed labels has not moved their files yet.
    tidy_label_files(project)
    config = project.config
    images = project.images
    frozen = candidates.validation_patients(project)
    drawn = {row["scan_id"] for row in project.store.rows("SELECT scan_id FROM validation")}
    labelled: list[LabelledScan] = []
    validation: list[LabelledScan] = []
    labels = active_labels(project)
    digests = {row["scan_id"]: row["sha256"] for row in labels}
    for scan, label in labelled_records(project, labels):
        case = LabelledScan(scan=scan.input(images), label=str(label), sha256=digests[scan.scan_id])
        if scan.scan_id in drawn:
            validation.append(case)
        elif scan.patient_id not in frozen:
            labelled.append(case)
    if not labelled:
        raise no_labels(project)
    return TrainSpec(
        run_id=_next_run_id(project),
        classes=config.classes.names,
        train=tuple(labelled),
        validation=tuple(validation),
        options=train_options(project, request),
        seed=seed_of(project, request),
        inputs=input_cache(project),
        labels=digests,
        networks=_networks(project, request),
        returned=_returned(project, [*labelled, *validation]),
        cleanup=cleaned_classes(project),
    )


def _returned(project: Project, cases: Sequence[LabelledScan]) -> tuple[Returned, ...]:
    """Labels that came since the newest run, each with the newest prediction made before it.

    Left out are predictions of runs that trained on the scan or on another of its patient, and of
    runs with other classes. A label is measured once, by the first training that sees it.
    """
    patients = dict(project.store.tuples("SELECT scan_id, patient_id FROM scans"))
    runs = []
    for row in project.store.rows("SELECT * FROM runs ORDER BY created_at DESC, run_id DESC"):
        summary = json.loads(row["summary"])
        plan = summary.get("plan") or {}
        trained = {patients.get(scan_id) for scan_id in json.loads(row["train_scans"])}
        runs.append((row["run_id"], plan.get("classes"), trained, summary.get("labels", {})))
    if not runs:
        return ()
    known = runs[0][3]
    classes = list(project.config.classes.names)
    found = []
    for case in cases:
        scan_id = case.scan.scan_id
        if known.get(scan_id) == case.sha256:
            continue
        for run_id, names, trained, _ in runs:
            predicted = prediction_file(project, run_id, scan_id)
            if predicted is not None and names == classes and patients[scan_id] not in trained:
                found.append(Returned(run_id, case, str(predicted)))
                break
    return tuple(found)


def _networks(project: Project, request: Request) -> int:
    """The configured number of networks, else what the strategy of later rounds needs."""
    if project.config.train.networks is not None:
        return project.config.train.networks
    try:
        return ENSEMBLE if needs_ensemble(_strategy(project, request)) else 1
    except UsageError:
        # A wrong name is told where a strategy is asked for; a training goes without.
        return 1


def _strategy(project: Project, request: Request) -> str:
    """The strategy of the round that a run is for."""
    return str(request.get("strategy") or project.config.selection.round_strategy)


def _next_run_id(project: Project) -> str:
    count = project.store.value("SELECT count(*) FROM runs") or 0
    return f"run-{int(count) + 1:03d}"


def plan_score(project: Project, request: Request) -> ScoreSpec | None:
    """Candidates not yet scored, and queued scans without a prediction, their pre-label.

    For a strategy on the network's features, covered scans too: picks are compared with them.
    """
    run_id = which_run(project, request, "score with")
    scored = run_entropies(project, run_id)
    name = _strategy(project, request)
    differ = "features" in needs_of(name)
    if needs_ensemble(name) and run_networks(project, run_id) < 2:
        raise ColdalError(
            f"{name} asks what several networks disagree about, and this run has one",
            where=run_id,
            remedy="set networks = 3 under [train] in coldal.toml, then: coldal-tui train",
            code="one-network",
        )
    wanted = {
        row.scan_id
        for row in candidates.pool_rows(project, run_id)
        if row.candidate or (differ and row.covered)
    }
    model = imported_model(project, run_id)
    if model is not None:
        _check_maps(run_id, model, wanted, scored, needs_of(name))
        return None
    return _forward(project, request, run_id, wanted - set(scored))


def plan_predict(project: Project, request: Request) -> ScoreSpec | None:
    """Queued and exported scans that the run has not predicted: their pre-labels.

    A run of another model has only the predictions that were imported.
    """
    run_id = which_run(project, request, "predict with")
    if imported_model(project, run_id) is not None:
        return None
    return _forward(project, request, run_id, set())


def need_network(project: Project, run_id: str) -> None:
    """Refuse a run of another model for what a network must be here for."""
    model = imported_model(project, run_id)
    if model is not None:
        raise ColdalError(
            f"the network of {model} is not here, only its maps",
            where=run_id,
            remedy="predict these scans with it, or name another run with --run",
            code="imported-run",
        )


def _check_maps(
    run_id: str, model: str, wanted: set[str], scored: Mapping[str, float], needs: Collection[str]
) -> None:
    """Refuse a run of another model that has no map of any candidate, or lacks what is needed."""
    if "features" in needs:
        raise ColdalError(
            "the strategy compares features of a network, and an imported run has none",
            where=run_id,
            remedy="use another strategy, such as entropy-diversity, or coldal-tui train",
            code="no-features",
        )
    if wanted and not wanted & set(scored):
        raise ColdalError(
            f"no scan that may be picked has a probability map of {model}",
            where=run_id,
            remedy="predict them too and import again: coldal-tui run import DIR; or use the "
            "built-in network: coldal-tui train",
            code="no-maps",
        )


def _forward(
    project: Project, request: Request, run_id: str, candidates: set[str]
) -> ScoreSpec | None:
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
    scans = project.scans_named(todo)
    inputs: list[ScanInput] = [scan.input(project.images) for scan in scans]
    return ScoreSpec(
        run=str(project.run_folder(run_id)),
        run_id=run_id,
        scans=tuple(inputs),
        predict=tuple(name for name in todo if name in unseen),
        device=device_of(project, request),
        threads=project.config.backend.threads,
        cleanup=cleaned_classes(project),
        inputs=input_cache(project),
    )


def plan_evaluate(project: Project, request: Request) -> EvaluateSpec:
    """Masks were matched and put on their scans' grids before the job was submitted."""
    from coldal_tui.project.labels.evaluation_masks import read_evaluation

    run_id = which_run(project, request, "evaluate")
    need_network(project, run_id)
    cases = read_evaluation(project, request["cases"])
    return EvaluateSpec(
        run=str(project.run_folder(run_id)),
        run_id=run_id,
        scans=cases,
        device=device_of(project, request),
        threads=project.config.backend.threads,
        cleanup=cleaned_classes(project),
        inputs=input_cache(project),
    )


def which_run(project: Project, request: Request, what: str) -> str:
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
    return str(wanted or latest_run(project))
