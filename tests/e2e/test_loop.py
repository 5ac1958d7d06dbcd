"""The whole loop through the real command line, with real supervisors and workers."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import termios
from pathlib import Path
from typing import Any

import psutil
import pytest

from coldal_tui.jobs.folder import JobFolder
from coldal_tui.project.settings.config import edit_config
from tests.support.places import SAMPLE

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

MORE_STEPS = 48


def _picks(items: list[dict[str, Any]]) -> list[tuple[str, int, str, int]]:
    return [(one["scan_id"], one["rank"], one["role"], one["cluster"]) for one in items]


def _files(project: Path) -> dict[str, str]:
    """Labels and quarantine with their content's hash."""
    return {
        str(path.relative_to(project)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in (project / "labels", project / ".coldal" / "quarantine")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _state(cli: Any, project: Path) -> dict[str, Any]:
    state: dict[str, Any] = cli.json("status", project)
    del state["at"]
    return state


def test_the_loop(cli, cxr, new_project, labeler) -> None:
    project = new_project("loop")
    assert _state(cli, project)["scans"] == 24

    first = cli.json("select", project, "--budget", 6, "--validation", 2)
    assert [one["rank"] for one in first] == [1, 2, 3, 4, 5, 6]
    assert sum(one["role"] == "validation" for one in first) == 2
    queue = cli.json("queue", project)
    assert _picks(queue) == _picks(first)
    assert set(queue[0]) >= {
        *("scan_id", "rank", "round", "role", "cluster", "score"),
        *("entropy", "diversity", "status", "path"),
    }
    assert {one["status"] for one in queue} == {"queued"}

    exported = cli.json("export-queue", project)
    assert exported["scans"] == [one["scan_id"] for one in first]
    masks = labeler(exported, cxr / "masks")
    before = (_state(cli, project), _files(project))
    tried = cli.json("import-masks", project, masks, "--dry-run")
    assert (tried["dry_run"], len(tried["accepted"])) == (True, 6)
    assert (_state(cli, project), _files(project)) == before
    taken = cli.json("import-masks", project, masks)
    assert sorted(one["scan_id"] for one in taken["accepted"]) == sorted(exported["scans"])
    assert (taken["quarantined"], taken["unmatched"]) == ([], [])
    again = cli.json("import-masks", project, masks)
    assert (len(again["accepted"]), len(again["unchanged"])) == (0, 6)

    run = cli.json("train", project)
    assert (run["run_id"], run["labels"], run["validation"]) == ("run-001", 4, 2)
    assert 0 <= run["mean"]["dice"] <= 1
    assert "scored 18 scans" in cli("score", project).stdout.replace("18 candidates", "18 scans")
    batch = cli.json("next", project, "--batch", 2)
    assert [(one["round"], one["rank"]) for one in batch] == [(1, 1), (1, 2)]
    assert {one["role"] for one in batch} == {"acquired"}
    assert not {one["scan_id"] for one in batch} & {one["scan_id"] for one in first}

    state = _state(cli, project)
    assert set(state) >= {"scans", "budget", "clusters", "rounds", "labels", "runs", "jobs"}
    budget = state["budget"]
    counts = (budget["total"], budget["labelled"], budget["queued"], budget["left"])
    assert counts == (9, 6, 2, 1)
    assert sum(cluster["size"] for cluster in state["clusters"]) == 24
    assert sum(cluster["labelled"] for cluster in state["clusters"]) == 6
    # The run has seen all labels, so `next` trained nothing anew.
    assert [one["run_id"] for one in state["runs"]] == ["run-001"]
    assert {job["status"] for job in state["jobs"]} == {"done"}

    assert "took back" in cli("undo", project).stdout
    taken_back = _state(cli, project)
    assert (len(taken_back["rounds"]), taken_back["budget"]["left"]) == (1, 3)
    assert _picks(cli.json("next", project, "--batch", 2)) == _picks(batch)

    # What is queued now gets the run's prediction along.
    cli("score", project)
    second = cli.json("export-queue", project)
    assert (second["scans"], second["prelabels"]) == ([one["scan_id"] for one in batch], 2)
    cli("import-masks", project, labeler(second, cxr / "masks"))

    clipped = cli("next", project, "--batch", 50, "--json")
    assert len(json.loads(clipped.stdout)) == 1
    assert "only 1 of the budget" in clipped.stderr
    assert [one["run_id"] for one in _state(cli, project)["runs"]] == ["run-001", "run-002"]
    spent = cli("next", project, status=1)
    assert "the budget of 9 is spent" in spent.stderr
    assert spent.stdout == ""

    measured = cli.json("evaluate", project, "--masks", cxr / "masks")
    assert measured["scans"] == len(measured["per_scan"]) > 0
    assert set(measured["classes"]) == {"lung"}
    assert set(measured["mean"]) >= {"dice", "hd", "hd95"}
    labelled = {one["scan_id"] for one in cli.json("queue", project, "--status", "labelled")}
    assert not labelled & set(measured["per_scan"])
    assert _state(cli, project)["labels"] == 8
    assert list((project / ".coldal" / "cache").glob("evaluation-*")) == []


def test_same_seed_same_queue_on_any_number_of_threads(make_cli, new_project) -> None:
    picks = []
    for threads in (1, 2):
        project = new_project(f"threads-{threads}")
        edit_config(project / "coldal.toml", {("backend", "threads"): threads})
        picks.append(make_cli(threads).json("select", project, "--budget", 6, "--seed", 5))
    assert picks[0] != []
    assert _without_path(picks[0]) == _without_path(picks[1])


def _without_path(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in one.items() if key != "path"} for one in items]


def _model(project: Path) -> str:
    run = project / ".coldal" / "runs" / "run-001" / "model.safetensors"
    return hashlib.sha256(run.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def undisturbed(base, cli, labelled) -> str:
    """The hash of the model that a training without any trouble gives."""
    project = Path(shutil.copytree(labelled, base / "undisturbed"))
    cli("trust", project, "--yes")
    cli("train", project, "--steps", MORE_STEPS)
    return _model(project)


def _paused_in_training(
    cli: Any, project: Path, wait_until: Any, steps: int = MORE_STEPS
) -> tuple[dict[str, Any], psutil.Process]:
    """Submit a training and stop its worker in the midst of its steps: the job, the worker."""
    cli("train", project, "--steps", steps, "--detach")
    (job,) = [one for one in cli.json("jobs", project) if one["kind"] == "train"]
    folder, least = JobFolder(Path(job["folder"])), min(steps, MORE_STEPS) / 6

    def in_the_midst() -> bool:
        assert not folder.receipt_file.exists()
        progress = folder.progress()
        # Past the first block (a twelfth), so that there is a checkpoint to go on from.
        return progress is not None and progress.message == "training" and progress.done > least

    wait_until(in_the_midst, "training to be in the midst", pause=0.005)
    worker = _process(project, "coldal_launch.worker")
    worker.suspend()
    return job, worker


def _process(project: Path, module: str) -> psutil.Process:
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            below = any(Path(word).is_relative_to(project) for word in words if word[:1] == "/")
            if module in words and below:
                return process
        except psutil.Error:
            continue
    raise AssertionError(f"no process of {module} for {project}")


def _ended(cli: Any, project: Path, number: int, wait_until: Any) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        job: dict[str, Any] = cli.json("jobs", project, "show", number)
        return job if job["status"] not in ("waiting", "running") else None

    job: dict[str, Any] = wait_until(found, "the job to end")
    return job


def test_a_killed_worker_is_interrupted_and_a_retry_finishes_its_work(
    cli, copy_of, undisturbed, wait_until
) -> None:
    project = copy_of("killed-worker")
    edit_config(project / "coldal.toml", {("backend", "retries"): 0})
    job, worker = _paused_in_training(cli, project, wait_until)
    worker.kill()
    ended = _ended(cli, project, job["job_id"], wait_until)
    assert (ended["status"], ended["error"]["code"]) == ("interrupted", "interrupted")
    assert "interrupted" in cli("jobs", project).stdout
    cli("jobs", project, "retry")
    done = _ended(cli, project, job["job_id"], wait_until)
    assert (done["status"], done["attempts"]) == ("done", 2)
    assert _model(project) == undisturbed


def test_a_killed_worker_goes_on_by_itself(cli, copy_of, undisturbed, wait_until) -> None:
    project = copy_of("goes-on")
    job, worker = _paused_in_training(cli, project, wait_until)
    worker.kill()
    done = _ended(cli, project, job["job_id"], wait_until)
    assert (done["status"], done["attempts"]) == ("done", 2)
    assert _model(project) == undisturbed


def test_a_killed_supervisor_costs_nothing(cli, copy_of, undisturbed, wait_until) -> None:
    project = copy_of("killed-supervisor")
    job, worker = _paused_in_training(cli, project, wait_until)
    _process(project, "coldal_tui.scheduler.supervisor").kill()
    worker.resume()
    # It has nobody left to tell, and works on to its receipt.
    receipt = Path(job["folder"]) / "receipt.json"
    wait_until(receipt.exists, "the worker to finish")
    assert cli.json("jobs", project, "show", job["job_id"])["status"] == "running"
    # Whoever submits the next job brings a supervisor, which takes the receipt in.
    cli("embed", project)
    done = cli.json("jobs", project, "show", job["job_id"])
    assert (done["status"], done["attempts"]) == ("done", 1)
    assert _gone(worker)
    assert _model(project) == undisturbed


def test_a_command_that_waits_brings_a_supervisor_back(cli, copy_of, wait_until) -> None:
    project = copy_of("waiting")
    command = subprocess.Popen(
        cli.command("train", project, "--steps", MORE_STEPS, "--json"),
        cwd=cli.cwd,
        env=cli.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    supervisor = wait_until(
        lambda: _maybe(project, "coldal_tui.scheduler.supervisor"), "a supervisor"
    )
    wait_until(lambda: _maybe(project, "coldal_launch.worker"), "a worker")
    supervisor.kill()
    out, err = command.communicate(timeout=600)
    assert command.returncode == 0, err
    assert json.loads(out)["run_id"] == "run-001"


def _gone(process: psutil.Process) -> bool:
    """Ended; where nobody waits for orphans, their entry in the table stays."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def _maybe(project: Path, module: str) -> psutil.Process | None:
    try:
        return _process(project, module)
    except AssertionError:
        return None


def test_a_detached_job_is_seen_from_elsewhere_and_can_be_cancelled(
    cli, copy_of, wait_until
) -> None:
    project = copy_of("detached")
    job, worker = _paused_in_training(cli, project, wait_until, steps=100_000)
    (running,) = [one for one in _state(cli, project)["jobs"] if one["status"] == "running"]
    assert running["kind"] == "train"
    assert 0 < running["fraction"] < 1
    worker.resume()
    cli("jobs", project, "cancel", job["job_id"])
    assert _gone(worker)
    ended = cli.json("jobs", project, "show", job["job_id"])
    assert (ended["status"], ended["error"]["code"]) == ("cancelled", "cancelled")
    assert _state(cli, project)["runs"] == []


def test_a_hang_up_of_the_terminal_leaves_the_job_running(
    cli, copy_of, undisturbed, wait_until
) -> None:
    project = copy_of("hang-up")
    terminal, line = os.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    command = subprocess.Popen(
        cli.command("train", project, "--steps", MORE_STEPS),
        cwd=cli.cwd,
        env=cli.env,
        stdin=line,
        stdout=line,
        stderr=line,
        start_new_session=True,
        preexec_fn=take_terminal,
    )
    os.close(line)
    try:
        wait_until(lambda: _maybe(project, "coldal_launch.worker"), "a worker")
    finally:
        os.close(terminal)
    assert command.wait(timeout=600) == -signal.SIGHUP
    (job,) = [one for one in cli.json("jobs", project) if one["kind"] == "train"]
    assert _ended(cli, project, job["job_id"], wait_until)["status"] == "done"
    assert _model(project) == undisturbed


def test_volumes(base, cli, labeler) -> None:
    volumes = SAMPLE / "volumes"
    project = base / "volumes"
    cli(
        *("init", project, "--images", volumes / "images"),
        *("--classes", "anterior,posterior", "--budget", 7),
    )
    edit_config(
        project / "coldal.toml",
        {("train", "steps"): 6, ("train", "patch"): (32, 32, 32), ("backend", "threads"): 1},
    )
    picked = cli.json("select", project, "--budget", 5, "--validation", 1)
    assert len(picked) == 5
    exported = cli.json("export-queue", project)
    taken = cli.json("import-masks", project, labeler(exported, volumes / "labels"))
    assert (len(taken["accepted"]), taken["quarantined"]) == (5, [])
    batch = cli.json("next", project)
    assert [one["round"] for one in batch] == [1, 1]
    (run,) = _state(cli, project)["runs"]
    assert set(run["classes"]) == {"anterior", "posterior"}
    assert {values["unit"] for values in run["classes"].values()} == {"mm"}
    measured = cli.json("evaluate", project, "--masks", volumes / "labels")
    assert set(measured["classes"]) == {"anterior", "posterior"}
    assert measured["scans"] == 7
