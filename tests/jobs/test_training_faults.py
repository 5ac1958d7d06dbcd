"""A real training on a disk that gets full, and with a memory that is too small."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from processes import PRETENDED, ended, nothing_left, processes_of, until, workers

from coldal_tui.jobs import queue
from coldal_tui.jobs.supervisor import ensure_supervisor
from coldal_tui.jobs.waiting import submit_chain
from coldal_tui.project.project import Project

pytestmark = pytest.mark.e2e

ENOUGH_FOR_NOTES = 200_000


@pytest.fixture
def labelled(soak: ModuleType, tmp_path: Path) -> Iterator[tuple[Project, str]]:
    """A project about to train, and the fingerprint of the run that comes out undisturbed."""
    (stage,) = soak.make_stages(tmp_path / "reference", ("train",))
    root = tmp_path / "reference" / "again"
    shutil.copytree(stage.project, root)
    with Project(root) as project, nothing_left(project):
        yield project, stage.result


def test_a_disk_that_is_full_at_a_checkpoint(
    labelled: tuple[Project, str], soak: ModuleType
) -> None:
    project, expected = labelled
    (number,) = submit_chain(project, [soak.request(project, "train")])
    folder = queue.get_job(project, number).folder.path
    until((folder / "last.ckpt").exists, "the first checkpoint")
    before = (folder / "last.ckpt").stat().st_size
    (worker,) = workers(project)
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (ENOUGH_FOR_NOTES, ENOUGH_FOR_NOTES))
    job = ended(project, number)
    assert job.error is not None
    assert (job.status, job.error.code) == ("failed", "disk")
    assert (job.error.where or "").endswith(".ckpt")
    # The checkpoint before it is whole, and what was half written is gone.
    assert (folder / "last.ckpt").stat().st_size == before
    assert list(folder.glob(".*.tmp")) == []
    until(lambda: not processes_of(project), "the supervisor's end")
    queue.retry(project, number)
    ensure_supervisor(project.layout)
    assert ended(project, number, 120).status == "done"
    assert soak.fingerprint(project, "train") == expected
    assert soak.redone(queue.get_job(project, number), _Stage())[0] <= soak.STEPS / 12


class _Stage:
    job_kind = "train"


def test_a_training_that_runs_out_of_memory_ends_with_smaller_batches(
    labelled: tuple[Project, str], soak: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _ = labelled
    monkeypatch.setenv("PYTHONPATH", str(PRETENDED))
    monkeypatch.setenv("PRETEND_MEMORY", "4")
    (number,) = submit_chain(project, [("train", {"steps": 12})])
    job = ended(project, number, 180)
    assert (job.status, job.attempts, job.interruptions) == ("done", 2, 0), job.error
    row = project.store.row("SELECT summary FROM runs")
    assert row is not None
    summary = json.loads(row["summary"])
    reason = "the memory ran out: batches of 4 instead of 8"
    assert summary["adjustments"] == job.result["adjustments"] == [reason]
    assert summary["plan"]["batch_size"] == 4
