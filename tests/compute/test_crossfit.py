"""Cross-fitting: no label is measured by a network that saw it, and a stop loses no fold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from coldal_compute import crossfit_step, folds
from coldal_compute.crossfit_step import crossfit
from coldal_compute.segmentation.metrics import measure_scan
from coldal_compute.train_step import train
from coldal_launch.job_parts import gather, split
from coldal_tui.imaging.entropyfile import read_entropy
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.jobs.folder import JobFolder
from coldal_tui.jobs.retry_smaller import Fit, fitted, on_device, smaller
from coldal_tui.jobs.spec import CrossFitSpec, TrainOptions, TrainSpec

OPTIONS = TrainOptions(steps=12, batch_size=2, device="cpu", threads=1)


@pytest.fixture
def spec(discs: Any, report: Any, tmp_path: Path) -> CrossFitSpec:
    """Five labels in three folds, and one that the run did not train on."""
    scans = discs(6)
    run = tmp_path / "run"
    run.mkdir()
    train(TrainSpec("run-001", ("disc",), scans[:5], (), OPTIONS, 3), run, report)
    of = (scans[:2], scans[2:4], scans[4:5])
    return CrossFitSpec(str(run), "run-001", of, (0, 1, 2), OPTIONS, 3, scans[5:])


def test_each_label_is_measured_by_a_network_that_did_not_see_it(
    spec: CrossFitSpec, report: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[set[str]] = []
    real = crossfit_step.fit

    def watched(plan: Any, samples: Any, validation: Any, *rest: Any) -> Any:
        trained.append({sample.scan_id for sample in samples})
        assert validation == []
        return real(plan, samples, validation, *rest)

    monkeypatch.setattr(crossfit_step, "fit", watched)
    job = tmp_path / "job"
    job.mkdir()
    done = crossfit(spec, job, report)
    every = {f"disc{n:02d}" for n in range(5)}
    assert trained == [
        every - {"disc00", "disc01"},
        every - {"disc02", "disc03"},
        every - {"disc04"},
    ]
    # The sixth is predicted by the run itself; it is not among what is cross-fitted.
    assert set(done.result["scans"]) == every
    assert set(done.result["predictions"]) == every | {"disc05"}
    assert done.result["counts"]["scans"] == 5
    assert done.result["folds"] == 3
    assert all((job / name).stat().st_size for name in done.files)
    assert not list(job.rglob("*.ckpt"))
    for fold in spec.folds:
        for case in fold:
            scan_id = case.scan.scan_id
            label = read_label(Path(case.label))
            predicted = read_label(job / done.result["predictions"][scan_id])
            entropy = read_entropy(job / done.result["entropies"][scan_id])
            assert predicted.shape == entropy.shape == label.shape
            wanted = msgspec.to_builtins(measure_scan(predicted, label, ("disc",), None))
            assert done.result["scans"][scan_id] == wanted
    values = [one["disc"]["dice"] for one in done.result["scans"].values()]
    assert done.result["mean"]["dice"] == pytest.approx(np.mean(values))
    told = done.result["cleanup"]["disc"]
    assert told["dice"][0] == pytest.approx(np.mean(values))
    assert told["pays"] == (
        told["dice"][1] >= told["dice"][0] and told["hd95"][1] < told["hd95"][0]
    )


def test_it_goes_on_after_the_last_fold(
    spec: CrossFitSpec, report: Any, new_report: Any, tmp_path: Path
) -> None:
    for name in ("alone", "cut"):
        (tmp_path / name).mkdir()
    alone = crossfit(spec, tmp_path / "alone", report)
    # Two steps before the end of the second fold's training, in its share of the progress.
    with pytest.raises(ConnectionAbortedError):
        crossfit(spec, tmp_path / "cut", new_report(stop_at=10 * 0.9 + 12))
    assert folds.finished(tmp_path / "cut") == {0}
    assert (tmp_path / "cut" / "fold-1" / "last.ckpt").exists()
    again = new_report()
    assert crossfit(spec, tmp_path / "cut", again).result == alone.result
    assert [line.split(":")[0] for line in again.logs if line.startswith("fold")] == [
        "fold 2 of 3",
        "fold 3 of 3",
    ]


def test_parts_fit_a_fold_each_and_are_joined(
    spec: CrossFitSpec, report: Any, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    wanted = crossfit(spec, alone, report)
    job = JobFolder(tmp_path / "000001-crossfit")
    job.prepare(spec)
    parts = split(job, 2)
    assert [part.read_spec().wanted for part in parts] == [(0, 2), (1,)]  # type: ignore[union-attr]
    for part in parts:
        crossfit(part.read_spec(), part.path, report)  # type: ignore[arg-type]
    gather(job)
    assert folds.finished(job.path) == {0, 1, 2}
    assert split(job, 2) == []
    done = crossfit(spec, job.path, report)
    assert done.result == wanted.result
    assert sorted(done.files) == sorted(wanted.files)


def test_an_unreadable_label_is_listed(spec: CrossFitSpec, report: Any, tmp_path: Path) -> None:
    Path(spec.folds[0][0].label).write_bytes(b"no picture")
    job = tmp_path / "job"
    job.mkdir()
    done = crossfit(spec, job, report)
    assert [one.scan_id for one in done.failed] == ["disc00"]
    assert "disc00" not in done.result["scans"]
    assert json.loads((job / "cross-fitted.json").read_text())["counts"]["failed"] == 1


def test_less_memory_means_smaller_batches_of_the_same_plan(spec: CrossFitSpec) -> None:
    fit = smaller(spec, Fit(), Path("nowhere"))
    assert fit is not None
    assert fit.batch_size == 1
    now = fitted(spec, fit)
    assert isinstance(now, CrossFitSpec)
    assert now.options.batch_size == 1
    assert smaller(spec, fit, Path("nowhere")) is None
    there = on_device(spec, "cuda")
    assert isinstance(there, CrossFitSpec)
    assert there.options.device == "cuda"
