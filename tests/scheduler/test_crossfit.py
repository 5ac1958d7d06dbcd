"""Cross-fitting as a job: when it follows a training, its folds and figures, who goes first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.imaging.entropyfile import write_entropy
from coldal_tui.imaging.labelfile import write_label
from coldal_tui.jobs.folder import JobError
from coldal_tui.jobs.spec import CrossFitSpec
from coldal_tui.project.job_rows import get_job, list_jobs
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.project import Project
from coldal_tui.project.settings.config import edit_config
from coldal_tui.project.views.snapshot import take_snapshot
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.plan_crossfit import measured_by_crossfit, share_out
from coldal_tui.scheduler.planning import build_spec
from tests.support.lab import SIZE, Lab
from tests.support.playing import set_backend, statuses

PATIENTS = '[images]\ndir = "../images"\npatients_pattern = "^(p[0-9])"\n'
NAMES = ("p1_a", "p1_b", "p2_a", "p3_a", "p4_a")


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    made = Lab(tmp_path)
    yield made
    made.close()


@pytest.fixture
def labelled(lab: Lab) -> Project:
    """Five labelled scans of four patients."""
    lab.pictures(*NAMES)
    project = lab.start(PATIENTS + '[classes]\nnames = ["lung"]\n')
    for n, name in enumerate(NAMES):
        lab.mask(f"{name}.png", columns=slice(n, n + 3), value=255)
    import_masks(project, lab.masks)
    return project


def _set(project: Project, key: str, value: object) -> None:
    edit_config(project.layout.config, {("validation", key): value})
    project.reload_config()


def _write(folder: Path, spec: Any) -> tuple[dict[str, Any], list[str]]:
    """What a worker leaves: Dice 0.5, 0.6 … by scan, in the order of the folds."""
    assert isinstance(spec, CrossFitSpec)
    scans: dict[str, Any] = {}
    predictions, entropies = {}, {}
    for n, fold in enumerate((*spec.folds, spec.others)):
        own = folder / f"fold-{n}"
        (own / "entropy").mkdir(parents=True)
        for case in fold:
            name = case.scan.scan_id
            if n < len(spec.folds):
                value = {"dice": 0.5 + 0.1 * len(scans), "hd": 2.0, "hd95": 1.0, "unit": "px"}
                scans[name] = {"lung": value}
            predictions[name], entropies[name] = (
                f"fold-{n}/{name}.png",
                f"fold-{n}/entropy/{name}.png",
            )
            write_label(folder / predictions[name], np.eye(*SIZE, dtype=np.uint8), None)
            write_entropy(folder / entropies[name], np.zeros(SIZE, np.uint8), None)
    told = {"scans": scans, "predictions": predictions, "entropies": entropies}
    told |= {"mean": {"dice": 0.7}, "counts": {"scans": len(scans)}, "folds": len(spec.folds)}
    return told, [*predictions.values(), *entropies.values()]


def test_patients_stay_whole_and_folds_are_equal(lab: Lab, labelled: Project) -> None:
    lab.train(labelled)
    spec = build_spec(labelled, "crossfit", {})
    assert isinstance(spec, CrossFitSpec)
    folds = [{case.scan.scan_id for case in fold} for fold in spec.folds]
    assert sorted(map(len, folds)) == [1, 1, 1, 2]
    assert {"p1_a", "p1_b"} in folds
    assert (spec.wanted, spec.others, spec.seed) == ((0, 1, 2, 3), (), 0)
    _set(labelled, "folds", 2)
    spec = build_spec(labelled, "crossfit", {})
    assert isinstance(spec, CrossFitSpec)
    # The two of p1 first, then one patient here and there: 2 and 3 scans.
    assert sorted(len(fold) for fold in spec.folds) == [2, 3]


@pytest.mark.parametrize("seed", range(5))
def test_patients_with_most_scans_are_dealt_first(seed: int) -> None:
    sizes = {"a": 5, "b": 1, "c": 1, "d": 3, "e": 2}

    class Case:
        def __init__(self, name: str) -> None:
            self.scan = type("Scan", (), {"scan_id": name})

    cases = {name: [Case(f"{name}{n}") for n in range(count)] for name, count in sizes.items()}
    folds = share_out(cases, 3, seed)  # type: ignore[arg-type]
    # 5, 3, 2 to one fold each, then 1 to the fold of 2 and 1 to one of those with 3.
    assert sorted(len(fold) for fold in folds) in ([3, 4, 5],)
    for name, found in cases.items():
        assert sum(any(case in fold for case in found) for fold in folds) == 1, name


def test_its_figures_are_the_runs(lab: Lab, labelled: Project) -> None:
    run_id = lab.train(labelled)
    (before,) = take_snapshot(labelled).runs
    assert (before.mean, before.measured, before.measures) == (None, "", ())
    lab.run_job(labelled, "crossfit", _write)
    (run,) = take_snapshot(labelled).runs
    assert (run.measured, run.validation) == ("cross-fitted", 0)
    (measure,) = run.measures
    assert (measure.scans, measure.patients) == (5, 4)
    assert measure.dice == pytest.approx(0.7)
    assert measure.low is not None
    assert 0 <= measure.low < 0.7
    folder = labelled.run_folder(run_id) / "cross-fitted"
    assert {path.stem for path in folder.glob("*.png")} == set(NAMES)
    assert {path.stem for path in (folder / "entropy").iterdir()} == set(NAMES)
    # All is there: nothing to do, unless it is asked for.
    assert build_spec(labelled, "crossfit", {}) is None
    assert build_spec(labelled, "crossfit", {"again": True}) is not None
    lab.run_job(labelled, "crossfit", _write, {"again": True})
    assert take_snapshot(labelled).runs[0].measures == run.measures


def test_labels_that_changed_or_came_later_do_not_train(lab: Lab, labelled: Project) -> None:
    lab.train(labelled)
    lab.pictures("p5_a")
    from coldal_tui.project.scans.indexing import reindex

    reindex(labelled)
    lab.mask("p5_a.png", columns=slice(0, 4), value=255)
    lab.mask("p2_a.png", columns=slice(0, 7), value=255)
    import_masks(labelled, lab.masks)
    spec = build_spec(labelled, "crossfit", {})
    assert isinstance(spec, CrossFitSpec)
    assert {case.scan.scan_id for fold in spec.folds for case in fold} == set(NAMES) - {"p2_a"}
    assert [case.scan.scan_id for case in spec.others] == ["p5_a"]


def test_one_patient_is_refused_with_the_remedy(lab: Lab) -> None:
    lab.pictures("p1_a", "p1_b")
    project = lab.start(PATIENTS + '[classes]\nnames = ["lung"]\n')
    for name in ("p1_a", "p1_b"):
        lab.mask(f"{name}.png", value=255)
    import_masks(project, lab.masks)
    assert not measured_by_crossfit(project)
    lab.train(project)
    with pytest.raises(ColdalError, match="training labels of two patients") as caught:
        build_spec(project, "crossfit", {})
    assert caught.value.code == "one-patient"


def test_it_follows_a_training_unless_somebody_is_frozen(labelled: Project) -> None:
    assert measured_by_crossfit(labelled)
    (number,) = queue.submit_chain(labelled, [("train", {"device": "cpu"})])
    training, after = list_jobs(labelled)
    assert (training.job_id, training.priority) == (number, 0)
    assert (after.kind, after.priority, after.depends_on) == ("crossfit", -1, (number,))
    assert after.request == {"after": number, "device": "cpu"}
    _set(labelled, "folds", 0)
    assert not measured_by_crossfit(labelled)
    _set(labelled, "folds", 5)
    _set(labelled, "patients", 2)
    assert not measured_by_crossfit(labelled)
    _set(labelled, "patients", "auto")
    assert measured_by_crossfit(labelled)
    with labelled.store.transaction():
        labelled.store.insert("validation", patient_id="p1", scan_id="p1_a", round=0)
    assert not measured_by_crossfit(labelled)
    queue.submit_chain(labelled, [("train", {})])
    assert [job.kind for job in list_jobs(labelled)] == ["train", "crossfit", "train"]


def test_the_loop_goes_on_beside_it(lab: Lab, labelled: Project) -> None:
    lab.train(labelled)
    queue.submit(labelled, "crossfit", priority=-1)
    assert take_snapshot(labelled).next.action != "wait"


def _running(project: Project, supervisor: Any, device: str = "auto") -> int:
    number = queue.submit(project, "crossfit", {"device": device}, priority=-1)
    supervisor.step()
    assert get_job(project, number).status == "running"
    return number


@pytest.fixture
def fitting(labelled: Project, lab: Lab, backend: Any, clock: Any) -> Any:
    """A project whose cross-fitting runs: (project, supervisor, its number)."""
    from coldal_tui.scheduler.supervisor import Supervisor

    lab.train(labelled)
    supervisor = Supervisor(labelled, lambda name: backend, clock)
    return labelled, supervisor, _running(labelled, supervisor)


def _only_beside_nobody(backend: Any) -> None:
    """One job at a time, as on a machine without a GPU."""
    from coldal_tui.jobs.backend import Wait

    backend.room = lambda ask, running: Wait("the CPU runs another") if running else None


def test_it_steps_back_for_another_job_and_goes_on(fitting: Any, backend: Any) -> None:
    project, supervisor, number = fitting
    _only_beside_nobody(backend)
    train = queue.submit(project, "train")
    supervisor.step()
    assert get_job(project, number).steps_back
    for _ in range(3):
        supervisor.step()
    stopped = get_job(project, number)
    assert (stopped.status, stopped.interruptions, stopped.steps_back) == ("waiting", 0, False)
    assert get_job(project, train).status == "running"
    assert "stepped back for another job" in stopped.folder.log.read_text()
    # It goes on when the other has ended, in its own folder.
    backend.die()
    backend.launched[-1].write_error(JobError("no", code="x"))
    for _ in range(3):
        supervisor.step()
    assert statuses(project)[-2:] == ["running", "failed"]
    assert backend.names[0] == backend.names[-1]


def test_it_stays_where_its_end_would_help_nobody(fitting: Any, backend: Any) -> None:
    project, supervisor, number = fitting
    backend.full = {"auto": "GPU 0 is held by others"}
    queue.submit(project, "train")
    supervisor.step()
    assert not get_job(project, number).steps_back


def test_a_cancelled_one_does_not_come_back(fitting: Any, backend: Any) -> None:
    project, supervisor, number = fitting
    queue.step_back(project, number)
    queue.cancel(project, number)
    for _ in range(3):
        supervisor.step()
    assert get_job(project, number).status == "cancelled"


def test_returned_masks_are_measured_against_earlier_predictions(
    lab: Lab, labelled: Project
) -> None:
    """A label that came after a prediction: the next training measures it, and only once."""
    lab.pictures("p1_c", "p6_a", "p6_b")
    from coldal_tui.project.scans.indexing import reindex

    reindex(labelled)
    first = lab.train(labelled)
    summary = {"plan": {"classes": ["lung"]}, "labels": _labels(labelled)}
    with labelled.store.transaction():
        labelled.store.update("runs", {"run_id": first}, summary=summary)
    folder = labelled.run_folder(first) / "predictions"
    folder.mkdir(parents=True)
    for name in ("p1_c", "p6_a"):
        write_label(folder / f"{name}.png", np.eye(*SIZE, dtype=np.uint8), None)
    for name in ("p1_c", "p6_a", "p6_b"):
        lab.mask(f"{name}.png", columns=slice(1, 6), value=255)
    import_masks(labelled, lab.masks)
    spec = build_spec(labelled, "train", {})
    # p1 trained already, p6_b was not predicted.
    assert [(one.run_id, one.case.scan.scan_id) for one in spec.returned] == [(first, "p6_a")]
    assert spec.returned[0].prediction == str(folder / "p6_a.png")

    def write(_folder: Path, spec: Any) -> tuple[dict[str, Any], list[str]]:
        value = {"dice": 0.25, "hd": 2.0, "hd95": 1.0, "unit": "px"}
        return {"returned": {first: {"p6_a": {"lung": value}}}}, []

    lab.run_job(labelled, "train", write)
    old, new = take_snapshot(labelled).runs
    assert (old.measured, old.mean and old.mean["dice"]) == ("test-then-train", 0.25)
    assert (old.measures[0].low, new.measures) == (None, ())
    with labelled.store.transaction():
        text = labelled.store.value("SELECT summary FROM runs WHERE run_id != ?", (first,))
        newer = json.loads(text) | {"plan": {"classes": ["lung"]}}
        labelled.store.update("runs", {"run_id": new.run_id}, summary=newer)
    assert build_spec(labelled, "train", {}).returned == ()


def _labels(project: Project) -> dict[str, str]:
    return dict(project.store.tuples("SELECT scan_id, sha256 FROM labels"))


def test_a_run_of_other_classes_is_not_compared(lab: Lab, labelled: Project) -> None:
    lab.pictures("p6_a")
    from coldal_tui.project.scans.indexing import reindex

    reindex(labelled)
    first = lab.train(labelled)
    summary = {"plan": {"classes": ["heart"]}, "labels": _labels(labelled)}
    with labelled.store.transaction():
        labelled.store.update("runs", {"run_id": first}, summary=summary)
    folder = labelled.run_folder(first) / "predictions"
    folder.mkdir(parents=True)
    write_label(folder / "p6_a.png", np.eye(*SIZE, dtype=np.uint8), None)
    lab.mask("p6_a.png", columns=slice(1, 6), value=255)
    import_masks(labelled, lab.masks)
    assert build_spec(labelled, "train", {}).returned == ()


def test_the_gpu_is_left_by_whom_the_device_names(fitting: Any, backend: Any) -> None:
    """On a GPU its lock and memory stay until it has ended, so that nobody can be asked."""
    project, supervisor, number = fitting
    handle = dict(get_job(project, number).handle or {}) | {"devices": ["GPU-1"]}
    with project.store.transaction():
        project.store.update("jobs", {"job_id": number}, handle=handle)
    backend.full = {"cuda:1": "GPU 1 runs another", "auto": "GPU 0 runs job 2 (crossfit)"}
    queue.submit(project, "train", {"device": "cuda:1"})
    supervisor.step()
    assert not get_job(project, number).steps_back
    set_backend(project, jobs_per_gpu=1)
    queue.submit(project, "evaluate", {"device": "auto"})
    supervisor.step()
    assert get_job(project, number).steps_back
