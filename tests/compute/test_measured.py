"""An evaluation that was interrupted goes on after the last scan that it measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from coldal_compute.evaluate_step import EVALUATION_FILE, evaluate
from coldal_compute.measured import JOURNAL_FILE, MeasuredJournal
from coldal_compute.segmentation.data import file_readers
from coldal_compute.segmentation.metrics import ClassMetrics
from coldal_compute.segmentation.network import build_network, save_weights
from coldal_compute.segmentation.plan import make_plan, save_plan
from coldal_tui.jobs.spec import EvaluateSpec, LabelledScan, TrainOptions

METRICS = {"disc": ClassMetrics(0.1 + 0.2, 3.0, 1 / 3, "mm", "missed")}


@pytest.fixture
def spec(discs: Callable[..., tuple[LabelledScan, ...]], tmp_path: Path) -> EvaluateSpec:
    """An evaluation of a run with random weights on four scans."""
    scans, run = discs(4), tmp_path / "run"
    run.mkdir()
    torch.manual_seed(4)
    plan = make_plan([one.scan for one in scans], ("disc", "ring"), TrainOptions())
    save_plan(plan, run)
    save_weights(build_network(plan), run)
    return EvaluateSpec(str(run), scans, device="cpu", threads=1)


class CutOff:
    """Ends the step where it tells of so many scans."""

    def __init__(self, after: int) -> None:
        self._after = after

    def log(self, message: str) -> None: ...

    def progress(self, done: float, total: float, message: str = "", **metrics: float) -> None:
        if done == self._after:
            raise ConnectionAbortedError("cut off")


def test_no_scan_is_measured_twice_and_the_result_is_the_same(
    spec: EvaluateSpec, report: Any, tmp_path: Path
) -> None:
    cut, calm = tmp_path / "cut", tmp_path / "calm"
    cut.mkdir()
    calm.mkdir()
    with pytest.raises(ConnectionAbortedError):
        evaluate(spec, cut, CutOff(after=3))
    read: list[str] = []
    real = file_readers()

    def scan(ref: Any) -> Any:
        read.append(Path(ref.files[0]).stem)
        return real.scan(ref)

    evaluate(spec, cut, report, replace(real, scan=scan))
    assert read == ["disc03"]
    assert [step[1:3] for step in report.steps] == [(4, 4)]
    evaluate(spec, calm, report)
    assert (cut / EVALUATION_FILE).read_bytes() == (calm / EVALUATION_FILE).read_bytes()


def test_metrics_come_back_as_they_were(tmp_path: Path) -> None:
    MeasuredJournal(tmp_path, "one").read()
    MeasuredJournal(tmp_path, "one").append("a", METRICS)
    assert MeasuredJournal(tmp_path, "one").read() == {"a": METRICS}


def test_metrics_of_another_model_are_not_taken(tmp_path: Path) -> None:
    journal = MeasuredJournal(tmp_path, "one")
    journal.read()
    journal.append("a", METRICS)
    assert MeasuredJournal(tmp_path, "two").read() == {}


def test_a_line_torn_by_a_crash_is_measured_again(tmp_path: Path) -> None:
    journal = MeasuredJournal(tmp_path, "one")
    journal.read()
    journal.append("a", METRICS)
    journal.append("b", METRICS)
    file = tmp_path / JOURNAL_FILE
    file.write_bytes(file.read_bytes()[:-9])
    journal = MeasuredJournal(tmp_path, "one")
    assert list(journal.read()) == ["a"]
    journal.append("b", METRICS)
    assert list(MeasuredJournal(tmp_path, "one").read()) == ["a", "b"]
