"""A training by two processes: the same batches, dealt out; one writes; none is left over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file

from coldal_compute import train_step
from coldal_compute.segmentation.ranks import Rank, most_ranks, together
from coldal_compute.train_step import train
from coldal_tui.errors import ColdalError
from coldal_tui.jobs.spec import LabelledScan, TrainOptions, TrainSpec


def spec_of(
    scans: tuple[LabelledScan, ...], validation: tuple[LabelledScan, ...] = (), **options: Any
) -> TrainSpec:
    chosen = {"steps": 4, "batch_size": 4, "device": "cpu", "threads": 1, **options}
    return TrainSpec("run", ("disc",), scans, validation, TrainOptions(**chosen), 0)


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes train, as if there were two GPUs."""
    monkeypatch.setattr(train_step, "rank_count", lambda spec, plan: 2)


@pytest.fixture
def run(report: Any, tmp_path: Path):
    def make(name: str, spec: TrainSpec, told: Any = report) -> dict[str, np.ndarray]:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        train(spec, folder, told)
        return load_file(folder / "model.safetensors")

    return make


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def helpers() -> list[psutil.Process]:
    """Living processes that help this one."""
    found = psutil.Process().children(recursive=True)
    return [one for one in found if "coldal_compute.train_helper" in one.cmdline()]


@pytest.mark.parametrize(
    ("batch", "devices", "wanted"),
    [(8, 2, 2), (8, 3, 2), (6, 4, 3), (5, 4, 1), (2, 8, 2), (4, 0, 1)],
)
def test_so_many_processes_share_a_batch_evenly(batch, devices, wanted) -> None:
    assert most_ranks(batch, devices) == wanted


def test_each_process_has_its_part_of_every_batch() -> None:
    parts = [Rank(number, 2).share(0, 8, 4) for number in range(2)]
    assert parts == [[0, 1, 4, 5], [2, 3, 6, 7]]
    assert Rank().share(0, 8, 4) == list(range(8))


@pytest.mark.parametrize(
    ("device", "wanted"), [("cuda", 2), ("auto", 1), ("cuda:1", 1), ("cpu", 1)]
)
def test_a_job_trains_on_the_gpus_that_it_was_given(monkeypatch, discs, device, wanted) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    spec = spec_of(discs(1), device=device)
    plan = type("Plan", (), {"batch_size": 4})
    assert train_step.rank_count(spec, plan) == wanted


@pytest.mark.e2e
def test_two_processes_learn_what_one_learns(two, discs, run, tmp_path, monkeypatch) -> None:
    spec = spec_of(discs(4), discs(2, first=4), steps=60, learning_rate=3e-3)
    run("two", spec)
    metrics = json.loads((tmp_path / "two" / "metrics.json").read_text())
    assert metrics["mean"]["dice"] > 0.85
    history = (tmp_path / "two" / "history.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in history] == list(range(5, 61, 5))


@pytest.mark.e2e
def test_the_first_step_is_that_of_one_process(discs, run, monkeypatch) -> None:
    # Instance norm and cross-entropy are sums over patches; with batches of one patch a process,
    # Dice (over the batch) differs, but not by much in one step.
    spec = spec_of(discs(4), steps=1, batch_size=2)
    alone = run("alone", spec)
    monkeypatch.setattr(train_step, "rank_count", lambda spec, plan: 2)
    together = run("together", spec)
    far = max(float(np.abs(alone[name] - together[name]).max()) for name in alone)
    assert 0 < far < 0.01


@pytest.mark.e2e
def test_the_same_seed_gives_the_same_weights(two, discs, run) -> None:
    scans = discs(3)
    assert same(run("a", spec_of(scans)), run("b", spec_of(scans)))
    assert helpers() == []


@pytest.mark.e2e
def test_each_network_of_an_ensemble_is_trained_together(two, discs, run, tmp_path) -> None:
    spec = spec_of(discs(4))
    alone = run("alone", spec)
    assert same(alone, run("ensemble", msgspec.structs.replace(spec, networks=2)))
    assert not same(alone, load_file(tmp_path / "ensemble" / "network-2" / "model.safetensors"))
    assert helpers() == []


def test_a_run_that_was_cut_off_ends_as_if_it_was_not(two, discs, run, new_report) -> None:
    spec = spec_of(discs(3), discs(2, first=3), steps=14)
    calm = run("calm", spec, new_report())
    with pytest.raises(ConnectionAbortedError):
        run("cut", spec, new_report(stop_at=7))
    assert helpers() == []
    assert same(run("cut", spec, new_report()), calm)


@pytest.mark.e2e
def test_a_loss_that_is_not_finite_ends_all_of_them(two, discs, report, tmp_path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    broken = spec_of(discs(3), learning_rate=1e30, steps=12)
    with pytest.raises(ColdalError) as caught:
        train(broken, folder, report)
    assert caught.value.code == "diverged"
    assert helpers() == []
    assert not list(folder.glob("rank-*"))


@pytest.mark.e2e
def test_the_error_of_another_process_is_told_as_it_was(discs, tmp_path) -> None:
    # Without the first one's plan, the second one fails before anything is done together.
    with pytest.raises(ColdalError) as caught, together(spec_of(discs(1)), tmp_path, 2):
        pytest.fail("nothing is ready")
    assert (caught.value.code, caught.value.where) == ("run", str(tmp_path / "plan.json"))
    assert helpers() == []


WAITING = """
import sys, time
from pathlib import Path
import msgspec
from coldal_compute.segmentation import ranks
from coldal_tui.jobs.spec import TrainSpec
ranks._start = lambda *given: __import__("subprocess").Popen(
    [sys.executable, "-c", "print('ready', flush=True); raise SystemExit(1)"], stdout=-1
)
spec = msgspec.json.decode(sys.stdin.buffer.read(), type=TrainSpec)
with ranks.together(spec, Path(sys.argv[1]), 2, grace_s=1.0):
    time.sleep(600)
"""


@pytest.mark.e2e
def test_nobody_waits_for_ever_for_a_process_that_died(discs, tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WAITING, tmp_path],
        input=msgspec.json.encode(spec_of(discs(1))),
        capture_output=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == -signal.SIGKILL
    assert b"a process that trained along ended: [1]; so does this one" in done.stderr


ALONE = """
import sys
from pathlib import Path
import msgspec
from coldal_compute import train_step
from coldal_tui.jobs.spec import TrainSpec
train_step.rank_count = lambda spec, plan: 2
spec = msgspec.json.decode(sys.stdin.buffer.read(), type=TrainSpec)
train_step.train(spec, Path(sys.argv[1]), train_step.Silent())
"""


@pytest.mark.e2e
@pytest.mark.parametrize("begun", [False, True])
def test_a_killed_worker_takes_the_others_with_it(discs, tmp_path, begun) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    worker = subprocess.Popen([sys.executable, "-c", ALONE, folder], stdin=subprocess.PIPE)
    assert worker.stdin is not None
    with worker.stdin as stream:
        stream.write(msgspec.json.encode(spec_of(discs(3), steps=400)))
    seen = psutil.Process(worker.pid)
    deadline = time.monotonic() + 120
    while not ((folder / "history.jsonl").exists() if begun else seen.children()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (helper,) = seen.children()
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    psutil.wait_procs([helper], timeout=600)
    assert not helper.is_running()
