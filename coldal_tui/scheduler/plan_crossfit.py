"""Planning of cross-fitting: whether a run is measured so, and which patients share a fold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from coldal_tui.errors import ColdalError
from coldal_tui.jobs.spec import CrossFitSpec, LabelledScan
from coldal_tui.project.cleanup import cleaned_classes
from coldal_tui.project.job_rows import get_job
from coldal_tui.project.labels.labelled import active_labels, labelled_records
from coldal_tui.project.measuring import CROSS_FITTED
from coldal_tui.project.project import Project
from coldal_tui.project.queue import candidates
from coldal_tui.project.runs import cross_fitted_file
from coldal_tui.scheduler.plan_train import need_network, which_run
from coldal_tui.scheduler.request import Request, input_cache, train_options
from coldal_tui.selection.patient_folds import patient_folds

FOLDS = 5


def measured_by_crossfit(project: Project) -> bool:
    """Whether a run is cross-fitted by itself: nobody is frozen, and two patients have labels."""
    section = project.config.validation
    if section.folds < 2 or section.patients != "auto" or candidates.validation_patients(project):
        return False
    patients = project.store.value(
        "SELECT count(DISTINCT s.patient_id) FROM labels l JOIN scans s ON s.scan_id = l.scan_id "
        "WHERE l.state = 'active'"
    )
    return int(patients or 0) >= 2


def plan_crossfit(project: Project, request: Request) -> CrossFitSpec | None:
    """Folds of the labels that a run trained on, as they were then; None when all is there.

    ``after`` in the request is the job whose run is meant. Labels that were changed since the
    training are left out; those that it did not train on are predicted by the run itself.
    """
    after = request.get("after")
    if after is not None:
        request = {**request, "run": get_job(project, int(after)).result.get("run_id")}
    run_id = which_run(project, request, "cross-fit")
    need_network(project, run_id)
    row = project.store.row("SELECT * FROM runs WHERE run_id = ?", (run_id,))
    assert row is not None  # which_run has found it
    trained = frozenset(json.loads(row["train_scans"]))
    seen: Mapping[str, str] = json.loads(row["summary"]).get("labels", {})
    labels = active_labels(project)
    digests = {one["scan_id"]: one["sha256"] for one in labels}
    cases: dict[str, list[LabelledScan]] = {}
    others = []
    for scan, label in labelled_records(project, labels):
        digest = digests[scan.scan_id]
        case = LabelledScan(scan.input(project.images), str(label), digest)
        if scan.scan_id not in trained:
            others.append(case)
        elif seen.get(scan.scan_id) == digest:
            cases.setdefault(scan.patient_id, []).append(case)
    if len(cases) < 2:
        raise ColdalError(
            "cross-fitting needs training labels of two patients, unchanged since the training",
            where=run_id,
            remedy="train again: coldal-tui train, or label scans of a further patient",
            code="one-patient",
        )
    wanted = [*(case for found in cases.values() for case in found), *others]
    if _done(project, run_id, cases) and not request.get("again"):
        missing = [
            case for case in wanted if cross_fitted_file(project, run_id, case.scan.scan_id) is None
        ]
        if not missing:
            return None
    count = min(project.config.validation.folds or FOLDS, len(cases))
    folds = share_out(cases, max(2, count), row["seed"])
    return CrossFitSpec(
        run=str(project.run_folder(run_id)),
        run_id=run_id,
        folds=folds,
        wanted=tuple(range(len(folds))),
        options=train_options(project, request),
        seed=row["seed"],
        others=tuple(others),
        inputs=input_cache(project),
        cleanup=cleaned_classes(project),
    )


def _done(project: Project, run_id: str, cases: Mapping[str, Sequence[LabelledScan]]) -> bool:
    """Whether every training label has its cross-fitted measure."""
    rows = project.store.rows(
        "SELECT DISTINCT scan_id FROM metrics WHERE run_id = ? AND split = ?",
        (run_id, CROSS_FITTED),
    )
    known = {row["scan_id"] for row in rows}
    return all(case.scan.scan_id in known for found in cases.values() for case in found)


def share_out(
    cases: Mapping[str, Sequence[LabelledScan]], count: int, seed: int
) -> tuple[tuple[LabelledScan, ...], ...]:
    """Patients dealt to ``count`` folds of nearly equal size, each patient whole.

    The rule is that of ``patient_folds``, as in a release.
    """
    every = [(patient, case) for patient, found in cases.items() for case in found]
    dealt = patient_folds([patient for patient, _ in every], count, seed)
    folds: list[list[LabelledScan]] = [[] for _ in range(count)]
    for (_, case), fold in zip(every, dealt, strict=True):
        folds[fold].append(case)
    return tuple(tuple(sorted(fold, key=lambda case: case.scan.scan_id)) for fold in folds)
