"""A real training on a disk that gets full, and with a memory that is too small."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from coldal_tui.project.job_rows import get_job
from coldal_tui.project.project import Project
from coldal_tui.project.settings.config import edit_config
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.follow import submit_chain
from coldal_tui.scheduler.supervisor import ensure_supervisor
from tests.support.processes import PRETENDED, ended, nothing_left, processes_of, until, workers

pytestmark = pytest.mark.e2e

ENOUGH_FOR_NOTES = 200_000
SIDE = 64
"""Of a picture, and of the patches that it is cut into."""


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
    folder = get_job(project, number).folder.path
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
    assert soak.redone(get_job(project, number), _Stage())[0] <= soak.STEPS / 12


class _Stage:
    job_kind = "train"


@pytest.mark.parametrize(
    ("batch", "holds", "reason", "planned"),
    [
        (8, 4 * SIDE**2, "batches of 4 instead of 8", ("batch_size", 4)),
        (1, SIDE**2 // 2, "patches of 32×32 instead of 64×64", ("patch", [32, 32])),
    ],
)
def test_a_training_that_runs_out_of_memory_does_with_less_and_its_run_says_so(
    labelled: tuple[Project, str],
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    holds: int,
    reason: str,
    planned: tuple[str, Any],
) -> None:
    project, _ = labelled
    edit_config(project.layout.config, {("train", "batch_size"): batch})
    monkeypatch.setenv("PYTHONPATH", str(PRETENDED))
    monkeypatch.setenv("PRETEND_MEMORY", str(holds))
    (number,) = submit_chain(project, [("train", {"steps": 12})])
    job = ended(project, number, 180)
    assert (job.status, job.attempts, job.interruptions) == ("done", 2, 0), job.error
    row = project.store.row("SELECT summary FROM runs")
    assert row is not None
    summary = json.loads(row["summary"])
    told = [f"the memory ran out: {reason}"]
    assert summary["adjustments"] == job.result["adjustments"] == told
    key, value = planned
    assert summary["plan"][key] == value
