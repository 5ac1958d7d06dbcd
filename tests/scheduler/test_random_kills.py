"""Ten kills at random moments: the jobs end with the results of undisturbed ones."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path
from types import ModuleType

import pytest

from coldal_tui.project.job_rows import get_job, list_jobs
from coldal_tui.project.project import Project
from coldal_tui.scheduler.follow import revive, submit_chain
from tests.support.places import ROOT
from tests.support.playing import set_backend
from tests.support.processes import PRETENDED, nothing_left, processes_of, supervisors, workers

SOAK = ROOT / "scripts" / "soak_jobs.py"
KILLS = 10


@pytest.mark.e2e
def test_ten_kills_of_quick_jobs(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretended steps, so that kills come at every moment of starting, working and committing."""
    monkeypatch.setenv("PYTHONPATH", str(PRETENDED))
    monkeypatch.setenv("PRETEND_STEPS", "1")
    monkeypatch.setenv("PRETEND_PAUSE_S", "0.1")
    set_backend(project, retries=100)
    rng, kills = random.Random(3), 0
    strike = time.monotonic()
    with nothing_left(project):
        while kills < KILLS:
            again = {"again": True, "device": "cpu"}
            (number,) = submit_chain(project, [("embed", again)])
            while not (job := get_job(project, number)).ended:
                assert len(workers(project)) <= 1, "a job runs twice at once"
                if time.monotonic() >= strike and kills < KILLS:
                    chosen = rng.choice((workers, supervisors, processes_of))(project)
                    for process in chosen:
                        process.kill()
                    kills += bool(chosen)
                    strike = time.monotonic() + rng.uniform(0.1, 0.9)
                revive(project)
                time.sleep(0.03)
            assert job.status == "done", job.error
    shards = project.store.rows("SELECT file FROM shards")
    assert len(shards) == len(list_jobs(project))
    assert all(project.file_of(row["file"]).is_file() for row in shards)


@pytest.mark.e2e
def test_ten_kills_of_an_embedding_and_a_training(soak: ModuleType, tmp_path: Path) -> None:
    tallies = soak.soak(tmp_path, ("embed", "train"), KILLS, random.Random(1), 5)
    assert [tally.faults for tally in tallies.values()] == [[], []]
    assert sum(sum(tally.kills.values()) for tally in tallies.values()) == KILLS


def test_the_soak_notices_another_result(soak: ModuleType, tmp_path: Path) -> None:
    """The comparison itself: one changed entropy is another result."""
    (tmp_path / "images").mkdir()
    with Project.create(tmp_path / "project", tmp_path / "images") as project:
        rows = [("a", 0.25), ("b", 0.5)]
        for scan_id, entropy in rows:
            project.store.insert("scores", run_id="run-001", scan_id=scan_id, entropy=entropy)
        before = soak.fingerprint(project, "score")
        assert soak.fingerprint(project, "score") == before
        project.store.update("scores", {"scan_id": "b"}, entropy=0.5000001)
        assert soak.fingerprint(project, "score") != before


def test_the_soak_notices_a_process_that_is_left(soak: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    faults: list[str] = []
    soak.LEFT_S = 0.2
    with Project.create(tmp_path / "project", tmp_path / "images") as project:
        with soak.nothing_left(project, faults):
            left = subprocess.Popen(["sleep", "600"], cwd=project.root)
        left.wait(timeout=600)
    assert len(faults) == 1
    assert faults[0].startswith("left running: ")
