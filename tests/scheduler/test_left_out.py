"""Scans that a job went without are counted and said wherever somebody looks."""

from __future__ import annotations

import json
import shutil

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.jobs.spec import (
    FailedScan,
    JobSpec,
    LabelledScan,
    Receipt,
    ScoreSpec,
    TrainOptions,
    TrainSpec,
)
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.project.scans.left_out import read_left_out
from coldal_tui.project.views.scan_facts import read_scan_facts
from coldal_tui.project.views.snapshot import take_snapshot
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.commit import commit_receipt
from coldal_tui.scheduler.planning import build_spec
from tests.support.small_projects import write_image


def _ended(project: Project, kind: str, spec: JobSpec, failed: tuple[FailedScan, ...]) -> None:
    """A job of ``kind`` that did ``spec`` without ``failed``, and was committed."""
    number = queue.submit(project, kind)
    folder = queue.get_job(project, number).folder
    folder.prepare(spec)
    (folder.path / "entropies.json").write_text("{}")
    result = {"entropies": "entropies.json"} if kind == "score" else {}
    folder.write_receipt(Receipt(str(number), kind, (), result, failed))
    commit_receipt(project, number)


def _train(project: Project, *bad: str, run: str = "run-001") -> None:
    cases = [LabelledScan(scan.input(project.images), "x.png") for scan in project.scans()]
    spec = TrainSpec(run, ("x",), tuple(cases[:3]), tuple(cases[3:]), TrainOptions(), 0)
    failed = tuple(FailedScan(name, f"/data/{name}.png", "cut short") for name in bad)
    _ended(project, "train", spec, failed)


def test_a_run_counts_the_labels_that_trained(project: Project) -> None:
    _train(project, "b", "d")
    row = project.store.row("SELECT train_scans, validation_scans, summary FROM runs")
    assert row is not None
    assert json.loads(row["train_scans"]) == ["a", "c"]
    assert json.loads(row["validation_scans"]) == []
    assert [one["scan_id"] for one in json.loads(row["summary"])["left_out"]] == ["b", "d"]
    snapshot = take_snapshot(project)
    assert (snapshot.runs[0].labels, snapshot.runs[0].left_out) == (2, 2)
    assert (snapshot.unreadable, snapshot.left_out) == (2, 2)
    assert read_scan_facts(project, "b").trouble == "left out of training: cut short"


def test_a_scan_that_was_used_again_is_no_longer_left_out(project: Project) -> None:
    _train(project, "b", "c")
    _train(project, "c", run="run-002")
    assert [(one.scan_id, one.step) for one in read_left_out(project)] == [("c", "train")]


def test_a_scan_left_out_of_two_steps_counts_once(project: Project) -> None:
    _train(project, "b")
    scans = tuple(scan.input(project.images) for scan in project.scans())
    bad = (FailedScan("b", "/data/b.png", "cut short"),)
    _ended(project, "score", ScoreSpec("run-001", scans, run_id="run-001"), bad)
    assert [one.step for one in read_left_out(project)] == ["score", "train"]
    assert take_snapshot(project).unreadable == 1


def test_a_scan_that_changed_starts_anew(project: Project) -> None:
    _train(project, "b")
    write_image(project.images / "b.png", 99)
    reindex(project)
    assert read_left_out(project) == ()


@pytest.mark.parametrize("empty", [False, True])
def test_without_its_images_no_job_starts_and_status_says_so(
    project: Project, *, empty: bool
) -> None:
    assert not take_snapshot(project).images_gone
    shutil.rmtree(project.images)
    if empty:  # a mount point without its disk
        project.images.mkdir()
    assert take_snapshot(project).images_gone
    with pytest.raises(ColdalError, match="the images folder is") as caught:
        build_spec(project, "embed", {})
    assert caught.value.code == "no-images"
