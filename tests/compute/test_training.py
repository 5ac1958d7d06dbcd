"""Training: it learns, it repeats itself, and it goes on where it was cut off."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from coldal_compute.segmentation import training
from coldal_compute.segmentation.data import file_readers
from coldal_compute.segmentation.network import load_weights
from coldal_compute.train_step import train
from coldal_tui.errors import ColdalError
from coldal_tui.jobs.spec import InputCache, LabelledScan, StepResult, TrainOptions, TrainSpec


def _spec(
    scans: tuple[LabelledScan, ...],
    validation: tuple[LabelledScan, ...] = (),
    seed: int = 0,
    **options: Any,
) -> TrainSpec:
    chosen = {"steps": 12, "batch_size": 2, "device": "cpu", "threads": 1, **options}
    return TrainSpec("run", ("disc",), scans, validation, TrainOptions(**chosen), seed)


def _run(spec: TrainSpec, folder: Path, report: Any) -> StepResult:
    folder.mkdir(exist_ok=True)
    return train(spec, folder, report)


def _same(a: Path, b: Path) -> bool:
    first, second = (load_file(folder / "model.safetensors") for folder in (a, b))
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )


def test_it_learns_a_bright_disc(discs: Any, report: Any, tmp_path: Path) -> None:
    spec = _spec(discs(6), discs(2, first=6), steps=60, batch_size=4, learning_rate=3e-3)
    result = _run(spec, tmp_path / "run", report)
    assert result.result["validation"]["mean"]["dice"] > 0.85


def test_it_learns_a_bright_ball(balls: Any, report: Any, tmp_path: Path) -> None:
    scans = balls(6)
    spec = _spec(scans[:5], scans[5:], steps=60, learning_rate=3e-3)
    result = _run(spec, tmp_path / "run", report)
    assert result.result["validation"]["mean"]["dice"] > 0.8
    assert result.result["validation"]["classes"]["disc"]["unit"] == "mm"


def test_it_writes_the_files_that_it_names(discs: Any, report: Any, tmp_path: Path) -> None:
    result = _run(_spec(discs(3), discs(1, first=3)), tmp_path / "run", report)
    assert set(result.files) == {
        "plan.json", "model.safetensors", "best.ckpt", "last.ckpt", "metrics.json", "history.jsonl",
    }  # fmt: skip
    assert all((tmp_path / "run" / name).stat().st_size for name in result.files)
    assert (
        json.loads((tmp_path / "run" / "metrics.json").read_text()) == (result.result["validation"])
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_it_learns_a_bright_disc_on_a_gpu(discs: Any, report: Any, tmp_path: Path) -> None:
    options = {"steps": 60, "batch_size": 4, "learning_rate": 3e-3, "device": "cuda"}
    result = _run(_spec(discs(6), discs(2, first=6), **options), tmp_path / "run", report)
    assert result.result["validation"]["mean"]["dice"] > 0.85


def test_progress_reaches_the_last_step(discs: Any, report: Any, tmp_path: Path) -> None:
    _run(_spec(discs(3), discs(1, first=3)), tmp_path / "run", report)
    trained = [step for step in report.steps if step[0] == "training"]
    assert [step[1] for step in trained] == list(range(1, 13))
    assert {"loss", "dice"} == set(trained[-1][3])


def test_the_same_seed_gives_the_same_weights(discs: Any, report: Any, tmp_path: Path) -> None:
    scans = discs(3)
    for name in ("a", "b"):
        _run(_spec(scans, steps=4), tmp_path / name, report)
    assert _same(tmp_path / "a", tmp_path / "b")


def test_another_seed_gives_other_weights(discs: Any, report: Any, tmp_path: Path) -> None:
    scans = discs(3)
    for seed in (0, 1):
        _run(_spec(scans, steps=4, seed=seed), tmp_path / str(seed), report)
    assert not _same(tmp_path / "0", tmp_path / "1")


def test_further_networks_are_trained_on_the_same_labels(
    discs: Any, new_report: Any, tmp_path: Path
) -> None:
    spec = _spec(discs(3), discs(1, first=3), steps=4)
    alone = _run(spec, tmp_path / "alone", new_report())
    report = new_report()
    three = msgspec.structs.replace(spec, networks=3)
    result = _run(three, tmp_path / "three", report)
    others = ("network-2/model.safetensors", "network-3/model.safetensors")
    assert set(result.files) == {*alone.files, *others}
    assert (result.result["networks"], alone.result["networks"]) == (3, 1)
    assert result.result["validation"] == alone.result["validation"]
    assert _same(tmp_path / "alone", tmp_path / "three")
    folders = [tmp_path / "three", *((tmp_path / "three" / name).parent for name in others)]
    assert not any(_same(a, b) for a, b in itertools.combinations(folders, 2))
    assert [len(list(folder.iterdir())) for folder in folders[1:]] == [1, 1]
    trained = [(done, total) for message, done, total, _ in report.steps if "network" in message]
    assert trained == [(step, 12) for step in range(1, 13)]


def test_an_ensemble_that_was_cut_off_ends_as_if_it_was_not(
    discs: Any, new_report: Any, tmp_path: Path
) -> None:
    spec = msgspec.structs.replace(_spec(discs(3), steps=4), networks=3)
    calm = _run(spec, tmp_path / "calm", new_report())
    with pytest.raises(ConnectionAbortedError):
        _run(spec, tmp_path / "cut", new_report(stop_at=10))
    report = new_report()
    assert _run(spec, tmp_path / "cut", report).result == calm.result
    assert min(step[1] for step in report.steps if "network" in step[0]) > 8
    for name in ("network-2", "network-3", "."):
        assert _same(tmp_path / "calm" / name, tmp_path / "cut" / name)


def test_loader_processes_change_nothing(discs: Any, report: Any, tmp_path: Path) -> None:
    scans = discs(3)
    for workers in (0, 2):
        _run(_spec(scans, steps=2, workers=workers), tmp_path / str(workers), report)
    assert _same(tmp_path / "0", tmp_path / "2")


@pytest.mark.parametrize("cut", [7, 13])
def test_a_run_that_was_cut_off_ends_as_if_it_was_not(
    discs: Any, new_report: Any, tmp_path: Path, cut: int
) -> None:
    # 14 steps make blocks of 2; a cut at 7 lies within a block, 13 in the last one.
    spec = _spec(discs(3), discs(2, first=3), steps=14, learning_rate=3e-3)
    calm = _run(spec, tmp_path / "calm", new_report())
    with pytest.raises(ConnectionAbortedError):
        _run(spec, tmp_path / "cut", new_report(stop_at=cut))
    report = new_report()
    resumed = _run(spec, tmp_path / "cut", report)
    first = next(step for step in report.steps if step[0] == "training")
    assert first[1] == cut // 2 * 2 + 1
    assert _same(tmp_path / "calm", tmp_path / "cut")
    assert resumed.result == calm.result


def test_a_finished_run_is_not_trained_again(discs: Any, new_report: Any, tmp_path: Path) -> None:
    spec = _spec(discs(3), steps=4)
    first = _run(spec, tmp_path / "run", new_report())
    report = new_report()
    assert _run(spec, tmp_path / "run", report).result == first.result
    assert not [step for step in report.steps if step[0] == "training"]


def test_a_damaged_checkpoint_starts_from_the_beginning(
    discs: Any, new_report: Any, tmp_path: Path
) -> None:
    spec = _spec(discs(3), steps=4)
    first = _run(spec, tmp_path / "run", new_report())
    last = tmp_path / "run" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    report = new_report()
    assert _run(spec, tmp_path / "run", report).result == first.result
    assert "last.ckpt can't be read" in report.logs[0]


def test_the_best_weights_are_kept_not_the_last(
    discs: Any, report: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.1, 0.9, 0.2, 0.3])
    monkeypatch.setattr(training, "mean_dice", lambda *args: next(scores))
    result = _run(_spec(discs(3), discs(1, first=3), steps=4), tmp_path / "run", report)
    assert [row["dice"] for row in result.result["history"]] == [0.1, 0.9, 0.2, 0.3]
    steps = {
        name: torch.load(tmp_path / "run" / name, weights_only=True)["global_step"]
        for name in ("best.ckpt", "last.ckpt")
    }
    assert steps == {"best.ckpt": 2, "last.ckpt": 4}
    best = torch.load(tmp_path / "run" / "best.ckpt", weights_only=True)["state_dict"]
    kept = load_file(tmp_path / "run" / "model.safetensors")
    assert all(np.array_equal(best[f"net.{name}"].numpy(), kept[name]) for name in kept)


def test_without_validation_the_last_weights_are_kept(
    discs: Any, report: Any, tmp_path: Path
) -> None:
    result = _run(_spec(discs(3), steps=4), tmp_path / "run", report)
    assert result.result["checkpoint"] == "last.ckpt"
    assert "best.ckpt" not in result.files
    assert result.result["validation"]["mean"] is None


def test_a_loss_that_is_not_finite_stops_with_a_remedy(
    discs: Any, report: Any, tmp_path: Path
) -> None:
    with pytest.raises(ColdalError) as caught:
        _run(_spec(discs(3), learning_rate=1e30), tmp_path / "run", report)
    assert caught.value.code == "diverged"
    assert "learning rate" in str(caught.value.remedy)


@pytest.mark.parametrize("together", [5, 100])
def test_losses_that_are_read_together_change_nothing(
    discs: Any, new_report: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    spec = _spec(discs(3), steps=36)
    calm = _run(spec, tmp_path / "calm", new_report())
    monkeypatch.setattr(training, "losses_at_once", lambda device: together)
    report = new_report()
    assert _run(spec, tmp_path / "run", report).result == calm.result
    assert _same(tmp_path / "calm", tmp_path / "run")
    # Blocks have three steps: each ends with all its losses.
    told = [step for step in report.steps if step[0] == "training"]
    assert [step[1] for step in told] == list(range(1, 37))
    assert sum("loss" in step[3] for step in told) == 33


def test_a_loss_that_is_read_later_is_told_by_its_step(
    discs: Any, new_report: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, count = training.MaskedDiceCELoss.forward, iter(range(1, 99))

    def infinite_at_8(*args: Any) -> torch.Tensor:
        return real(*args) * (float("inf") if next(count) == 8 else 1.0)

    monkeypatch.setattr(training.MaskedDiceCELoss, "forward", infinite_at_8)
    monkeypatch.setattr(training, "losses_at_once", lambda device: 10)
    with pytest.raises(ColdalError, match="at step 8") as caught:
        _run(_spec(discs(3), steps=36), tmp_path / "run", new_report())
    assert caught.value.code == "diverged"
    # The checkpoint is that of the block before.
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert state["global_step"] == 6
    assert all(torch.isfinite(one).all() for one in state["state_dict"].values())


def test_running_out_of_gpu_memory_says_what_to_do(
    discs: Any, report: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(training.MaskedDiceCELoss, "forward", full)
    with pytest.raises(ColdalError) as caught:
        _run(_spec(discs(3)), tmp_path / "run", report)
    assert caught.value.code == "out-of-memory"
    assert "smaller patch" in str(caught.value.remedy)


def test_a_class_without_any_label_is_announced(discs: Any, report: Any, tmp_path: Path) -> None:
    spec = _spec(discs(2), steps=2)
    spec = TrainSpec("run", ("disc", "rare"), spec.train, (), spec.options, 0)
    _run(spec, tmp_path / "run", report)
    assert any("“rare”" in line for line in report.logs)


def test_a_scan_that_can_not_be_read_is_left_out(discs: Any, report: Any, tmp_path: Path) -> None:
    scans = discs(3)
    Path(scans[1].scan.ref.files[0]).write_bytes(b"not a picture")
    result = _run(_spec(scans, steps=2), tmp_path / "run", report)
    assert [failed.scan_id for failed in result.failed] == ["disc01"]


def test_a_label_of_another_grid_is_left_out(discs: Any, report: Any, tmp_path: Path) -> None:
    scans, other = discs(2), discs(1, size=40, first=9)
    mixed = LabelledScan(scans[1].scan, other[0].label)
    result = _run(_spec((scans[0], mixed), steps=2), tmp_path / "run", report)
    assert "grid" in result.failed[0].message


def test_no_readable_scan_at_all_is_an_error(discs: Any, report: Any, tmp_path: Path) -> None:
    scans = discs(1)
    Path(scans[0].label).unlink()
    with pytest.raises(ColdalError) as caught:
        _run(_spec(scans), tmp_path / "run", report)
    assert caught.value.code == "no-labels"


def test_the_cache_gives_the_same_weights_and_is_read(
    discs: Any, report: Any, tmp_path: Path
) -> None:
    spec = _spec(discs(3), steps=2)
    cache = InputCache(str(tmp_path / "cache" / "inputs"), 10**9)
    cached = msgspec.structs.replace(spec, inputs=cache)
    _run(spec, tmp_path / "plain", report)
    _run(cached, tmp_path / "first", report)
    (tmp_path / "second").mkdir()
    real, read = file_readers(), []

    def scan(ref: Any) -> Any:
        read.append(ref)
        return real.scan(ref)

    train(cached, tmp_path / "second", report, replace(real, scan=scan))
    assert read == []
    assert _same(tmp_path / "plain", tmp_path / "first")
    assert _same(tmp_path / "first", tmp_path / "second")


def test_nothing_but_the_named_files_is_left_behind(
    discs: Any, report: Any, tmp_path: Path
) -> None:
    result = _run(_spec(discs(3), discs(1, first=3)), tmp_path / "run", report)
    assert {path.name for path in (tmp_path / "run").iterdir()} == set(result.files)


def test_damaged_weights_are_an_error(discs: Any, report: Any, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 20)
    with pytest.raises(ColdalError) as caught:
        load_weights(torch.nn.Linear(1, 1), tmp_path)
    assert caught.value.code == "run"


def test_a_slurm_job_is_not_requeued_by_lightning(
    discs: Any, new_report: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Lightning's Slurm support would take SIGUSR1 and requeue the job on its own.
    for name, value in {"NTASKS": "1", "JOB_NAME": "train", "JOB_ID": "7", "NODELIST": "a"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    seen: list[Any] = []
    report = new_report()
    monkeypatch.setattr(
        report, "progress", lambda *args, **more: seen.append(signal.getsignal(signal.SIGUSR1))
    )
    _run(_spec(discs(2), steps=2), tmp_path / "run", report)
    assert set(seen) == {signal.SIG_DFL}


def test_loader_processes_are_only_added_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "usable_processors", lambda: 16)
    assert training.loader_workers(0, torch.device("cpu")) == 0
    assert training.loader_workers(3, torch.device("cpu")) == 3
    assert training.loader_workers(2, torch.device("cuda")) == 2


@pytest.mark.parametrize(("free", "workers"), [(2 * 1024**3, 4), (64 * 1024**2, 0)])
def test_a_gpu_gets_loader_processes_where_shared_memory_has_room(
    free: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "usable_processors", lambda: 16)
    monkeypatch.setattr(Path, "is_dir", lambda path: True)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert training.loader_workers(0, torch.device("cuda")) == workers


@pytest.mark.parametrize(("steps", "blocks"), [(1, 1), (5, 5), (12, 12), (13, 7), (240, 12)])
def test_training_runs_in_at_most_twelve_blocks(steps: int, blocks: int) -> None:
    assert -(-steps // training.block_steps(steps)) == blocks
